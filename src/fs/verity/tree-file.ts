/** The files that hold what was measured: their names, which nobody sees, and reading and writing them. */

import { ErrnoError } from '../../abi/errno.ts'
import { NAME_MAX } from '../../abi/linux.ts'
import { utf8Length } from '../../abi/utf8.ts'
import type { DirectoryInode, FileInode, Inode } from '../../vfs/inode.ts'
import type { Attempt } from '../../vfs/waiting.ts'

const PREFIX = '.merkle.verity.'
const ROOT_PREFIX = '.merkleroot.verity.'

/** How much longer the name of a tree is than that of its file. */
export const PREFIX_LENGTH = PREFIX.length

export const isTreeName = (name: string): boolean => name.startsWith(PREFIX) || name.startsWith(ROOT_PREFIX)
export const treeName = (name: string): string => PREFIX + name
/** In the root itself. `/` is what a mount on the container's root is called, and no name has a slash. */
export const rootTreeName = (name: string): string => ROOT_PREFIX + (name === '/' ? '' : name)

/** Where the stored tree of a content lies: behind the record. */
export interface Tree {
  readonly file: FileInode
  readonly start: number
}

const NEWLINE = 10
/** Read at first: the record of all but directories with many entries. */
const FIRST_READ = 4096
/** No record is longer: a damaged file may claim any length. */
const RECORD_MAX = 1 << 26

/** The record's bytes, or undefined if there is no end to it. */
export function readRecord(file: FileInode, attempt: Attempt): Uint8Array | undefined {
  for (let wanted = FIRST_READ; ; wanted *= 16) {
    const bytes = new Uint8Array(Math.min(wanted, file.size, RECORD_MAX))
    const count = file.read(bytes, 0, bytes.length, 0, attempt)
    const end = bytes.subarray(0, count).indexOf(NEWLINE)
    if (end >= 0) return bytes.subarray(0, end)
    if (bytes.length < wanted || count < bytes.length) return undefined
  }
}

/** What a tree file is made of. */
export function contentOf(record: Uint8Array, levels: readonly Uint8Array[]): readonly Uint8Array[] {
  return [record, new Uint8Array([NEWLINE]), ...levels]
}

/**
 * Makes a file of this content, or gives it to one that is there: steps to be done in order, each of which may wait and be done again.
 * Gives the file. Errors: EROFS, where nothing can be made; EOPNOTSUPP; ENAMETOOLONG; EEXIST for what is no tree; ENOSPC.
 */
export function* writing(
  directory: DirectoryInode,
  name: string,
  content: readonly Uint8Array[],
  now: bigint,
  attempt: Attempt,
): Generator<() => void, FileInode> {
  const { uid, gid, filesystem } = directory
  const fault = (rule: string) => `verity: the tree of a file cannot be put beside it: ${rule}`
  if (!directory.create || filesystem.readonly)
    throw new ErrnoError('EROFS', undefined, fault('the lower filesystem is read-only'))
  // What is served outside the kernel takes bytes of an open file only.
  if (filesystem.type === 'fuse')
    throw new ErrnoError('EOPNOTSUPP', undefined, fault('build it on what is behind FUSE'))
  if (utf8Length(name) > (filesystem.nameMax ?? NAME_MAX))
    throw new ErrnoError('ENAMETOOLONG', undefined, fault(`"${name}" is too long a name`))
  let there: Inode | undefined
  yield () => {
    there = directory.lookup(name, attempt)
  }
  if (there && there.kind !== 'file')
    throw new ErrnoError('EEXIST', undefined, fault(`"${name}" is a ${there.kind} already`))
  let file: FileInode | undefined = there
  if (!file) {
    yield () => {
      file = directory.create!(name, { kind: 'file', mode: 0o444, uid, gid, now }, attempt) as FileInode
    }
  } else if (file.size > 0) yield () => file!.truncate!(0, attempt)
  let offset = 0
  for (const bytes of content) {
    for (let done = 0; done < bytes.length; ) {
      yield () => {
        const count = file!.write!(bytes, done, bytes.length - done, offset, attempt)
        done += count
        offset += count
      }
    }
  }
  return file!
}

/** Does one step after the other; made again after a wait, it goes on where it was. */
export class InTurn {
  readonly #steps: Iterator<() => void>
  #step: (() => void) | undefined

  constructor(steps: Iterator<() => void>) {
    this.#steps = steps
  }

  run(): void {
    for (;;) {
      if (!this.#step) {
        const next = this.#steps.next()
        if (next.done) return
        this.#step = next.value
      }
      this.#step()
      this.#step = undefined
    }
  }
}
