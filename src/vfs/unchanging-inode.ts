/** What inodes of a filesystem have in common in which nothing ever changes: one time for all, and no way to set anything. */

import { ErrnoError } from '../abi/errno.ts'
import type { ExtendedAttributes } from './inode.ts'

export abstract class UnchangingInode {
  abstract get mtime(): bigint

  get rdev(): number {
    return 0
  }

  get atime(): bigint {
    return this.mtime
  }

  get ctime(): bigint {
    return this.mtime
  }

  get btime(): bigint {
    return this.mtime
  }

  setAttributes(): void {
    refuse()
  }

  touch(): void {}
}

const NONE: ReadonlyMap<string, Uint8Array> = new Map()

/** Extended attributes with these values, for reading only. */
export function unchangingXattrs(values: Pick<ExtendedAttributes, 'get' | 'keys'> = NONE): ExtendedAttributes {
  return { get: (name) => values.get(name), keys: () => values.keys(), set: refuse, delete: refuse }
}

function refuse(): never {
  throw new ErrnoError('EROFS')
}
