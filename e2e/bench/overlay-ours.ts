/** Ours for the overlay benchmark: a tmpfs beside overlays, their system calls called directly by a task of root's. */
import { AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR } from '../../src/abi/linux.ts'
import { DeviceRegistry } from '../../src/devices/device-registry.ts'
import { ContentReaders } from '../../src/fs/gofer/content.ts'
import { goferType } from '../../src/fs/gofer/gofer.ts'
import { overlayType } from '../../src/fs/overlay/overlay.ts'
import { tmpfsType } from '../../src/fs/tmpfs/tmpfs.ts'
import { createClock } from '../../src/host/clock.ts'
import { Task } from '../../src/kernel/task.ts'
import { credentialsOf } from '../../src/vfs/context.ts'
import type { Inode } from '../../src/vfs/inode.ts'
import { type Superblock, VirtualDentry } from '../../src/vfs/mount.ts'
import { Vfs } from '../../src/vfs/vfs.ts'

const PAGE = 4096
const GIB = 1 << 30
const NAMES = 10_000

export interface Work {
  /** How many operations one call of `run` makes. */
  readonly operations: number
  /** Not timed: what `run` needs anew each time. */
  prepare?(): void
  run(): void
}

export interface OverlayBench {
  /** By name; what is compared with what is the report's to say. */
  readonly works: Readonly<Record<string, Work>>
  /** Of the last first write to a file of 1 GiB: bytes read of the lower layer, 4 KiB blocks taken of the upper. */
  readonly first: { read: number; blocks: number }
}

export function overlayBench(): OverlayBench {
  const vfs = new Vfs(createClock(), new DeviceRegistry())
  const first = { read: 0, blocks: 0 }
  const blob = { size: GIB, lastModified: 0 }
  const blobs = {
    read(_: unknown, _start: number, length: number) {
      first.read += length
      return new Uint8Array(length)
    },
  }
  const unreachable = () => {
    throw new Error('nothing is fetched here')
  }
  const readers = new ContentReaders(blobs, { fetch: unreachable })
  for (const type of [tmpfsType, overlayType, goferType(readers)]) vfs.types.register(type)

  const taskOn = (superblock: Superblock): Task => {
    const mount = vfs.newMount(superblock)
    vfs.newNamespace(mount)
    return new Task({ vfs, credentials: credentialsOf(0, 0), root: new VirtualDentry(mount, mount.root) })
  }
  const tmpfs = () => vfs.newFilesystem({ type: 'tmpfs' })
  const overlay = (lowers: readonly Inode[], upper = tmpfs()) =>
    vfs.newFilesystem({ type: 'overlay', internal: { upper: upper.root.inode, lowers } })
  const layerOf = (names: Iterable<string>): Inode => {
    const superblock = tmpfs()
    const task = taskOn(superblock)
    task.mkdirat(AT_FDCWD, 'd', 0o755)
    for (const name of names) task.close(task.openat(AT_FDCWD, `d/${name}`, O_CREAT | O_RDWR, 0o644))
    task.release()
    return superblock.root.inode
  }
  const range = (from: number, count: number) => Array.from({ length: count }, (_, i) => `file-${from + i}`)
  const all = range(0, NAMES)

  /** A file of 1 MiB, written at first by the task itself. */
  const pages = (superblock: Superblock, work: (task: Task, fd: number, offset: number) => void): Work => {
    const task = taskOn(superblock)
    const fd = task.openat(AT_FDCWD, 'data', O_CREAT | O_RDWR, 0o644)
    task.pwritev(fd, new Uint8Array(256 * PAGE).fill(7), [0, 256 * PAGE], 0)
    return {
      operations: 256,
      run() {
        for (let i = 0; i < 256; i++) work(task, fd, i * PAGE)
      },
    }
  }
  const block = new Uint8Array(PAGE).fill(3)
  const whole = [0, PAGE]
  const read = (task: Task, fd: number, offset: number) => void task.preadv(fd, block, whole, offset)
  const write = (task: Task, fd: number, offset: number) => void task.pwritev(fd, block, whole, offset)
  const empty = [layerOf([])]

  /** On a new overlay, or a new mount, each time: what was seen is not known any more. */
  const anew = (operations: number, mount: () => Superblock, work: (task: Task) => void): Work => {
    let task: Task | undefined
    return {
      operations,
      prepare() {
        task?.release()
        task = taskOn(mount())
      },
      run: () => work(task!),
    }
  }
  const statAll = (task: Task) => {
    for (const name of all) task.fstatat(AT_FDCWD, `d/${name}`, 0)
  }
  const list = (task: Task) => {
    const fd = task.openat(AT_FDCWD, 'd', O_RDONLY, 0)
    let count = 0
    for (let cookie = 2; ; ) {
      const entries = task.getdents(fd, cookie, 32_768)
      if (entries.length === 0) break
      count += entries.length
      cookie = entries.at(-1)!.cookie
    }
    task.close(fd)
    if (count !== NAMES) throw new Error(`${count} entries`)
  }
  const ten = <T>(make: (i: number) => T) => Array.from({ length: 10 }, (_, i) => make(i))
  const one = [layerOf(all)]
  const lookedThrough = [...ten(() => layerOf([])).slice(1), ...one]
  const spread = ten((i) => layerOf(range(i * (NAMES / 10), NAMES / 10)))
  const same = ten(() => layerOf(all))
  const flat = tmpfs()
  const flatTask = taskOn(flat)
  flatTask.mkdirat(AT_FDCWD, 'd', 0o755)
  for (const name of all) flatTask.close(flatTask.openat(AT_FDCWD, `d/${name}`, O_CREAT | O_RDWR, 0o644))

  const image = vfs.newFilesystem({
    type: 'gofer',
    internal: { entries: [{ path: 'large', kind: 'file', content: blob }] },
  })
  let upper: Superblock | undefined
  let large: { task: Task; fd: number } | undefined
  let small: { task: Task; fd: number } | undefined
  const used = () => {
    const { blocks, blocksFree } = upper!.filesystem.usage()
    return blocks - blocksFree
  }
  return {
    first,
    works: {
      'read tmpfs': pages(tmpfs(), read),
      'read overlay': pages(overlay(empty), read),
      'write tmpfs': pages(tmpfs(), write),
      'write overlay': pages(overlay(empty), write),
      'lookup 1': anew(NAMES, () => overlay(one), statAll),
      'lookup 10': anew(NAMES, () => overlay(lookedThrough), statAll),
      'readdir tmpfs': { operations: NAMES, run: () => list(flatTask) },
      'readdir spread': anew(NAMES, () => overlay(spread), list),
      'readdir same': anew(NAMES, () => overlay(same), list),
      // A page of 64 KiB is brought to memory, by one call, of a file that was opened before.
      'first tmpfs': {
        operations: 1,
        prepare() {
          const task = taskOn(tmpfs())
          const fd = task.openat(AT_FDCWD, 'large', O_RDWR | O_CREAT, 0o644)
          small = { task, fd }
        },
        run: () => void small!.task.pwritev(small!.fd, block, whole, GIB / 2),
      },
      'first overlay': {
        operations: 1,
        prepare() {
          upper = tmpfs()
          const task = taskOn(overlay([image.root.inode], upper))
          first.read = 0
          const fd = task.openat(AT_FDCWD, 'large', O_RDWR, 0)
          task.fchmodat(AT_FDCWD, 'large', 0o600, 0)
          large = { task, fd }
        },
        run() {
          large!.task.pwritev(large!.fd, block, whole, GIB / 2)
          first.blocks = used()
        },
      },
    },
  }
}
