/** Listings as a server sends them. */

import { dirent, direntSize } from '../../abi/fuse.ts'
import { NAME_MAX, S_IFREG } from '../../abi/linux.ts'
import type { FileKind } from '../../abi/syscalls.ts'
import { decodeUtf8 } from '../../abi/utf8.ts'
import { kindOf } from '../../vfs/kinds.ts'
import { lie } from './attributes.ts'

export interface Listed {
  readonly name: string
  readonly ino: number
  readonly kind: FileKind
}

/** Linux's FUSE_NAME_MAX. */
const LONGEST = 1024

/**
 * Adds the entries of one READDIR to `found`, without `.` and `..`; gives the offset that the next READDIR goes on from, or
 * undefined where the listing is at its end. Errors: EIO for a name that no file can have, an entry that reaches behind the reply.
 */
export function readEntries(body: Uint8Array, found: Listed[]): bigint | undefined {
  let at = 0
  let next: bigint | undefined
  while (at + dirent.size <= body.length) {
    const { ino, off, namelen, type } = dirent.read(body, at)
    if (namelen === 0 || namelen > LONGEST) throw lie(`a name of ${namelen} bytes`)
    const size = direntSize(namelen)
    // A server fills the buffer that it is given: what does not fit whole comes again.
    if (at + size > body.length) break
    const name = nameOf(body.subarray(at + dirent.size, at + dirent.size + namelen))
    if (name !== '.' && name !== '..' && namelen <= NAME_MAX)
      found.push({ name, ino: Number(ino), kind: kindOf(type << 12) ?? 'file' })
    next = off
    at += size
  }
  if (body.length > 0 && next === undefined) throw lie('an entry that is longer than the listing')
  return next
}

/** Errors: EIO. */
export function nameOf(bytes: Uint8Array): string {
  const name = decodeUtf8(bytes)
  if (name === undefined) throw lie('a name that is no UTF-8')
  if (name.includes('/') || name.includes('\0')) throw lie(`the name ${JSON.stringify(name)}`)
  return name
}

/** The byte of a kind in a listing: DT_… of readdir(3). */
export const direntType = (mode: number): number => (mode || S_IFREG) >>> 12
