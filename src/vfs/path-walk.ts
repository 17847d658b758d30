/**
 * The one place that gives meaning to a path: `""`, `.`, `..`, symbolic links, mount points and trailing slashes
 * (path_resolution(7)). A filesystem type only ever answers for a single name.
 *
 * Invariants: `mount` and `dentry` are the place reached so far, with the part of `path` before `at` consumed.
 * Where the walk is confined, the place is always the start or below it.
 */

import { ErrnoError } from '../abi/errno.ts'
import { CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, PATH_MAX, X_OK } from '../abi/linux.ts'
import { utf8Length } from '../abi/utf8.ts'
import type { Context } from './context.ts'
import type { Dentry } from './dentry.ts'
import type { DirectoryInode } from './inode.ts'
import { isMagic, mayJump } from './magic-link.ts'
import { type Mount, VirtualDentry } from './mount.ts'
import { invalidate } from './mount-points.ts'
import { mayAccess } from './permissions.ts'
import { touchAccessTime } from './times.ts'

/** Linux's MAXSYMLINKS: links followed by one operation, over all mounts and restarts. */
const LINK_BUDGET = 40

/** What is left of a path when its parent directory is reached. `root` is a path of slashes only. */
export type LastKind = 'name' | 'dot' | 'dotdot' | 'root'

export class PathWalk {
  readonly context: Context
  mount: Mount
  dentry: Dentry
  path: string
  at = 0
  /** Set by toParent: what the last component is, its text, and whether slashes follow it. */
  last: LastKind = 'root'
  name = ''
  slash = false
  readonly #start: VirtualDentry
  #links = 0

  /** Errors: ENOENT for an empty path; ENAMETOOLONG; EINVAL for a NUL; ENOTCAPABLE for an absolute path in confinement. */
  constructor(context: Context, start: VirtualDentry, path: string) {
    this.context = context
    this.path = path
    requirePath(path)
    this.#start = start
    const absolute = path.charCodeAt(0) === SLASH
    if (absolute && context.confined) throw new ErrnoError('ENOTCAPABLE', path)
    const from = absolute ? context.root : start
    this.mount = from.mount
    this.dentry = from.dentry
    if (this.dentry.mounts > 0 && this.mount.promises?.has(this.dentry)) this.#toTop()
  }

  get place(): VirtualDentry {
    return new VirtualDentry(this.mount, this.dentry)
  }

