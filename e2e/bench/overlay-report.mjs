/** The overlay benchmark's table and verdict.
 *
 * @typedef {object} OverlayReport
 * @property {Record<string, number>} ns  nanoseconds per operation, by the work's name
 * @property {{ read: number, blocks: number }} first  of the first write to a lower file of 1 GiB: bytes read below, blocks of 4 KiB taken
 */

/** @type {readonly (readonly [title: string, of: string, to: string, most: number])[]} */
export const bars = [
  ['a read of 4 KiB: upper file against tmpfs', 'read overlay', 'read tmpfs', 1.2],
  ['a write of 4 KiB: upper file against tmpfs', 'write overlay', 'write tmpfs', 1.2],
  ['a first lookup: through 10 lowers against 1', 'lookup 10', 'lookup 1', 3],
  ['a first readdir, 10,000 entries spread over 10 lowers, against tmpfs', 'readdir spread', 'readdir tmpfs', 15],
]

/** Shown, not judged: the second merges 100,000 entries into 10,000. */
const shown = /** @type {const} */ ([
  ['the same, each of 10 lowers having all 10,000', 'readdir same', 'readdir tmpfs'],
  ['first write to a lower file of 1 GiB, against one to an empty file', 'first overlay', 'first tmpfs'],
])

/** A page of 64 KiB; of a Blob as much is read at once as costs one call to the host (gofer's windows). */
const PAGE_BLOCKS = 16
const WINDOW_BYTES = 262_144

/** @param {OverlayReport} report @returns {{ held: boolean, lines: string[] }} */
export function overlayVerdict({ ns, first }) {
  const number = (/** @type {number | undefined} */ value) => Math.round(value ?? Number.NaN)
  /** @param {string} title @param {string} of @param {string} to @param {string} mark @param {string} bar */
  const line = (title, of, to, mark, bar) => {
    const ratio = (ns[of] ?? Number.NaN) / (ns[to] ?? Number.NaN)
    return `${mark} ${title}: ${number(ns[of])} / ${number(ns[to])} ns = ${ratio.toFixed(2)}${bar}`
  }
  let held = true
  const lines = bars.map(([title, of, to, most]) => {
    const isHeld = (ns[of] ?? Number.NaN) / (ns[to] ?? Number.NaN) <= most
    held &&= isHeld
    return line(title, of, to, isHeld ? 'held  ' : 'MISSED', `, at most ${most}`)
  })
  const isPage = first.read <= WINDOW_BYTES && first.blocks <= PAGE_BLOCKS
  held &&= isPage
  lines.push(
    `${isPage ? 'held  ' : 'MISSED'} the first write to a lower file of 1 GiB reads ${first.read} bytes of it and takes ${first.blocks} blocks, at most a window's ${WINDOW_BYTES} and a page's ${PAGE_BLOCKS}`,
    ...shown.map(([title, of, to]) => line(title, of, to, '      ', '')),
  )
  return { held, lines }
}
