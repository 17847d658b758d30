/** What the VFS benchmark measures: ours, memfs, ZenFS and node:fs on a real tmpfs, behind the same few calls. Each is called
 *  as its users call it: ours by the system calls of a task, the others by their synchronous node:fs.
 *
 *  Paths go through `path` once, before anything is measured.
 *
 * @typedef {object} VfsSide
 * @property {'ours' | 'memfs' | 'zenfs' | 'node'} name
 * @property {(path: string) => string} path       an absolute path as this side wants it
 * @property {(path: string) => unknown} stat
 * @property {(path: string) => boolean} missing   a stat of what is not there; true
 * @property {(path: string, flags: number) => number} open
 * @property {(fd: number) => void} close
 * @property {(fd: number, memory: Uint8Array, offset: number) => number} pread
 * @property {(fd: number, memory: Uint8Array, offset: number) => number} pwrite
 * @property {(fd: number, memory: Uint8Array) => number} write
 * @property {(fd: number, size: number) => void} truncate
 * @property {(path: string) => number} readdir    how many entries, all of which were made into names
 * @property {(path: string) => void} mkdir
 * @property {(path: string) => void} rmdir
 * @property {(path: string) => void} unlink
 * @property {(from: string, to: string) => void} rename
 * @property {(target: string, path: string) => void} symlink
 * @property {() => void} end
 */
import nodeFs from 'node:fs'
import { configureSingle, InMemory, fs as zen } from '@zenfs/core'
import { Volume } from 'memfs'
import { importSource } from '../tools/import-source.mjs'

const AT_FDCWD = -100
const AT_REMOVEDIR = 0x200

/** Bundles the code of ours as it would be shipped. @returns {Promise<{ makeOurs(): import('./vfs-ours.ts').Ours }>} */
export async function loadOurs() {
  return importSource('e2e/bench/vfs-ours.ts')
}

/** @param {import('./vfs-ours.ts').Ours} ours @returns {VfsSide} */
export function oursSide({ task }) {
  const range = [0, 0]
  /** @param {Uint8Array} memory */
  const whole = (memory) => {
    range[1] = memory.length
    return range
  }
  return {
    name: 'ours',
    path: (path) => path,
    stat: (path) => task.fstatat(AT_FDCWD, path, 0),
    missing: (path) => task.statIfThere(AT_FDCWD, path, 0) === undefined,
    open: (path, flags) => task.openat(AT_FDCWD, path, flags, 0o644),
    close: (fd) => task.close(fd),
    pread: (fd, memory, offset) => task.preadv(fd, memory, whole(memory), offset),
    pwrite: (fd, memory, offset) => task.pwritev(fd, memory, whole(memory), offset),
    write: (fd, memory) => task.writev(fd, memory, whole(memory)),
    truncate: (fd, size) => task.ftruncate(fd, size),
    readdir(path) {
      const fd = task.openat(AT_FDCWD, path, 0o200000, 0)
      let count = -2
      for (let cookie = 0; ; ) {
        const batch = task.getdents(fd, cookie, 65_536)
        if (batch.length === 0) break
        count += batch.length
        cookie = batch[batch.length - 1]?.cookie ?? 0
      }
      task.close(fd)
      return count
    },
    mkdir: (path) => task.mkdirat(AT_FDCWD, path, 0o755),
    rmdir: (path) => task.unlinkat(AT_FDCWD, path, AT_REMOVEDIR),
    unlink: (path) => task.unlinkat(AT_FDCWD, path, 0),
    rename: (from, to) => task.renameat2(AT_FDCWD, from, AT_FDCWD, to, 0),
    symlink: (target, path) => task.symlinkat(target, AT_FDCWD, path),
    end: () => task.release(),
  }
}

/** @returns {VfsSide} */
export function memfsSide() {
  const volume = new Volume()
  // Its types are those of node:fs, but for what is not used here.
  return nodeLike(
    'memfs',
    /** @type {typeof nodeFs} */ (/** @type {unknown} */ (volume)),
    (path) => path,
    () => {},
  )
}

/** ZenFS has one tree per module. @returns {Promise<VfsSide>} */
export async function zenfsSide() {
  await configureSingle({ backend: InMemory })
  return nodeLike(
    'zenfs',
    /** @type {typeof nodeFs} */ (/** @type {unknown} */ (zen)),
    (path) => path,
    () => {},
  )
}

/** On an empty directory of a tmpfs, which is made the working directory, so that paths are no longer than the others'.
 *  @returns {VfsSide} */
export function nodeSide() {
  const base = nodeFs.mkdtempSync('/dev/shm/runtab-bench-')
  const before = process.cwd()
  process.chdir(base)
  return nodeLike(
    'node',
    nodeFs,
    (path) => path.slice(1),
    () => {
      process.chdir(before)
      nodeFs.rmSync(base, { recursive: true })
    },
  )
}

/**
 * @param {'memfs' | 'zenfs' | 'node'} name
 * @param {typeof nodeFs} fs
 * @param {(path: string) => string} path
 * @param {() => void} end
 * @returns {VfsSide}
 */
function nodeLike(name, fs, path, end) {
  const quiet = { throwIfNoEntry: false }
  return {
    name,
    path,
    stat: (path) => fs.statSync(path),
    // ZenFS throws all the same.
    missing(path) {
      try {
        return fs.statSync(path, quiet) === undefined
      } catch {
        return true
      }
    },
    open: (path, flags) => fs.openSync(path, flags, 0o644),
    close: (fd) => fs.closeSync(fd),
    pread: (fd, memory, offset) => fs.readSync(fd, memory, 0, memory.length, offset),
    pwrite: (fd, memory, offset) => fs.writeSync(fd, memory, 0, memory.length, offset),
    write: (fd, memory) => fs.writeSync(fd, memory, 0, memory.length, null),
    truncate: (fd, size) => fs.ftruncateSync(fd, size),
    readdir: (path) => fs.readdirSync(path).length,
    mkdir: (path) => void fs.mkdirSync(path),
    rmdir: (path) => fs.rmdirSync(path),
    unlink: (path) => fs.unlinkSync(path),
    rename: (from, to) => fs.renameSync(from, to),
    symlink: (target, path) => fs.symlinkSync(target, path),
    end,
  }
}
