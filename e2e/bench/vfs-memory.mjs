/** How much heap a file takes on ours: 100,000 of them, empty and with 100 bytes. Forked with --expose-gc and with the path of
 *  the bundle that vfs-sides.mjs makes; answers with bytes per file. */
const [, , bundle = ''] = process.argv
const FILES = 100_000
const AT_FDCWD = -100
const O_WRONLY_CREAT = 0o101

const { makeOurs } = await import(bundle)

/** Heap and what buffers hold outside of it. */
function used() {
  for (let i = 0; i < 4; i++) globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** @param {number} bytes @returns {number} per file */
function measure(bytes) {
  const { task } = makeOurs()
  const content = new Uint8Array(bytes).fill(1)
  task.mkdirat(AT_FDCWD, '/d', 0o755)
  const before = used()
  for (let i = 0; i < FILES; i++) {
    const fd = task.openat(AT_FDCWD, `/d/file-${i}`, O_WRONLY_CREAT, 0o644)
    if (bytes > 0) task.writev(fd, content, [0, bytes])
    task.close(fd)
  }
  const after = used()
  task.unlinkat(AT_FDCWD, '/d/file-0', 0) // it was alive until here
  return (after - before) / FILES
}

measure(100) // code and its feedback are not the files'
process.send?.({ empty: measure(0), hundred: measure(100) })
