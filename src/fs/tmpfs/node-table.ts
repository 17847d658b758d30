/**
 * The inodes that are in a store, by their numbers. One that was there when the store was opened is made when it is looked at.
 *
 * Invariant: an inode is either pending in the stored tree, and as it is there, or in memory.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { ByteWriter } from './bytes.ts'
import type { TmpfsNode } from './inodes.ts'
import { restoreAttributes, restoreNames, restorePages } from './restore.ts'
import type { Segments } from './segments.ts'
import { ROOT_INO, type StoredTree } from './stored-tree.ts'
import { INODES } from './tally.ts'
import type { Tmpfs } from './tmpfs.ts'

export class NodeTable {
  readonly #inMemory = new Map<number, TmpfsNode>()
  readonly #tree: StoredTree
  readonly #segments: Segments
  #filesystem!: Tmpfs

  constructor(tree: StoredTree, segments: Segments) {
    this.#tree = tree
    this.#segments = segments
  }

  /** A new tmpfs is to have the files. */
  attach(filesystem: Tmpfs): void {
    this.#filesystem = filesystem
    const { totals, lastIno } = this.#tree
    const { inodes, blocks, attributeBytes } = totals
    // Its root counts already.
    filesystem.count({ inodes: Math.max(0, inodes - 1), blocks, attributeBytes, lastIno: Math.max(lastIno, ROOT_INO) })
    this.get(ROOT_INO)
  }

  get size(): number {
    return this.#inMemory.size + this.#tree.pending
  }

  has(ino: number): boolean {
    return this.#inMemory.has(ino) || this.#tree.isPending(ino)
  }

  get(ino: number): TmpfsNode | undefined {
    return this.#inMemory.get(ino) ?? this.#make(ino)
  }

  /** Writes part 0 of an inode that is not in memory as it is in the store; false if that can't be done. */
  copyItem(ino: number, chunk: string, writer: ByteWriter): boolean {
    return this.#tree.copyItem(ino, chunk, writer)
  }

  /** Brings the files of a group to memory. */
  makeFiles(group: number): void {
    for (let ino = group * INODES; ino < (group + 1) * INODES; ino++)
      if (this.#tree.kindOf(ino) === 'file') this.get(ino)
  }

  set(ino: number, node: TmpfsNode): void {
    this.#inMemory.set(ino, node)
  }

  /** Preconditions: it is in memory. */
  delete(ino: number): void {
    this.#inMemory.delete(ino)
  }

  /** One that has a name. Errors: EIO for one that is damaged. */
  named(ino: number): TmpfsNode {
    const node = this.get(ino)
    if (!node) throw new ErrnoError('EIO', undefined, this.#tree.whyLost(ino))
    return node
  }

  #make(ino: number): TmpfsNode | undefined {
    const inode = this.#tree.take(ino)
    if (!inode) return undefined
    const filesystem = this.#filesystem
    const lost = this.#tree.lostParts(ino)
    let node!: TmpfsNode
    filesystem.journal!.unheard(() =>
      filesystem.restoreCounted((make) => {
        node = restoreAttributes(filesystem.root as TmpfsNode, ino, inode, make)
        if (node.kind === 'file') restorePages(node, inode, this.#segments, lost)
        if (node.kind === 'directory') restoreNames(node, inode, (child) => this.#tree.kindOf(child), lost)
      }),
    )
    this.#inMemory.set(ino, node)
    return node
  }
}
