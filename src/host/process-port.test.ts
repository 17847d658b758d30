import { afterEach, expect, test } from 'vitest'
import type { ExitStatus, StdioOutput } from '../abi/wire.ts'
import { ProcessPort } from './process-port.ts'

const open: MessagePort[] = []
afterEach(() => {
  for (const port of open.splice(0)) port.close()
})

/** A port whose messages are kept, on a clock that stands still. */
function started() {
  const { port1, port2 } = new MessageChannel()
  open.push(port1, port2)
  const time = { now: 0 }
  const port = new ProcessPort(port2, { stdin: { initial: new Uint8Array(), more: true } }, () => time.now)
  const messages: StdioOutput[] = []
  let seen = () => {}
  const ended = new Promise<void>((resolve) => {
    seen = resolve
  })
  port1.onmessage = ({ data }: MessageEvent<StdioOutput>) => {
    messages.push(data)
    if ('exit' in data) seen()
  }
  const fed: unknown[] = []
  let exit: (status: ExitStatus) => void = () => {}
  let fail: (error: unknown) => void = () => {}
  port.attach({
    pid: 1,
    exited: new Promise<ExitStatus>((resolve, reject) => {
      exit = resolve
      fail = reject
    }),
    feed: (bytes) => void fed.push([...bytes]),
    warnings: [],
    endInput: () => void fed.push('end'),
  })
  const status: ExitStatus = { exitCode: 0, wallTime: 0, syscalls: 0 }
  const end = () => {
    exit(status)
    return ended
  }
  return { port, port1, messages, fed, time, fail, ended, end }
}

const utf8 = (text: string) => new TextEncoder().encode(text)

const size = (message: StdioOutput) =>
  'stdout' in message ? message.stdout.length : 'stderr' in message ? message.stderr.length : 0

test('many small writes of one turn make few messages, of bounded size', async () => {
  const { port, messages, end } = started()
  const piece = new Uint8Array(4096)
  for (let i = 0; i < 25_000; i++) port.stdout(piece)
  await end()
  expect(messages.reduce((sum, message) => sum + size(message), 0)).toBe(25_000 * 4096)
  expect(messages.length).toBeLessThan(500)
  expect(Math.max(...messages.map(size))).toBeLessThanOrEqual(1 << 18)
})

const text = (message: StdioOutput | undefined) =>
  message && 'stdout' in message ? new TextDecoder().decode(message.stdout) : message

test('a line leaves at once, its parts together', async () => {
  const { port, messages, end } = started()
  for (const part of ['one', '\n', 'two\n', 'thr', 'ee']) port.stdout(utf8(part))
  await end()
  expect(messages.slice(0, -1).map(text)).toEqual(['one\n', 'two\n', 'three'])
})

test('after a burst of lines they leave together, with the first of the next window', async () => {
  const { port, messages, time, end } = started()
  for (let i = 0; i < 20; i++) port.stdout(utf8(`${i}\n`))
  time.now = 1000
  port.stdout(utf8('20\n'))
  port.stdout(utf8('21\n'))
  await end()
  expect(messages.slice(15, 18).map(text)).toEqual(['15\n', '16\n17\n18\n19\n20\n', '21\n'])
})

test('what is no line leaves with the first write after a while', async () => {
  const { port, messages, time, end } = started()
  for (const now of [0, 1, 2, 1000, 1001]) {
    time.now = now
    port.stdout(utf8('.'))
  }
  await end()
  expect(messages.slice(0, -1).map(text)).toEqual(['....', '.'])
})

test('what waits at the end of a turn leaves then', async () => {
  const { port, port1, messages } = started()
  port.stdout(utf8('no '))
  port.stdout(utf8('line'))
  while (messages.length < 1) await new Promise((resolve) => port1.addEventListener('message', resolve, { once: true }))
  expect(messages.map(text)).toEqual(['no line'])
})

test('stdout and stderr keep their order to each other, exit comes last', async () => {
  const { port, messages, end } = started()
  port.stdout(new Uint8Array([1]))
  port.stdout(new Uint8Array([1]))
  port.stderr(new Uint8Array([2]))
  port.stdout(new Uint8Array([3]))
  await end()
  expect(messages).toEqual([
    { stdout: new Uint8Array([1, 1]) },
    { stderr: new Uint8Array([2]) },
    { stdout: new Uint8Array([3]) },
    { exit: { exitCode: 0, wallTime: 0, syscalls: 0 } },
  ])
})

test('one write of any size arrives whole', async () => {
  const { port, messages, end } = started()
  port.stdout(new Uint8Array([7]))
  port.stdout(new Uint8Array(1 << 20).fill(1))
  port.stdout(new Uint8Array(1 << 18).fill(2))
  await end()
  expect(messages.map(size)).toEqual([1, 1 << 20, 1 << 18, 0])
})

test('what the page sends is fed to the process', async () => {
  const { port1, fed, end } = started()
  port1.postMessage({ stdin: new Uint8Array([1, 2]) })
  port1.postMessage({ stdinEnd: true })
  while (fed.length < 2) await new Promise((resolve) => setImmediate(resolve))
  expect(fed).toEqual([[1, 2], 'end'])
  await end()
})

test('a fault of the kernel ends the process with its reason', async () => {
  const { messages, fail, ended } = started()
  fail(new Error('a bug'))
  await ended
  expect(messages).toEqual([{ exit: expect.objectContaining({ exitCode: 134, reason: 'Error: a bug' }) }])
})
