/** What inodes of a filesystem have in common in which nothing ever changes: one time for all, and no way to set it. */

import { ErrnoError } from '../abi/errno.ts'

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
    throw new ErrnoError('EROFS')
  }

  touch(): void {}
}
