/**
 * What a tar archive is made of, as its reader and its writer have it: pax(1), "ustar Interchange Format" and "pax Extended
 * Header"; GNU tar's additions as in its manual, "Basic Tar Format" and "Sparse Formats".
 */

export const BLOCK = 512

/** The bytes that follow content up to the next block. */
export const paddingOf = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK

export type TarKind = 'file' | 'directory' | 'symlink' | 'link' | 'char' | 'block' | 'fifo'

/** A piece of a sparse file, in bytes of the file. Pieces ascend and do not overlap; what is between them is zeros. */
export interface Extent {
  readonly offset: number
  readonly length: number
}

/** A file of an archive, apart from its data. */
export interface TarHeader {
  readonly name: string
  readonly kind: TarKind
  /** Permission, set-id and sticky bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Of a file: as stat(2) tells it, holes included. */
  readonly size: number
  /** Nanoseconds since the epoch. */
  readonly mtime: bigint
  /** Of a symlink, or of a further name: what it links to. */
  readonly target?: string
  /** Of a device. */
  readonly major?: number
  readonly minor?: number
  readonly xattrs?: ReadonlyMap<string, Uint8Array> | undefined
  /** Of a sparse file: where it has data, which the archive holds one behind the other. */
  readonly extents?: readonly Extent[]
}

/** Where fields lie in a header block: [offset, length]. */
export const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  linkname: [157, 100],
  magic: [257, 6],
  devmajor: [329, 8],
  devminor: [337, 8],
  prefix: [345, 155],
} as const

export const TYPEFLAG = 156

/** The sum of a header's bytes, its checksum taken for spaces. */
export function checksum(block: Uint8Array, at: number, signed = false): number {
  let sum = 8 * 0x20
  for (let i = 0; i < BLOCK; i++) {
    if (i >= 148 && i < 156) continue
    const byte = block[at + i]!
    sum += signed && byte > 127 ? byte - 256 : byte
  }
  return sum
}

/** xattrs as GNU tar, star and Go have them: the value as it is. */
export const SCHILY = 'SCHILY.xattr.'
/** As libarchive has them: the name percent-encoded, the value in base64; what the other form can't say. */
export const LIBARCHIVE = 'LIBARCHIVE.xattr.'
