/**
 * Scripts of mount operations: data that a kernel of ours runs, and that e2e/tools/linux-mounts.py runs on Linux. What comes of one is
 * compared: the answer to each operation, and each task's mount table at the end.
 */

import { ErrnoError } from '../abi/errno.ts'
import { AT_FDCWD, AT_REMOVEDIR, O_CREAT, O_EXCL, O_PATH, O_RDONLY, O_WRONLY } from '../abi/linux.ts'
import * as ms from '../abi/mount-flags.ts'
import type { Clock } from '../abi/platform.ts'
import { DeviceRegistry } from '../devices/device-registry.ts'
import { tmpfsType } from '../fs/tmpfs/tmpfs.ts'
import { MountCalls } from '../kernel/mount-calls.ts'
import { Task } from '../kernel/task.ts'
import { credentialsOf } from '../vfs/context.ts'
import { releaseNamespace } from '../vfs/mount-tree.ts'
import { Vfs } from '../vfs/vfs.ts'
import { checkMountTree, liveCounts } from './check-mounts.ts'

/** The task's number, the operation, its arguments. */
export type Operation = readonly [task: number, name: string, ...args: (string | number | null)[]]

export interface Outcome {
  /** `ok`, an error's name, or what was asked for. */
  readonly results: readonly unknown[]
  /** The lines of mountinfo that each task sees at the end. */
  readonly tables: readonly (readonly string[])[]
}

const FLAGS: Record<string, number> = {
  rdonly: ms.MS_RDONLY,
  nosuid: ms.MS_NOSUID,
  nodev: ms.MS_NODEV,
  noexec: ms.MS_NOEXEC,
  remount: ms.MS_REMOUNT,
  noatime: ms.MS_NOATIME,
  nodiratime: ms.MS_NODIRATIME,
  bind: ms.MS_BIND,
  move: ms.MS_MOVE,
  rec: ms.MS_REC,
  unbindable: ms.MS_UNBINDABLE,
  private: ms.MS_PRIVATE,
  slave: ms.MS_SLAVE,
  shared: ms.MS_SHARED,
  relatime: ms.MS_RELATIME,
  strictatime: ms.MS_STRICTATIME,
}

const bits = (names: string) =>
  names
    .split(',')
    .filter(Boolean)
    .reduce((sum, name) => sum | FLAGS[name]!, 0)

/** A task of a script, with its descriptors by name. */
export interface Actor {
  readonly task: Task
  readonly calls: MountCalls
  readonly fds: Map<string, number>
}

/** A kernel with one task, whose root is a tmpfs that covers the first root, as on Linux; all mounts are private. */
export class MountScript {
  readonly vfs: Vfs
  readonly actors: Actor[] = []

  constructor(options: { limit?: number } = {}) {
    let now = 0n
    const clock: Clock = { realtime: () => now++, coarse: () => now, monotonic: () => now }
    this.vfs = new Vfs(clock, new DeviceRegistry())
    this.vfs.types.register(tmpfsType)
    const newMount = (source: string) =>
      this.vfs.newMount(this.vfs.newFilesystem({ type: 'tmpfs', source }), { source })
    const namespace = this.vfs.newNamespace(newMount('first'), options)
    this.vfs.attach(newMount('base'), namespace.rootPlace)
    this.#add(new Task({ vfs: this.vfs, credentials: credentialsOf(0, 0), root: namespace.rootPlace }))
    releaseNamespace(namespace)
  }

  #add(task: Task): void {
    this.actors.push({ task, calls: new MountCalls(this.vfs, task), fds: new Map() })
  }

  /** Errors: none but bugs. */
  run([i, name, ...args]: Operation): unknown {
    const actor = this.actors[i]!
    try {
      return this.#call(actor, name, args) ?? 'ok'
    } catch (error) {
      if (!(error instanceof ErrnoError)) throw error
      return error.code
    } finally {
      actor.task.settle()
    }
  }

  #call({ task, calls, fds }: Actor, name: string, args: readonly (string | number | null)[]): unknown {
    const [a, b, c] = args as string[]
    const fd = (key: string | null | undefined) => {
      if (key === null || key === undefined) return AT_FDCWD
      const found = fds.get(key)
      if (found === undefined) throw new ErrnoError('EBADF')
      return found
    }
    switch (name) {
      case 'mount':
        return calls.mount(a!, {
          source: b ?? '',
          type: c ?? '',
          flags: bits(args[3] as string),
          data: String(args[4] ?? ''),
        })
      case 'umount':
        return calls.umount2(a!, args[1] as number)
      case 'mkdir':
        return task.mkdirat(AT_FDCWD, a!, 0o777)
      case 'rmdir':
        return task.unlinkat(AT_FDCWD, a!, AT_REMOVEDIR)
      case 'unlink':
        return task.unlinkat(AT_FDCWD, a!, 0)
      case 'create':
        return task.close(task.openat(AT_FDCWD, a!, O_CREAT | O_EXCL | O_WRONLY, 0o644))
      case 'rename':
        return task.renameat2(AT_FDCWD, a!, AT_FDCWD, b!, 0)
      case 'stat':
        return void task.fstatat(AT_FDCWD, a!, 0)
      case 'chdir':
        return task.chdir(a!)
      case 'chroot':
        return calls.chroot(a!)
      case 'pivot':
        return calls.pivotRoot(a!, b!)
      case 'open':
        return void fds.set(a!, task.openat(AT_FDCWD, b!, c === 'r' ? O_RDONLY : c === 'w' ? O_WRONLY : O_PATH, 0))
      case 'close':
        task.close(fd(a))
        return void fds.delete(a!)
      case 'opentree':
        return void fds.set(a!, calls.openTree(fd(b), c!, args[3] as number))
      case 'movemount':
        return calls.moveMount(fd(a), b!, fd(c), args[3] as string, args[4] as number)
      case 'unshare':
        return calls.unshare()
      case 'unshareuser':
        return calls.unshare({ name: `user ${this.actors.length}` })
      case 'getcwd':
        return calls.getcwd(4096)
      case 'fork': {
        const { vfs } = this
        const { credentials, root, cwd, namespace } = task
        this.#add(new Task({ vfs, credentials, root, cwd, namespace }))
        const child = this.actors.at(-1)!
        for (const [key, number] of fds) {
          const file = task.descriptors.get(number)
          file.refs++
          child.fds.set(key, child.task.descriptors.add(file))
        }
        return undefined
      }
    }
    throw new Error(`no operation ${name}`)
  }

  get tables(): string[][] {
    return this.actors.map(({ calls }) => calls.mountinfo.split('\n').filter(Boolean))
  }

  /** Ends all tasks, and with them their namespaces. */
  release(): void {
    for (const { task } of this.actors) task.release()
    this.actors.length = 0
  }
}

