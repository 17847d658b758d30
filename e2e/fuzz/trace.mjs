/** What both sides of the fuzz test tell, in the same words, so that traces are compared as text.
 *
 * Invariant: nothing here depends on when a sequence ran or on which numbers a system gives to inodes: an inode is told by the
 * order in which inodes were first seen, a time as the second that the sequence set, or as `now`.
 *
 * @typedef {{ uid: number, gid: number, groups: readonly number[] }} User
 * @typedef {{ ino: number | bigint, mode: number | bigint, nlink: number | bigint, uid: number | bigint, gid: number | bigint,
 *   size: number | bigint, blocks: number | bigint, atime: bigint, mtime: bigint, ctime: bigint }} Told  times in nanoseconds
 */

/** Whose credentials operations run with: root, its directories' group's member, and one who shares the group and has another.
 *  @type {readonly User[]} */
export const users = [
  { uid: 0, gid: 0, groups: [] },
  { uid: 1000, gid: 1000, groups: [] },
  { uid: 1001, gid: 1000, groups: [2000] },
]

/** The group of a sequence's directory. */
export const GROUP = 2000

/** What a side may answer as it likes: a directory's link count and size, times of access, a file's
 *  blocks. @typedef {'directories' | 'atime' | 'blocks'} Free */

/** Tells stats; one per sequence, for it numbers the inodes. */
export class StatTeller {
  /** @type {Map<string, number>} */
  #seen = new Map()
  /** @type {readonly Free[]} */
  #free

  /** @param {readonly Free[]} free */
  constructor(free) {
    this.#free = free
  }

  /** Inodes are numbered anew. */
  forget() {
    this.#seen.clear()
  }

  /** @param {Told} stat */
  tell({ ino, mode, nlink, uid, gid, size, blocks, atime, mtime, ctime }) {
    const key = String(ino)
    const number = this.#seen.get(key) ?? this.#seen.size
    this.#seen.set(key, number)
    const times = [this.#free.includes('atime') ? '-' : tellTime(atime), tellTime(mtime), tellTime(ctime)].join(' ')
    const freely = this.#free.includes('directories') && (Number(mode) & 0o170000) === 0o040000
    const [links, length] = freely ? ['-', '-'] : [nlink, size]
    const used = this.#free.includes('blocks') ? '-' : blocks
    return `i${number} ${Number(mode).toString(8)} nlink ${links} ${uid}:${gid} size ${length} blocks ${used} ${times}`
  }
}

/** The seconds that operations set: long ago, less long ago, and to come. No clock shows one of them. */
export const TIMES = [1_000_000_000, 1_200_000_000, 4_000_000_000]

/** @param {bigint} ns */
function tellTime(ns) {
  const seconds = Number(ns / 1_000_000_000n)
  return TIMES.includes(seconds) && ns % 1_000_000_000n === 0n ? String(seconds) : 'now'
}

/** `3×00 2×07`: runs of equal bytes, which is all that the operations write. @param {Uint8Array} bytes */
export function tellBytes(bytes) {
  const runs = []
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at] ?? 0
    let end = at + 1
    while (end < bytes.length && bytes[end] === byte) end++
    runs.push(`${end - at}×${byte}`)
    at = end
  }
  return `[${runs.join(' ')}]`
}

/** Status flags of F_GETFL that both kernels report: not O_LARGEFILE and O_CLOEXEC, which Node sets. */
export const SHOWN_FLAGS = 0o15016003 // ACCMODE APPEND NONBLOCK DSYNC SYNC NOATIME PATH
