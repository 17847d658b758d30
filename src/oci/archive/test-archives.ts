/** Layers and archives in tests: from trees to bytes and back. */

import { concatBytes } from '../../abi/byte-parts.ts'
import type { LayerFilesystem } from '../../fs/layer/layer.ts'
import { Marks } from '../../fs/overlay/marks.ts'
import type { DirectoryInode, Inode } from '../../vfs/inode.ts'
import { Attempt } from '../../vfs/waiting.ts'
import type { ArchiveForm } from './build-layer.ts'
import { LayerReader } from './read-layer.ts'
import type { TarLimits } from './read-tar.ts'
import { writeLayer } from './write-layer.ts'

export const marks = new Marks('trusted.overlay.')

/** The archive of what is in a directory. */
export function archived(root: Inode, form: ArchiveForm, skipped: string[] = []): Uint8Array {
  const parts: Uint8Array[] = []
  const options = { form, marks, attempt: new Attempt() }
  skipped.push(...writeLayer(root as DirectoryInode, (bytes) => parts.push(bytes.slice()), options))
  return concatBytes(parts)
}

/** The layer that an archive holds, read in pieces of `piece` bytes. */
export function unarchived(bytes: Uint8Array, form: ArchiveForm, piece = 1 << 16, limits?: TarLimits): LayerFilesystem {
  const reader = new LayerReader(form, limits && { limits })
  for (let at = 0; at < bytes.length; at += piece) reader.push(bytes.subarray(at, at + piece))
  return reader.end()
}
