/**
 * What those who work in a volume do, step by step: the same for the C guest (e2e/guests/play.c), the page and the model. Every step is
 * one call of the kernel, so that between any two of them, and nowhere else, there is a state of the files. It runs in browsers, too.
 *
 * @typedef {object} Step
 * @property {number} n  steps come in groups of up to 8, and the nth of group g is 8 g + n
 * @property {'c' | 't' | 'w' | 'n' | 'p' | 'l' | 'r' | 'k' | 'u' | 'm' | 'd' | 's'} what
 *   create, create empty, write, write the step's number, write what another's number is, truncate, rename, link, unlink, mkdir,
 *   rmdir, fsync
 * @property {string} path
 * @property {string} to      of a rename or link; of `p`, where the number is
 * @property {number} at      of a write, where to; of `l`, the length
 * @property {number} length
 */

export const GROUP = 8

/** How many links there are beside the files, in several chunks of a checkpoint. */
export const LINKS = 600
/** So long that a checkpoint begins when all of them were touched. */
export const TARGET = 'somewhere/'.repeat(200)

/** Numbers from 0 on, below what is asked for. @param {number} seed @param {number} group @returns {(below: number) => number} */
export function randomOf(seed, group) {
  let state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(group + 1, 0x85ebca6b)) | 0
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** @param {number} seed @param {number} group @param {string} other  where another's number is @returns {Step[]} */
function groupOf(seed, group, other) {
  const random = randomOf(seed, group)
  const file = () => {
    const number = random(16)
    return number < 8 ? `f${number}` : `${number < 12 ? 'd0' : 'd1'}/f${number % 4}`
  }
  /** @type {Step[]} */
  const steps = []
  /** @type {(what: Step['what'], path: string, more?: Partial<Step>) => void} */
  const step = (what, path, more = {}) =>
    void steps.push({ n: group * GROUP + steps.length, what, path, to: '', at: 0, length: 0, ...more })
  const write = (/** @type {string} */ path) =>
    step('w', path, { at: random(120_000), length: 1 + random(random(24) === 0 ? 700_000 : 40_000) })
  // Now and then nobody syncs for a while: then commits come by themselves.
  const syncs = (group >> 6) % 4 !== 3
  const kind = random(18)
  const path = file()
  if (kind < 5) {
    step('c', path)
    write(path)
  } else if (kind < 7) step('r', path, { to: file() })
  else if (kind === 7) step('u', path)
  else if (kind === 8) step('m', random(2) ? 'd0' : 'd1')
  else if (kind === 9) {
    const [from, to] = random(2) ? ['d0', 'd1'] : ['d1', 'd0']
    step('r', /** @type {string} */ (from), { to })
  } else if (kind === 10) step('d', random(2) ? 'd0' : 'd1')
  else if (kind === 11) step('k', path, { to: file() })
  else if (kind === 12) step('l', path, { at: random(100_000) })
  else if (kind === 13) {
    step('t', 'new')
    write('new')
    if (syncs) step('s', 'new')
    step('r', 'new', { to: path })
  } else if (kind < 16) {
    step('n', 'clock')
    step('p', 'seen', { to: other })
  } else if (syncs) step('s', random(2) ? '.' : 'clock')
  return steps
}

/** All steps from a group on, without end. @param {number} seed @param {number} group @param {string} other @returns {Generator<Step>} */
export function* stepsFrom(seed, group, other) {
  for (let at = group; ; at++) yield* groupOf(seed, at, other)
}

/** As the guest reads it. @param {Step} step */
export function lineOf({ n, what, path, to, at, length }) {
  const rest = what === 'w' ? `${at} ${length}` : what === 'l' ? at : to
  return `${n} ${what} ${path} ${rest}\n`
}

/** What a write writes. @param {Step} step @returns {Uint8Array<ArrayBuffer>} */
export function bytesOf({ n, what, length }) {
  if (what === 'n') return new TextEncoder().encode(String(n).padStart(8, '0'))
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = n * 31 + i * 7 + (i >> 8)
  return bytes
}
