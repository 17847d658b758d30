import { expect, test } from 'vitest'
import { effectBeforeCause, type Found, Links, Tree, Worker } from './model.mjs'
import { GROUP, LINKS, type Step, stepsFrom } from './workload.mjs'

const SEED = 5
const clock = (): [string, Uint8Array][] => [['clock', Buffer.from('00000000')]]

/** The first steps, and what is there after each of them. */
function played(count: number): { step: Step; found: Found }[] {
  const tree = new Tree(clock())
  const all: { step: Step; found: Found }[] = []
  for (const step of stepsFrom(SEED, 0, '')) {
    tree.apply(step)
    all.push({ step, found: tree.files() })
    if (all.length === count) break
  }
  return all
}

const worker = () => new Worker({ seed: SEED, files: clock() })

test('every state that existed is taken for one, and work goes on behind it', () => {
  const states = played(400)
  for (const { step, found } of states.filter((_, i) => i % 40 === 39)) {
    const one = worker()
    expect(one.recovered(found)).toBe('')
    expect(one.group * GROUP).toBeGreaterThan(step.n)
    expect(one.recovered(found)).toBe('')
  }
})

test('a state older than an fsync that had returned, and one that never was, are told', () => {
  const states = played(400)
  const early = worker()
  early.acknowledged(states[399]!.step.n)
  expect(early.recovered(states[100]!.found)).toMatch(/though fsync returned at step/)

  const { found } = states[300]!
  const [path, bytes] = [...found].find(([, bytes]) => bytes && bytes.length > 1000)!
  const torn = new Map(found).set(
    path,
    Uint8Array.from(bytes!, (byte, i) => (i === 500 ? byte ^ 1 : byte)),
  )
  expect(worker().recovered(torn)).toMatch(new RegExp(`a state that never was.* ${path}`))
  const lost = new Map(found)
  lost.delete(path)
  expect(worker().recovered(lost)).toMatch(/a state that never was/)
  expect(worker().recovered(new Map(found).set('stranger', null))).toMatch(/a state that never was/)
})

test('a write of which a part is there is a state between two', () => {
  const states = played(400)
  const at = states.findIndex(({ step }, i) => i > 50 && step.what === 'w' && states[i]!.found.get(step.path))
  const { step, found } = states[at]!
  const part = step.length >> 1
  const before = states[at - 1]!.found.get(step.path)!
  const bytes = new Uint8Array(Math.max(before.length, step.at + part))
  bytes.set(before)
  bytes.set(found.get(step.path)!.subarray(step.at, step.at + part), step.at)
  expect(worker().recovered(new Map(found).set(step.path, bytes))).toBe('')
})

test('who has seen what is not there is told', () => {
  const mine: Found = new Map([['seen', Buffer.from('00000016')]])
  const others = (n: number): Found => new Map([['clock', Buffer.from(String(n).padStart(8, '0'))]])
  expect(effectBeforeCause(mine, others(8))).toMatch(/seen the other at step 16, who is at step 8/)
  expect(effectBeforeCause(mine, others(16))).toBe('')
})

test('links are touched in turn: a round that is begun, or whole, no earlier than the last that was synced', () => {
  const rounds = (round: number, touched: number) =>
    Array.from({ length: LINKS }, (_, i) => round - Number(i >= touched))
  const links = new Links()
  links.acknowledged(2)
  expect(links.recovered(rounds(3, 7))).toBe('')
  expect(links.round).toBe(3)
  expect(links.recovered(rounds(3, LINKS))).toBe('')
  expect(links.round).toBe(4)
  expect(links.recovered(rounds(2, 7))).toMatch(/links after round 1, though fsync returned after round 2/)
  expect(links.recovered(rounds(3, 7).with(9, 3))).toMatch(/out of turn/)
  expect(links.recovered(rounds(3, 7).slice(1))).toMatch(/599 links of 600/)
})
