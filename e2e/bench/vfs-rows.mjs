/** The rows of the VFS benchmark. A row prepares a directory, and gives what is timed: so many operations, and what undoes them.
 *
 * @typedef {import('./vfs-sides.mjs').VfsSide} VfsSide
 *
 * @typedef {object} Work
 * @property {number} operations  how many one call of `run` makes
 * @property {() => void} run     timed
 * @property {() => void} [undo]  not timed
 * @property {() => void} end     leaves nothing of the row
 *
 * @typedef {object} VfsRow
 * @property {string} name
 * @property {string} title
 * @property {boolean} metadata   no file data moves
 * @property {'files' | 'bytes'} [grows]  what its cost must not depend on
 * @property {(side: VfsSide, present: number) => Work} prepare
 *   `present` is how many files the directory holds beforehand, or of a row that grows in bytes, how many the file does
 */

const O_RDWR = 2
const O_CREAT = 0o100
const O_EXCL = 0o200
const O_APPEND = 0o2000
const PAGE = 4096
/** Operations go to so many files, whatever the number of those that are there: neighbours, which were made one after the other.
 *  Spread over 100,000 they would be on as many pages of the machine's memory: a bare Map of JavaScript is 1.6 times as slow then. */
const BATCH = 1000

/** @param {VfsSide} side @param {string} path */
function touch(side, path) {
  side.close(side.open(side.path(path), O_RDWR | O_CREAT))
}

/** A directory of so many files, and the paths of BATCH of them. @param {VfsSide} side @param {number} present */
function filled(side, present) {
  side.mkdir(side.path('/d'))
  for (let i = 0; i < present; i++) touch(side, `/d/file-${i}`)
  const some = Array.from({ length: Math.min(BATCH, present) }, (_, i) =>
    side.path(`/d/file-${(present >> 1) + i - BATCH / 2}`),
  )
  return {
    some,
    end() {
      for (let i = 0; i < present; i++) side.unlink(side.path(`/d/file-${i}`))
      side.rmdir(side.path('/d'))
    },
  }
}

/** Paths that are free. @param {VfsSide} side */
const free = (side) => Array.from({ length: BATCH }, (_, i) => side.path(`/d/new-${i}`))

/** @param {string} name @param {string} title @param {(side: VfsSide, path: string) => void} use @returns {VfsRow} */
const onFiles = (name, title, use) => ({
  name,
  title,
  metadata: true,
  grows: 'files',
  prepare(side, present) {
    const { some, end } = filled(side, present)
    return {
      operations: some.length,
      run() {
        for (const path of some) use(side, path)
      },
      end,
    }
  },
})

/** @param {string} name @param {string} title @param {(side: VfsSide) => { path: string, end: () => void }} make @returns {VfsRow} */
const statOf = (name, title, make) => ({
  name,
  title,
  metadata: true,
  prepare(side) {
    const { path, end } = make(side)
    return {
      operations: BATCH,
      run() {
        for (let i = 0; i < BATCH; i++) side.stat(path)
      },
      end,
    }
  },
})

/** @param {number} depth @param {VfsSide} side */
export function deep(depth, side) {
  const directories = Array.from({ length: depth - 1 }, (_, i) => '/d'.repeat(i + 1))
  for (const directory of directories) side.mkdir(side.path(directory))
  const file = `${'/d'.repeat(depth - 1)}/f`
  touch(side, file)
  return {
    path: side.path(file),
    end() {
      side.unlink(side.path(file))
      for (const directory of directories.toReversed()) side.rmdir(side.path(directory))
    },
  }
}

/** @param {number} hops @param {VfsSide} side */
function linked(hops, side) {
  touch(side, '/link-0')
  for (let i = 1; i <= hops; i++) side.symlink(`link-${i - 1}`, side.path(`/link-${i}`))
  return {
    path: side.path(`/link-${hops}`),
    end() {
      for (let i = 0; i <= hops; i++) side.unlink(side.path(`/link-${i}`))
    },
  }
}

/** A file of so many bytes. @param {VfsSide} side @param {number} bytes @param {number} flags */
function opened(side, bytes, flags) {
  const path = side.path('/data')
  const fd = side.open(path, O_RDWR | O_CREAT | flags)
  const piece = new Uint8Array(1 << 20).fill(7)
  for (let left = bytes; left > 0; left -= piece.length) side.write(fd, piece.subarray(0, Math.min(left, piece.length)))
  return {
    fd,
    end() {
      side.close(fd)
      side.unlink(path)
    },
  }
}

