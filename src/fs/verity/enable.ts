/**
 * Measuring: reads a file, or a directory with all that is in it, and writes down beside each what it was.
 *
 * All is read before anything is written; what was read so far is kept with the call, so that one that has to wait goes on where it
 * was. A directory is measured with everything in it, since one of which a part is not measured could not be mounted by its digest.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { toHex } from '../../abi/hex.ts'
import type { FileInode } from '../../vfs/inode.ts'
import { type Attempt, Missing } from '../../vfs/waiting.ts'
import { TreeBuilder } from './hash-tree.ts'
import type { VerityFile, VerityInode } from './nodes.ts'
import { encodeRecord, type FileRecord, factsOf, inOrder } from './record.ts'
import { contentOf, InTurn, rootTreeName, treeName, writing } from './tree-file.ts'

interface Measured {
  readonly record: FileRecord
  readonly bytes: Uint8Array
  readonly digest: string
  readonly levels: readonly Uint8Array[]
}

const PIECE = 1 << 18

/** What one call has read. */
class Measuring {
  readonly #done = new Map<VerityInode, Measured>()
  readonly #files = new Map<VerityFile, { readonly builder: TreeBuilder; readonly of: string; offset: number }>()
  /** In the order in which they are written: what is in a directory before it. */
  get all(): ReadonlyMap<VerityInode, Measured> {
    return this.#done
  }

  /** Everything below that is not there yet is asked for before the call waits; undefined then. */
  measure(node: VerityInode, missing: Missing, attempt: Attempt): Measured | undefined {
    const known = this.#done.get(node)
    if (known) return known
    const facts = missing.try(() => {
      node.lower.refresh?.(attempt)
      return factsOf(node.lower, attempt)
    })
    if (!facts) return undefined
    if (node.kind === 'socket') {
      throw new ErrnoError('EOPNOTSUPP', undefined, `verity: ${node.path}: a socket cannot be measured`)
    }
    if (node.kind === 'file') {
      const tree = missing.try(() => this.#content(node, `${facts.size} ${facts.mtime}`, attempt))
      return tree && this.#enter(node, { ...facts, content: toHex(tree.content) }, tree.levels)
    }
    if (node.kind !== 'directory') return this.#enter(node, facts)
    const children: [name: string, kind: VerityInode['kind'], digest: string][] = []
    const names = missing.try(() => Array.from(node.entries(0, attempt), ({ name }) => name).sort(inOrder))
    if (!names) return undefined
    for (const name of names) {
      const child = missing.try(() => node.lookup(name, attempt))
      const measured = child && this.measure(child, missing, attempt)
      if (measured) children.push([name, child.kind, measured.digest])
    }
    return children.length === names.length ? this.#enter(node, { ...facts, children }) : undefined
  }

  #enter(node: VerityInode, record: FileRecord, levels: readonly Uint8Array[] = []): Measured {
    const bytes = encodeRecord(record)
    const measured = { record, bytes, levels, digest: toHex(node.filesystem.digest(bytes)) }
    this.#done.set(node, measured)
    return measured
  }

  /** `of` tells the content from what it was before a wait. */
  #content(node: VerityFile, of: string, attempt: Attempt): ReturnType<TreeBuilder['end']> {
    const { size } = node.lower
    let file = this.#files.get(node)
    if (file?.of !== of) file = { builder: new TreeBuilder(node.filesystem.digest, size), of, offset: 0 }
    this.#files.set(node, file)
    const piece = new Uint8Array(Math.min(PIECE, size))
    while (file.offset < size) {
      const length = Math.min(piece.length, size - file.offset)
      const count = node.lower.read(piece, 0, length, file.offset, attempt)
      if (count < length) throw new ErrnoError('EIO', undefined, `verity: ${node.path}: it is shorter than it says`)
      file.builder.push(piece.subarray(0, count))
      file.offset += count
    }
    this.#files.delete(node)
    return file.builder.end()
  }
}

/**
 * Errors: EEXIST for what is measured already, and where a root hash says what there is; ENAMETOOLONG for a name that leaves no room
 * for that of its tree; EROFS, ENOSPC; EOPNOTSUPP for a socket. What was written until then is written over the next time.
 */
export function enable(node: VerityInode, attempt: Attempt): void {
  const { filesystem } = node
  if (node.record || !filesystem.enabling) throw new ErrnoError('EEXIST', undefined, 'verity: it is measured already')
  const measuring = attempt.note(node, () => new Measuring())
  const missing = new Missing()
  measuring.measure(node, missing, attempt)
  missing.wait()
  attempt.note(measuring, () => new InTurn(steps(measuring.all, attempt))).run()
}

function* steps(all: ReadonlyMap<VerityInode, Measured>, attempt: Attempt): Generator<() => void> {
  const trees = new Map<VerityInode, FileInode>()
  for (const [node, { bytes, levels }] of all) {
    const { parent, filesystem } = node
    const name = parent ? treeName(node.name) : rootTreeName(filesystem.rootName)
    const directory = (parent ?? filesystem.root).lower
    trees.set(node, yield* writing(directory, name, contentOf(bytes, levels), filesystem.clock.coarse(), attempt))
  }
  for (const [{ lower }, { record }] of all) {
    // Directories got names: where that changes their time, it is as it was again.
    if (lower.mtime !== record.mtime) yield () => lower.setAttributes({ mtime: record.mtime }, attempt)
  }
  for (const [node, file] of trees) {
    const { record, bytes } = all.get(node)!
    node.measured(record, { file, start: bytes.length + 1 })
  }
}
