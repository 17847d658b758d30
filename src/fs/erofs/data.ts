/** Where the bytes of a file, a directory or a link lie in the image: in blocks, behind their inode, or in chunks. */

import type { Attempt } from '../../vfs/waiting.ts'
import { Missing } from '../../vfs/waiting.ts'
import { damaged, type Image, unsupported } from './image.ts'

/** Layouts of inodes, by number. */
const FLAT_PLAIN = 0
const FLAT_INLINE = 2
const CHUNK_BASED = 4

const CHUNK_BITS = 0x1f
const CHUNK_INDEXES = 0x20
/** The address of a chunk of zeros. */
const HOLE = 0xffffffff

/** What an inode says of its data. */
export interface DataPlace {
  /** For errors, such as `inode 36`. */
  readonly where: string
  readonly layout: number
  readonly size: number
  /** The field `i_u` of the inode: a block, or the form of its chunks. */
  readonly address: number
  /** Behind the inode and its attributes. */
  readonly end: number
}

export interface Data {
  /** Preconditions: the range is inside the size. Errors: EIO for what is past the end of the image. */
  read(memory: Uint8Array, at: number, length: number, offset: number, attempt: Attempt): void
}

/** Errors: EOPNOTSUPP for a layout that is not supported; EUCLEAN. */
export function dataOf(image: Image, place: DataPlace): Data {
  switch (place.layout) {
    case FLAT_PLAIN:
      return flat(image, place, place.size)
    case FLAT_INLINE:
      return inline(image, place)
    case CHUNK_BASED:
      return chunks(image, place)
    case 1:
    case 3:
      throw unsupported(place.where, 'it is compressed, which is not supported')
    default:
      throw unsupported(place.where, `it has the layout ${place.layout}, which is not supported`)
  }
}

/** All is in a row of blocks, but what comes from `inlineFrom` on, which is behind the inode. */
function flat(image: Image, { where, address, end }: DataPlace, inlineFrom: number): Data {
  const start = address * image.blockSize
  return {
    read(memory, at, length, offset, attempt) {
      const inBlocks = Math.max(0, Math.min(length, inlineFrom - offset))
      const missing = new Missing()
      if (inBlocks > 0) missing.try(() => image.read(memory, at, inBlocks, start + offset, where, attempt))
      if (inBlocks < length) {
        const position = end + offset + inBlocks - inlineFrom
        missing.try(() => image.read(memory, at + inBlocks, length - inBlocks, position, where, attempt))
      }
      missing.wait()
    },
  }
}

function inline(image: Image, place: DataPlace): Data {
  const { where, size, end } = place
  const { blockSize } = image
  const from = Math.max(0, Math.ceil(size / blockSize) - 1) * blockSize
  if ((end % blockSize) + size - from > blockSize) throw damaged(where, 'its last bytes are across two blocks')
  return flat(image, place, from)
}

/** Chunks of one size, each with its place in a table behind the inode. */
function chunks(image: Image, { where, address, end }: DataPlace): Data {
  const format = address & 0xffff
  if (format & ~(CHUNK_BITS | CHUNK_INDEXES)) throw unsupported(where, 'its form of chunks is not supported')
  const entry = format & CHUNK_INDEXES ? 8 : 4
  const chunk = image.blockSize * 2 ** (format & CHUNK_BITS)
  const table = Math.ceil(end / entry) * entry
  return {
    read(memory, at, length, offset, attempt) {
      if (length === 0) return
      const first = Math.floor(offset / chunk)
      const last = Math.floor((offset + length - 1) / chunk)
      const entries = image.view(table + first * entry, (last - first + 1) * entry, where, attempt)
      const missing = new Missing()
      for (let i = first, done = 0; i <= last; i++) {
        const inChunk = offset + done - i * chunk
        const count = Math.min(length - done, chunk - inChunk)
        const to = at + done
        const block = addressIn(entries, (i - first) * entry, entry, where)
        if (block === HOLE) memory.fill(0, to, to + count)
        else missing.try(() => image.read(memory, to, count, block * image.blockSize + inChunk, where, attempt))
        done += count
      }
      missing.wait()
    },
  }
}

function addressIn(entries: DataView, at: number, entry: number, where: string): number {
  if (entry === 4) return entries.getUint32(at, true)
  const device = entries.getUint16(at + 2, true)
  if (device !== 0) throw unsupported(where, `a part of it is on device ${device}, and one image is all there is`)
  return entries.getUint32(at + 4, true)
}
