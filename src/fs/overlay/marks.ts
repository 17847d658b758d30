/**
 * What an overlay writes into layers besides files, as Linux's overlayfs does: whiteouts, which hide a name of the layers
 * below (a character device 0:0), and private attributes on inodes.
 *
 * Invariant: a private attribute is written to the upper layer only, and never shown through the overlay.
 */

import type { DirectoryInode, Inode } from '../../vfs/inode.ts'

/** Linux: Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories". */
export const isWhiteout = (inode: Inode): boolean => inode.kind === 'char' && inode.rdev === 0

export type MarkPrefix = 'trusted.overlay.' | 'user.overlay.'

const YES = 0x79 // 'y'

export class Marks {
  readonly #prefix: MarkPrefix
  readonly #opaque: string
  /** Ours, not Linux's: the inode number, in decimal, that a file had before it was copied up. */
  readonly #ino: string
  /** The same for an upper without attributes, while its inodes live. */
  readonly #inos = new WeakMap<Inode, number>()

  constructor(prefix: MarkPrefix) {
    this.#prefix = prefix
    this.#opaque = `${prefix}opaque`
    this.#ino = `${prefix}ino`
  }

  isPrivate(name: string): boolean {
    return name.startsWith(this.#prefix)
  }

  /** Whether a layer's directory hides what is below it. */
  isOpaque(directory: DirectoryInode): boolean {
    const value = this.#read(directory, this.#opaque)
    return value?.length === 1 && value[0] === YES
  }

  /** Preconditions: the layer has attributes. Errors: ENOSPC. */
  setOpaque(directory: DirectoryInode, opaque: boolean): void {
    if (opaque) directory.xattrs?.set(this.#opaque, new Uint8Array([YES]))
    else directory.xattrs?.delete(this.#opaque)
  }

  /** The number that was kept for an inode of the upper. */
  inoOf(inode: Inode): number | undefined {
    const value = this.#read(inode, this.#ino)
    if (value === undefined) return this.#inos.get(inode)
    let ino = 0
    for (const digit of value) ino = ino * 10 + (digit - 0x30)
    return Number.isSafeInteger(ino) ? ino : undefined
  }

  /** Errors: ENOSPC. */
  keepIno(inode: Inode, ino: number): void {
    const text = String(ino)
    const value = new Uint8Array(text.length)
    for (let i = 0; i < text.length; i++) value[i] = text.charCodeAt(i)
    const { xattrs } = inode
    if (xattrs) xattrs.set(this.#ino, value)
    else this.#inos.set(inode, ino)
  }

  /** An overlay that is itself a layer has no marks for us: it refuses to show its own. */
  #read(inode: Inode, name: string): Uint8Array | undefined {
    return inode.filesystem.type === 'overlay' ? undefined : inode.xattrs?.get(name)
  }
}
