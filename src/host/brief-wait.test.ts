import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test, vi } from 'vitest'
import { BriefWait } from './brief-wait.ts'

const words = () => new Int32Array(new SharedArrayBuffer(8))

test('a word that has changed already is not waited for', () => {
  const brief = new BriefWait()
  const [at, other] = [words(), 5]
  at[1] = other
  for (let i = 0; i < 3; i++) expect(brief.wait(at, 1, 0)).toBe(true)
  expect(brief.wait(at, 1, other, 0)).toBe(false)
})

test('a wait ends when its time has run out, after brief and after long ones', () => {
  const brief = new BriefWait()
  for (const ms of [0, 0.01, 5, 5, 0, 0, 5]) {
    const from = performance.now()
    expect(brief.wait(words(), 0, 0, ms)).toBe(false)
    expect(performance.now() - from).toBeGreaterThanOrEqual(ms * 0.9)
  }
})

test('a clock that stands still keeps nobody looking', () => {
  onTestFinished(() => void vi.restoreAllMocks())
  vi.spyOn(performance, 'now').mockReturnValue(7)
  expect(new BriefWait().wait(words(), 0, 0, 5)).toBe(false)
})

test('two threads hand a turn to each other, at once or after a while, and miss none', async () => {
  const shared = words()
  const turns = 2000
  // It answers each change of word 0 in word 1: the most at once, some after longer than anybody looks.
  const other = new Worker(
    `const { workerData: words } = require('node:worker_threads')
     const rest = new Int32Array(new SharedArrayBuffer(4))
     for (let turn = 1; turn <= ${turns}; turn++) {
       Atomics.wait(words, 0, turn - 1)
       if (turn % 100 < 3) Atomics.wait(rest, 0, 0, 1)
       Atomics.store(words, 1, turn)
       Atomics.notify(words, 1)
     }`,
    { eval: true, workerData: shared },
  )
  const brief = new BriefWait()
  for (let turn = 1; turn <= turns; turn++) {
    Atomics.store(shared, 0, turn)
    Atomics.notify(shared, 0)
    while (Atomics.load(shared, 1) !== turn) expect(brief.wait(shared, 1, turn - 1, 20_000)).toBe(true)
  }
  await other.terminate()
})