const block = new Uint8Array(PAGE).fill(3)
const into = new Uint8Array(PAGE)

/** @type {readonly VfsRow[]} */
export const rows = [
  onFiles('stat', 'stat', (side, path) => side.stat(path)),
  {
    name: 'stat-missing',
    title: 'stat of a missing name',
    metadata: true,
    grows: 'files',
    prepare(side, present) {
      const { end } = filled(side, present)
      const paths = free(side)
      return {
        operations: BATCH,
        run() {
          for (const path of paths) if (!side.missing(path)) throw new Error(`${path} is there`)
        },
        end,
      }
    },
  },
  onFiles('open-close', 'open and close', (side, path) => side.close(side.open(path, 0))),
  {
    name: 'read-4k',
    title: 'read 4 KiB',
    metadata: false,
    prepare(side) {
      const { fd, end } = opened(side, 256 * PAGE, 0)
      return {
        operations: 256,
        run() {
          for (let i = 0; i < 256; i++) if (side.pread(fd, into, i * PAGE) !== PAGE) throw new Error('short read')
        },
        end,
      }
    },
  },
  {
    name: 'write-4k',
    title: 'write 4 KiB',
    metadata: false,
    prepare(side) {
      const { fd, end } = opened(side, 256 * PAGE, 0)
      return {
        operations: 256,
        run() {
          for (let i = 0; i < 256; i++) if (side.pwrite(fd, block, i * PAGE) !== PAGE) throw new Error('short write')
        },
        end,
      }
    },
  },
  {
    name: 'append-4k',
    title: 'append 4 KiB',
    metadata: false,
    grows: 'bytes',
    prepare(side, present) {
      const { fd, end } = opened(side, present, O_APPEND)
      return {
        operations: 256,
        run() {
          for (let i = 0; i < 256; i++) if (side.write(fd, block) !== PAGE) throw new Error('short write')
        },
        undo: () => side.truncate(fd, present),
        end,
      }
    },
  },
  {
    name: 'readdir',
    title: 'readdir, per entry',
    metadata: true,
    grows: 'files',
    prepare(side, present) {
      const { end } = filled(side, present)
      const path = side.path('/d')
      return {
        operations: present,
        run() {
          if (side.readdir(path) !== present) throw new Error('entries are missing')
        },
        end,
      }
    },
  },
  {
    name: 'create',
    title: 'create',
    metadata: true,
    grows: 'files',
    prepare(side, present) {
      const { end } = filled(side, present)
      const paths = free(side)
      return {
        operations: BATCH,
        run() {
          for (const path of paths) side.close(side.open(path, O_RDWR | O_CREAT | O_EXCL))
        },
        undo() {
          for (const path of paths) side.unlink(path)
        },
        end,
      }
    },
  },
  {
    name: 'unlink',
    title: 'unlink',
    metadata: true,
    grows: 'files',
    prepare(side, present) {
      const { some, end } = filled(side, present)
      return {
        operations: some.length,
        run() {
          for (const path of some) side.unlink(path)
        },
        undo() {
          for (const path of some) side.close(side.open(path, O_RDWR | O_CREAT))
        },
        end,
      }
    },
  },
  {
    name: 'rename',
    title: 'rename',
    metadata: true,
    grows: 'files',
    prepare(side, present) {
      const { some, end } = filled(side, present)
      const others = free(side)
      return {
        operations: 2 * some.length,
        run() {
          for (const [i, path] of some.entries()) side.rename(path, others[i] ?? '')
          for (const [i, path] of some.entries()) side.rename(others[i] ?? '', path)
        },
        end,
      }
    },
  },
  {
    name: 'mkdir-rmdir',
    title: 'mkdir and rmdir',
    metadata: true,
    grows: 'files',
    prepare(side, present) {
      const { end } = filled(side, present)
      const paths = free(side)
      return {
        operations: BATCH,
        run() {
          for (const path of paths) side.mkdir(path)
          for (const path of paths) side.rmdir(path)
        },
        end,
      }
    },
  },
  statOf('stat-deep', 'stat at depth 10', (side) => deep(10, side)),
  statOf('stat-links', 'stat over 8 links', (side) => linked(8, side)),
]

/** How much is there where ours and the peers are compared, and between which sizes ours must not grow. */
export const sizes = {
  files: { at: 1000, from: 1000, to: 100_000 },
  bytes: { at: 1 << 20, from: 1 << 20, to: 256 << 20 },
}
