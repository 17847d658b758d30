/**
 * An EROFS image as bytes: its superblock, and reads that stay inside it. Numbers and layouts are those of
 * Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h of Linux.
 *
 * Nothing in an image is trusted. What breaks a rule of the format is EUCLEAN; what lies past the end of the image is EIO, as on Linux
 * (measured on 6.18); both say where.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { PageSource } from '../../vfs/inode.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import { crc32c } from './crc32c.ts'

export const MAGIC = 0xe0f5e1e2
const SUPERBLOCK = { start: 1024, length: 128 }
const HAS_CHECKSUM = 1
const CHUNKED_FILE = 4

/** Features that an image must be read with, by their bit; CHUNKED_FILE is the one that is known here. */
const INCOMPATIBLE: readonly string[] = [
  'compression (LZ4_0PADDING)',
  'compression (COMPR_CFGS, BIG_PCLUSTER)',
  'CHUNKED_FILE',
  'several devices (DEVICE_TABLE, COMPR_HEAD2)',
  'compression (ZTAILPACKING)',
  'compression (FRAGMENTS, DEDUPE)',
  'long names of attributes (XATTR_PREFIXES)',
  '48-bit addresses (48BIT)',
  'compressed metadata (METABOX)',
]

/** A rule of the format that is broken; `where` is a place in the image. */
export const damaged = (where: string, rule: string): ErrnoError =>
  new ErrnoError('EUCLEAN', undefined, `erofs: ${where}: ${rule}`)

export const unsupported = (where: string, what: string): ErrnoError =>
  new ErrnoError('EOPNOTSUPP', undefined, `erofs: ${where}: ${what}`)

const refused = (rule: string) => new ErrnoError('EINVAL', undefined, `erofs: ${rule}`)

export class Image {
  readonly blockSize: number
  readonly blocks: number
  readonly inodes: number
  readonly rootNid: number
  /** Nanoseconds since the epoch: the time of files that have none of their own. */
  readonly built: bigint
  /** Where inodes and shared attributes begin, in bytes. */
  readonly inodesAt: number
  readonly attributesAt: number
  readonly #source: PageSource

  /** Errors: EINVAL for what is no image, or one with features that are not there; EUCLEAN for a wrong checksum; EIO. */
  constructor(source: PageSource, attempt: Attempt) {
    this.#source = source
    const { start, length } = SUPERBLOCK
    if (source.size < start + length) throw refused(`this is no image: it has ${source.size} bytes`)
    const view = this.view(start, length, 'the superblock', attempt)
    const u32 = (at: number) => view.getUint32(at, true)
    if (u32(0) !== MAGIC) throw refused('this is no image: there is no superblock at byte 1024')
    const bits = view.getUint8(12)
    if (bits < 9 || bits > 16) throw refused(`blocks of 2^${bits} bytes are not supported: 2^9 to 2^16 are`)
    this.blockSize = 2 ** bits
    if (u32(8) & HAS_CHECKSUM) this.#check(u32(4), attempt)
    refuseFeatures(u32(80))
    if (view.getUint8(90) !== 0) throw refused('blocks of directories that differ from others are not supported')
    this.rootNid = view.getUint16(14, true)
    this.inodes = u64(view, 16, 'the superblock')
    this.built = view.getBigInt64(24, true) * 1_000_000_000n + BigInt(u32(32))
    this.blocks = u32(36)
    this.inodesAt = u32(40) * this.blockSize
    this.attributesAt = u32(44) * this.blockSize
  }

  /** Of the first block, from the superblock on, with 0 where the checksum is. */
  #check(checksum: number, attempt: Attempt): void {
    const { start } = SUPERBLOCK
    const length = this.blockSize > start ? this.blockSize - start : this.blockSize
    const { buffer } = this.view(start, length, 'the superblock', attempt)
    const bytes = new Uint8Array(buffer)
    bytes.fill(0, 4, 8)
    if (crc32c(bytes) !== checksum) throw damaged('the superblock', 'its checksum is wrong')
  }

  /** Copies a range, `what` it is being for the error. Errors: EIO for what is not all inside the image; those of the source. */
  read(memory: Uint8Array, at: number, length: number, position: number, what: string, attempt: Attempt): void {
    if (position + length > this.#source.size) {
      const range = `bytes ${position} to ${position + length - 1}`
      const detail = `erofs: ${what}: ${range} are past the end of the image, which has ${this.#source.size}`
      throw new ErrnoError('EIO', undefined, detail)
    }
    if (length > 0) this.#source.read(memory, at, length, position, attempt)
  }

  /** A range, copied. Preconditions: `length` is small, whatever the image says. */
  view(position: number, length: number, what: string, attempt: Attempt): DataView<ArrayBuffer> {
    const bytes = new Uint8Array(length)
    this.read(bytes, 0, length, position, what, attempt)
    return new DataView(bytes.buffer)
  }
}

function refuseFeatures(features: number): void {
  const unknown = (features & ~CHUNKED_FILE) >>> 0
  if (unknown === 0) return
  const named: string[] = []
  for (let bit = 0; bit < 32; bit++) {
    if (unknown & (1 << bit)) named.push(INCOMPATIBLE[bit] ?? `bit ${bit}`)
  }
  throw refused(`the image has features that are not supported: ${named.join('; ')}`)
}

/** Errors: EUCLEAN for a number that no file of this world comes to. */
export function u64(view: DataView, at: number, where: string): number {
  const value = view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true)
  if (value > Number.MAX_SAFE_INTEGER) throw damaged(where, `${value} is too large a number`)
  return value
}
