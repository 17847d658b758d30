/**
 * Writes EROFS images for tests, of what is below a directory: after Documentation/filesystems/erofs.rst of Linux, and sharing nothing with
 * fs/erofs, so that neither can hide a mistake of the other. Linux 6.18 mounts what it writes, of blocks up to 4 KiB, and shows the same files.
 */

import { concatBytes } from '../abi/byte-parts.ts'
import { encodeUtf8 } from '../abi/utf8.ts'
import type { Inode } from '../vfs/inode.ts'
import { majorOf, minorOf } from '../vfs/kinds.ts'
import { none } from './trees.ts'

export interface ImageForm {
  /** Blocks have 2^this bytes; 12 if left out. */
  readonly blockBits?: number
  /** Inodes have 32 bytes, not 64: no times, ids of 16 bits. */
  readonly compact?: boolean
  /** Where data are: `inline` (the last bytes behind the inode, where they fit) if left out. */
  readonly layout?: 'inline' | 'plain' | 'chunks' | 'chunk-indexes'
  /** Attributes lie in the shared area. */
  readonly shared?: boolean
}

interface Planned {
  readonly inode: Inode
  readonly index: number
  readonly data: () => Uint8Array
  readonly size: number
  readonly attributes: Uint8Array
  position: number
  inline: number
  blocks: number
}

const TYPES = ['', 'file', 'directory', 'char', 'block', 'fifo', 'socket', 'symlink']
const PREFIXES = [
  '',
  'user.',
  'system.posix_acl_access',
  'system.posix_acl_default',
  'trusted.',
  'lustre.',
  'security.',
]
const SUPERBLOCK = 1024
const BUILT = 1_700_000_000

const roundUp = (value: number, to: number) => Math.ceil(value / to) * to

/** Bytes that numbers are written into. */
class Out extends Uint8Array {
  get #view(): DataView {
    return new DataView(this.buffer, this.byteOffset)
  }
  u16(value: number, at: number): void {
    this.#view.setUint16(at, value, true)
  }
  u32(value: number, at: number): void {
    this.#view.setUint32(at, value, true)
  }
  u64(value: bigint, at: number): void {
    this.#view.setBigUint64(at, value, true)
  }
  s64(value: bigint, at: number): void {
    this.#view.setBigInt64(at, value, true)
  }
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const differs = a.findIndex((byte, i) => byte !== b[i])
  return differs < 0 ? a.length - b.length : a[differs]! - (b[differs] ?? -1)
}

const byBytes = (a: [Uint8Array, Inode], b: [Uint8Array, Inode]) => compareBytes(a[0], b[0])

