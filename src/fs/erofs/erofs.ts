/**
 * erofs: the files of an image that mkfs.erofs(1) made, read in place, a block when it is needed, and never changed. What is compressed
 * is refused.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { FilesystemType, MountRequest } from '../../vfs/filesystem.ts'
import type { FilesystemUsage, PageSource } from '../../vfs/inode.ts'
import { Attempt } from '../../vfs/waiting.ts'
import { damaged, Image, MAGIC } from './image.ts'
import { type ErofsDirectory, type ErofsInode, type ErofsInodes, readInode } from './nodes.ts'

class ErofsFilesystem implements ErofsInodes {
  readonly type = 'erofs'
  readonly readonly = true
  readonly dev: number
  readonly image: Image
  readonly root: ErofsDirectory
  readonly #inodes = new Map<number, ErofsInode>()

  /** Errors: as Image; EUCLEAN for a root that is no directory. */
  constructor(source: PageSource, { dev, attempt = new Attempt() }: MountRequest) {
    this.dev = dev
    this.image = new Image(source, attempt)
    const root = this.inode(this.image.rootNid, attempt)
    if (root.kind !== 'directory') throw damaged(root.record.where, `the root is a ${root.kind}`)
    root.claim(root, '')
    this.root = root
  }

  inode(nid: number, attempt: Attempt): ErofsInode {
    const known = this.#inodes.get(nid)
    if (known) return known
    const inode = readInode(this, nid, attempt)
    this.#inodes.set(nid, inode)
    return inode
  }

  usage(): FilesystemUsage {
    const { blockSize, blocks, inodes } = this.image
    return { type: MAGIC, blockSize, blocks, blocksFree: 0, files: inodes, filesFree: 0 }
  }
}

/** The type; a mount request's `internal` is the image as a PageSource, which never changes. It knows no options. */
export const erofsType: FilesystemType = {
  name: 'erofs',
  userMountable: false,
  userListable: true,
  requiresDevice: true,
  mount(request) {
    if (request.data !== '') throw new ErrnoError('EINVAL', undefined, `erofs takes no options: "${request.data}"`)
    return new ErofsFilesystem(request.internal as PageSource, request)
  },
}