export function runScript(operations: readonly Operation[]): Outcome {
  const script = new MountScript()
  const results = operations.map((operation) => script.run(operation))
  const { tables } = script
  script.release()
  return { results, tables }
}

interface Line {
  readonly id: string
  readonly parent: string
  readonly text: string
  readonly path: string
  readonly tags: readonly string[]
}

/**
 * Tables in a form that does not depend on numbers: each mount below its parent, those of one parent in the order of their paths,
 * peer groups named in the order in which they come.
 */
export function picture(tables: readonly (readonly string[])[]): string[] {
  const groups = new Map<string, string>()
  const name = (tag: string) => {
    const [kind, id] = tag.split(':')
    if (id === undefined) return tag
    if (!groups.has(id)) groups.set(id, `g${groups.size + 1}`)
    return `${kind}:${groups.get(id)}`
  }
  return tables.flatMap((table, i) => {
    const lines = table.map(parseLine)
    const ids = new Set(lines.map(({ id }) => id))
    const isTop = ({ id, parent }: Line) => parent === id || !ids.has(parent)
    const below = new Map<string, Line[]>()
    for (const line of lines) {
      if (isTop(line)) continue
      const others = below.get(line.parent)
      if (others) others.push(line)
      else below.set(line.parent, [line])
    }
    const drawn: string[] = []
    const draw = ({ id, text, tags }: Line, indent: string) => {
      drawn.push(`${i}${indent}${[text, ...tags.map(name)].join(' ')}`)
      for (const child of (below.get(id) ?? []).sort(byPath)) draw(child, `${indent}  `)
    }
    for (const top of lines.filter(isTop).sort(byPath)) draw(top, ' ')
    return drawn
  })
}

const byPath = (a: Line, b: Line) => (a.path < b.path ? -1 : a.path > b.path ? 1 : a.text < b.text ? -1 : 1)

function parseLine(line: string): Line {
  const fields = line.split(' ')
  const dash = fields.indexOf('-')
  const [id, parent, , root, path, options] = fields as [string, string, string, string, string, string]
  const source = fields[dash + 2]!
  return { id, parent, path, tags: fields.slice(6, dash), text: `${path} ${source}:${root} ${options}` }
}

/** A script that is written step by step, in a test: steps must succeed, or fail with what is said. */
export class MountWorld extends MountScript {
  /** Steps of the first task that must succeed. Errors: a plain Error with the step and its answer. */
  ok(...steps: readonly (readonly [name: string, ...args: (string | number | null)[]])[]): void {
    for (const step of steps) this.okAs(0, step)
  }

  okAs(task: number, ...steps: readonly (readonly [name: string, ...args: (string | number | null)[]])[]): void {
    for (const [name, ...args] of steps) {
      const answer = this.run([task, name, ...args])
      if (answer !== 'ok') throw new Error(`${name} ${args.join(' ')}: ${answer}`)
    }
  }

  /** What a step of the first task answers. */
  try(name: string, ...args: (string | number | null)[]): unknown {
    return this.run([0, name, ...args])
  }

  /** The mounts that a task sees: paths with what is mounted there and where it begins, and the tags of propagation. */
  seen(task = 0): string[] {
    return picture([this.tables[task]!]).map((line) =>
      line
        .slice(1)
        .trim()
        .replace(/ r[wo](,\S+)?(?= |$)/, ''),
    )
  }

  /** Ends everything. Errors: a plain Error that says what is broken or left. */
  end(): void {
    const faults = checkMountTree(this.vfs)
    this.release()
    faults.push(...checkMountTree(this.vfs))
    const { devices, ...rest } = liveCounts(this.vfs)
    if (devices !== 1 || Object.values(rest).some((count) => count !== 0))
      faults.push(JSON.stringify({ devices, ...rest }))
    if (faults.length > 0) throw new Error(faults.join('\n'))
  }
}
