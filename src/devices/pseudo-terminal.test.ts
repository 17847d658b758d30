/**
 * A terminal as Linux has it. The scripts in testing/linux/terminal.json were recorded on a pseudo-terminal of Linux 6.18 by
 * e2e/fuzz/terminal.mjs (80 of seed 7001); what takes time there is tested here by hand.
 */

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { ErrnoError } from '../abi/errno.ts'
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from '../abi/linux.ts'
import type { TerminalAttributes } from '../abi/terminal.ts'
import { decodeUtf8, encodeUtf8 } from '../abi/utf8.ts'
import { type RecordedTerminal, runTerminal } from '../testing/terminal-script.ts'
import { Attempt, WouldBlock } from '../vfs/waiting.ts'
import { PseudoTerminal } from './pseudo-terminal.ts'

const recorded: RecordedTerminal[] = JSON.parse(
  readFileSync(new URL('../testing/linux/terminal.json', import.meta.url), 'utf8'),
)

test.each(recorded.map((each, i) => [i, each] as const))(
  'a terminal does as Linux does: script %i',
  (_, { script, outcome }) => {
    for (const [i, result] of runTerminal(script).entries())
      expect([script[i], result]).toEqual([script[i], outcome[i]])
  },
)

function terminal(attributes: Partial<TerminalAttributes> = {}, ahead?: number) {
  const clock = { now: 0n, monotonic: () => clock.now }
  const seen = { screen: '', signals: [] as string[] }
  const tty = new PseudoTerminal(
    {
      shown(bytes) {
        seen.screen += decodeUtf8(bytes, 0, bytes.length) ?? '?'
      },
    },
    clock,
    undefined,
    ahead,
  )
  tty.control({ terminal: undefined, hear: (signal) => void seen.signals.push(signal) })
  tty.attributes = { ...tty.attributes, ...attributes }
  const type = (text: string) => tty.type(encodeUtf8(text))
  /** The text, 'waits until N' or the error. */
  const read = (length = 100, attempt = new Attempt(), nonblocking = false) => {
    const memory = new Uint8Array(length)
    try {
      return decodeUtf8(memory, 0, tty.read(memory, 0, length, nonblocking, attempt))
    } catch (thrown) {
      if (thrown instanceof WouldBlock)
        return thrown.deadline === undefined ? 'waits' : `waits until ${thrown.deadline / 100_000_000n}`
      return (thrown as ErrnoError).code
    }
  }
  const write = (text: string, nonblocking = false) => {
    const bytes = encodeUtf8(text)
    try {
      return tty.write(bytes, 0, bytes.length, nonblocking)
    } catch (thrown) {
      return thrown instanceof WouldBlock ? 'waits' : (thrown as ErrnoError).code
    }
  }
  return { tty, clock, seen, type, read, write }
}

test('a writer waits for a screen that is behind, and is woken as it takes what was shown', () => {
  const { tty, write, type, seen } = terminal({}, 8)
  let woken = 0
  tty.queue.add({ wake: () => woken++ })
  expect(write('1234567')).toBe(7)
  expect(write('89')).toBe(2)
  expect([write('x'), write('x', true), tty.poll() & POLLOUT]).toEqual(['waits', 'EAGAIN', 0])
  type('e')
  expect(seen.screen).toBe('123456789e')
  tty.seen(2)
  expect([woken > 0, write('x')]).toEqual([true, 'waits'])
  tty.seen(3)
  expect([tty.poll() & POLLOUT, write('x')]).toEqual([POLLOUT, 1])
  expect(write('y')).toBe('waits')
  tty.hangUp()
  expect(write('y')).toBe('EIO')
})

test('a reader waits for the end of a line, and is woken by it', () => {
  const { tty, type, read } = terminal()
  let woken = 0
  tty.queue.add({ wake: () => woken++ })
  expect(read()).toBe('waits')
  type('a line\n')
  expect(woken).toBe(1)
  expect([tty.poll(), tty.available]).toEqual([POLLIN | POLLOUT, 7])
  expect([read(), read()]).toEqual(['a line\n', 'waits'])
  expect(tty.poll()).toBe(POLLOUT)
})

test('a line has at most 4095 bytes; what is too much is lost, the end of the line is not', () => {
  const { type, read } = terminal({ echo: false })
  type(`${'x'.repeat(5000)}\nnext\n`)
  const line = read(10_000) as string
  expect([line.length, line.at(-1), read()]).toEqual([4096, '\n', 'next\n'])
  type(`${'x'.repeat(5000)}yz`)
  type('\x7f')
  type('z\n')
  expect(read(10_000)).toBe(`${'x'.repeat(4094)}z\n`)
})

test('what reads would get does not count the ends of input that were typed (FIONREAD)', () => {
  const { tty, type, read } = terminal({ echo: false })
  type('ab\x04c\n\x04')
  expect([tty.available, read(), tty.available, read(), tty.available, tty.poll() & POLLIN]).toEqual([
    ...[4, 'ab', 2, 'c\n', 0, POLLIN],
  ])
  expect(read()).toBe('')
})

