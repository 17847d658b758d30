/**
 * The two sides of the fuzz test. Linux runs in a process of its own, whose ids and directory change; ours runs here, on what is
 * arranged in a new kernel for each sequence, in a directory of the same name.
 *
 * Invariant: a side leaves nothing behind: on ours no open file, no inode and no block; on Linux nothing in /dev/shm.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { ErrnoError } from '../../src/abi/errno.ts'
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_NOFOLLOW,
  O_DIRECTORY,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  SEEK_CUR,
} from '../../src/abi/linux.ts'
import { DeviceRegistry } from '../../src/devices/device-registry.ts'
import { overlayType } from '../../src/fs/overlay/overlay.ts'
import { tmpfsType } from '../../src/fs/tmpfs/tmpfs.ts'
import { createClock } from '../../src/host/clock.ts'
import { Task } from '../../src/kernel/task.ts'
import { inodesOf, picture } from '../../src/testing/trees.ts'
import { type Credentials, credentialsOf } from '../../src/vfs/context.ts'
import { VirtualDentry } from '../../src/vfs/mount.ts'
import { Vfs } from '../../src/vfs/vfs.ts'
import { WouldBlock } from '../../src/vfs/waiting.ts'
import { type Arrangement, arrangementOf, bare, type Laid, overlay } from './arrangements.ts'
import { DEPTH, type Operation, type Sequence } from './operations.ts'
import { type Free, GROUP, SHOWN_FLAGS, StatTeller, tellBytes, type User, users } from './trace.mjs'

/** Who the Linux side is, and where it works. */
export interface Place {
  readonly directory: string
  readonly uid: number
  readonly gid: number
  readonly groups: readonly number[]
}

/** What ours is compared with. */
export interface Reference {
  readonly place: Place
  run(sequence: Sequence, free: readonly Free[]): Promise<string[]>
  stop(): Promise<void>
}

/** Our own tmpfs, where what is to be shown is what layers change: several times as fast as Linux, and good for long runs. */
export const ourTmpfs: Reference = {
  place: { directory: `/dev/shm/ours${'/0'.repeat(DEPTH)}/w`, uid: 0, gid: 0, groups: [] },
  run: (sequence, free) => runOurs(ourTmpfs.place, sequence, { ...arrangementOf('tmpfs'), free }),
  stop: async () => {},
}

export class LinuxSide implements Reference {
  readonly place: Place
  readonly #base: string
  readonly #child: ChildProcess

  private constructor(place: Place, base: string, child: ChildProcess) {
    this.place = place
    this.#base = base
    this.#child = child
  }

  /** `script` is linux.mjs. Errors: where there is no /dev/shm. */
  static async start(script: string): Promise<LinuxSide> {
    const base = mkdtempSync('/dev/shm/runtab-fuzz-')
    chmodSync(base, 0o755)
    const child = fork(script, [base, String(DEPTH)], { execArgv: ['--v8-pool-size=0'] })
    return new LinuxSide((await answer(child)) as Place, base, child)
  }

  run(sequence: Sequence, free: readonly Free[]): Promise<string[]> {
    const trace = answer(this.#child) as Promise<string[]>
    this.#child.send({ ...sequence, free })
    return trace
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.disconnect()
    await ended
    rmSync(this.#base, { recursive: true, force: true })
  }
}

function answer(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null) => reject(new Error(`the Linux side ended with ${code}`))
    child.once('exit', ended)
    child.once('message', (message) => {
      child.off('exit', ended)
      resolve(message)
    })
  })
}

/** The trace of a sequence on ours. Rejects with what is thrown that is no ErrnoError. */
export async function runOurs(
  place: Place,
  sequence: Sequence,
  arrangement: Arrangement = arrangementOf('tmpfs'),
  as: readonly User[] = users,
): Promise<string[]> {
  const vfs = new Vfs(createClock(), new DeviceRegistry())
  for (const type of [tmpfsType, overlayType]) vfs.types.register(type)
  const laid = await arrangement.first(vfs)
  return new Run(vfs, place, arrangement, laid, as).run(sequence)
}

/** A task of root, each of whose calls is made until it need not wait any more. */
function newTask(vfs: Vfs, { superblock }: Laid): Task {
  const mount = vfs.newMount(superblock)
  vfs.newNamespace(mount)
  const task = new Task({ vfs, credentials: credentialsOf(0, 0), root: new VirtualDentry(mount, mount.root), umask: 0 })
  return new Proxy(task, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function'
        ? (...args: unknown[]) => untilDone(target, () => value.apply(target, args))
        : value
    },
  })
}

function untilDone(task: Task, call: () => unknown): unknown {
  try {
    for (let tries = 0; tries < 10_000; tries++) {
      try {
        return call()
      } catch (failure) {
        if (!(failure instanceof WouldBlock)) throw failure
      }
    }
    throw new Error('the call waits for ever')
  } finally {
    task.settle()
  }
}

