/** What the records of a store say of its inodes: its chunks, then its log. */

import { ErrnoError } from '../../abi/errno.ts'
import { readItems, type StoredInode } from './items.ts'
import type { StoredValue } from './key-value-store.ts'
import { chunkKey, type Head, logKey, opened, type Root } from './records.ts'

export interface StoredTree {
  readonly inodes: ReadonlyMap<number, StoredInode>
  readonly lastIno: number
  readonly lastSegment: number
  /** Bytes of the log since the last checkpoint. */
  readonly logBytes: number
}

/**
 * `changed` hears of the parts of inodes that the log is about: they are not as their chunks say. Errors: EIO, with what is called
 * `volume`, for a record that is missing, damaged or of another tree.
 */
export function readTree(
  loaded: ReadonlyMap<string, StoredValue>,
  { store, position: last }: Head,
  { chunks, ranges, tail, ...root }: Root,
  { volume, changed }: { readonly volume: string; readonly changed: (ino: number, part: number) => void },
): StoredTree {
  const inodes = new Map<number, StoredInode>()
  let { lastIno, lastSegment } = root
  let logBytes = 0
  const require = (isOurs: boolean, key: string, what: string) => {
    if (!isOurs) throw new ErrnoError('EIO', undefined, `volume "${volume}": "${key}" is of another ${what}`)
  }
  for (const [what, number] of chunks) {
    const key = chunkKey(number)
    const reader = opened('chunk', key, loaded.get(key))
    require(reader.text() === store && reader.text() === what, key, 'tree')
    readItems(reader, inodes)
  }
  for (const [first, end] of [...ranges, [tail, last] as const]) {
    for (let position = first; position <= end; position++) {
      const key = logKey(position)
      const bytes = loaded.get(key)
      const reader = opened('log', key, bytes)
      require(reader.text() === store && reader.number() === position, key, 'log')
      lastIno = Math.max(lastIno, reader.number())
      lastSegment = Math.max(lastSegment, reader.number())
      readItems(reader, inodes, changed)
      if (position >= tail) logBytes += (bytes as Uint8Array).length
    }
  }
  for (const ino of inodes.keys()) lastIno = Math.max(lastIno, ino)
  return { inodes, lastIno, lastSegment, logBytes }
}
