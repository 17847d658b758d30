/** The verdict on verity: what a read costs through it, hashing aside, against the same read without it; and hashing, apart. */

/** A read through verity may cost so many times the one without it. */
const MOST = 2
const ROWS = /** @type {const} */ ([
  ['4k', '4 KiB'],
  ['64k', '64 KiB'],
  ['1m', '1 MiB'],
  ['16', '16 bytes'],
])

/** @param {Readonly<Record<string, number>>} ns nanoseconds per read, by size and side @returns {{ held: boolean, lines: string[] }} */
export function verityVerdict(ns) {
  let held = true
  const lines = ROWS.map(([name, title]) => {
    const [tmpfs, unhashed, verity] = ['tmpfs', 'unhashed', 'verity'].map((side) => ns[`${name} ${side}`] ?? Number.NaN)
    const ratio = unhashed / tmpfs
    const isHeld = ratio <= MOST
    held &&= isHeld
    const round = (/** @type {number} */ value) => Math.round(value)
    return `${isHeld ? 'held  ' : 'MISSED'}  verity, a read of ${title}, hashing aside: ${round(unhashed)} / ${round(tmpfs)} ns = ${ratio.toFixed(2)}, at most ${MOST}; hashing: ${round(verity - unhashed)} ns`
  })
  return { held, lines }
}
