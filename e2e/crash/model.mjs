/**
 * The files of one who works in a volume, as they are to be: which of all states that existed is the one that was found?
 *
 * @typedef {import('./workload.mjs').Step} Step
 * @typedef {Map<string, Uint8Array | null>} Found  the bytes of files by their paths; null for directories
 */
import { bytesOf, GROUP, LINKS, stepsFrom } from './workload.mjs'

/** @typedef {{ bytes: Uint8Array }} File  may have several names */

/** What one writes of another is no part of his own state. */
const SEEN = 'seen'

export class Tree {
  /** @type {Map<string, File | null>} null for directories */
  #nodes = new Map()

  /** @param {Iterable<[string, Uint8Array]>} [files] */
  constructor(files = []) {
    for (const [path, bytes] of files) this.#nodes.set(path, { bytes })
  }

  copy() {
    const copy = new Tree()
    const files = new Map()
    for (const [path, node] of this.#nodes) {
      if (node && !files.has(node)) files.set(node, { bytes: node.bytes.slice() })
      copy.#nodes.set(path, node && files.get(node))
    }
    return copy
  }

  /** What one finds who looks. @returns {Found} */
  files() {
    return new Map([...this.#nodes].map(([path, node]) => [path, node ? node.bytes.slice() : null]))
  }

  /** @param {string} path */
  #isIn(path) {
    const slash = path.lastIndexOf('/')
    return slash < 0 || this.#nodes.get(path.slice(0, slash)) === null
  }

  /** @param {string} directory */
  #below(directory) {
    return [...this.#nodes.keys()].filter((path) => path.startsWith(`${directory}/`))
  }

  /** Does what the kernel does: nothing, if it is an error. @param {Step} step @param {number} [length] of a write, how much of it */
  apply(step, length = step.length) {
    const { what, path, to, at } = step
    const nodes = this.#nodes
    const node = nodes.get(path)
    if (what === 'c' || what === 't') {
      if (node) {
        if (what === 't') node.bytes = new Uint8Array()
      } else if (this.#isIn(path)) nodes.set(path, { bytes: new Uint8Array() })
    } else if (what === 'n') nodes.set(path, { bytes: bytesOf(step) })
    else if (what === 'w') {
      if (!node || length === 0) return
      node.bytes = resized(node.bytes, Math.max(node.bytes.length, at + length))
      node.bytes.set(bytesOf({ ...step, length }), at)
    } else if (what === 'l') {
      if (node) node.bytes = resized(node.bytes, at)
    } else if (what === 'm') {
      if (!nodes.has(path)) nodes.set(path, null)
    } else if (what === 'd') {
      if (nodes.has(path) && this.#below(path).length === 0) nodes.delete(path)
    } else if (what === 'u') {
      nodes.delete(path)
    } else if (what === 'k') {
      if (node && !nodes.has(to) && this.#isIn(to)) nodes.set(to, node)
    } else if (what === 'r') this.#rename(path, to)
  }

  /** @param {string} from @param {string} to */
  #rename(from, to) {
    const nodes = this.#nodes
    const node = nodes.get(from)
    if (node === undefined || from === to || !this.#isIn(to) || (node && nodes.get(to) === node)) return
    if (node === null) {
      if (this.#below(to).length > 0) return
      for (const path of this.#below(from)) {
        nodes.set(to + path.slice(from.length), /** @type {File} */ (nodes.get(path)))
        nodes.delete(path)
      }
    }
    nodes.set(to, node)
    nodes.delete(from)
  }

  /** The paths that are not as they were found. @param {Found} found */
  differences(found) {
    const paths = new Set([...this.#nodes.keys(), ...found.keys()])
    return [...paths].filter((path) => path !== SEEN && !isSame(this.#nodes.get(path), found.get(path)))
  }

  /** How much of a write, which is the next step, was found done, if nothing else differs. @param {Step} step @param {Found} found */
  partOf(step, found) {
    const bytes = found.get(step.path)
    if (step.what !== 'w' || !bytes || this.differences(found).some((path) => !this.#isSameFile(path, step.path)))
      return 0
    const whole = bytesOf(step)
    let length = 0
    while (length < whole.length && bytes[step.at + length] === whole[length]) length++
    const copy = this.copy()
    copy.apply(step, length)
    return copy.differences(found).length === 0 ? length : 0
  }

  /** @param {string} one @param {string} other */
  #isSameFile(one, other) {
    return this.#nodes.get(one) === this.#nodes.get(other)
  }

  get clock() {
    return clockIn(this.#nodes.get('clock')?.bytes)
  }
}

/** @param {Uint8Array} bytes @param {number} length */
function resized(bytes, length) {
  const changed = new Uint8Array(length)
  changed.set(bytes.subarray(0, length))
  return changed
}

/** @param {File | null | undefined} node @param {Uint8Array | null | undefined} found */
function isSame(node, found) {
  if (!node || !found) return node === found
  return Buffer.compare(node.bytes, found) === 0
}

/** @param {Uint8Array | null | undefined} bytes */
const clockIn = (bytes) => (bytes ? Number(new TextDecoder().decode(bytes)) : -1)

export class Worker {
  #seed
  #other
  #tree
  /** The step whose state is known to be on disk. */
  #acked = -1
  /** Where to work on. */
  group = 0

  /** @param {{ seed: number, other?: string, files?: Iterable<[string, Uint8Array]> }} options `files` are there from the start */
  constructor({ seed, other = '', files = [] }) {
    this.#seed = seed
    this.#other = other
    this.#tree = new Tree(files)
  }

  /** An fsync has returned. @param {number} n */
  acknowledged(n) {
    this.#acked = Math.max(this.#acked, n)
  }

  /**
   * Takes what was found after a crash as where things stand.
   *
   * @param {Found} found
   * @returns {string} what is wrong with it, or ''
   */
  recovered(found) {
    const clock = clockIn(found.get('clock'))
    const tree = this.#tree.copy()
    let last = this.group * GROUP - 1
    /** @type {{ tree: Tree, n: number } | undefined} */
    let match
    /** @type {{ n: number, paths: string[] } | undefined} */
    let nearest
    const compare = () => {
      if (tree.clock !== clock) return
      const paths = tree.differences(found)
      if (paths.length === 0) match = { tree: tree.copy(), n: last }
      if (!nearest || paths.length < nearest.paths.length) nearest = { n: last, paths }
    }
    compare()
    let clocks = 0
    for (const step of stepsFrom(this.#seed, this.group, this.#other)) {
      const part = tree.clock === clock ? tree.partOf(step, found) : 0
      if (part > 0 && part < step.length) {
        const cut = tree.copy()
        cut.apply(step, part)
        match = { tree: cut, n: step.n }
      }
      tree.apply(step)
      last = step.n
      compare()
      if (tree.clock > clock && step.what === 'n' && ++clocks > 1 && last > this.#acked) break
    }
    if (!match)
      return `a state that never was: nearest is step ${nearest?.n}, but for ${nearest?.paths.join(' ') || 'the clock'} (clock ${clock}, synced ${this.#acked})`
    if (match.n < this.#acked) return `the state after step ${match.n}, though fsync returned at step ${this.#acked}`
    this.#tree = match.tree
    this.group = Math.floor(match.n / GROUP) + 1
    return ''
  }
}

/** Whether one has written what he cannot have seen. @param {Found} mine @param {Found} others @returns {string} '' if not */
export function effectBeforeCause(mine, others) {
  const seen = clockIn(mine.get(SEEN))
  const there = clockIn(others.get('clock'))
  return seen > there ? `one has seen the other at step ${seen}, who is at step ${there}` : ''
}

/** Links that are touched one behind the other, again and again: the round of each is its time. They make a checkpoint long. */
export class Links {
  #acked = 0
  /** The round to go on with. */
  round = 1

  /** A round is on disk. @param {number} round */
  acknowledged(round) {
    this.#acked = Math.max(this.#acked, round)
  }

  /** Takes the rounds of all that were found as where things stand. @param {number[]} rounds @returns {string} what is wrong, or '' */
  recovered(rounds) {
    if (rounds.length !== LINKS) return `${rounds.length} links of ${LINKS}`
    const [first] = rounds
    const turn = rounds.findIndex((round) => round !== first)
    const whole = turn < 0 ? first : first - 1
    if (turn >= 0 && rounds.slice(turn).some((round) => round !== whole))
      return `links were touched out of turn: ${rounds}`
    if (whole < this.#acked) return `links after round ${whole}, though fsync returned after round ${this.#acked}`
    this.round = whole + 1
    return ''
  }
}
