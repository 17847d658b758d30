/**
 * devpts: a directory of terminals, each an entry by its number, and `ptmx`, which makes one (pts(4)).
 *
 * Invariants: every mount is an instance of its own. A terminal has an entry until it is hung up, and its number, with the inode
 * number 3 above it, until nobody has it open either; then the number is given again, the lowest free one first, as on Linux.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { O_ACCMODE, O_RDWR, O_WRONLY } from '../../abi/linux.ts'
import type { Device } from '../../devices/device-registry.ts'
import type { PseudoTerminal } from '../../devices/pseudo-terminal.ts'
import { PTS_MAJOR, TTY_MAJOR } from '../../devices/terminal-devices.ts'
import { TerminalMaster } from '../../devices/terminal-master.ts'
import type { Context, Credentials } from '../../vfs/context.ts'
import { FileDescription } from '../../vfs/description.ts'
import type { FilesystemType, MountRequest } from '../../vfs/filesystem.ts'
import { FreeNumbers } from '../../vfs/free-numbers.ts'
import {
  type DirectoryInode,
  FIRST_COOKIE,
  type Filesystem,
  type FilesystemUsage,
  type Inode,
  type ListedEntry,
  type SpecialInode,
} from '../../vfs/inode.ts'
import { makeDevice } from '../../vfs/kinds.ts'
import { MemoryInode } from '../../vfs/memory-inode.ts'
import { topmost, VirtualDentry } from '../../vfs/mount.ts'
import { invalidate } from '../../vfs/mount-points.ts'
import { resolve } from '../../vfs/path-walk.ts'
import { simpleUsage } from '../../vfs/statfs.ts'
import { notifyCreated, notifyRemoved } from '../../vfs/watches.ts'
import { type DevptsOptions, devptsOptionsText, parseDevptsOptions } from './options.ts'

/** DEVPTS_SUPER_MAGIC (linux/magic.h). */
const MAGIC = 0x1cd1
const ROOT_INO = 1
const PTMX_INO = 2
const FIRST_INO = 3
const PTMX_MINOR = 2
/** In listings ptmx comes first. */
const PTMX_COOKIE = FIRST_COOKIE

export const devptsType: FilesystemType = {
  name: 'devpts',
  userMountable: true,
  userListable: true,
  mount: (request) => new Devpts(request),
}

/** What makes terminals, and what opens them by their names: devices, to be registered. */
export const terminalPairs: readonly Device[] = [
  {
    kind: 'char',
    major: TTY_MAJOR,
    minor: PTMX_MINOR,
    group: '/dev/ptmx',
    open(context, { place }) {
      const root = instanceOf(context, place)
      const devpts = root.dentry.inode.filesystem as Devpts
      const index = devpts.take()
      const master = new TerminalMaster(index, context)
      devpts.enter(index, master.terminal, context.credentials, context.clock.coarse(), root)
      return master
    },
  },
  {
    kind: 'char',
    major: PTS_MAJOR,
    group: 'pts',
    open({ session }, { place, flags }) {
      const { inode } = place.dentry
      if (!(inode instanceof NamedTerminal)) throw new ErrnoError('EIO', undefined, 'terminals are opened in a devpts')
      const stream = inode.terminal.open()
      if (session && (flags & O_ACCMODE) !== O_WRONLY) inode.terminal.control(session)
      return stream
    },
  },
]

/** The devpts on /dev/pts, if there is one. */
export function terminalsOf(context: Context): VirtualDentry | undefined {
  try {
    const place = resolve(context, context.root, '/dev/pts', true)
    return isDevpts(place) ? place : undefined
  } catch (error) {
    if (error instanceof ErrnoError) return undefined
    throw error
  }
}

/** A terminal's slave end, open under a name of its own. Errors: ENOSPC. */
export function openNamed(
  root: VirtualDentry,
  terminal: PseudoTerminal,
  by: Credentials,
  now: bigint,
): FileDescription {
  const devpts = root.dentry.inode.filesystem as Devpts
  const entry = devpts.enter(devpts.take(), terminal, by, now, root)
  return new FileDescription(entry, O_RDWR, terminal.open())
}

/**
 * The instance that a node of ptmx is for: the one it lies in, or else what is mounted on `pts` beside it.
 * Errors: ENOENT, ENODEV.
 */
