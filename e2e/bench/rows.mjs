/** The rows of the benchmark: what bench.c is asked, and at which sizes.
 *
 * `n` is where ours and the peers are compared, all at the same n. Growth is ours at 10 × `from` over ours at `from`, where
 * `from` is `n` unless said otherwise. What n counts stands at each row in bench.c.
 *
 * The sizes are such that the shim, whose appends copy the whole file each time, ends within a second or two, and that n
 * and 10 n differ in work, not in which cache of the processor they fit: 1 MiB reads over 2 and 20 MiB are both beyond the
 * second-level cache of today's servers, 40 and 400 pages both within it. For a like reason 128 and 1280 pages to cut are both
 * whole numbers of 64 KiB, so that the file ends at the same place in a page of ours. node:wasi is measured at 10 n as well:
 * what grows there too, on a kernel whose algorithms do not, is memory and not us.
 *
 * @typedef {{ name: string, title: string, n: number, from?: number }} Row
 */

/** @type {readonly Row[]} */
export const rows = [
  { name: 'append-4k', title: 'append 4 KiB', n: 1000 },
  { name: 'pwrite-4k-random', title: 'pwrite 4 KiB at random', n: 40 },
  { name: 'read-4k', title: 'read 4 KiB in sequence', n: 40 },
  { name: 'pread-4k-random', title: 'pread 4 KiB at random', n: 40 },
  { name: 'read-1m', title: 'read 1 MiB', n: 2 },
  { name: 'pwrite-1m', title: 'pwrite 1 MiB', n: 2 },
  { name: 'read-16', title: 'read 16 bytes', n: 4000 },
  { name: 'write-16', title: 'write 16 bytes', n: 4000 },
  { name: 'fstat', title: 'fstat', n: 2000 },
  { name: 'lseek', title: 'lseek', n: 2000 },
  { name: 'stat-depth-1', title: 'stat at depth 1', n: 1000 },
  { name: 'stat-depth-10', title: 'stat at depth 10', n: 1000 },
  { name: 'stat-missing', title: 'stat of a missing name', n: 1000 },
  { name: 'open-close', title: 'open and close', n: 1000 },
  { name: 'create-100', title: 'create with 100 bytes', n: 1000 },
  { name: 'readdir', title: 'readdir of 10,000, per entry', n: 10_000, from: 1000 },
  { name: 'rename', title: 'rename', n: 1000 },
  { name: 'unlink', title: 'unlink', n: 1000 },
  { name: 'mkdir-rmdir', title: 'mkdir and rmdir', n: 1000 },
  { name: 'ftruncate', title: 'ftruncate', n: 128 },
  { name: 'open-append-close', title: 'open, append, close', n: 1000 },
]

/** In which it is seen what /proc and /sys cost a guest that reads neither: walks, opens and a call by descriptor. */
export const UNREAD = ['fstat', 'stat-depth-1', 'open-close']

/** @param {Row} row @returns {{ n: number, from: number, to: number }} all three sizes; two of them may be one */
export const sizes = ({ n, from = n }) => ({ n, from, to: from * 10 })