export function erofsImage(root: Inode, form: ImageForm = {}): Uint8Array<ArrayBuffer> {
  const { blockBits = 12, compact = false, layout = 'inline', shared = false } = form
  const block = 2 ** blockBits
  const head = compact ? 32 : 64
  const sharedEntries: Uint8Array[] = []
  let sharedBytes = 0
  const planned = new Map<Inode, Planned>()

  const attributesOf = (inode: Inode): Uint8Array => {
    const entries = [...(inode.xattrs?.keys() ?? [])].map((key) => {
      const index = PREFIXES.findIndex((prefix) => prefix !== '' && key.startsWith(prefix))
      const name = encodeUtf8(key.slice(PREFIXES[index]!.length))
      const value = inode.xattrs!.get(key)!
      const entry = new Out(roundUp(4 + name.length + value.length, 4))
      entry.set([name.length, index, value.length & 0xff, value.length >> 8])
      entry.set(name, 4)
      entry.set(value, 4 + name.length)
      return entry
    })
    if (entries.length === 0) return new Uint8Array(0)
    const header = new Out(12 + (shared ? 4 * entries.length : 0))
    if (!shared) return concatBytes([header, ...entries])
    header[4] = entries.length
    entries.forEach((entry, i) => {
      header.u32(sharedBytes / 4, 12 + 4 * i)
      sharedBytes += entry.length
      sharedEntries.push(entry)
    })
    return header
  }

  const plan = (inode: Inode, parent: Inode): void => {
    if (planned.has(inode)) return
    const { data, size } = dataOf(inode, parent)
    planned.set(inode, {
      inode,
      data,
      size,
      index: planned.size,
      attributes: attributesOf(inode),
      position: 0,
      inline: 0,
      blocks: 0,
    })
    if (inode.kind !== 'directory') return
    for (const { name } of inode.entries(0, none)) plan(inode.lookup(name, none)!, inode)
  }

  const dataOf = (inode: Inode, parent: Inode): { data: () => Uint8Array; size: number } => {
    if (inode.kind === 'directory') {
      const blocks = directory(inode, parent)
      return {
        size: blocks.reduce((sum, { bytes }, i) => sum + (i < blocks.length - 1 ? block : bytes), 0),
        data: () => listing(blocks),
      }
    }
    let bytes = new Uint8Array(0)
    if (inode.kind === 'symlink') bytes = encodeUtf8(inode.readlink(none))
    if (inode.kind === 'file') {
      bytes = new Uint8Array(inode.size)
      inode.read(bytes, 0, bytes.length, 0, none)
    }
    return { data: () => bytes, size: bytes.length }
  }

  type DirectoryBlock = { entries: [Uint8Array, Inode][]; bytes: number }
  const directory = (inode: Inode & { kind: 'directory' }, parent: Inode): DirectoryBlock[] => {
    const entries: [Uint8Array, Inode][] = [
      [encodeUtf8('.'), inode],
      [encodeUtf8('..'), parent],
    ]
    for (const { name } of inode.entries(0, none)) entries.push([encodeUtf8(name), inode.lookup(name, none)!])
    const blocks: DirectoryBlock[] = [{ entries: [], bytes: 0 }]
    for (const entry of entries.sort(byBytes)) {
      const length = 12 + entry[0].length
      if (blocks.at(-1)!.bytes + length > block) blocks.push({ entries: [], bytes: 0 })
      blocks.at(-1)!.entries.push(entry)
      blocks.at(-1)!.bytes += length
    }
    return blocks
  }
  const listing = (blocks: DirectoryBlock[]): Uint8Array => {
    const bytes = new Out((blocks.length - 1) * block + blocks.at(-1)!.bytes)
    blocks.forEach(({ entries }, b) => {
      let name = entries.length * 12
      entries.forEach(([text, inode], i) => {
        const at = b * block + i * 12
        bytes.u64(BigInt(planned.get(inode)!.position / 32), at)
        bytes.u16(name, at + 8)
        bytes[at + 10] = TYPES.indexOf(inode.kind)
        bytes.set(text, b * block + name)
        name += text.length
      })
    })
    return bytes
  }

  plan(root, root)
  let position = SUPERBLOCK + 128
  let blocks = 0
  const unit = layout === 'chunk-indexes' ? 8 : 4
  for (const each of planned.values()) {
    const { size, attributes, inode } = each
    const chunked = layout.startsWith('chunk') && inode.kind === 'file'
    const tail = size % block
    let length = head + attributes.length
    if (chunked) length = roundUp(length, unit) + Math.ceil(size / block) * unit
    else if (layout === 'inline' && tail > 0 && head + attributes.length + tail <= block) each.inline = tail
    const inlineStart = (position + length) % block
    if (each.inline > 0 && inlineStart + each.inline > block) position = roundUp(position, block)
    each.position = position
    each.blocks = Math.ceil((size - each.inline) / block)
    blocks += each.blocks
    position = roundUp(position + length + each.inline, 32)
  }
  const sharedBlock = Math.ceil(position / block)
  let next = sharedBlock + Math.ceil(sharedBytes / block)
  const image = new Out((next + blocks) * block)
  let at = sharedBlock * block
  for (const entry of sharedEntries) {
    image.set(entry, at)
    at += entry.length
  }

  for (const { inode, index, data, size, attributes, position, inline, blocks } of planned.values()) {
    const chunked = layout.startsWith('chunk') && inode.kind === 'file'
    const count = attributes.length === 0 ? 0 : (attributes.length - 12) / 4 + 1
    let address = next
    if (chunked) address = unit === 8 ? 0x20 : 0
    else if (inode.kind === 'char' || inode.kind === 'block') {
      const minor = minorOf(inode.rdev)
      address = ((minor & 0xff) | (majorOf(inode.rdev) << 8) | ((minor & 0xfff00) << 12)) >>> 0
    }
    image.u16((compact ? 0 : 1) | ((chunked ? 4 : inline > 0 ? 2 : 0) << 1), position)
    image.u16(count, position + 2)
    image.u16(inode.mode, position + 4)
    image.u32(address, position + 16)
    image.u32(index + 1, position + 20)
    if (compact) {
      image.u16(inode.nlink, position + 6)
      image.u32(size, position + 8)
      image.u16(inode.uid, position + 24)
      image.u16(inode.gid, position + 26)
    } else {
      image.u64(BigInt(size), position + 8)
      image.u32(inode.uid, position + 24)
      image.u32(inode.gid, position + 28)
      image.s64(inode.mtime / 1_000_000_000n, position + 32)
      image.u32(Number(inode.mtime % 1_000_000_000n), position + 40)
      image.u32(inode.nlink, position + 44)
    }
    image.set(attributes, position + head)
    const behind = position + head + attributes.length
    const bytes = data()
    for (let i = 0; i < blocks; i++) {
      const part = bytes.subarray(i * block, Math.min((i + 1) * block, size - inline))
      const hole = chunked && part.every((byte) => byte === 0)
      if (chunked) {
        const entry = roundUp(behind, unit) + i * unit
        image.u32(hole ? 0xffffffff : next, entry + unit - 4)
      }
      image.set(part, next * block)
      next++
    }
    image.set(bytes.subarray(size - inline), behind)
  }

  image.u32(0xe0f5e1e2, SUPERBLOCK)
  image.u32(1, SUPERBLOCK + 8)
  image[SUPERBLOCK + 12] = blockBits
  image.u16(planned.get(root)!.position / 32, SUPERBLOCK + 14)
  image.u64(BigInt(planned.size), SUPERBLOCK + 16)
  image.u64(BigInt(BUILT), SUPERBLOCK + 24)
  image.u32(next, SUPERBLOCK + 36)
  image.u32(sharedBlock, SUPERBLOCK + 44)
  image.u32(layout.startsWith('chunk') ? 4 : 0, SUPERBLOCK + 80)
  resum(image)
  return new Uint8Array(image)
}

/** Gives an image the checksum that its superblock has to have. */
export function resum(image: Uint8Array): void {
  const block = 2 ** image[1024 + 12]!
  const view = new DataView(
    image.buffer,
    image.byteOffset + 1024,
    Math.min(block > 1024 ? block - 1024 : block, image.length - 1024),
  )
  view.setUint32(4, 0, true)
  let crc = ~0
  for (let i = 0; i < view.byteLength; i++) {
    crc = TABLE[(crc ^ view.getUint8(i)) & 0xff]! ^ (crc >>> 8)
  }
  view.setUint32(4, crc >>> 0, true)
}

const TABLE = Array.from({ length: 256 }, (_, i) => {
  let crc = i
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0x82f63b78 & -(crc & 1))
  return crc >>> 0
})