  /**
   * Goes to the directory that holds the last component and looks no further: `last`, `name` and `slash` say what is left.
   * For `root` the place is the one the path denotes. Links before the last component are followed.
   * Without `search` the directory itself need not be searchable.
   * Errors: ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG (for directories on the way), ENOTCAPABLE.
   */
  toParent({ search } = SEARCH): void {
    if (!this.#tryToParent(search)) throw new ErrnoError('ENOENT', this.path)
  }

  /** False where a directory on the way is missing: programs probe for files by the thousand, and a throw costs more than the walk. */
  #tryToParent(search = true): boolean {
    const more = this.#skipSlashes()
    this.last = 'root'
    this.name = ''
    this.slash = this.path.length > 0
    if (!more) return true
    for (;;) {
      const end = this.#componentEnd()
      const name = this.path.slice(this.at, end)
      this.at = end
      if (!this.#skipSlashes()) {
        this.slash = end < this.path.length
        this.name = name
        this.last = name === '.' ? 'dot' : name === '..' ? 'dotdot' : 'name'
        if (search) this.#requireSearch()
        else if (this.dentry.kind !== 'directory') throw new ErrnoError('ENOTDIR', this.path)
        return true
      }
      if (!this.#step(name)) return false
    }
  }

  /**
   * Goes to the file itself. The last component's link is followed if `follow`, or if slashes come behind it.
   * Errors: as toParent; ENOTDIR if slashes come behind what is no directory.
   */
  toEnd(follow: boolean): void {
    if (!this.tryToEnd(follow)) throw new ErrnoError('ENOENT', this.path)
  }

  /** As toEnd, but false where toEnd would say ENOENT because a name is missing. */
  tryToEnd(follow: boolean): boolean {
    for (;;) {
      if (!this.#tryToParent()) return false
      if (this.last === 'root') break
      if (this.last !== 'name') {
        this.#step(this.name)
        break
      }
      const child = this.lookup()
      if (child === undefined) return false
      if (!this.enter(child, follow)) break
    }
    if (this.slash && this.dentry.kind !== 'directory') throw new ErrnoError('ENOTDIR', this.path)
    return true
  }

  /** The entry that the last component names, or undefined. Preconditions: `last` is 'name'. Errors: ENAMETOOLONG. */
  lookup(): Dentry | undefined {
    this.#checkName(this.name)
    if (this.dentry.changes) this.#revalidate(this.name)
    return this.#child(this.name)
  }

  /**
   * Makes `child`, the last component's entry, the place: the top of what is mounted there. If it is a link that is to be
   * followed, the walk goes on with its target instead and true is returned: call toParent again. A magic link's target is
   * the place itself.
   */
  enter(child: Dentry, follow: boolean): boolean {
    if (child.kind === 'symlink' && child.mounts === 0 && (follow || this.slash)) {
      this.#follow(child, this.slash ? '/' : '')
      return this.path !== ''
    }
    this.#descend(child)
    return false
  }

  /** Steps over a component that others follow, or over a dot; false if there is no such name. */
  #step(name: string): boolean {
    this.#requireSearch()
    if (name === '.') return true
    if (name === '..') {
      this.#up()
      return true
    }
    this.#checkName(name)
    if (this.dentry.changes) this.#revalidate(name)
    const child = this.#child(name)
    if (child === undefined) return false
    if (child.kind === 'symlink' && child.mounts === 0) {
      const rest = this.path.slice(this.at)
      this.#follow(child, rest === '' ? '' : `/${rest}`)
      // The target's components are ordinary ones of the same path now; its slashes were put in front of the rest.
      this.#skipSlashes()
    } else this.#descend(child)
    return true
  }

  /** Linux's d_revalidate: a name that stands for something else by now is dropped, and looked up anew. */
  #revalidate(name: string): void {
    const cached = this.dentry.children?.get(name)
    const { inode } = this.dentry
    if (cached === undefined || (inode as DirectoryInode).isCurrent!(name, cached.inode, this.context.attempt)) return
    invalidate(this.mount.superblock, cached)
  }

  /** As lookup, for who wants to make the name. Errors: ENOENT where no name can be made. */
  lookupFree(): Dentry | undefined {
    const child = this.lookup()
    if (child === undefined && (this.dentry.inode as DirectoryInode).fixed) throw new ErrnoError('ENOENT', this.path)
    return child
  }