const ROOT = credentialsOf(0, 0)

class Run {
  readonly #vfs: Vfs
  readonly #place: Place
  readonly #arrangement: Arrangement
  readonly #users: readonly User[]
  #laid: Laid
  /** What the layers below hold, which stays. */
  #below = ''
  #task: Task
  #slots: (number | undefined)[] = []
  readonly #teller: StatTeller

  constructor(vfs: Vfs, place: Place, arrangement: Arrangement, laid: Laid, as: readonly User[]) {
    this.#vfs = vfs
    this.#place = place
    this.#arrangement = arrangement
    this.#users = as
    this.#laid = laid
    this.#task = newTask(vfs, this.#laid)
    this.#teller = new StatTeller(arrangement.free)
  }

  async run({ umask, mode, operations }: Sequence): Promise<string[]> {
    const task = this.#task
    const { directory } = this.#place
    this.#makeDirectory()
    if (this.#place.uid === 0) task.fchownat(AT_FDCWD, directory, 0, GROUP, 0)
    task.fchmodat(AT_FDCWD, directory, mode, 0)
    task.chdir(directory)
    task.umask = umask
    const trace: string[] = []
    for (const operation of operations) {
      if (operation.call === 'layer') {
        trace.push(await this.#layer(umask))
        continue
      }
      // One task that changes its credentials, as the Linux side does, so that descriptors are everybody's.
      this.#become(operation)
      // A call that is made again and again lets nothing happen in between.
      if (operation.call === 'fsync') await this.#laid.volume?.store.settled()
      trace.push(this.#attempt(() => this.#perform(operation)))
    }
    this.#become(undefined)
    this.#slots.forEach((fd, slot) => {
      if (fd !== undefined) trace.push(this.#tellSlot(slot, fd))
    })
    this.#tellTree(this.#base, '', trace)
    trace.push(...this.#faults())
    return trace
  }

  /** Where what both sides have begins. */
  get #base(): string {
    return this.#place.directory
      .split('/')
      .slice(0, -DEPTH - 1)
      .join('/')
  }

  #makeDirectory(): void {
    let at = ''
    for (const name of this.#place.directory.split('/').slice(1)) {
      at += `/${name}`
      const stat = this.#task.statIfThere(AT_FDCWD, at, AT_SYMLINK_NOFOLLOW)
      if (stat && (stat.mode & S_IFMT) === S_IFDIR) continue
      if (stat) this.#task.unlinkat(AT_FDCWD, at, 0)
      this.#task.mkdirat(AT_FDCWD, at, 0o755)
      this.#task.fchownat(AT_FDCWD, at, this.#place.uid, this.#place.gid, 0)
    }
  }

  #tellSlot(slot: number, fd: number): string {
    const task = this.#task
    const flags = (task.getfl(fd) & SHOWN_FLAGS).toString(8)
    const stat = task.fstat(fd)
    const isFile = (stat.mode & S_IFMT) === S_IFREG
    // A descriptor that only names a file does not seek; Linux shows its position as 0.
    const where = isFile ? ` at ${task.descriptors.get(fd).isPath ? 0 : task.lseek(fd, 0, SEEK_CUR)}` : ''
    task.close(fd)
    return `slot ${slot}: ${this.#teller.tell(stat)} flags ${flags}${where}`
  }

  async #layer(umask: number): Promise<string> {
    this.#become(undefined)
    for (const fd of this.#slots) if (fd !== undefined) this.#task.close(fd)
    this.#slots = []
    this.#task.chdir('/')
    this.#keepFirstNames(this.#base, new Set())
    this.#makeDirectory()
    this.#task.release()
    this.#laid = await this.#arrangement.next(this.#vfs, this.#laid)
    this.#below = this.#picture()
    this.#task = newTask(this.#vfs, this.#laid)
    this.#task.chdir(this.#place.directory)
    this.#task.umask = umask
    this.#teller.forget()
    return 'ok'
  }

  #picture(): string {
    return JSON.stringify(this.#laid.lowers.map((lower) => picture(bare(lower))))
  }

