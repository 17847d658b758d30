import { describe, expect, test } from 'vitest'
import { decodeText, hexDump, howToShow, imageType, programFault, programName } from './contents.ts'

const bytes = (...values: number[]) => Uint8Array.from(values)
const utf8 = (text: string) => new TextEncoder().encode(text)

describe('a file is shown', () => {
  test.each([
    ['empty', bytes(), 0, 'text'],
    ['text', utf8('héllo\n'), 7, 'text'],
    ['text cut inside a character', utf8('hé').subarray(0, 2), 7, 'text'],
    ['invalid UTF-8', bytes(0x61, 0xff, 0x62), 3, 'hex'],
    ['a character missing its end, not cut', utf8('hé').subarray(0, 2), 2, 'hex'],
    ['a NUL', bytes(0x61, 0, 0x62), 3, 'hex'],
    ['a PNG', bytes(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), 900, 'image'],
    ['a huge PNG', bytes(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a), 2 ** 30, 'hex'],
  ])('%s', (_, head, size, shown) => {
    expect(howToShow(head, size)).toBe(shown)
  })

  test('by its first bytes if it is an image', () => {
    expect(imageType(utf8('RIFF....WEBPVP8 '))).toBe('image/webp')
    expect(imageType(utf8('RIFF....WAVEfmt '))).toBeUndefined()
    expect(imageType(utf8('BMW is not a picture'))).toBeUndefined()
  })
})

test('a cut character at the end of shown text is left out', () => {
  expect(decodeText(utf8('aé').subarray(0, 2), true)).toBe('a')
})

test('hex is laid out as hexdump -C does', () => {
  expect(hexDump(utf8('Hello, sandbox!\n\x00\xff'))).toBe(
    [
      '00000000  48 65 6c 6c 6f 2c 20 73  61 6e 64 62 6f 78 21 0a  |Hello, sandbox!.|',
      '00000010  00 c3 bf                                          |...|',
    ].join('\n'),
  )
  expect(hexDump(bytes())).toBe('')
})

test.each([
  ['nothing', bytes(), 'The file is empty.'],
  [
    'a script',
    utf8('#!/bin/sh'),
    'Not a WebAssembly file: it begins with 23 21 2f 62, not 00 61 73 6d. Build for wasm32-wasip1.',
  ],
  [
    'a component',
    bytes(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0),
    'A WebAssembly component, made for WASI 0.2 or later; this runs core modules. Build for wasm32-wasip1.',
  ],
  ['a module', bytes(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0), undefined],
])('%s as a program', (_, head, fault) => {
  expect(programFault(head)).toBe(fault)
})

test.each([
  ['hello.wasm', 'hello'],
  ['Hello.WASM', 'Hello'],
  ['llvm.core.wasm', 'llvm.core'],
  ['C:\\x\\tool.wasm', 'tool'],
  ['.wasm', 'program'],
  ['..', 'program'],
  ['plain', 'plain'],
])('%s becomes /bin/%s', (file, name) => {
  expect(programName(file)).toBe(name)
})
