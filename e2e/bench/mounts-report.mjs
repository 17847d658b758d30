/** The verdict of the mounts benchmark.
 *
 * An empty Worker has a script of the kernel's size: the same code, which nothing calls. The kernel's start is held against one
 * that is fetched and parsed, too; what a comment of that size takes is shown beside it. */

/** @type {readonly (readonly [title: string, of: string, to: string, most: number, unit: 'ms' | 'ns'])[]} */
export const bars = [
  [
    'booting a sandbox with the default mounts, against starting an empty Worker of its script size',
    'boot',
    'empty',
    2,
    'ms',
  ],
  ['creating a second container, in comlink round trips', 'create', 'roundTrip', 20, 'ms'],
  ['deleting it, in comlink round trips', 'delete', 'roundTrip', 20, 'ms'],
  ['a stat through one of 1,000 mounts, against one of 10', 'through1000', 'through10', 1.2, 'ns'],
]

/** @param {Record<string, number>} ms  by the work's name @returns {{ held: boolean, lines: string[] }} */
export function mountsVerdict(ms) {
  let held = true
  const lines = bars.map(([title, of, to, most, unit]) => {
    const figures = [of, to].map((name) => ms[name] ?? Number.NaN)
    const ratio = figures[0] / figures[1]
    const isHeld = ratio <= most
    held &&= isHeld
    const [there, here] = figures.map((figure) => (unit === 'ns' ? (figure * 1e6).toFixed(0) : figure.toFixed(2)))
    return `${isHeld ? 'held  ' : 'MISSED'} ${title}: ${there} / ${here} ${unit} = ${ratio.toFixed(2)}, at most ${most}`
  })
  const [boot, comment] = [ms.boot ?? Number.NaN, ms.comment ?? Number.NaN]
  lines.push(
    `       the same against a Worker whose script is a comment of that size: ${boot.toFixed(2)} / ${comment.toFixed(2)} ms = ${(boot / comment).toFixed(2)}`,
  )
  return { held, lines }
}
