/**
 * Names that no filesystem has: places to mount on where the filesystem refuses to make one. They belong to a mount, are kept in
 * memory, and are seen through it and its copies alone: neither the filesystem nor another mount of it knows of them.
 *
 * Invariants: a name of the filesystem itself goes before a synthetic one. In a synthetic directory there are only synthetic
 * entries; whatever a guest wants to make in it is refused.
 */

import { S_IFDIR, S_IFREG } from '../abi/linux.ts'
import { Dentry } from './dentry.ts'
import {
  ATIME,
  type AttributeChanges,
  CTIME,
  type DirectoryInode,
  type FileInode,
  type Filesystem,
  type Inode,
  type ListedEntry,
  MTIME,
} from './inode.ts'
import { VirtualDentry } from './mount.ts'

/** Behind the cookies of all filesystems. */
const FIRST_COOKIE = 2 ** 52

export class SyntheticEntries {
  readonly #entries = new Map<Dentry, Map<string, Dentry>>()
  #made = 0

  child(parent: Dentry, name: string): Dentry | undefined {
    return this.#entries.get(parent)?.get(name)
  }

  has(entry: Dentry): boolean {
    return entry.parent !== undefined && this.child(entry.parent, entry.name) === entry
  }

  isEmpty(parent: Dentry): boolean {
    return !this.#entries.has(parent)
  }

  /** Preconditions: there is nothing in it, and nothing is mounted on it where that counts. */
  remove({ parent, name }: Dentry): void {
    const names = this.#entries.get(parent!)!
    names.delete(name)
    if (names.size === 0) this.#entries.delete(parent!)
  }

  /** As DirectoryInode.entries. */
  *entries(parent: Dentry, after: number): Iterable<ListedEntry> {
    for (const [name, { inode, kind }] of this.#entries.get(parent) ?? []) {
      const cookie = FIRST_COOKIE + (Number.MAX_SAFE_INTEGER - inode.ino)
      if (cookie > after) yield { name, ino: inode.ino, kind, cookie }
    }
  }

  add(parent: Dentry, name: string, inode: (ino: number) => Inode): Dentry {
    // Filesystems count from 1 on, or mix theirs from 52 bits.
    const made = new Dentry(name, parent, inode(Number.MAX_SAFE_INTEGER - this.#made++))
    const names = this.#entries.get(parent)
    if (names) names.set(name, made)
    else this.#entries.set(parent, new Map([[name, made]]))
    return made
  }
}

/** Makes an entry of a directory that has no such name. Preconditions: it is not the superblock's own either. */
export function makeSynthetic(
  { mount, dentry }: VirtualDentry,
  name: string,
  kind: 'directory' | 'file',
  now: bigint,
): VirtualDentry {
  const entries = mount.synthetic ?? new SyntheticEntries()
  for (const each of mount.peers?.members ?? [mount]) each.synthetic ??= entries
  const { filesystem } = mount.superblock
  const inode = (ino: number) =>
    kind === 'directory' ? new SyntheticDirectory(filesystem, ino, now) : new SyntheticFile(filesystem, ino, now)
  return new VirtualDentry(mount, mount.synthetic!.add(dentry, name, inode))
}

abstract class SyntheticInode {
  readonly filesystem: Filesystem
  readonly ino: number
  abstract mode: number
  abstract readonly nlink: number
  uid = 0
  gid = 0
  readonly size = 0
  readonly blocks = 0
  readonly rdev = 0
  atime: bigint
  mtime: bigint
  ctime: bigint
  readonly btime: bigint

  constructor(filesystem: Filesystem, ino: number, now: bigint) {
    this.filesystem = filesystem
    this.ino = ino
    this.atime = now
    this.mtime = now
    this.ctime = now
    this.btime = now
  }

  setAttributes({ mode, ...changes }: AttributeChanges): void {
    if (mode !== undefined) this.mode = (this.mode & ~0o7777) | mode
    for (const [key, value] of Object.entries(changes)) if (value !== undefined) Object.assign(this, { [key]: value })
  }

  touch(which: number, now: bigint): void {
    if (which & ATIME) this.atime = now
    if (which & MTIME) this.mtime = now
    if (which & CTIME) this.ctime = now
  }
}

class SyntheticDirectory extends SyntheticInode implements DirectoryInode {
  readonly kind = 'directory'
  readonly nlink = 2
  mode = S_IFDIR | 0o755

  lookup(): undefined {}

  entries(): Iterable<ListedEntry> {
    return []
  }

  isEmpty(): boolean {
    return true
  }
}

class SyntheticFile extends SyntheticInode implements FileInode {
  readonly kind = 'file'
  readonly nlink = 1
  mode = S_IFREG | 0o644

  read(): number {
    return 0
  }
}
