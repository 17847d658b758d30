/** The table and the verdict of the benchmark of volumes.
 *
 * @typedef {object} StoreReport  milliseconds, of which the least counts, by the names of store.worker.ts's works
 * @property {Record<'large' | 'barePuts' | 'manyFiles' | 'bareFiles' | 'syncEach' | 'bareEach' | 'ours' | 'zenfs' | 'jco', number>} least
 * @property {{ ours: number, bare: number }} mount
 * @property {{ ms: number, read: number, bytes: number }} firstByte
 * @property {{ before: Cost, after: Cost, stored: number, live: number, longestStep: number }} rewritten
 * @typedef {{ mount: number, sync: number }} Cost
 */

/** @param {StoreReport} report @returns {{ held: boolean, lines: string[] }} */
export function storeVerdict({ least, mount, firstByte, rewritten }) {
  let held = true
  /** @param {string} title @param {string} value @param {boolean} holds @param {string} bar */
  const line = (title, value, holds, bar) => {
    held &&= holds
    return `${holds ? '  ' : '! '}${title}: ${value} (bar: ${bar})`
  }
  /** @param {string} title @param {number} of @param {number} to @param {number} limit @param {'most' | 'least'} kind */
  const ratio = (title, of, to, limit, kind) =>
    line(
      title,
      `${of.toFixed(1)} / ${to.toFixed(1)} ms = ${(of / to).toFixed(2)}`,
      kind === 'most' ? of / to <= limit : of / to >= limit,
      `at ${kind} ${limit}`,
    )
  const { before, after, stored, live, longestStep } = rewritten
  const mib = (/** @type {number} */ bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`
  const lines = [
    ratio(
      'time of bare puts of as many bytes, to a large file written and synced',
      least.barePuts,
      least.large,
      0.75,
      'least',
    ),
    ratio(
      'a record per inode and entry, to files made and synced at once',
      least.bareFiles,
      least.manyFiles,
      10,
      'least',
    ),
    ratio(
      'small files, each synced, to strict transactions of two records',
      least.syncEach,
      least.bareEach,
      1.5,
      'most',
    ),
    ratio('getAll of a record per inode and entry, to a mount', mount.bare, mount.ours, 5, 'least'),
    line(
      `first byte of a file of ${mib(firstByte.bytes)}`,
      `${firstByte.ms.toFixed(1)} ms, ${mib(firstByte.read)} read`,
      firstByte.read <= firstByte.bytes / 64,
      'at most a 64th is read',
    ),
    line(
      'longest step of a checkpoint or the cleaner',
      `${longestStep.toFixed(1)} ms`,
      longestStep <= 10,
      'at most 10 ms',
    ),
    line(
      'stored after ten times the size was rewritten, to what is in use',
      `${mib(stored)} / ${mib(live)} = ${(stored / live).toFixed(2)}`,
      stored / live < 2,
      'less than 2',
    ),
    ratio('a mount then, to one before', after.mount, before.mount, 1.5, 'most'),
    ratio('an fsync then, to one before', after.sync, before.sync, 1.5, 'most'),
    ratio("ZenFS's IndexedDB, to ours: files with a sync every 100", least.zenfs, least.ours, 5, 'least'),
    ratio("jco's preview2-shim on OPFS, to ours: the same", least.jco, least.ours, 5, 'least'),
  ]
  return { held, lines }
}
