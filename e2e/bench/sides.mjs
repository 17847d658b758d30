/** What the benchmark knows of a thing it measures.
 *
 * @typedef {object} Side
 * @property {import('./report.mjs').Where} where
 * @property {import('./report.mjs').SideName} side
 * @property {string} platform    of ours; '' for a peer
 * @property {readonly string[]} [rows]  the only ones that it is measured in, by name
 * @property {boolean} atTenfold  whether it is measured at ten times the size, too
 * @property {(args: string[]) => Promise<number>} run  the guest, on an empty file system: nanoseconds per operation
 * @property {() => Promise<void>} close
 *
 * @typedef {{ stdout: string, exitCode: number, stderr?: string } | { error: string }} Outcome
 */

/** The figure that bench.c printed. @param {string[]} args @param {Outcome} outcome @returns {number} nanoseconds per operation */
export function answer(args, outcome) {
  const [row, n] = args
  if ('error' in outcome) throw new Error(`${row} ${n}: ${outcome.error}`)
  const match = /^([\w-]+) (\d+) ([\d.]+)\n$/.exec(outcome.stdout)
  if (outcome.exitCode !== 0 || match?.[1] !== row || match?.[2] !== n)
    throw new Error(
      `${row} ${n}: exit code ${outcome.exitCode}, stdout ${JSON.stringify(outcome.stdout)}, stderr ${JSON.stringify(outcome.stderr ?? '')}`,
    )
  return Number(match?.[3])
}
