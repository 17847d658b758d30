/**
 * The trees and images of the page that a container is made from: they are not saved, but found again, by what their mounts are found
 * by, and looked at: whether they are what they were.
 *
 * What is looked at: names, kinds, modes, owners, sizes, times where the page said some, targets of links, and the bytes of what the page
 * gave as bytes. What is behind a URL, or in a Blob without a time, may have changed unseen as long as its size has not.
 */

import type { TreeChild, TreeFile } from '../../fs/gofer/inodes.ts'
import { parseOverlayOptions } from '../../fs/overlay/options.ts'
import { ByteWriter } from '../../fs/tmpfs/bytes.ts'
import { xxHash32 } from '../../fs/tmpfs/hash.ts'
import { parseVerityOptions } from '../../fs/verity/options.ts'
import type { Inode } from '../../vfs/inode.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import type { Bundle } from '../bundle.ts'
import type { MountPlan } from '../mounts/mounter.ts'

export interface Source {
  /** `/` for the root, the destination of a bind or an EROFS image, that of another mount with `#lower` and a number behind it. */
  readonly unique: string
  /** A name in the bundle, maybe with a path behind it. */
  readonly source: string
}

export interface Fingerprint {
  readonly files: number
  readonly bytes: number
  readonly hash: number
}

/** What of a container comes from the bundle, in the order in which it is found. */
export function sourcesOf({ root, mounts }: MountPlan): Source[] {
  const found: Source[] = root.source === undefined ? [] : [{ unique: '/', source: root.source }]
  for (const { type, unique, spec, options } of mounts) {
    if (type === 'bind' || type === 'erofs') found.push({ unique, source: spec.source ?? '' })
    for (const [i, source] of lowersOf(type, options.data).entries())
      found.push({ unique: `${unique}#lower${i + 1}`, source })
  }
  return found.filter(({ source }) => !source.startsWith('/'))
}

/** Where a mount says by its options that its files are. */
function lowersOf(type: string, data: string): readonly string[] {
  if (type === 'overlay') return parseOverlayOptions(data, { names: true }).lowerdirs ?? []
  const path = type === 'verity' ? parseVerityOptions(data).lowerPath : undefined
  return path === undefined ? [] : [path]
}

/** Errors: those of Bundle.find. Throws WouldBlock while a directory on the way is fetched. */
export function fingerprint(bundle: Bundle, source: string, attempt: Attempt): Fingerprint {
  const writer = new ByteWriter()
  const seen = { files: 0, bytes: 0 }
  for (const { dentry } of bundle.layers(source, attempt)) look(dentry.inode, '', { writer, seen, attempt })
  return { ...seen, hash: xxHash32(writer.written()) }
}

interface Looking {
  readonly writer: ByteWriter
  readonly seen: { files: number; bytes: number }
  readonly attempt: Attempt
}

function look(inode: Inode, path: string, looking: Looking): void {
  const { writer, seen, attempt } = looking
  writer.text(path)
  for (const number of [inode.mode, inode.uid, inode.gid, inode.rdev]) writer.number(number)
  writer.text(timeOf(inode))
  seen.files++
  if (inode.kind === 'file') {
    const content = isOfTree(inode) ? inode.given : undefined
    // One whose size nobody knows yet is not fetched for this.
    writer.text(content && 'url' in content ? content.url : '')
    writer.text(String(content && 'url' in content ? content.size : inode.size))
    if (inode.size > 0) seen.bytes += inode.size
    if (content instanceof Uint8Array) writer.u32(xxHash32(content))
  } else if (inode.kind === 'symlink') writer.text(inode.readlink(attempt))
  else if (inode.kind === 'directory') {
    const entries = [...inode.entries(0, attempt)].sort((a, b) => (a.name < b.name ? -1 : 1))
    writer.number(entries.length)
    for (const entry of entries) {
      // A tree's directory lists its inodes themselves; to look one up may fetch it.
      const child = isOfTree(inode) ? (entry as TreeChild) : inode.lookup(entry.name, attempt)
      if (child) look(child as Inode, entry.name, looking)
    }
  }
}

const isOfTree = (inode: Inode): inode is Inode & TreeFile => inode.filesystem.type === 'gofer'

/** Nothing where it is only that of the moment at which a tree was handed in. */
function timeOf(inode: Inode): string {
  if (inode.filesystem.type === 'gofer') {
    const { now } = inode.filesystem as Inode['filesystem'] & { readonly now: bigint }
    if (inode.mtime === now) return ''
  }
  return inode.kind === 'directory' && inode.filesystem.type !== 'gofer' ? '' : String(inode.mtime)
}
