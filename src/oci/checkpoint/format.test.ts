/** The bytes of a checkpoint: whatever is cut off, damaged, out of order or newer is refused, with a reason. */

import { expect, test } from 'vitest'
import { dumpFiles, memoryOf } from '../../fs/tmpfs/dump.ts'
import { testVfs } from '../../testing/overlays.ts'
import { none, plant } from '../../testing/trees.ts'
import { Missing } from '../../vfs/waiting.ts'
import { CheckpointWriter, readCheckpoint } from './format.ts'

const { root } = testVfs().newFilesystem({ type: 'tmpfs', data: '' }).filesystem
plant(root, { 'a/b': 'some text', c: { kind: 'symlink', target: 'a' }, d: 'x'.repeat(300) })

async function small(): Promise<Uint8Array> {
  const writer = new CheckpointWriter((parts) => new Blob([...parts] as BlobPart[]), { of: 'this' })
  dumpFiles(memoryOf(root)!, writer.tree(0), { attempt: none, missing: new Missing() })
  return new Uint8Array(await new Blob(writer.end() as BlobPart[]).arrayBuffer())
}

async function* inPieces(bytes: Uint8Array, size = bytes.length): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const failure = (bytes: Uint8Array) =>
  readCheckpoint(inPieces(bytes)).then(
    () => 'it was read',
    (error) => `${error.code} ${error.detail}`,
  )

/** Where each record begins, the first one behind the magic and the version. */
function records(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer)
  const found = [22]
  // The third record has the pages, which stand behind it.
  for (let at = 22; at < bytes.length; ) {
    at += 4 + view.getUint32(at, true) + (found.length === 3 ? 309 : 0)
    found.push(at)
  }
  return found
}

test('it is read in pieces of any size', async () => {
  const bytes = await small()
  const whole = await readCheckpoint(inPieces(bytes))
  expect(whole.manifest).toBe('{"of":"this"}')
  expect(whole.trees.get(0)!.inodes.size).toBe(5)
  for (const size of [1, 2, 7, 64]) expect(await readCheckpoint(inPieces(bytes, size))).toEqual(whole)
})

test('the same files give the same bytes', async () => {
  expect(await small()).toEqual(await small())
})

test('cut off at any length it is refused', async () => {
  const bytes = await small()
  for (let length = 0; length < bytes.length; length++) {
    expect(await failure(bytes.subarray(0, length))).toBe(`EIO the checkpoint is cut off behind byte ${length}`)
  }
})

test('with any bit of it flipped it is refused', async () => {
  const bytes = await small()
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = bytes.slice()
      flipped[at]! ^= 1 << bit
      expect(await failure(flipped), `bit ${bit} of byte ${at}`).toMatch(
        /^EIO (the checkpoint (is none|is of format|is damaged|is cut off)|record \d+ of the checkpoint is damaged)/,
      )
    }
  }
})

test('of a newer format it is refused by the number of its format, whatever else is in it', async () => {
  const bytes = await small()
  const newer = new Uint8Array([...bytes.subarray(0, 18), 2, 0, 0, 0, 1, 2, 3])
  expect(await failure(newer)).toBe(
    'EIO the checkpoint is of format 2, and this runtab reads format 1: nothing was restored',
  )
})

test('with a record too many, too few, or in another place it is refused', async () => {
  const bytes = await small()
  const at = records(bytes)
  expect(at.at(-1)).toBe(bytes.length)
  const part = (i: number) => bytes.subarray(at[i]!, at[i + 1]!)
  const head = bytes.subarray(0, 22)
  const of = (...order: number[]) => new Uint8Array(Buffer.concat([head, ...order.map(part)]))
  expect(await failure(of(0, 1, 2, 3))).toBe('it was read')
  expect(await failure(of(0, 2, 3))).toMatch('record 1 of the checkpoint is another one')
  expect(await failure(of(0, 2, 1, 3))).toMatch('record 1 of the checkpoint is another one')
  expect(await failure(of(0, 1, 1, 2, 3))).toMatch('record 2 of the checkpoint is another one')
  expect(await failure(of(1, 2, 3))).toMatch('record 0 of the checkpoint is another one')
  expect(await failure(of(0, 1, 2, 3, 3))).toMatch('there is something behind its end')
  expect(await failure(new Uint8Array([...bytes, 0]))).toMatch('there is something behind its end')
  expect(await failure(new Uint8Array(bytes.length))).toBe('EIO the checkpoint is none: it begins with other bytes')
})
