/**
 * Writes a tar archive: ustar headers, with a pax extended header in front where one can't say it. Equal entries give equal
 * bytes: no time, no name of a user and no number of its own is in them.
 */

import { concatBytes } from '../../abi/byte-parts.ts'
import { encodeUtf8 } from '../../abi/utf8.ts'
import { encodeBase64 } from './base64.ts'
import { encodePax } from './pax.ts'
import {
  BLOCK,
  checksum,
  FIELDS,
  LIBARCHIVE,
  paddingOf,
  SCHILY,
  type TarHeader,
  type TarKind,
  TYPEFLAG,
} from './tar.ts'

const FLAGS: Readonly<Record<TarKind | 'pax', string>> = {
  file: '0',
  link: '1',
  symlink: '2',
  char: '3',
  block: '4',
  directory: '5',
  fifo: '6',
  pax: 'x',
}

/** How the values of extended attributes are written. */
export type XattrForm =
  /** As they are, which container runtimes and GNU tar read. */
  | 'raw'
  /** Those that are text as they are, others encoded, so that all of the archive's records are text, as pax(1) wants it. */
  | 'text'

/** The block of zeros that ends an archive, twice. */
export const END = new Uint8Array(2 * BLOCK)

/** What stands in front of an entry's data: one or more blocks. A sparse file's map is among them. */
export function headerOf(header: TarHeader, xattrForm: XattrForm): Uint8Array {
  const { name, kind, size, target = '', mtime, uid, gid, extents } = header
  const records = new Map<string, Uint8Array>()
  const say = (key: string, value: string) => records.set(key, encodeUtf8(value))
  const map = extents && sparseMap(extents, size)
  const stored = storedSize(header) + (map?.length ?? 0)
  if (map) {
    say('GNU.sparse.major', '1')
    say('GNU.sparse.minor', '0')
    say('GNU.sparse.name', name)
    say('GNU.sparse.realsize', String(size))
  }
  const seconds = mtime / SECOND - (mtime % SECOND < 0n ? 1n : 0n)
  const fits = seconds >= 0n && seconds < 8n ** 11n
  const short = {
    name: map ? sparseName(name) : name,
    target,
    uid: uid < 8 ** 7 ? uid : 0,
    gid: gid < 8 ** 7 ? gid : 0,
    size: stored < 8 ** 11 ? stored : 0,
    mtime: fits ? Number(seconds) : 0,
  }
  if (short.gid !== gid) say('gid', String(gid))
  if (!isShort(target)) say('linkpath', target)
  if (!fits || mtime % SECOND !== 0n) say('mtime', decimalTime(mtime))
  if (!isShort(short.name)) say('path', short.name)
  if (short.size !== stored) say('size', String(stored))
  if (short.uid !== uid) say('uid', String(uid))
  addXattrs(records, header.xattrs, xattrForm)

  const parts: Uint8Array[] = []
  if (records.size > 0) {
    const pax = encodePax(new Map([...records].sort(([a], [b]) => (a < b ? -1 : 1))))
    const last = ascii(name.replace(/\/$/, '').split('/').at(-1)!)
    const title = {
      ...short,
      name: `PaxHeaders/${last}`.slice(0, FIELDS.name[1]),
      target: '',
      size: pax.length,
      mtime: 0,
    }
    parts.push(block('pax', { ...title, uid: 0, gid: 0 }, 0o644, 0, 0), pax, new Uint8Array(paddingOf(pax.length)))
  }
  parts.push(block(kind, short, header.mode, header.major ?? 0, header.minor ?? 0))
  if (map) parts.push(map)
  return concatBytes(parts)
}

/** How many bytes of data follow the header, before what fills the last block. */
export function storedSize({ kind, size, extents }: TarHeader): number {
  if (kind !== 'file') return 0
  return extents ? extents.reduce((sum, { length }) => sum + length, 0) : size
}

const SECOND = 1_000_000_000n

/** -1.5 is one second and a half before the epoch. */
function decimalTime(mtime: bigint): string {
  const size = mtime < 0n ? -mtime : mtime
  const fraction = String(size % SECOND)
    .padStart(9, '0')
    .replace(/0+$/, '')
  return `${mtime < 0n ? '-' : ''}${size / SECOND}${fraction === '' ? '' : `.${fraction}`}`
}

/** Whether a name or target can stand in a header as it is: where every reader takes it for the same characters. */
const isShort = (text: string): boolean => text.length <= 100 && ascii(text) === text

/** What readers that know nothing of pax see. */
const ascii = (text: string): string => text.replace(/[^ -~]/gu, '_')

/** GNU tar, "PAX Format, Version 1.0": where such readers put what they take for the file. */
function sparseName(name: string): string {
  const slash = name.lastIndexOf('/')
  return `${name.slice(0, slash + 1)}GNUSparseFile.0/${name.slice(slash + 1)}`
}

/** GNU tar takes the end of the last piece for the file's, so a hole at the end is in front of a piece of nothing. */
function sparseMap(extents: NonNullable<TarHeader['extents']>, size: number): Uint8Array {
  const last = extents.at(-1)
  const pieces = last && last.offset + last.length === size ? extents : [...extents, { offset: size, length: 0 }]
  const text = [pieces.length, ...pieces.flatMap(({ offset, length }) => [offset, length])].join('\n')
  const bytes = encodeUtf8(`${text}\n`)
  return concatBytes([bytes, new Uint8Array(paddingOf(bytes.length))])
}

function addXattrs(records: Map<string, Uint8Array>, xattrs: TarHeader['xattrs'], form: XattrForm): void {
  for (const [key, value] of xattrs ?? []) {
    if (key === '') continue
    const plain = form === 'raw' || isText(value)
    if (plain && !key.includes('=')) records.set(SCHILY + key, value)
    else records.set(LIBARCHIVE + encodeURIComponent(key), encodeUtf8(encodeBase64(value).replace(/=+$/, '')))
  }
}

/** Printable ASCII; an empty value would take the record back. */
const isText = (value: Uint8Array) => value.length > 0 && value.every((byte) => byte >= 0x20 && byte < 0x7f)

interface Fields {
  readonly name: string
  readonly target: string
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly mtime: number
}

function block(kind: TarKind | 'pax', fields: Fields, mode: number, major: number, minor: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK)
  const text = (at: number, value: string, length: number) => {
    for (let i = 0; i < Math.min(value.length, length); i++) bytes[at + i] = value.charCodeAt(i)
  }
  const octal = ([at, length]: readonly [number, number], value: number) =>
    text(at, value.toString(8).padStart(length - 1, '0'), length - 1)
  text(FIELDS.name[0], ascii(fields.name), FIELDS.name[1])
  octal(FIELDS.mode, mode)
  octal(FIELDS.uid, fields.uid)
  octal(FIELDS.gid, fields.gid)
  octal(FIELDS.size, fields.size)
  octal(FIELDS.mtime, fields.mtime)
  text(TYPEFLAG, FLAGS[kind], 1)
  text(FIELDS.linkname[0], ascii(fields.target), FIELDS.linkname[1])
  text(FIELDS.magic[0], 'ustar\0' + '00', 8)
  octal(FIELDS.devmajor, major)
  octal(FIELDS.devminor, minor)
  const sum = checksum(bytes, 0)
  text(FIELDS.checksum[0], `${sum.toString(8).padStart(6, '0')}\0 `, 8)
  return bytes
}
