/**
 * proc(5): what the kernel knows of itself and of a container's processes, as files.
 *
 * Invariants: a proc shows the processes of one pid namespace, whoever looks. Nothing is kept for it and nothing is made until
 * somebody looks; a process's directory is the same file until the process has ended.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { Context } from '../../vfs/context.ts'
import type { FilesystemType, MountRequest } from '../../vfs/filesystem.ts'
import { type Child, type Children, directory, KernfsFilesystem, type LinkNode, type Node, Table } from '../kernfs.ts'
import { numberOf } from './descriptors.ts'
import type { ProcNamespace, ProcProcess, ProcSystem } from './kernel.ts'
import { processDirectory } from './process.ts'
import { systemFiles } from './system.ts'

/** PROC_SUPER_MAGIC (linux/magic.h). */
const MAGIC = 0x9fa0
/** Where processes begin in the listing: FIRST_PROCESS_ENTRY of fs/proc/internal.h. First come the two links. */
const FIRST_PROCESS = 256

/** `namespaceOf` says whose processes a new mount shows. */
export function procType(
  system: ProcSystem,
  namespaceOf: (request: MountRequest) => ProcNamespace | undefined,
): FilesystemType {
  return {
    name: 'proc',
    userMountable: true,
    userListable: true,
    /** Errors: EINVAL for unknown options, and for who is among no processes. */
    mount(request) {
      requireOptions(request.data)
      const { dev, clock } = request
      const namespace = namespaceOf(request)
      if (!namespace)
        throw new ErrnoError('EINVAL', undefined, 'proc shows the processes of who mounts it, who is among none')
      const root = directory(new ProcRoot(system, namespace))
      return new KernfsFilesystem({ type: 'proc', dev, clock, magic: MAGIC, root, fixed: true })
    },
  }
}

/** `hidepid` and `gid` are Linux's, of which hidepid=0 is what is done here. Errors: EINVAL. */
function requireOptions(data: string): void {
  for (const option of data.split(',').filter(Boolean)) {
    if (!/^(hidepid=(0|off)|gid=\d+)$/.test(option)) {
      throw new ErrnoError('EINVAL', undefined, `proc does not know the option "${option}"`)
    }
  }
}

class ProcRoot implements Children {
  readonly changes = true
  readonly #table: Table
  readonly #links: Readonly<Record<string, Node>>
  readonly #system: ProcSystem
  readonly #namespace: ProcNamespace
  readonly #directories = new WeakMap<ProcProcess, Node>()

  constructor(system: ProcSystem, namespace: ProcNamespace) {
    this.#system = system
    this.#namespace = namespace
    this.#table = new Table(systemFiles(system, namespace))
    this.#links = {
      self: ownLink(namespace, ({ pid }) => String(pid)),
      'thread-self': ownLink(namespace, ({ pid }) => `${pid}/task/${pid}`),
    }
  }

  find(name: string): Node | undefined {
    const pid = numberOf(name)
    if (pid === undefined) return this.#table.find(name) ?? this.#links[name]
    const process = this.#namespace.get(pid)
    return process && this.#directory(process)
  }

  *list(): Generator<Child> {
    yield* this.#table.list()
    let cookie = FIRST_PROCESS
    for (const [name, node] of Object.entries(this.#links)) yield { name, node, cookie: cookie++ }
    for (const process of this.#namespace.all()) {
      yield { name: String(process.pid), node: this.#directory(process), cookie: cookie + process.pid }
    }
  }

  #directory(process: ProcProcess): Node {
    let node = this.#directories.get(process)
    if (node === undefined) {
      node = processDirectory(process, this.#namespace, this.#system)
      this.#directories.set(process, node)
    }
    return node
  }
}

/** A link that leads each process to itself. Errors: ENOENT for who is none here. */
function ownLink(namespace: ProcNamespace, target: (process: ProcProcess) => string): LinkNode {
  return {
    kind: 'symlink',
    mode: 0o777,
    target: (context: Context | undefined) => {
      const process = context && namespace.of(context)
      if (!process) throw new ErrnoError('ENOENT')
      return target(process)
    },
  }
}
