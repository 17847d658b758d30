/** Archives that were made to do harm, or were damaged: each is refused with its entry and the rule, in bounded time and memory. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concatBytes } from '../../abi/byte-parts.ts'
import { ErrnoError } from '../../abi/errno.ts'
import { encodeUtf8 } from '../../abi/utf8.ts'
import { testVfs, tmpfsOf } from '../../testing/overlays.ts'
import { linkTo, picture, whiteout } from '../../testing/trees.ts'
import { LayerReader } from './read-layer.ts'
import { checksum, FIELDS, type TarHeader } from './tar.ts'
import { archived, unarchived } from './test-archives.ts'
import { END, headerOf } from './write-tar.ts'

type Part = Partial<TarHeader> & {
  readonly name: string
  readonly data?: string
  readonly patch?: (block: Uint8Array) => void
}

const plain = { kind: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0n, size: 0 } as const

/** An archive of parts; `patch` changes the last header block, whose checksum is then made right. */
function archiveOf(...parts: Part[]): Uint8Array {
  const bytes = parts.flatMap(({ data = '', patch, ...header }) => {
    const content = encodeUtf8(data)
    const head = headerOf({ ...plain, size: content.length, ...header }, 'raw')
    if (patch) {
      const block = head.subarray(head.length - 512)
      patch(block)
      const sum = checksum(block, 0).toString(8).padStart(6, '0')
      block.set(encodeUtf8(`${sum}\0 `), FIELDS.checksum[0])
    }
    return [head, content, new Uint8Array(-content.length & 511)]
  })
  return concatBytes([...bytes, END])
}

const put = (field: keyof typeof FIELDS, bytes: string | number[]) => (block: Uint8Array) =>
  block.set(typeof bytes === 'string' ? encodeUtf8(bytes) : bytes, FIELDS[field][0])
const flag = (char: string) => (block: Uint8Array) => block.set(encodeUtf8(char), 156)

const longPax = (block: Uint8Array) => {
  flag('x')(block)
  put('size', '00077777777')(block)
}

