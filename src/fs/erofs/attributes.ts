/** Extended attributes, which lie behind an inode, or in an area that inodes share. */

import { decodeUtf8 } from '../../abi/utf8.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import { damaged, type Image, unsupported } from './image.ts'

const HEADER = 12
const ENTRY = 4
const LONG_PREFIX = 0x80

/** What names begin with, by number; others are nobody's. */
const PREFIXES: readonly (string | undefined)[] = [
  undefined,
  'user.',
  'system.posix_acl_access',
  'system.posix_acl_default',
  'trusted.',
  undefined,
  'security.',
]

/** How many bytes the attributes take behind an inode that says `count`. */
export const attributeBytes = (count: number): number => (count === 0 ? 0 : HEADER + ENTRY * (count - 1))

/** The attributes in the `length` bytes from `position`. Errors: EUCLEAN; EIO. */
export function readAttributes(
  image: Image,
  position: number,
  length: number,
  where: string,
  attempt: Attempt,
): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>()
  const own = image.view(position, length, where, attempt)
  const shared = own.getUint8(4)
  let at = HEADER + ENTRY * shared
  if (at > length) throw damaged(where, `${shared} shared attributes do not fit behind it`)
  for (let i = 0; i < shared; i++) {
    const from = image.attributesAt + ENTRY * own.getUint32(HEADER + ENTRY * i, true)
    const head = image.view(from, ENTRY, where, attempt)
    add(found, image.view(from, ENTRY + sizeOf(head, 0), where, attempt), 0, where)
  }
  while (at + ENTRY <= length) {
    const size = ENTRY + sizeOf(own, at)
    if (at + size > length) throw damaged(where, 'an attribute is cut off')
    add(found, own, at, where)
    at += Math.ceil(size / ENTRY) * ENTRY
  }
  return found
}

/** Name and value of an entry. */
const sizeOf = (view: DataView, at: number) => view.getUint8(at) + view.getUint16(at + 2, true)

function add(to: Map<string, Uint8Array>, view: DataView<ArrayBuffer>, at: number, where: string): void {
  const index = view.getUint8(at + 1)
  if (index & LONG_PREFIX) throw unsupported(where, 'long names of attributes are not supported')
  const prefix = PREFIXES[index]
  const bytes = new Uint8Array(view.buffer)
  const length = view.getUint8(at)
  const name = decodeUtf8(bytes, at + ENTRY, length)
  if (prefix === undefined || name === undefined) return
  if (prefix.endsWith('.') !== length > 0) throw damaged(where, `an attribute "${prefix}${name}" cannot be`)
  const value = at + ENTRY + length
  if (!to.has(prefix + name)) to.set(prefix + name, bytes.slice(value, value + view.getUint16(at + 2, true)))
}