function instanceOf(context: Context, place: VirtualDentry): VirtualDentry {
  let { mount, dentry } = place
  if (dentry.inode.filesystem instanceof Devpts) return new VirtualDentry(mount, mount.superblock.root)
  // A node that was bound to a place is looked for beside that place.
  while (dentry === mount.root && mount.parent && mount.point) {
    dentry = mount.point
    mount = mount.parent
  }
  const pts = dentry.parent?.child('pts', context.attempt)
  if (!pts) throw new ErrnoError('ENOENT', undefined, 'there is no pts beside this ptmx')
  const beside = topmost(new VirtualDentry(mount, pts))
  if (!isDevpts(beside)) throw new ErrnoError('ENODEV', undefined, 'the pts beside this ptmx is no devpts')
  return beside
}

const isDevpts = ({ dentry }: VirtualDentry): boolean => dentry.inode instanceof TerminalDirectory

class Devpts implements Filesystem {
  readonly type = 'devpts'
  readonly dev: number
  readonly readonly = false
  readonly options: string
  readonly root: TerminalDirectory
  readonly #given: DevptsOptions
  /** One more than the terminals' numbers, which count from 0. */
  readonly #numbers: FreeNumbers

  constructor({ data, dev, clock }: MountRequest) {
    this.#given = parseDevptsOptions(data)
    this.dev = dev
    this.options = devptsOptionsText(this.#given)
    this.#numbers = new FreeNumbers(this.#given.max + 1, 'ENOSPC')
    this.root = new TerminalDirectory(this, this.#given.ptmxMode, clock.coarse())
  }

  usage(): FilesystemUsage {
    return simpleUsage(MAGIC)
  }

  /** A number for a new terminal, which must be entered. Errors: ENOSPC. */
  take(): number {
    return this.#numbers.take() - 1
  }

  /** Gives a terminal its entry, until it is hung up. `place` is the root, seen through some mount. */
  enter(index: number, terminal: PseudoTerminal, by: Credentials, now: bigint, place: VirtualDentry): VirtualDentry {
    const { root } = this
    const { uid = by.uid, gid = by.gid, mode } = this.#given
    const inode = new NamedTerminal(this, index, mode, now, terminal)
    inode.setAttributes({ uid, gid })
    root.terminals.set(index, inode)
    const { mount, dentry } = place
    const { superblock } = mount
    const entry = dentry.add(String(index), inode)
    notifyCreated(place, entry.name, inode)
    terminal.entry = {
      hungUp: () => {
        root.terminals.delete(index)
        inode.nlink = 0
        invalidate(superblock, entry)
        notifyRemoved(place, entry)
      },
      gone: () => this.#numbers.give(index + 1),
    }
    return new VirtualDentry(mount, entry)
  }
}

class TerminalDirectory extends MemoryInode<'directory'> implements DirectoryInode {
  /** By number. */
  readonly terminals = new Map<number, NamedTerminal>()
  readonly #ptmx: SpecialInode

  constructor(filesystem: Filesystem, ptmxMode: number, now: bigint) {
    super(filesystem, ROOT_INO, 'directory', 0o755, now)
    this.nlink = 2
    this.#ptmx = new MemoryInode(filesystem, PTMX_INO, 'char', ptmxMode, now, makeDevice(TTY_MAJOR, PTMX_MINOR))
  }

  lookup(name: string): Inode | undefined {
    return name === 'ptmx' ? this.#ptmx : this.terminals.get(/^(0|[1-9]\d*)$/.test(name) ? Number(name) : -1)
  }

  *entries(after: number): Generator<ListedEntry> {
    if (after < PTMX_COOKIE) yield { name: 'ptmx', ino: PTMX_INO, kind: 'char', cookie: PTMX_COOKIE }
    for (const index of [...this.terminals.keys()].sort((a, b) => a - b)) {
      const cookie = PTMX_COOKIE + 1 + index
      if (cookie > after) yield { name: String(index), ino: FIRST_INO + index, kind: 'char', cookie }
    }
  }

  isEmpty(): boolean {
    return false
  }
}

/** A terminal under its number. */
class NamedTerminal extends MemoryInode<'char'> implements SpecialInode {
  readonly terminal: PseudoTerminal

  constructor(filesystem: Filesystem, index: number, mode: number, now: bigint, terminal: PseudoTerminal) {
    super(filesystem, FIRST_INO + index, 'char', mode, now, makeDevice(PTS_MAJOR, index))
    this.terminal = terminal
  }
}
