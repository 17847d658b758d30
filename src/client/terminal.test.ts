import { expect, test } from 'vitest'
import type { StdioInput } from '../abi/wire.ts'
import { Terminal } from './terminal.ts'

test('an emulator without a size is refused, and the terminal can be attached to another', () => {
  const sent: StdioInput[] = []
  const terminal = new Terminal(new ReadableStream(), new WritableStream(), (message) => void sent.push(message))
  const emulator = { cols: 0, rows: 24, write: () => {}, onData: () => ({ dispose: () => {} }) }
  expect(() => terminal.attach(emulator)).toThrow(RangeError)
  const detach = terminal.attach({ ...emulator, cols: 80 })
  expect(() => terminal.attach({ ...emulator, cols: 80 })).toThrow('in use already')
  detach()
  terminal.attach({ ...emulator, cols: 100 })()
  const windows = [80, 100].map((columns) => ({ window: { columns, rows: 24 } }))
  expect(sent).toEqual(windows)
})
