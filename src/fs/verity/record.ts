/**
 * What was measured of one file, as its tree file tells it: a line of JSON, and behind it the hash tree of the content, if that is more
 * than a block. The hash of the line, without its end, is the file's digest; a directory's record has the digests of what is in it, so
 * that the root's digest stands for everything.
 *
 * Measured are kind and permission bits, owner, group, time of change of the content, extended attributes; of a file its size and
 * content, of a link its target, of a device its number, of a directory the names, kinds and digests of its entries.
 * Not measured are inode numbers, link counts, the other times and the size of directories: they differ between filesystems that
 * hold the same files, as an image and its archive do.
 */

import { toHex } from '../../abi/hex.ts'
import type { FileKind } from '../../abi/syscalls.ts'
import { decodeUtf8, encodeUtf8 } from '../../abi/utf8.ts'
import type { Inode } from '../../vfs/inode.ts'
import { kindOf } from '../../vfs/kinds.ts'
import type { Attempt } from '../../vfs/waiting.ts'

export interface FileRecord {
  readonly version: 1
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Nanoseconds since the epoch; decimal digits in JSON. */
  readonly mtime: bigint
  /** Values in hexadecimal digits, in the order of the names. */
  readonly xattrs?: readonly (readonly [name: string, value: string])[]
  /** Of a file. */
  readonly size?: number
  /** Of a file: the hash of its tree. */
  readonly content?: string
  readonly target?: string
  readonly rdev?: number
  /** Of a directory, in the order of the names. */
  readonly children?: readonly (readonly [name: string, kind: FileKind, digest: string])[]
}

/** What an inode says of itself: all of a record but what its content and children are measured as. */
export function factsOf(inode: Inode, attempt: Attempt): Omit<FileRecord, 'content' | 'children'> {
  const { kind, mode, uid, gid, mtime } = inode
  return {
    version: 1,
    ...{ mode, uid, gid, mtime },
    ...xattrsOf(inode),
    ...(kind === 'file' && { size: inode.size }),
    ...(kind === 'symlink' && { target: inode.readlink(attempt) }),
    ...((kind === 'char' || kind === 'block') && { rdev: inode.rdev }),
  }
}

function xattrsOf({ hasXattrs, xattrs }: Inode): Pick<FileRecord, 'xattrs'> {
  if (!hasXattrs || !xattrs) return {}
  const names = [...xattrs.keys()].sort(inOrder)
  return names.length > 0 ? { xattrs: names.map((name) => [name, toHex(xattrs.get(name)!)]) } : {}
}

export const inOrder = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** The fields that are compared, and what a person calls them. */
const FIELDS = {
  mode: 'mode',
  uid: 'owner',
  gid: 'group',
  mtime: 'time of change',
  xattrs: 'extended attributes',
  size: 'size',
  target: 'link target',
  rdev: 'device number',
} as const

/** In what an inode differs from its record: `mode is 644, and was 600`; undefined if in nothing. */
export function difference(record: FileRecord, inode: Inode, attempt: Attempt): string | undefined {
  if (agrees(record, inode)) {
    if (inode.kind !== 'symlink' || inode.readlink(attempt) === record.target) return undefined
  }
  const facts = factsOf(inode, attempt)
  for (const [field, name] of Object.entries(FIELDS) as [keyof typeof FIELDS, string][]) {
    const [is, was] = [facts[field], record[field]]
    if (jsonOf(is) === jsonOf(was)) continue
    if (field === 'xattrs') return `its ${name} have changed`
    const shown = (value: unknown) => (field === 'mode' ? (value as number).toString(8) : String(value))
    return `its ${name} is ${shown(is)}, and was ${shown(was)}`
  }
  return undefined
}

/** Whether it does in what takes no text to compare. */
function agrees(record: FileRecord, inode: Inode): boolean {
  return (
    inode.mode === record.mode &&
    inode.uid === record.uid &&
    inode.gid === record.gid &&
    !inode.hasXattrs === !record.xattrs &&
    !record.xattrs &&
    inode.mtime === record.mtime &&
    (inode.kind !== 'file' || inode.size === record.size) &&
    (record.rdev === undefined || inode.rdev === record.rdev)
  )
}

const jsonOf = (value: unknown) => JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? String(each) : each))

export const encodeRecord = (record: FileRecord): Uint8Array<ArrayBuffer> => encodeUtf8(jsonOf(record))

/** undefined for what is none: only who chose the digest could have made it. */
export function decodeRecord(bytes: Uint8Array): FileRecord | undefined {
  try {
    const parsed = JSON.parse(decodeUtf8(bytes) ?? '')
    const record: FileRecord = { ...parsed, mtime: BigInt(parsed.mtime) }
    return isWhole(record) ? record : undefined
  } catch {
    return undefined
  }
}

function isWhole(record: FileRecord): boolean {
  const { version, mode, uid, gid, size, content, target, children } = record
  if (version !== 1 || ![mode, uid, gid].every(Number.isSafeInteger)) return false
  switch (kindOf(mode)) {
    case 'file':
      return Number.isSafeInteger(size) && size! >= 0 && /^[\da-f]{64}$/.test(content!)
    case 'symlink':
      return typeof target === 'string'
    case 'directory':
      return Array.isArray(children)
    default:
      return kindOf(mode) !== undefined
  }
}
