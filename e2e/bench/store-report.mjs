/** The table and the verdict of the benchmark of volumes.
 *
 * @typedef {object} StoreReport  by row; milliseconds, of which the least counts
 * @property {Record<'large' | 'barePuts', number>} large
 * @property {Record<'manyFiles' | 'bareFiles', number>} files
 * @property {Record<'syncEach' | 'bareEach', number>} each
 * @property {{ ours: number, bare: number }} mount
 * @property {{ ms: number, read: number, bytes: number }} firstByte
 * @property {{ before: Cost, after: Cost, stored: number, live: number, longestStep: number }} rewritten
 * @property {Record<'ours' | 'zenfs' | 'jco', number>} peers
 * @typedef {{ mount: number, sync: number }} Cost
 * @typedef {{ line: string, holds: boolean }} Bar
 */

/** @param {string} title @param {string} value @param {boolean} holds @param {string} bar @returns {Bar} */
const bar = (title, value, holds, bar) => ({ holds, line: `${holds ? '  ' : '! '}${title}: ${value} (bar: ${bar})` })

/** @param {string} title @param {number} of @param {number} to @param {'least' | 'most'} kind @param {number} limit */
const ratio = (title, of, to, kind, limit) =>
  bar(
    title,
    `${of.toFixed(1)} / ${to.toFixed(1)} ms = ${(of / to).toFixed(2)}`,
    kind === 'most' ? of / to <= limit : of / to >= limit,
    `at ${kind} ${limit}`,
  )

/** @param {number} bytes */
const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`

/** What is measured, in this order, and what of it must hold. @type {{ [Row in keyof StoreReport]: (measured: StoreReport[Row]) => Bar[] }} */
export const STORE_ROWS = {
  large: ({ large, barePuts }) => [
    ratio('time of bare puts of as many bytes, to a large file written and synced', barePuts, large, 'least', 0.75),
  ],
  files: ({ manyFiles, bareFiles }) => [
    ratio('a record per inode and entry, to files made and synced at once', bareFiles, manyFiles, 'least', 10),
  ],
  each: ({ syncEach, bareEach }) => [
    ratio('small files, each synced, to strict transactions of two records', syncEach, bareEach, 'most', 1.5),
  ],
  mount: ({ ours, bare }) => [ratio('getAll of a record per inode and entry, to a mount', bare, ours, 'least', 5)],
  peers: ({ ours, zenfs, jco }) => [
    ratio("ZenFS's IndexedDB, to ours: files with a sync every 100", zenfs, ours, 'least', 5),
    ratio("jco's preview2-shim on OPFS, to ours: the same", jco, ours, 'least', 5),
  ],
  firstByte: ({ ms, read, bytes }) => [
    bar(
      `first byte of a file of ${mib(bytes)}`,
      `${ms.toFixed(1)} ms, ${mib(read)} read`,
      read <= bytes / 64,
      'at most a 64th is read',
    ),
  ],
  rewritten: ({ before, after, stored, live, longestStep }) => [
    bar(
      'longest step of a checkpoint or the cleaner',
      `${longestStep.toFixed(1)} ms`,
      longestStep <= 10,
      'at most 10 ms',
    ),
    bar(
      'stored after ten times the size was rewritten, to what is in use',
      `${mib(stored)} / ${mib(live)} = ${(stored / live).toFixed(2)}`,
      stored / live < 2,
      'less than 2',
    ),
    ratio('a mount after a rest, to one before', after.mount, before.mount, 'most', 1.5),
    ratio('an fsync after a rest, to one before', after.sync, before.sync, 'most', 1.5),
  ],
}

/** @param {StoreReport} report @returns {{ held: boolean, lines: string[] }} */
export function storeVerdict(report) {
  const bars = Object.entries(STORE_ROWS).flatMap(([row, barsOf]) => barsOf(/** @type {any} */ (report)[row]))
  return { held: bars.every(({ holds }) => holds), lines: bars.map(({ line }) => line) }
}