test('what has no room waits until it is read, and nothing of it is lost', () => {
  const { type, read } = terminal({ echo: false })
  const lines = Array.from({ length: 1000 }, (_, i) => `line number ${i}\n`)
  for (const line of lines) type(line)
  expect(lines.map(() => read())).toEqual(lines)
  expect(read()).toBe('waits')
  const raw = terminal({ icanon: false, echo: false })
  const text = 'raw '.repeat(5000)
  raw.type(text)
  let all = ''
  while (all.length < text.length) all += raw.read(1000)
  expect(all).toBe(text)
})

test('an interrupt is heard though nobody reads, and takes away what was typed before it', () => {
  const { type, read, seen } = terminal({ icanon: false, echo: false })
  type('x'.repeat(10_000))
  type('yyy\x03z')
  expect(seen.signals).toEqual(['SIGINT'])
  expect(read()).toBe('z')
})

describe('reads without lines', () => {
  const raw = (min: number, time: number) => terminal({ icanon: false, echo: false, min, time })

  test('wait for MIN bytes, or as many as are wanted', () => {
    const { tty, type, read } = raw(3, 0)
    type('ab')
    expect([read(), read(2), tty.poll()]).toEqual(['waits', 'ab', POLLOUT])
    type('cdef')
    expect([tty.poll(), read()]).toEqual([POLLIN | POLLOUT, 'cdef'])
    type('g')
    expect([read(100, new Attempt(), true), read(100, new Attempt(), true)]).toEqual(['g', 'EAGAIN'])
  })

  test('with neither MIN nor TIME never wait', () => {
    const { type, read } = raw(0, 0)
    expect(read()).toBe('')
    type('a')
    expect([read(), read()]).toEqual(['a', ''])
  })

  test('with TIME alone wait that long for a first byte', () => {
    const { clock, type, read } = raw(0, 5)
    const attempt = new Attempt()
    expect(read(9, attempt)).toBe('waits until 5')
    clock.now = 400_000_000n
    expect(read(9, attempt)).toBe('waits until 5')
    clock.now = 500_000_000n
    expect(read(9, attempt)).toBe('')
    type('a')
    expect(read()).toBe('a')
  })

  test('with MIN and TIME wait for ever for the first byte, and TIME from each to the next', () => {
    const { clock, type, read } = raw(3, 2)
    const attempt = new Attempt()
    expect(read(9, attempt)).toBe('waits')
    clock.now = 1_000_000_000n
    type('a')
    expect(read(9, attempt)).toBe('waits until 12')
    clock.now = 1_100_000_000n
    type('b')
    expect(read(9, attempt)).toBe('waits until 13')
    clock.now = 1_300_000_000n
    expect(read(9, attempt)).toBe('ab')
  })
})

test('output waits while it is stopped, and a writer is woken when it may go on', () => {
  const { tty, seen, type, write } = terminal()
  type('\x13')
  expect([write('a'), write('a', true), tty.poll() & POLLOUT]).toEqual(['waits', 'EAGAIN', 0])
  let woken = false
  tty.queue.add({
    wake() {
      woken = true
    },
  })
  type('\x11')
  expect([woken, write('a\n'), seen.screen]).toEqual([true, 2, 'a\r\n'])
})

test('the column of a tab that is taken away counts ^X also where output is not processed', () => {
  const { type, seen } = terminal({ opost: false })
  type('\x03')
  type('\t\x7f')
  expect(seen.screen).toBe(`^C\t${'\b'.repeat(6)}`)
})

test('output goes on though nobody reads what was typed before ^Q, which counts once', () => {
  const { type, read, write } = terminal({ echo: false })
  type('\x13')
  type('line\n'.repeat(1000))
  expect(write('waits')).toBe('waits')
  type('\x11')
  expect(write('goes on')).toBe(7)
  type('\x13')
  expect(write('waits again')).toBe('waits')
  for (let i = 0; i < 1000; i++) expect(read()).toBe('line\n')
  expect([read(), write('still')]).toEqual(['waits', 'waits'])
})

test('when nothing will be typed any more, what is there is read and then the end', () => {
  const { tty, type, read, write } = terminal()
  type('a line\nhalf a line')
  tty.endInput()
  expect([read(), read(), read(), read()]).toEqual(['a line\n', 'half a line', '', ''])
  expect(write('still here')).toBe(10)
  expect(tty.poll()).toBe(POLLIN | POLLOUT)
})

test('one that hung up gives the end to readers, EIO to writers, and SIGHUP once', () => {
  const { tty, seen, type, read, write } = terminal()
  type('typed\n')
  tty.hangUp()
  tty.hangUp()
  expect([read(), write('x'), seen.signals]).toEqual(['', 'EIO', ['SIGHUP']])
  expect(tty.poll()).toBe(POLLIN | POLLOUT | POLLERR | POLLHUP)
})

test('a change of the window is told once', () => {
  const { tty, seen } = terminal()
  expect(tty.window).toEqual({ columns: 80, rows: 24 })
  tty.window = { columns: 100, rows: 30 }
  tty.window = { columns: 100, rows: 30 }
  expect([tty.window, seen.signals]).toEqual([{ columns: 100, rows: 30 }, ['SIGWINCH']])
})
