/**
 * verity: a directory of another filesystem, read-only, every bit of which is checked against one hash, after gVisor's filesystem of
 * this name. What was measured lies beside the files, in hidden ones.
 *
 * Nothing that the lower filesystem gives is trusted but what the root's hash says; what tells no content (inode
 * numbers, link counts, space in use) is passed on. It works on the lower one's inodes, so no permission is asked of it, and mounts in it are not seen.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { fromHex, toHex } from '../../abi/hex.ts'
import { NAME_MAX } from '../../abi/linux.ts'
import type { FilesystemType, MountRequest } from '../../vfs/filesystem.ts'
import type { Filesystem, FilesystemUsage, Inode } from '../../vfs/inode.ts'
import { Attempt } from '../../vfs/waiting.ts'
import { type Digest, isEqual, treeBytes } from './hash-tree.ts'
import { VerityDirectory, type VerityInode } from './nodes.ts'
import { parseVerityOptions, type VerityOptions } from './options.ts'
import { decodeRecord, difference, encodeRecord, type FileRecord } from './record.ts'
import { InTurn, PREFIX_LENGTH, readRecord, rootTreeName, type Tree, writing } from './tree-file.ts'

/** `request.internal` of a mount, instead of `lower_path`. */
export interface VerityLower {
  readonly lower: Inode
  /** Called for what is not as it was, with what and where; left out, it is an error (EIO) of whoever comes across it. */
  readonly panic?: ((reason: string) => void) | undefined
  /** Called when the filesystem lets go of the lower one. */
  readonly release?: () => void
}

export class VerityFilesystem implements Filesystem {
  readonly type = 'verity'
  readonly dev: number
  readonly root: VerityDirectory
  readonly readonly = true
  readonly nameMax: number
  /** Trees may be built: nothing says what they should be. */
  readonly enabling: boolean
  readonly rootName: string
  readonly digest: Digest
  readonly clock: MountRequest['clock']
  readonly #rootHash: Uint8Array | undefined
  readonly #source: VerityLower

  /** Errors: EINVAL for a lower that is no directory; those of its root's tree. */
  constructor(digest: Digest, source: VerityLower, { rootHash, rootName }: VerityOptions, request: MountRequest) {
    const { lower } = source
    if (lower.kind !== 'directory') {
      throw new ErrnoError('EINVAL', undefined, `verity: the root must be a directory, and is a ${lower.kind}`)
    }
    this.digest = digest
    this.dev = request.dev
    this.clock = request.clock
    this.enabling = rootHash === undefined
    this.rootName = rootName
    this.nameMax = Math.max(1, (lower.filesystem.nameMax ?? NAME_MAX) - PREFIX_LENGTH)
    this.#rootHash = rootHash
    this.#source = source
    this.root = new VerityDirectory(this, undefined, '', lower)
    const { attempt = new Attempt() } = request
    if (rootHash === undefined) {
      new InTurn(writing(lower, rootTreeName(rootName), [], this.clock.coarse(), attempt)).run()
    } else this.verify(this.root, lower.lookup(rootTreeName(rootName), attempt), toHex(rootHash), attempt)
  }

  get options(): string {
    const { rootName } = this
    const hash = this.#rootHash ?? this.root.measureVerity()
    return `root_hash=${hash ? toHex(hash) : ''},root_name=${rootName}`
  }

  usage(attempt?: Attempt): FilesystemUsage {
    return this.root.lower.filesystem.usage(attempt)
  }

  release(): void {
    this.#source.release?.()
  }

  digestOf(record: FileRecord): Uint8Array {
    return this.digest(encodeRecord(record))
  }

  /** Gives a node its record, which the tree `file` has, if that has this digest and the lower inode is as it says. Errors: as violated. */
  verify(node: VerityInode, file: Inode | undefined, digest: string, attempt: Attempt): void {
    const measured = this.#measured(node, file, digest, attempt)
    if (typeof measured === 'string') node.violated(measured)
    node.measured(...measured)
  }

  /** Or what is wrong. */
  #measured(
    { lower }: VerityInode,
    file: Inode | undefined,
    digest: string,
    attempt: Attempt,
  ): [FileRecord, Tree] | string {
    if (file?.kind !== 'file') return 'its tree is missing'
    const bytes = readRecord(file, attempt)
    if (!bytes || !isEqual(this.digest(bytes), fromHex(digest))) return 'its tree is damaged'
    const record = decodeRecord(bytes)
    if (!record) return 'its tree is not in a form that can be read'
    const start = bytes.length + 1
    const length = start + (record.size === undefined ? 0 : treeBytes(record.size))
    if (file.size !== length) return `its tree has ${file.size} bytes, and had ${length}`
    lower.refresh?.(attempt)
    return difference(record, lower, attempt) ?? [record, { file, start }]
  }

  /** Errors: EIO, which says what is wrong and where. */
  violated(path: string, rule: string): never {
    const reason = `verity: ${path}: ${rule}`
    this.#source.panic?.(reason)
    throw new ErrnoError('EIO', undefined, reason)
  }
}

/** The type, by the hash it checks with. */
export const verityOf = (digest: Digest): FilesystemType => ({
  name: 'verity',
  userMountable: true,
  userListable: true,
  /** `internal` is a VerityLower. Errors: EINVAL for options; EIO; EROFS where trees may be built and cannot. */
  mount(request) {
    const options = parseVerityOptions(request.data)
    const { lowerPath } = options
    const internal = request.internal as VerityLower | undefined
    const fault = (rule: string) => new ErrnoError('EINVAL', undefined, `verity: ${rule}`)
    if (internal && lowerPath !== undefined) throw fault('the lower directory is given twice')
    if (internal) return new VerityFilesystem(digest, internal, options, request)
    if (lowerPath === undefined) throw fault('wants its lower directory: lower_path=PATH')
    if (!request.hold) throw fault('has nobody to ask for lower_path')
    const held = request.hold(lowerPath)
    try {
      return new VerityFilesystem(digest, { lower: held.inode, release: held.release }, options, request)
    } catch (error) {
      held.release()
      throw error
    }
  },
})
