import { expect, test } from 'vitest'
import { HEADER, name, section, u64, vector } from './leb128.ts'
import { limitMemories, memoriesOf, shareOf } from './memories.ts'

/** A module of these sections. */
const module = (...sections: number[][]) => Uint8Array.from([...HEADER, ...sections.flat()])
const memories = (...limits: number[][]) => section(5, vector(limits))
const exported = section(7, vector([[...name('m'), 0x02, 0]]))

test.each([
  ['none', module(), []],
  ['a memory', module(memories([0, 3])), [{ initial: 3, maximum: undefined, shared: false, wide: false }]],
  ['one with a maximum', module(memories([1, 3, 200, 1])), [{ initial: 3, maximum: 200, shared: false, wide: false }]],
  ['a shared one', module(memories([3, 1, 2])), [{ initial: 1, maximum: 2, shared: true, wide: false }]],
  [
    'a wide one',
    module(memories([5, 1, ...u64(2 ** 40)])),
    [{ initial: 1, maximum: 2 ** 40, shared: false, wide: true }],
  ],
  [
    'one that is imported, behind imports of all kinds',
    module(
      section(
        2,
        vector([
          [...name('a'), ...name('function'), 0, 0],
          [...name('a'), ...name('table'), 1, 0x70, 1, 1, 9],
          [...name('a'), ...name('typed table'), 1, 0x63, 0, 0, 1],
          [...name('a'), ...name('global'), 3, 0x7f, 0],
          [...name('a'), ...name('tag'), 4, 0, 0],
          [...name('env'), ...name('memory'), 2, 1, 2, 5],
        ]),
      ),
    ),
    [{ initial: 2, maximum: 5, shared: false, wide: false, imported: { module: 'env', name: 'memory' } }],
  ],
])('the memories of a module are told: %s', (_, bytes, expected) => {
  expect(memoriesOf(bytes)).toEqual(expected)
})

test('a memory.grow past the limit gives -1, up to it what was there', async () => {
  for (const limits of [
    [0, 2],
    [1, 2, 100],
  ]) {
    const limited = limitMemories(module(memories(limits), exported), 5)
    expect(memoriesOf(limited)).toMatchObject([{ initial: 2, maximum: 5 }])
    const { instance } = await WebAssembly.instantiate(limited)
    const memory = instance.exports.m as WebAssembly.Memory
    expect(memory.grow(3)).toBe(2)
    expect(() => memory.grow(1)).toThrow(RangeError)
  }
})

test('a limit above the maximum that a module sets itself changes nothing', () => {
  const bytes = module(memories([1, 2, 4]), exported)
  expect(memoriesOf(limitMemories(bytes, 100))).toEqual(memoriesOf(bytes))
})

test('several memories share the limit, so that together they never pass it', () => {
  const bytes = module(memories([0, 2], [0, 1]), exported)
  const limited = memoriesOf(limitMemories(bytes, 9))
  expect(limited.map(({ maximum }) => maximum)).toEqual([5, 4])
  expect(limited.map((type) => shareOf(limited, type, 9))).toEqual([5, 4])
})

test('what else is in the module stays as it is', () => {
  const custom = section(0, [...name('note'), 1, 2, 3])
  const bytes = module(custom, memories([0, 1]), exported, custom)
  const limited = limitMemories(bytes, 3)
  const rest = (all: Uint8Array, length: number) => [...all.slice(0, 8 + custom.length), ...all.slice(-length)]
  expect(rest(limited, exported.length + custom.length)).toEqual(rest(bytes, exported.length + custom.length))
  expect(WebAssembly.validate(limited)).toBe(true)
})

test.each([
  ['nothing', []],
  ['a text', [...new TextEncoder().encode('#!/bin/sh\necho hello')]],
  ['a module that ends early', [...HEADER, 5, 30, 1, 0]],
  ['imports that end early', [...HEADER, 2, 2, 200, 1]],
])('bytes that are no module have no memories and stay as they are: %s', (_, list) => {
  const bytes = Uint8Array.from(list)
  expect(memoriesOf(bytes)).toEqual([])
  expect(limitMemories(bytes, 1)).toBe(bytes)
})
