/** Measuring works of one process: each pass measures every work in turn, so that a machine that is busy for a while is busy for all of
 * them; of all samples the least counts.
 *
 * @param {Readonly<Record<string, import('./overlay-ours.ts').Work>>} works
 * @param {{ passes: number, time: number }} effort `time` is how many milliseconds one work takes in one pass, at least
 * @returns {Record<string, number>} nanoseconds per operation
 */
export function measureInTurn(works, { passes, time }) {
  /** @type {Record<string, number>} */
  const ns = {}
  for (let pass = 1; pass <= passes; pass++) {
    const inTurn = Object.entries(works)
    for (const [name, work] of pass % 2 ? inTurn : inTurn.reverse()) {
      const end = performance.now() + time
      do {
        work.prepare?.()
        const start = performance.now()
        work.run()
        ns[name] = Math.min(ns[name] ?? Number.POSITIVE_INFINITY, ((performance.now() - start) / work.operations) * 1e6)
      } while (performance.now() < end)
    }
  }
  return ns
}
