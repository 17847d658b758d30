/** What the platforms cost beside each other and beside the bare parts that they are made of: the floor, which no design
 *  goes below. Pure, as report.mjs is. Measurements of the side `floor` and of the rows `start`, `compile` and `fuse` have n 0.
 *
 * @typedef {import('./report.mjs').Measurement} Measurement
 * @typedef {import('./report.mjs').ReportRow} ReportRow
 */

/** Rows whose operation is one system call. */
const ONE_CALL = [
  'append-4k',
  'pwrite-4k-random',
  'read-4k',
  'pread-4k-random',
  'read-16',
  'write-16',
  'fstat',
  'lseek',
  'stat-depth-1',
  'stat-depth-10',
  'stat-missing',
  'ftruncate',
]

/**
 * @param {readonly ReportRow[]} report
 * @param {readonly Measurement[]} measurements
 * @param {import('./report.mjs').Say} say
 */
export function judgePlatforms(report, measurements, say) {
  /** @type {(side: string, row: string, platform: string) => number[]} the least first */
  const sorted = (side, row, platform) =>
    measurements
      .filter((m) => m.side === side && m.row === row && m.platform === platform && m.n === 0)
      .map((m) => m.ns)
      .sort((a, b) => a - b)
  /** @type {(side: string, row: string, platform?: string) => number | undefined} of several measurements the median */
  const median = (side, row, platform = '') => {
    const found = sorted(side, row, platform)
    return found[found.length >> 1]
  }
  /** @type {(platform: string, name: string) => number | undefined} microseconds */
  const ours = (platform, name) =>
    report.find((r) => r.where === 'chromium' && r.platform === platform && r.name === name)?.ours_us

  const copy = median('floor', 'copy')
  if (copy !== undefined)
    for (const platform of ['inline', 'jspi']) {
      const read = ours(platform, 'read-4k')
      if (read === undefined) continue
      const times = (read * 1000) / copy
      say(
        `chromium, ${platform}`,
        'a read of 4 KiB within 4 times an import that copies 4 KiB',
        times <= 4 ? [] : [`${times.toFixed(1)} times ${copy.toFixed(0)} ns`],
      )
    }

  const place = 'chromium, worker'
  const trip = median('floor', 'roundTrip')
  if (trip !== undefined) {
    const over = ONE_CALL.flatMap((name) => {
      const [there, here] = [ours('worker', name), ours('inline', name)]
      if (there === undefined || here === undefined) return []
      const times = ((there - here) * 1000) / trip
      return times <= 2 ? [] : [`${name}: ${times.toFixed(2)} times ${(trip / 1000).toFixed(2)} µs`]
    })
    say(place, 'a call costs no more above inline than 2 bare round trips', over)
  }
  const slow = ['read-1m', 'pwrite-1m'].flatMap((name) => {
    const [there, here] = [ours('worker', name), ours('inline', name)]
    if (there === undefined || here === undefined || there <= 2 * here) return []
    return [`${name}: ${(here / there).toFixed(2)} of ${here.toFixed(0)} µs`]
  })
  if (ours('worker', 'read-1m') !== undefined)
    say(place, 'reads and writes of 1 MiB have at least half of the throughput of inline', slow)

  /** @type {(what: string, limit: number, there: number | undefined, here: number | undefined, where?: string) => void} */
  const within = (what, limit, there, here, where = place) => {
    if (there === undefined || here === undefined) return
    const times = there / here
    const figures = `${millis(there)} ms, ${times.toFixed(2)} times ${millis(here)} ms`
    say(where, `${what}: ${figures}`, times <= limit ? [] : [`no more than ${limit} times`])
  }
  within(
    'clang, which has run before, compiles, as against inline',
    1.3,
    median('ours', 'compile', 'worker'),
    median('ours', 'compile', 'inline'),
  )
  within('a process starts, as against a bare Worker', 1.5, median('ours', 'start', 'worker'), median('floor', 'start'))
  for (const platform of ['worker', 'jspi'])
    within(
      'a read of 128 KiB that the page serves by FUSE, as against a comlink round trip that carries them',
      2,
      // Three threads take part, and noise adds to each.
      sorted('ours', 'fuse', platform)[0],
      sorted('floor', 'comlink', '')[0],
      `chromium, ${platform}`,
    )
}

/** @param {number} ns */
const millis = (ns) => (ns >= 1e6 ? (ns / 1e6).toFixed(1) : (ns / 1e6).toPrecision(3))
