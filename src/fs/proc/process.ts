/** /proc/PID: what proc tells of one process, as a table. The texts are those of proc(5), to the column. */

import { ErrnoError } from '../../abi/errno.ts'
import { CAP_SYS_PTRACE } from '../../abi/linux.ts'
import { encodeUtf8, utf8Length } from '../../abi/utf8.ts'
import type { Context } from '../../vfs/context.ts'
import { type MountNamespace, VirtualDentry } from '../../vfs/mount.ts'
import { mountInfoText, mountStatsText, mountsText } from '../../vfs/mount-text.ts'
import { pathOf } from '../../vfs/path-print.ts'
import { type DirectoryNode, directory, type FileNode, file, type LinkNode, type Node, Table } from '../kernfs.ts'
import { Descriptors } from './descriptors.ts'
import type { ProcNamespace, ProcProcess, ProcSystem } from './kernel.ts'
import { limitsText } from './limits.ts'
import { network } from './network.ts'
import { statmText, statText, statusText } from './status.ts'

/** A process's directory, in `/proc` or, `inTask`, in its `task`. */
export function processDirectory(
  process: ProcProcess,
  namespace: ProcNamespace,
  system: ProcSystem,
  inTask = false,
): DirectoryNode {
  const owner = () => process.credentials
  const own = (node: FileNode): FileNode => ({ ...node, owner })
  const read = (text: () => string | Uint8Array, mode = 0o444) => own(file(text, { mode }))
  const guarded = (text: () => string | Uint8Array) =>
    own(file(text, { checkOpen: (context) => requireAccess(context, process) }))
  const place = (where: () => VirtualDentry | undefined) => placeLink(process, where)
  const ofMounts = (text: (mounts: MountNamespace, root: VirtualDentry) => string, mode?: number) =>
    read(() => (process.mounts ? text(process.mounts, process.root) : ''), mode)
  const nodes: Record<string, Node> = {
    cgroup: read(() => process.cgroups),
    cmdline: read(() => zeroEnded(process.args)),
    comm: own(
      file(() => `${process.command}\n`, {
        write: (text) => {
          process.command = cut(text.replace(/\n$/, ''))
        },
      }),
    ),
    cwd: place(() => process.cwd),
    environ: own(
      file(() => zeroEnded(process.env), { mode: 0o400, checkOpen: (context) => requireAccess(context, process) }),
    ),
    exe: place(() => process.executable),
    fd: directory(new Descriptors(process, (fd) => descriptorLink(process, fd)), { mode: 0o500, owner }),
    fdinfo: directory(new Descriptors(process, (fd) => guarded(() => descriptorText(process, fd))), { owner }),
    gid_map: own(file(() => idMap, { write: refuse })),
    io: read(() => ioText(process), 0o400),
    limits: read(() => limitsText(process)),
    maps: guarded(() => mapsText(process)),
    mem: own({ kind: 'file', mode: 0o600, read: noMemory, checkOpen: (context) => requireAccess(context, process) }),
    mountinfo: ofMounts(mountInfoText),
    mounts: ofMounts(mountsText),
    mountstats: ofMounts(mountStatsText, 0o400),
    net: directory(network(), { owner }),
    ns: directory(namespaceLinks(process), { mode: 0o511, owner }),
    oom_score: read(() => `${oomScore(process, system)}\n`),
    oom_score_adj: own(file(() => `${process.oomScoreAdj}\n`, { write: (text) => adjust(process, text) })),
    root: place(() => process.root),
    setgroups: own(file(() => 'allow\n', { write: refuse })),
    stat: read(() => statText(process, system)),
    statm: read(() => statmText(process)),
    status: read(() => statusText(process, system)),
    uid_map: own(file(() => idMap, { write: refuse })),
  }
  if (!inTask) nodes.task = directory(threads(process, namespace, system), { owner })
  return directory(nodes, { owner })
}

/** A process has one thread, of its own number. */
function threads(process: ProcProcess, namespace: ProcNamespace, system: ProcSystem): Table {
  return new Table({ [process.pid]: processDirectory(process, namespace, system, true) })
}

/**
 * Who may look into a process: itself, its user, or who may trace (ptrace(2), "Ptrace access mode checking").
 * Errors: EACCES.
 */
function requireAccess({ credentials: who }: Context, { credentials: whose }: ProcProcess): void {
  if (who === whose || (who.capabilities & CAP_SYS_PTRACE) !== 0) return
  const same = who.uid === whose.uid && who.uid === whose.realUid && who.gid === whose.gid && who.gid === whose.realGid
  if (!same || (whose.capabilities & ~who.capabilities) !== 0) throw new ErrnoError('EACCES')
}