const faults: Record<string, { parts: Part[]; rule: RegExp; code?: string; name?: string | undefined }> = {
  'an absolute name': { parts: [{ name: '/etc/passwd' }], rule: /absolute/ },
  "a name with '..'": { parts: [{ name: 'a/../../b' }], rule: /goes through '\.\.'/ },
  'a name that is only ..': { parts: [{ name: '..' }], rule: /goes through '\.\.'/ },
  'a hard link that leads out': {
    parts: [{ name: 'x', kind: 'link', target: '../../etc/passwd' }],
    rule: /goes through '\.\.'/,
  },
  'a hard link with an absolute target': { parts: [{ name: 'x', kind: 'link', target: '/etc' }], rule: /absolute/ },
  'a hard link to what is not there': {
    parts: [{ name: 'x', kind: 'link', target: 'y' }],
    rule: /'y'.*not in the archive/,
    code: 'ENOENT',
  },
  'hard links in a circle': {
    parts: [
      { name: 'x', kind: 'link', target: 'y' },
      { name: 'y', kind: 'link', target: 'x' },
    ],
    rule: /'y'.*not in the archive before it/,
    code: 'ENOENT',
    name: 'x',
  },
  'a hard link to itself': {
    parts: [{ name: 'x', kind: 'link', target: 'x' }],
    rule: /not in the archive before it/,
    code: 'ENOENT',
  },
  'a hard link to a directory': {
    parts: [
      { name: 'd/', kind: 'directory' },
      { name: 'x', kind: 'link', target: 'd' },
    ],
    rule: /a directory/,
  },
  'a hard link through a symbolic one': {
    parts: [
      { name: 'out', kind: 'symlink', target: '/' },
      { name: 'x', kind: 'link', target: 'out/etc/passwd' },
    ],
    rule: /not in the archive/,
    code: 'ENOENT',
  },
  'an entry below a symbolic link': {
    parts: [{ name: 'out', kind: 'symlink', target: '/etc' }, { name: 'out/passwd' }],
    rule: /'out' is a symlink/,
    code: 'ENOTDIR',
  },
  'an entry below a file': { parts: [{ name: 'f' }, { name: 'f/g' }], rule: /'f' is a file/, code: 'ENOTDIR' },
  'a name twice': { parts: [{ name: 'f' }, { name: './f' }], rule: /same name/, code: 'EEXIST' },
  'a directory in the place of a link': {
    parts: [
      { name: 'd', kind: 'symlink', target: '/' },
      { name: 'd/', kind: 'directory' },
    ],
    rule: /same name/,
    code: 'EEXIST',
  },
  "a whiteout of '..'": { parts: [{ name: 'a/.wh...' }], rule: /whiteout can't be for the name '\.\.'/ },
  "a whiteout of '.'": { parts: [{ name: 'a/.wh..' }], rule: /whiteout can't be for the name '\.'/ },
  'a whiteout of nothing': { parts: [{ name: '.wh.' }], rule: /whiteout can't be for the name ''/ },
  'a name with NUL': { parts: [{ name: `long${'x'.repeat(100)}\0y` }], rule: /holds NUL/ },
  'a name that is not UTF-8': {
    parts: [{ name: 'f', patch: put('name', [0xff, 0xfe]) }],
    rule: /not UTF-8/,
    name: '??',
  },
  'a component of 256 bytes': { parts: [{ name: 'n'.repeat(256) }], rule: /longer than 255 bytes/ },
  'a path of 4096 bytes': { parts: [{ name: `${'d/'.repeat(2047)}xx` }], rule: /4096 bytes or more/ },
  'a target of 4096 bytes': {
    parts: [{ name: 's', kind: 'symlink', target: 't'.repeat(4096) }],
    rule: /4096 bytes or more/,
  },
  'a negative size': {
    parts: [{ name: 'f', patch: put('size', [0xff, ...Array(11).fill(0xff)]) }],
    rule: /size is negative/,
  },
  'a size past all numbers': {
    parts: [{ name: 'f', patch: put('size', [0x80, ...Array(11).fill(0xff)]) }],
    rule: /size is too large/,
  },
  'a size in letters': { parts: [{ name: 'f', patch: put('size', '0000zz000000') }], rule: /size is no octal number/ },
  'a size that the archive has not': {
    parts: [{ name: 'f', patch: put('size', '77777777777') }],
    rule: /cut off in its data/,
  },
  'a mode in letters': { parts: [{ name: 'f', patch: put('mode', 'rw-r--r') }], rule: /mode is no octal number/ },
  'D062 a kind that nobody knows': { parts: [{ name: 'f', patch: flag('Z') }], rule: /kind that is not taken, 'Z'/ },
  'D062 a directory of an incremental backup': {
    parts: [{ name: 'f', patch: flag('D') }],
    rule: /kind that is not taken, 'D'/,
  },
  'an extended header that is too long': {
    parts: [{ name: 'f', patch: longPax }],
    rule: /extended header has 16777215 bytes/,
    name: undefined,
  },
  'an extended header of nonsense': {
    parts: [{ name: 'f', data: 'hello', patch: flag('x') }],
    rule: /extended header has a record without a length/,
    name: undefined,
  },
  'an extended header whose record is longer than it': {
    parts: [{ name: 'f', data: '99 path=x\n', patch: flag('x') }],
    rule: /record that is cut off/,
    name: undefined,
  },
  'an extended header of nothing': {
    parts: [{ name: 'f', data: '9 path=x\n', patch: flag('x') }],
    rule: /no file behind it/,
    name: undefined,
  },
  'a sparse map that overlaps': {
    parts: [
      {
        name: 'f',
        size: 100,
        extents: [
          { offset: 0, length: 50 },
          { offset: 10, length: 50 },
        ],
        data: 'x'.repeat(100),
      },
    ],
    rule: /overlap/,
  },
  'a sparse map beyond the file': {
    parts: [{ name: 'f', size: 10, extents: [{ offset: 0, length: 50 }], data: 'x'.repeat(50) }],
    rule: /outside/,
  },
  'a root that is a file': {
    parts: [{ name: './', kind: 'symlink', target: 'x' }],
    rule: /root must be a directory/,
    code: 'ENOTDIR',
  },
}

describe('an archive with', () => {
  test.each(Object.entries(faults))('%s is refused', (_, { parts, rule, code = 'EINVAL', ...wanted }) => {
    const bytes = archiveOf({ name: 'first' }, ...parts)
    for (const piece of [bytes.length, 100]) {
      const error = caught(() => unarchived(bytes, 'layer', piece)) as ErrnoError
      expect(error).toMatchObject({ code, message: expect.stringMatching(rule) })
      if (!/cut off/.test(error.message)) expect(error.message).toMatch(/archive entry \d/)
      expect(error.path).toBe('name' in wanted ? wanted.name : parts.at(-1)!.name)
    }
  })
})

test('a wrong checksum is refused, a signed one is taken', () => {
  const bytes = archiveOf({ name: 'a' }, { name: 'b' })
  bytes[512 + 5] = 1
  expect(() => unarchived(bytes, 'layer')).toThrow(/archive entry 1: the checksum of its header is wrong/)
  const signed = archiveOf({ name: 'ü', patch: put('name', 'ü\0\0\0') })
  const block = signed.subarray(signed.length - 1536, signed.length - 1024)
  block.set(encodeUtf8(`${checksum(block, 0, true).toString(8).padStart(6, '0')}\0 `), FIELDS.checksum[0])
  expect(picture(unarchived(signed, 'layer').root)).toEqual({ ü: 'file' })
})

test('what is no archive is called that', () => {
  expect(() => unarchived(encodeUtf8('<!doctype html>'.repeat(100)), 'layer')).toThrow(/no tar archive/)
})

test('an archive with more entries or bytes than the limit is refused', () => {
  const bytes = archiveOf(...Array.from({ length: 11 }, (_, i) => ({ name: `f${i}` })))
  const limits = { entries: 11, bytes: bytes.length }
  expect(Object.keys(picture(unarchived(bytes, 'layer', 512, limits).root))).toHaveLength(11)
  expect(() => unarchived(bytes, 'layer', 512, { ...limits, entries: 10 })).toThrow(/EFBIG.*limit of 10 entries/)
  expect(() => unarchived(bytes, 'layer', 512, { ...limits, bytes: bytes.length - 1 })).toThrow(/EFBIG.*bytes/)
})

test('an archive whose entries never end is refused at the limit, nothing of it being kept', () => {
  const limit = 20_000
  const reader = new LayerReader('layer', { limits: { entries: limit, bytes: 2 ** 40 } })
  let pushed = 0
  const push = () => {
    for (; pushed < 2 * limit; pushed++) reader.push(headerOf({ ...plain, name: `d${pushed % 100}/f${pushed}` }, 'raw'))
  }
  expect(push).toThrow(/limit of 20000 entries/)
  expect(pushed).toBe(limit)
})

const valid = archived(
  tmpfsOf(testVfs(), {
    'etc/a': {
      kind: 'file',
      text: 'text '.repeat(200),
      mtime: 1_700_000_000_000_000_001n,
      xattrs: { 'user.note': 'n' },
    },
    'etc/b': { kind: 'file', sameAs: 'etc/a' },
    'etc/link': linkTo('t'.repeat(120)),
    'etc/gone': whiteout,
    ['n'.repeat(120)]: 'x',
  }).root,
  'layer',
)

test('an archive that is cut off anywhere is refused, or was whole', () => {
  const whole = picture(unarchived(valid, 'layer').root)
  for (let length = 0; length < valid.length; length += length % 512 === 0 ? 1 : 73) {
    const cut = valid.subarray(0, length)
    try {
      expect(picture(unarchived(cut, 'layer').root)).toEqual(whole)
      expect(length).toBeGreaterThanOrEqual(valid.length - 512)
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error
      expect(error.message).toMatch(/cut off/)
    }
  }
})

test('an archive with bits flipped is refused with an entry, or read', () => {
  const flips = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.integer({ min: 1, max: 255 })), {
    minLength: 1,
    maxLength: 4,
  })
  fc.assert(
    fc.property(flips, fc.boolean(), fc.constantFrom('layer' as const, 'snapshot' as const), (changes, mend, form) => {
      const bytes = valid.slice()
      for (const [at, bits] of changes) bytes[at]! ^= bits
      // With checksums made right the fault gets further.
      if (mend) for (const [at] of changes) mended(bytes, at - (at % 512))
      try {
        picture(unarchived(bytes, form).root)
      } catch (error) {
        if (!(error instanceof ErrnoError)) throw error
        expect(error.message).toMatch(/^(EINVAL|EEXIST|ENOTDIR|ENOENT).*archive entry \d+: /)
      }
    }),
    { numRuns: 1500, seed: 20_261_125 },
  )
})

function mended(bytes: Uint8Array, at: number): void {
  const sum = checksum(bytes, at).toString(8).padStart(6, '0')
  bytes.set(encodeUtf8(`${sum}\0 `), at + FIELDS.checksum[0])
}

function caught(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}
