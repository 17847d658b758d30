/**
 * The gofer filesystem: files that come from outside the sandbox, here a tree that the page handed in. Read-only.
 *
 * Invariant: what a tree says does not change. Where a File changed on disk since, reading it is EIO; but Firefox, against
 * the FileAPI, hands out the new bytes of a File that did not become shorter, and no script can tell.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { Clock } from '../../abi/platform.ts'
import type { Tree } from '../../abi/tree.ts'
import type { FilesystemType } from '../../vfs/filesystem.ts'
import type { Filesystem, FilesystemUsage, Inode } from '../../vfs/inode.ts'
import { Attempt } from '../../vfs/waiting.ts'
import { type BuiltTree, buildTree } from './build.ts'
import type { ContentReaders } from './content.ts'
import type { TreeFilesystem } from './inodes.ts'

/** V9FS_MAGIC (linux/magic.h): a gofer speaks 9P in the original. */
const MAGIC = 0x01021997
const BLOCK = 4096

export interface GoferOptions {
  readonly dev: number
  /** Gives the time of files that have none: when the tree was handed in. */
  readonly clock: Clock
  readonly readers: ContentReaders
}

/**
 * A filesystem of the files of a tree, which nobody changes from then on.
 *
 * Throws WouldBlock for one kind of tree only: its root is a file behind a URL whose size is not given. Calling again
 * with the same tree goes on with the same fetch; the same `attempt` then hears of its failure (EIO).
 * Errors: EINVAL for a tree that breaks a rule, with the entry and the rule.
 */
export function createGofer(tree: Tree, options: GoferOptions, attempt: Attempt = new Attempt()): Filesystem {
  const gofer = new Gofer(tree, options)
  if (gofer.root.kind === 'file') gofer.root.learnSize(attempt)
  return gofer
}

/** The type `gofer`; a mount request's `internal` is the Tree. It knows no options. */
export function goferType(readers: ContentReaders): FilesystemType {
  return {
    name: 'gofer',
    userMountable: false,
    userListable: true,
    mount({ internal, data, dev, clock }) {
      if (data !== '') throw new ErrnoError('EINVAL', undefined, `gofer takes no options: "${data}"`)
      return createGofer(internal as Tree, { dev, clock, readers })
    },
  }
}

class Gofer implements TreeFilesystem {
  readonly type = 'gofer'
  readonly readonly = true
  readonly dev: number
  readonly readers: ContentReaders
  readonly now: bigint
  readonly #built: BuiltTree

  constructor(tree: Tree, { dev, clock, readers }: GoferOptions) {
    this.dev = dev
    this.readers = readers
    this.now = clock.realtime()
    this.#built = buildTree(this, tree)
  }

  get root(): BuiltTree['root'] & Inode {
    return this.#built.root
  }

  usage(): FilesystemUsage {
    const blocks = Math.ceil((this.#built.blocks * 512) / BLOCK)
    return { type: MAGIC, blockSize: BLOCK, blocks, blocksFree: 0, files: this.#built.files, filesFree: 0 }
  }
}
