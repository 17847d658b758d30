/**
 * Names in use: the tree of directory entries that paths were walked over, above every filesystem type.
 *
 * A dentry says that `inode` has this name in that parent. Mounts hang on dentries, descriptions and working directories
 * hold them, so while one is in the tree a walk over the same name gives the same object.
 *
 * Invariants: `parent.children.get(name)` is the dentry itself unless it is dead or a root. A dead dentry (its name was
 * removed) keeps its parent, so that `..` of a removed directory still works, and never comes alive again.
 */

import type { DirectoryInode, Inode } from './inode.ts'
import { NameMap } from './name-map.ts'
import type { Attempt } from './waiting.ts'

export class Dentry {
  name: string
  parent: Dentry | undefined
  readonly inode: Inode
  /** The inode's, which never changes: a walk asks it at every step, and inodes are of many classes. */
  readonly kind: Inode['kind']
  /** Its names change by themselves: those that were entered are looked at again when they are walked over. */
  readonly changes: boolean
  /** Its attributes change by themselves. */
  readonly refreshes: boolean
  children: NameMap<Dentry> | undefined
  /** How many mounts have this dentry as their point. */
  mounts = 0
  /** Open files and working directories that were reached by it. */
  users = 0
  dead = false
  /** A file made without a name (O_TMPFILE): it may be linked though its link count is 0. */
  linkable = false

  constructor(name: string, parent: Dentry | undefined, inode: Inode) {
    this.name = name
    this.parent = parent
    this.inode = inode
    this.kind = inode.kind
    this.changes = inode.kind === 'directory' && inode.isCurrent !== undefined
    this.refreshes = inode.refresh !== undefined
    this.children = undefined
  }

  /** The entry of a name in this directory, or undefined if there is none. Preconditions: this is a directory. */
  child(name: string, attempt: Attempt): Dentry | undefined {
    const cached = this.children?.get(name)
    if (cached !== undefined) return cached
    const inode = (this.inode as DirectoryInode).lookup(name, attempt)
    return inode && this.add(name, inode)
  }

  /** Enters a name that was just made or found. */
  add(name: string, inode: Inode): Dentry {
    const child = new Dentry(name, this, inode)
    this.children ??= new NameMap()
    this.children.add(name, child)
    return child
  }

  /** The name was removed, or replaced by another file. */
  die(): void {
    this.dead = true
    this.parent?.children?.delete(this.name)
  }

  /** The name was moved. */
  move(parent: Dentry, name: string): void {
    this.parent?.children?.delete(this.name)
    this.#settle(parent, name)
  }

  /** Two names were swapped. */
  static exchange(a: Dentry, b: Dentry): void {
    const { parent, name } = a
    parent!.children!.delete(name)
    b.parent!.children!.delete(b.name)
    a.#settle(b.parent!, b.name)
    b.#settle(parent!, name)
  }

  #settle(parent: Dentry, name: string): void {
    this.parent = parent
    this.name = name
    parent.children ??= new NameMap()
    parent.children.add(name, this)
  }

  /** Whether this is `other` or lies below it, by names. */
  isUnder(other: Dentry): boolean {
    for (let d: Dentry | undefined = this; d; d = d.parent) if (d === other) return true
    return false
  }
}