  #child(name: string): Dentry | undefined {
    const { dentry, mount } = this
    return dentry.child(name, this.context.attempt) ?? mount.synthetic?.child(dentry, name)
  }

  #follow(link: Dentry, rest: string): void {
    if (link.inode.kind !== 'symlink') return
    if (++this.#links > LINK_BUDGET) throw new ErrnoError('ELOOP', this.path)
    if (isMagic(link.inode)) {
      this.#jump(link.inode.jump(this.context), rest)
      return
    }
    const target = link.inode.readlink(this.context.attempt, this.context)
    touchAccessTime(this.context, this.mount, link.inode)
    if (target === '') throw new ErrnoError('ENOENT', this.path)
    if (target.charCodeAt(0) === SLASH) this.#restartAtRoot()
    this.path = target + rest
    this.at = 0
  }

  /** A confined walk is not led out of the directory it started from. */
  #jump(place: VirtualDentry, rest: string): void {
    const { confined, root } = this.context
    if (confined && !mayJump(place, this.#start, root)) throw new ErrnoError('ENOTCAPABLE', this.path)
    this.mount = place.mount
    this.dentry = place.dentry
    this.path = rest
    this.at = 0
  }

  #restartAtRoot(): void {
    const { root, confined } = this.context
    if (confined && !this.#start.equals(root)) throw new ErrnoError('ENOTCAPABLE', this.path)
    this.mount = root.mount
    this.dentry = root.dentry
  }

  #descend(child: Dentry): void {
    this.dentry = child
    if (child.mounts > 0) this.#toTop()
  }

  #toTop(): void {
    for (;;) {
      const covering = this.mount.children.get(this.dentry)
      if (!covering) {
        this.mount.promises?.get(this.dentry)?.await(this.context, this.path)
        return
      }
      this.mount = covering
      this.dentry = covering.root
    }
  }

  /** `..`: stops at the context's root, leaves a mount by its point, and enters what is mounted on the parent. */
  #up(): void {
    const { root, confined } = this.context
    for (;;) {
      if (confined && this.mount === this.#start.mount && this.dentry === this.#start.dentry) {
        throw new ErrnoError('ENOTCAPABLE', this.path)
      }
      if (this.mount === root.mount && this.dentry === root.dentry) return
      if (this.dentry !== this.mount.root) break
      const { parent, point } = this.mount
      if (!parent || !point) return
      this.mount = parent
      this.dentry = point
    }
    const parent = this.dentry.parent ?? this.dentry
    // What was renamed out of what a bind shows has no way up: Linux's path_connected.
    if (this.mount.root.parent && !parent.isUnder(this.mount.root)) throw new ErrnoError('ENOENT', this.path)
    this.dentry = parent
    if (parent.mounts > 0) this.#toTop()
  }

  #requireSearch(): void {
    const { dentry, context } = this
    if (dentry.refreshes) dentry.inode.refresh!(context.attempt)
    if (dentry.kind !== 'directory') throw new ErrnoError('ENOTDIR', this.path)
    const { credentials } = context
    if ((credentials.capabilities & SEARCHES_ALL) !== 0 || mayAccess(credentials, dentry.inode, X_OK)) return
    throw new ErrnoError('EACCES', this.path)
  }

  #checkName(name: string): void {
    const limit = this.mount.superblock.nameMax
    if (name.length * 3 <= limit || utf8Length(name) <= limit) return
    // In a directory that was removed nothing is looked for, however long its name.
    throw new ErrnoError(this.dentry.dead ? 'ENOENT' : 'ENAMETOOLONG', this.path)
  }

  #componentEnd(): number {
    const end = this.path.indexOf('/', this.at)
    return end < 0 ? this.path.length : end
  }

  /** Moves behind slashes; false at the end of the path. */
  #skipSlashes(): boolean {
    while (this.path.charCodeAt(this.at) === SLASH) this.at++
    return this.at < this.path.length
  }
}

const SLASH = 47
const SEARCH = { search: true }
/** Either capability lets a search of any directory through. */
const SEARCHES_ALL = CAP_DAC_OVERRIDE | CAP_DAC_READ_SEARCH

/** Linux reads the path before it looks at where it starts. Errors: ENOENT for an empty one; ENAMETOOLONG; EINVAL for a NUL. */
export function requirePath(path: string): void {
  if (path.length === 0) throw new ErrnoError('ENOENT', path)
  if (path.length * 3 >= PATH_MAX && utf8Length(path) >= PATH_MAX) throw new ErrnoError('ENAMETOOLONG', path)
  if (path.includes('\0')) throw new ErrnoError('EINVAL', path, 'a path cannot hold a NUL')
}

/** The file that a path denotes. Errors: as PathWalk.toEnd. */
export function resolve(context: Context, start: VirtualDentry, path: string, follow: boolean): VirtualDentry {
  const walk = new PathWalk(context, start, path)
  walk.toEnd(follow)
  return walk.place
}
