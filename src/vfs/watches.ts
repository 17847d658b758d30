/**
 * Who is told of changes to files: inotify(7), the core's side. Operations tell of what they did, here, once it is done;
 * filesystem types tell nothing.
 *
 * Invariants: a superblock has Watches only while an inode of it is watched, so that telling costs one comparison where nobody
 * listens. What is told has succeeded. A file's parent hears first, with the name, then the file itself; nobody further up.
 */

import {
  IN_ACCESS,
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_EXCL_UNLINK,
  IN_IGNORED,
  IN_ISDIR,
  IN_MODIFY,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_UNMOUNT,
} from '../abi/linux-waiting.ts'
import type { Dentry } from './dentry.ts'
import type { AttributeChanges, Inode } from './inode.ts'
import type { Mount, Superblock } from './mount.ts'

/** Somebody's interest in an inode. */
export interface Watch {
  readonly superblock: Superblock
  readonly inode: Inode
  /** IN_ bits: events, IN_EXCL_UNLINK, IN_ONESHOT. */
  readonly mask: number
  /** One of the mask's events happened; `name` is '' if it happened to the inode itself. */
  hear(event: number, cookie: number, name: string): void
  /** Nothing more will happen: the inode or its filesystem is gone, which `event` says. The watch was taken out. */
  ended(event: number): void
}

/** What a kernel's watches share. */
export class Watching {
  /** How many there are. */
  live = 0
  #lastCookie = 0

  /** Ties the two halves of a rename together; never 0. */
  nextCookie(): number {
    this.#lastCookie = (this.#lastCookie % 0xffffffff) + 1
    return this.#lastCookie
  }
}

/** The watches on one superblock's inodes. */
export class Watches {
  readonly watching: Watching
  readonly #byInode = new Map<Inode, Set<Watch>>()

  constructor(watching: Watching) {
    this.watching = watching
  }

  /** In the order in which they came: Linux tells its groups in no order that a program may rely on. */
  of(inode: Inode): Iterable<Watch> {
    return this.#byInode.get(inode) ?? []
  }

  add(watch: Watch): void {
    const there = this.#byInode.get(watch.inode)
    if (there) there.add(watch)
    else this.#byInode.set(watch.inode, new Set([watch]))
    this.watching.live++
  }

  remove(watch: Watch): void {
    const there = this.#byInode.get(watch.inode)
    if (!there?.delete(watch)) return
    this.watching.live--
    if (there.size === 0) this.#byInode.delete(watch.inode)
    if (this.#byInode.size === 0) watch.superblock.watches = undefined
  }

  /** Something happened to an inode, or to the entry `name` of a directory. `unlinked`: through a file whose name is gone. */
  tell(inode: Inode, event: number, name = '', cookie = 0, unlinked = false): void {
    const there = this.#byInode.get(inode)
    if (there === undefined) return
    for (const watch of [...there]) {
      if ((watch.mask & event & ~IN_ISDIR) === 0 || (unlinked && watch.mask & IN_EXCL_UNLINK)) continue
      watch.hear(event, cookie, name)
    }
  }

  /** Something happened to the file of an entry. */
  tellBoth(dentry: Dentry, event: number, unlinked: boolean): void {
    const told = event | directoryBit(dentry.inode)
    const { parent } = dentry
    if (parent) this.tell(parent.inode, told, dentry.name, 0, unlinked)
    this.tell(dentry.inode, told, '', 0, unlinked)
  }

  /** The inode is gone. */
  end(inode: Inode): void {
    this.tell(inode, IN_DELETE_SELF)
    this.#endAll(inode, IN_IGNORED)
  }

  /** The filesystem is gone. */
  endEverything(): void {
    for (const inode of [...this.#byInode.keys()]) this.#endAll(inode, IN_UNMOUNT)
  }

  #endAll(inode: Inode, event: number): void {
    for (const watch of [...this.of(inode)]) {
      this.remove(watch)
      watch.ended(event)
    }
  }
}

const directoryBit = (inode: Inode): number => (inode.kind === 'directory' ? IN_ISDIR : 0)

/** What a change of attributes is, by Linux's fsnotify_change: one time alone is taken for a read or a write. */
export function eventsOf(changes: AttributeChanges): number {
  const { mode, uid, gid, atime, mtime } = changes
  let events = mode !== undefined || uid !== undefined || gid !== undefined ? IN_ATTRIB : 0
  if (atime !== undefined) events |= mtime === undefined ? IN_ACCESS : IN_ATTRIB
  else if (mtime !== undefined) events |= IN_MODIFY
  return events
}

/** A place in the tree: a VirtualDentry, an open file, or where a walk stands. */
interface Place {
  readonly mount: Mount
  readonly dentry: Dentry
}

/** The attributes or the content of a file changed, other than through a description of it. No events: nothing is told. */
export function notify({ mount, dentry }: Place, events: number): void {
  const { watches } = mount.superblock
  if (watches !== undefined && events !== 0) watches.tellBoth(dentry, events, false)
}

/** Something was done with an open file. Streams are silent: so they are on Linux, from 6.14 on. */
export function notifyFile({ mount, dentry }: Place, events: number): void {
  const { watches } = mount.superblock
  if (watches !== undefined) watches.tellBoth(dentry, events, dentry.dead)
}

/** A directory (`mount`, `dentry`) got a new file called `name`. */
export function notifyCreated({ mount, dentry }: Place, name: string, inode: Inode): void {
  const { watches } = mount.superblock
  if (watches !== undefined) watches.tell(dentry.inode, IN_CREATE | directoryBit(inode), name)
}

/** A directory got a further name for a file. */
export function notifyLinked(dir: Place, name: string, inode: Inode): void {
  dir.mount.superblock.watches?.tell(inode, IN_ATTRIB)
  notifyCreated(dir, name, inode)
}

/** A directory lost the entry `victim`, which is dead now. */
export function notifyRemoved({ mount, dentry }: Place, victim: Dentry): void {
  const { superblock } = mount
  const { watches } = superblock
  if (watches === undefined) return
  const isDirectory = directoryBit(victim.inode)
  if (!isDirectory) watches.tell(victim.inode, IN_ATTRIB)
  endIfGone(superblock, victim)
  watches.tell(dentry.inode, IN_DELETE | isDirectory, victim.name)
}

/**
 * An entry `oldName` of one directory was moved to another (or the same), where it is now; `replaced` had the name before.
 */
export function notifyMoved(from: Place, oldName: string, moved: Dentry, replaced?: Dentry): void {
  const { superblock } = from.mount
  const { watches } = superblock
  if (watches === undefined) return
  const cookie = watches.watching.nextCookie()
  const isDirectory = directoryBit(moved.inode)
  watches.tell(from.dentry.inode, IN_MOVED_FROM | isDirectory, oldName, cookie)
  watches.tell(moved.parent!.inode, IN_MOVED_TO | isDirectory, moved.name, cookie)
  if (replaced) watches.tell(replaced.inode, IN_ATTRIB | directoryBit(replaced.inode))
  watches.tell(moved.inode, IN_MOVE_SELF)
  if (replaced) endIfGone(superblock, replaced)
}

/** Tells of the end of a file that has no name left, once nobody holds the entry through which it was last known. */
export function endIfGone({ watches }: Superblock, dentry: Dentry): void {
  if (watches !== undefined && dentry.dead && dentry.users === 0 && dentry.inode.nlink === 0) watches.end(dentry.inode)
}