/** A magic link to a place that a process holds. */
function placeLink(process: ProcProcess, where: () => VirtualDentry | undefined): LinkNode {
  const find = (context: Context) => {
    requireAccess(context, process)
    const place = where()
    if (!place) throw new ErrnoError('ENOENT')
    return place
  }
  return {
    kind: 'symlink',
    mode: 0o777,
    owner: () => process.credentials,
    target: (context) => {
      if (!context) throw new ErrnoError('ENOENT')
      return pathOf(find(context), context.root)
    },
    jump: find,
  }
}

function descriptorLink(process: ProcProcess, fd: number): LinkNode {
  const { descriptors } = process
  const mode = () => {
    if (!descriptors.has(fd)) return 0
    const { readable, writable } = descriptors.get(fd)
    return (readable ? 0o500 : 0) | (writable ? 0o300 : 0)
  }
  const where = () => {
    if (!descriptors.has(fd)) return undefined
    const { mount, dentry } = descriptors.get(fd)
    return new VirtualDentry(mount, dentry)
  }
  return { ...placeLink(process, where), mode }
}

/** /proc/PID/fdinfo/FD. Errors: ENOENT once it is closed. */
function descriptorText({ descriptors }: ProcProcess, fd: number): string {
  if (!descriptors.has(fd)) throw new ErrnoError('ENOENT')
  const { offset, flags, mount, inode, stream } = descriptors.get(fd)
  const more = stream?.information ?? ''
  return `pos:\t${offset}\nflags:\t0${flags.toString(8)}\nmnt_id:\t${mount.id}\nino:\t${inode.ino}\n${more}`
}

/** Links that name the process's namespaces: namespaces(7). They lead nowhere that could be opened. */
function namespaceLinks(process: ProcProcess): Record<string, Node> {
  const named = (type: string): LinkNode => ({
    ...placeLink(process, () => undefined),
    target: (context) => {
      if (!context) throw new ErrnoError('ENOENT')
      requireAccess(context, process)
      return `${type}:[${process.namespaces[type]}]`
    },
  })
  return Object.fromEntries(Object.keys(process.namespaces).map((type) => [type, named(type)]))
}

const zeroEnded = (texts: readonly string[]) => encodeUtf8(texts.map((text) => `${text}\0`).join(''))

/** TASK_COMM_LEN: 15 bytes and a NUL. */
export function cut(name: string): string {
  let short = name
  while (utf8Length(short) > 15) short = [...short].slice(0, -1).join('')
  return short
}

/** All ids mean themselves: user_namespaces(7). */
const idMap = `${[0, 0, 2 ** 32 - 1].map((n) => String(n).padStart(10)).join(' ')}\n`

/** Maps are written once, and were. */
function refuse(): never {
  throw new ErrnoError('EPERM')
}

/** A guest's memory is its thread's, which lends it to nobody. */
function noMemory(): never {
  throw new ErrnoError('EIO', undefined, "a guest's memory can't be read from outside")
}

function ioText({ io }: ProcProcess): string {
  return [
    `rchar: ${io.bytesRead}`,
    `wchar: ${io.bytesWritten}`,
    `syscr: ${io.reads}`,
    `syscw: ${io.writes}`,
    'read_bytes: 0',
    'write_bytes: 0',
    'cancelled_write_bytes: 0',
    '',
  ].join('\n')
}

/** One range: the linear memory of WebAssembly. Where its program, data and stack are in it only the program knows. */
function mapsText({ memory }: ProcProcess): string {
  if (memory === 0) return ''
  const hex = (n: number) => n.toString(16).padStart(8, '0')
  return `${`00000000-${hex(memory)} rw-p 00000000 00:00 0`.padEnd(73)}[heap]\n`
}

/** Thousandths of the machine's memory, and what was added. */
function oomScore({ memory, oomScoreAdj }: ProcProcess, { machine }: ProcSystem): number {
  return Math.min(1000, Math.max(0, Math.round((memory / machine.memory) * 1000) + oomScoreAdj))
}

/** Errors: EINVAL for what is no number from -1000 to 1000. */
function adjust(process: ProcProcess, text: string): void {
  const value = Number(text.trim())
  if (text.trim() === '' || !Number.isInteger(value) || Math.abs(value) > 1000) throw new ErrnoError('EINVAL')
  process.oomScoreAdj = value
}
