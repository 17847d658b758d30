import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EscapeStripper } from './ansi.ts'
import { OutputLog } from './output-log.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)
const limits = { shownChars: 100_000, shownPieces: 50, keptBytes: 200_000 }
const shown = (log: OutputLog) => log.pieces.map(({ text }) => text).join('')
const joined = (parts: Uint8Array[]) => Buffer.concat(parts).toString()

describe('the output log', () => {
  test('keeps the streams apart and in the order in which they came', () => {
    const log = new OutputLog(limits)
    log.push('stdout', utf8('one\n'))
    log.push('stdout', utf8('two\n'))
    log.push('stderr', utf8('oops\n'))
    log.push('stdout', utf8('three'))
    log.note('exited')
    expect(log.pieces.map(({ kind, text }) => [kind, text])).toEqual([
      ['stdout', 'one\ntwo\n'],
      ['stderr', 'oops\n'],
      ['stdout', 'three'],
      ['note', 'exited\n'],
    ])
    expect(joined(log.download())).toBe('one\ntwo\noops\nthree')
    expect(joined(log.download('stderr'))).toBe('oops\n')
    expect(log.received()).toBe(18)
    expect(log.received('stderr')).toBe(5)
  })

  test('holds back a character cut between chunks, and shows it broken if it never ends', () => {
    const log = new OutputLog(limits)
    const [a, b] = [utf8('é').subarray(0, 1), utf8('é').subarray(1)]
    log.push('stdout', a)
    log.push('stderr', utf8('x'))
    expect(shown(log)).toBe('x')
    log.push('stdout', b)
    expect(shown(log)).toBe('xé')
    log.push('stdout', a)
    log.end()
    expect(shown(log)).toBe('xé\uFFFD')
  })

  test('shows the end of a flood, keeps the start of it for a download, and says what is missing', () => {
    const log = new OutputLog(limits)
    const line = utf8(`${'x'.repeat(99)}\n`)
    for (let i = 0; i < 3000; i++) log.push('stdout', line)
    log.push('stdout', utf8('the end\n'))
    expect(shown(log).length).toBeLessThanOrEqual(limits.shownChars)
    expect(shown(log).length).toBeGreaterThan(limits.shownChars - 20_000)
    expect(shown(log).endsWith('\nthe end\n')).toBe(true)
    expect(log.hiddenChars).toBe(300_008 - shown(log).length)
    expect(joined(log.download()).length).toBe(limits.keptBytes)
    expect(log.lostBytes).toBe(100_008)
  })

  test('survives one chunk larger than all that is shown', () => {
    const log = new OutputLog(limits)
    log.push('stdout', utf8(`${'y'.repeat(250_000)}end`))
    expect(shown(log).length).toBeLessThanOrEqual(limits.shownChars)
    expect(shown(log).endsWith('yend')).toBe(true)
    expect(log.hiddenChars + shown(log).length).toBe(250_003)
  })

  test('holds no more pieces than allowed when streams alternate', () => {
    const log = new OutputLog(limits)
    for (let i = 0; i < 1000; i++) log.push(i % 2 ? 'stderr' : 'stdout', utf8(`${i}\n`))
    expect(log.pieces.length).toBe(limits.shownPieces)
    expect(log.pieces.at(-1)?.text).toBe('999\n')
    expect(joined(log.download('stderr')).startsWith('1\n3\n5\n')).toBe(true)
  })

  test('cuts pieces at line ends where lines are short, and never within a character', () => {
    const log = new OutputLog(limits)
    log.push('stdout', utf8('z'.repeat(60).concat('\n').repeat(500)))
    expect(log.pieces.length).toBeGreaterThan(1)
    for (const { text } of log.pieces) expect(text.endsWith('\n')).toBe(true)
    const wide = new OutputLog(limits)
    wide.push('stdout', utf8(`a${'😀'.repeat(20_000)}`))
    for (const { text } of wide.pieces) expect(text.isWellFormed()).toBe(true)
  })

  test('loses nothing below its limits, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.string({ unit: 'grapheme' }))), (writes) => {
        const log = new OutputLog({ shownChars: 1e6, shownPieces: 1e6, keptBytes: 1e6 })
        for (const [err, text] of writes) {
          for (const byte of utf8(text)) log.push(err ? 'stderr' : 'stdout', Uint8Array.of(byte))
        }
        log.end()
        for (const stream of ['stdout', 'stderr'] as const) {
          const all = writes.filter(([err]) => err === (stream === 'stderr')).map(([, text]) => text)
          expect(joined(log.download(stream))).toBe(all.join(''))
        }
        expect(log.lostBytes).toBe(0)
      }),
      { numRuns: 30 },
    )
  })
})

describe('escape sequences', () => {
  test.each([
    ['plain\ttext\n', 'plain\ttext\n'],
    ['\x1b[1;31mred\x1b[0m', 'red'],
    ['\x1b[38;5;208mx\x1b[K', 'x'],
    ['\x1b]0;title\x07after', 'after'],
    ['\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\', 'link'],
    ['\x1b(Bx\x1b7\x1b=', 'x'],
    ['a\r\nb\rc', 'a\nb\nc'],
    ['bell\x07 nul\x00 del\x7f', 'bell nul del'],
  ])('%j is shown as %j, whole or byte by byte', (text, expected) => {
    expect(new EscapeStripper().strip(text)).toBe(expected)
    const stripper = new EscapeStripper()
    expect([...text].map((c) => stripper.strip(c)).join('')).toBe(expected)
  })

  test('a title that never ends does not swallow the output', () => {
    const stripper = new EscapeStripper()
    let out = stripper.strip('\x1b]0;')
    for (let i = 0; i < 100; i++) out += stripper.strip('x'.repeat(100))
    expect(out.length).toBeGreaterThan(5000)
  })
})