  /** Names of a file behind its first one are removed. */
  #keepFirstNames(at: string, seen: Set<number>): void {
    for (const name of this.#names(at)) {
      const path = `${at}/${name}`
      const { ino, mode } = this.#task.fstatat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW)
      if ((mode & S_IFMT) === S_IFDIR) this.#keepFirstNames(path, seen)
      else if (seen.has(ino)) this.#task.unlinkat(AT_FDCWD, path, 0)
      else seen.add(ino)
    }
  }

  /** What must not be, at the end of any sequence: a line each. Nothing is left of what there was then. */
  #faults(): string[] {
    const faults: string[] = []
    const { superblock, upper, lowers } = this.#laid
    if (lowers.length > 0) {
      const [shown, reloaded] = [
        this.#raw(this.#task),
        this.#raw(newTask(this.#vfs, overlay(this.#vfs, lowers, upper))),
      ]
      if (shown !== reloaded) faults.push(`mounted anew: ${reloaded}, not ${shown}`)
    }
    this.#task.chdir('/')
    this.#remove('/dev')
    this.#task.release()
    if (this.#picture() !== this.#below && lowers.length > 0 && this.#below !== '')
      faults.push('a layer below has changed')
    const { blocks, blocksFree, files, filesFree } = upper.usage()
    const left = [...inodesOf(upper.root)]
    const charged = left.reduce((sum, inode) => sum + inode.blocks / 8, 0)
    if (blocks - blocksFree !== charged || files - filesFree !== left.length || superblock.opens !== 0) {
      faults.push(
        `leak: ${JSON.stringify(upper.usage())}, ${left.length} files of ${charged} blocks, ${superblock.opens} open`,
      )
    }
    if (lowers.length === 0 && left.length > 1) faults.push(`left over: ${JSON.stringify(picture(upper.root))}`)
    return faults
  }

  /** All that is there, with the numbers that it has. */
  #raw(task: Task): string {
    const lines: string[] = []
    const visit = (at: string) => {
      const { mode, ino, size, mtime } = task.fstatat(AT_FDCWD, at, AT_SYMLINK_NOFOLLOW)
      const isDirectory = (mode & S_IFMT) === S_IFDIR
      lines.push(`${at} ${mode.toString(8)} ${ino} ${isDirectory ? '' : size} ${mtime}`)
      if (isDirectory) for (const name of this.#names(at, task)) visit(`${at}/${name}`)
    }
    visit(this.#base)
    return lines.join('\n')
  }

  #become(operation: Operation | undefined): void {
    const { uid, gid, groups } = this.#place
    let credentials: Credentials = operation && uid !== 0 ? credentialsOf(uid, gid, groups) : ROOT
    // access(2) asks for the real ids, which stay those of root on the Linux side.
    if (operation && uid === 0 && operation.call !== 'access') {
      const user = this.#users[operation.as]!
      credentials = credentialsOf(user.uid, user.gid, user.groups)
    }
    Object.assign(this.#task, { credentials })
  }

  #attempt(operation: () => string): string {
    try {
      return operation()
    } catch (error) {
      if (error instanceof ErrnoError) return error.code
      return `thrown: ${error instanceof Error ? error.stack : String(error)}`
    }
  }

  #perform(operation: Exclude<Operation, { call: 'layer' }>): string {
    const task = this.#task
    const path = (text: string) => (text.startsWith('@') ? this.#place.directory + text.slice(1) : text)
    if (operation.call === 'open') {
      if (this.#slots[operation.slot] !== undefined) return 'slot in use'
      this.#slots[operation.slot] = task.openat(AT_FDCWD, path(operation.path), operation.flags, operation.mode)
      return 'ok'
    }
    if ('slot' in operation) {
      const fd = this.#slots[operation.slot]
      return fd === undefined ? 'slot not in use' : this.#performOn(fd, operation)
    }
    const at = path(operation.path)
    switch (operation.call) {
      case 'stat':
        return this.#teller.tell(task.fstatat(AT_FDCWD, at, 0))
      case 'lstat':
        return this.#teller.tell(task.fstatat(AT_FDCWD, at, AT_SYMLINK_NOFOLLOW))
      case 'readlink':
        return task.readlinkat(AT_FDCWD, at)
      case 'readdir':
        return this.#list(at)
          .map(({ name, kind }) => `${name} ${kind}`)
          .sort()
          .join(', ')
      case 'unlink':
        task.unlinkat(AT_FDCWD, at, 0)
        return 'ok'
      case 'rmdir':
        task.unlinkat(AT_FDCWD, at, AT_REMOVEDIR)
        return 'ok'
      case 'mkdir':
        task.mkdirat(AT_FDCWD, at, operation.mode)
        return 'ok'
      case 'chmod':
        task.fchmodat(AT_FDCWD, at, operation.mode, 0)
        return 'ok'
      case 'access':
        task.faccessat(AT_FDCWD, at, operation.mode, 0)
        return 'ok'
      case 'chown':
      case 'lchown':
        task.fchownat(AT_FDCWD, at, operation.uid, operation.gid, operation.call === 'chown' ? 0 : AT_SYMLINK_NOFOLLOW)
        return 'ok'
      case 'utimes':
      case 'lutimes': {
        const flags = operation.call === 'utimes' ? 0 : AT_SYMLINK_NOFOLLOW
        task.utimensat(AT_FDCWD, at, seconds(operation.atime), seconds(operation.mtime), flags)
        return 'ok'
      }
      case 'rename':
        task.renameat2(AT_FDCWD, at, AT_FDCWD, path(operation.to), 0)
        return 'ok'
      case 'link':
        task.linkat(AT_FDCWD, at, AT_FDCWD, path(operation.to), 0)
        return 'ok'
      case 'symlink':
        task.symlinkat(at, AT_FDCWD, path(operation.to))
        return 'ok'
    }
  }

  #performOn(fd: number, operation: Extract<Operation, { slot: number }>): string {
    const task = this.#task
    switch (operation.call) {
      case 'open':
      case 'close':
        this.#slots[operation.slot] = undefined
        task.close(fd)
        return 'ok'
      case 'fstat':
        return this.#teller.tell(task.fstat(fd))
      case 'fsync':
        task.fsync(fd)
        return 'ok'
      case 'read': {
        const { memory, ranges } = memoryOf(operation.lengths, 0)
        const { offset } = operation
        const count = offset === null ? task.readv(fd, memory, ranges) : task.preadv(fd, memory, ranges, offset)
        return `${count} ${tellBytes(memory.subarray(0, count))}`
      }
      case 'write': {
        const { memory, ranges } = memoryOf(operation.lengths, operation.fill)
        const { offset } = operation
        return String(offset === null ? task.writev(fd, memory, ranges) : task.pwritev(fd, memory, ranges, offset))
      }
      case 'ftruncate':
        task.ftruncate(fd, operation.size)
        return 'ok'
      // fchmod(2) and its like want an open file; the calls that stand for them here take O_PATH, too.
      case 'fchmod':
        this.#requireOpen(fd)
        task.fchmodat(fd, '', operation.mode, AT_EMPTY_PATH)
        return 'ok'
      case 'fchown':
        this.#requireOpen(fd)
        task.fchownat(fd, '', operation.uid, operation.gid, AT_EMPTY_PATH)
        return 'ok'
      case 'futimes':
        this.#requireOpen(fd)
        task.utimensat(fd, '', seconds(operation.atime), seconds(operation.mtime), AT_EMPTY_PATH)
        return 'ok'
    }
  }

  #requireOpen(fd: number): void {
    if (this.#task.descriptors.get(fd).isPath) throw new ErrnoError('EBADF')
  }

  /** As node does: getdents says ENOENT of a removed directory, of which readdir(3) makes an end, as POSIX has it. */
  #list(path: string, task = this.#task) {
    const fd = task.openat(AT_FDCWD, path, O_DIRECTORY, 0)
    try {
      return task.getdents(fd, 0, 1 << 20).filter(({ name }) => name !== '.' && name !== '..')
    } catch (error) {
      if (error instanceof ErrnoError && error.code === 'ENOENT') return []
      throw error
    } finally {
      task.close(fd)
    }
  }

  #names = (path: string, task = this.#task) =>
    this.#list(path, task)
      .map(({ name }) => name)
      .sort()

  #tellTree(at: string, name: string, trace: string[]): void {
    const task = this.#task
    const stat = task.fstatat(AT_FDCWD, at, AT_SYMLINK_NOFOLLOW)
    const type = stat.mode & S_IFMT
    const content =
      type === S_IFREG ? this.#content(at, stat.size) : type === S_IFLNK ? task.readlinkat(AT_FDCWD, at) : ''
    if (name !== '') trace.push(`${name}: ${this.#teller.tell(stat)} ${content}`)
    if (type === S_IFDIR) for (const each of this.#names(at)) this.#tellTree(`${at}/${each}`, `${name}/${each}`, trace)
  }

  #content(path: string, size: number): string {
    const fd = this.#task.openat(AT_FDCWD, path, 0, 0)
    // As node does: an empty file is read, too, which moves its atime.
    const memory = new Uint8Array(size + 1)
    const count = this.#task.readv(fd, memory, [0, size + 1])
    this.#task.close(fd)
    return tellBytes(memory.subarray(0, count))
  }

  #remove(path: string): void {
    const task = this.#task
    const isDirectory = (task.fstatat(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW).mode & S_IFMT) === S_IFDIR
    if (isDirectory) for (const name of this.#names(path)) this.#remove(`${path}/${name}`)
    task.unlinkat(AT_FDCWD, path, isDirectory ? AT_REMOVEDIR : 0)
  }
}

const seconds = (time: number) => BigInt(time) * 1_000_000_000n

/** One memory for all ranges, each filled with a value of its own. */
function memoryOf(lengths: readonly number[], fill: number): { memory: Uint8Array; ranges: number[] } {
  const memory = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0))
  const ranges: number[] = []
  let at = 0
  lengths.forEach((length, i) => {
    if (fill > 0) memory.fill(fill + i, at, at + length)
    ranges.push(at, length)
    at += length
  })
  return { memory, ranges }
}
