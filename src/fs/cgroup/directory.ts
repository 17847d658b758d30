/** The directory of a control group: its files, and the directories of the groups below it. */

import { ErrnoError } from '../../abi/errno.ts'
import { FIRST_COOKIE, type NewInode } from '../../vfs/inode.ts'
import { type Child, type Children, type DirectoryNode, directory, type Node } from '../kernfs.ts'
import { filesOf } from './files.ts'
import type { Group } from './group.ts'

/** Groups come behind the files in a listing. */
const FIRST_GROUP = 1000

export const directoryOf = (group: Group): DirectoryNode =>
  directory(new GroupDirectory(group), { mode: group.maker.mode, maker: group.maker })

class GroupDirectory implements Children {
  readonly changes = true
  readonly #group: Group
  readonly #files: ReadonlyMap<string, Node>
  readonly #below = new WeakMap<Group, Node>()

  constructor(group: Group) {
    this.#group = group
    this.#files = new Map(Object.entries(filesOf(group)))
  }

  get directories(): number {
    return this.#group.groups.size
  }

  find(name: string): Node | undefined {
    const group = this.#group.groups.get(name)
    return group ? this.#node(group) : this.#files.get(name)
  }

  *list(): Generator<Child> {
    let cookie = FIRST_COOKIE
    for (const [name, node] of this.#files) yield { name, node, cookie: cookie++ }
    for (const group of this.#group.groups.values()) {
      yield { name: group.name, node: this.#node(group), cookie: FIRST_GROUP + group.number }
    }
  }

  makeDirectory(name: string, what: NewInode): void {
    this.#group.make(name, what)
  }

  removeDirectory(name: string): void {
    this.#group.remove(this.#group.groups.get(name)!)
  }

  rename(name: string, to: Children, newName: string): void {
    if (to !== this) throw new ErrnoError('EIO', undefined, 'a cgroup stays in its parent')
    this.#group.rename(this.#group.groups.get(name)!, newName)
  }

  #node(group: Group): Node {
    let node = this.#below.get(group)
    if (node === undefined) {
      node = directoryOf(group)
      this.#below.set(group, node)
    }
    return node
  }
}
