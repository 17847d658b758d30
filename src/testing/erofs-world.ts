/** For tests of erofs: an image as a mounted filesystem. */

import { erofsType } from '../fs/erofs/erofs.ts'
import type { PageSource } from '../vfs/inode.ts'
import type { Superblock } from '../vfs/mount.ts'
import type { Vfs } from '../vfs/vfs.ts'
import { newVfs } from './conformance/arenas.ts'
import { erofsImage, type ImageForm } from './erofs-image.ts'
import { plant, type Tree } from './trees.ts'

/** Bytes as an image, read in place. */
export function sourceOf(bytes: Uint8Array): PageSource {
  return {
    size: bytes.length,
    read: (memory, at, length, offset) => memory.set(bytes.subarray(offset, offset + length), at),
  }
}

/** The image of a tree. */
export function imageOf(tree: Tree, form?: ImageForm): Uint8Array<ArrayBuffer> {
  const vfs = newVfs()
  const kept = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs', data: 'mode=755' }))
  plant(kept.root.inode, tree)
  return erofsImage(kept.root.inode, form)
}

/** The filesystem of an image. Errors: those of the type. */
export function erofsOver(vfs: Vfs, image: Uint8Array | PageSource): Superblock {
  if (!vfs.types.lookup('erofs')) vfs.types.register(erofsType)
  return vfs.newFilesystem({ type: 'erofs', internal: image instanceof Uint8Array ? sourceOf(image) : image })
}
