/**
 * The images of a sandbox, and the layers of its containers on their way out and in. All of this folder is loaded when it is
 * first needed.
 *
 * Invariants: an image is in the bundle under its name, or nothing of it is left. A container's upper is written, and
 * replaced, within one turn, so that no program sees or makes half a state.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { toHex } from '../../abi/hex.ts'
import type {
  Change,
  CommitOptions,
  ExportedLayer,
  ExportImageOptions,
  ExportLayerOptions,
  ImageCalls,
  ImageInfo,
  ImportImageOptions,
  LayerInfo,
  Parts,
  SealedImage,
  SealOptions,
} from '../../abi/images.ts'
import type { BlobLike } from '../../abi/tree.ts'
import { encodeUtf8 } from '../../abi/utf8.ts'
import type { Answers } from '../../abi/wire.ts'
import { type LayerFilesystem, layerType } from '../../fs/layer/layer.ts'
import { diffUpper } from '../../fs/overlay/diff.ts'
import { Marks } from '../../fs/overlay/marks.ts'
import type { OverlayFilesystem } from '../../fs/overlay/overlay.ts'
import { type ChangedName, commitUpper, discardUpper } from '../../fs/overlay/rebase.ts'
import { attempted, loaded, type Waiting } from '../../kernel/attempts.ts'
import type { Dentry } from '../../vfs/dentry.ts'
import type { DirectoryInode, Filesystem, PageSource } from '../../vfs/inode.ts'
import { type Mount, type Superblock, VirtualDentry } from '../../vfs/mount.ts'
import type { Vfs } from '../../vfs/vfs.ts'
import type { Attempt } from '../../vfs/waiting.ts'
import type { Bundle } from '../bundle.ts'
import { overMemory } from '../mounts/layering.ts'
import { type ImageDocuments, imageArchive, type StoredLayer } from './export-image.ts'
import type { ArchiveHost } from './host.ts'
import { OCI, readDocument } from './image-format.ts'
import { importImage, readSnapshot } from './import-image.ts'
import { processOf } from './process-of.ts'
import { LayerReader } from './read-layer.ts'
import { restore } from './restore.ts'
import { PieceSource, SpilledParts } from './sources.ts'
import { writeLayer } from './write-layer.ts'

/** The root of a container, if it is an overlay with layers. */
export interface LayeredRoot {
  readonly id: string
  /** What `root.path` says. */
  readonly source: string
  readonly overlay: OverlayFilesystem
  readonly superblock: Superblock
  /** The lower layers, the topmost first; they live as long as the overlay. */
  lowers: readonly Mount[]
}

export interface ImagesOptions {
  readonly vfs: Vfs
  readonly bundle: Bundle
  readonly waiting: Waiting
  readonly host: ArchiveHost
  /** A Blob as a source that can be read within a call. */
  readonly inPlace: (blob: BlobLike, label: string) => PageSource
  /** Errors: ENOENT for no such container; a plain error for one whose root has no layers. */
  readonly rootOf: (id: string) => LayeredRoot
}

interface Image {
  readonly info: ImageInfo
  readonly documents: ImageDocuments
  readonly layers: readonly Mount[]
}

export class Images implements Answers<ImageCalls> {
  readonly #options: ImagesOptions
  readonly #images = new Map<string, Image>()
  /** What is known of filesystems that are layers. */
  readonly #stored = new WeakMap<Filesystem, StoredLayer>()
  #lastName = 0

  constructor(options: ImagesOptions) {
    this.#options = options
    options.vfs.types.register(layerType)
  }

  /** Errors: EINVAL, EFBIG and so on, which name what is wrong; EEXIST for a name that is taken; ENOENT for no such base. */
  async importImage(source: BlobLike, options: ImportImageOptions): Promise<ImageInfo> {
    const { host, bundle, inPlace } = this.#options
    const { base, limits, name, ...choice } = options
    if (name !== undefined) bundle.requireFree(name)
    const under = base === undefined ? [] : this.#require(base).layers
    const below = under.flatMap(({ superblock: { filesystem } }) =>
      filesystem.type === 'layer' ? [{ filesystem: filesystem as LayerFilesystem }] : [],
    )
    const read = await importImage(host, source, inPlace, { ...choice, limits, below })
    if (base !== undefined && read.configBytes) {
      throw new ErrnoError('EINVAL', base, 'a base is for an archive of files; this one is an image of its own')
    }
    const stored = read.layers.map(({ filesystem, ...layer }) => ({ filesystem, stored: layer }))
    const own = stored.map((layer) => this.#mountOf(layer.filesystem, layer.stored))
    const documents: ImageDocuments = {
      ...(base === undefined ? read : this.#require(base).documents),
      configBytes: read.configBytes,
      manifestBytes: read.manifestBytes,
      reference: read.reference,
    }
    return this.#enter(name, [...own, ...this.#again(under)], documents, read.digest, read.warnings)
  }

  async exportImage(name: string, { gzip = true, reference }: ExportImageOptions): Promise<Parts> {
    const { host } = this.#options
    const { documents, layers } = this.#require(name)
    const stored: StoredLayer[] = []
    for (const mount of layers) stored.push(await this.#storedLayer(mount, gzip))
    return imageArchive(host, { ...documents, reference: reference ?? documents.reference }, stored)
  }

  /** Containers that were made from it go on. Errors: ENOENT. */
  async removeImage(name: string): Promise<void> {
    this.#require(name)
    this.#images.delete(name)
    this.#options.bundle.remove(name)
  }

  async diff(id: string): Promise<readonly Change[]> {
    const { overlay } = this.#options.rootOf(id)
    const changes = await this.#step((attempt) => diffUpper(overlay, attempt))
    return changes.map(({ path, ...change }) => ({ path: `/${path}`, ...change }))
  }

  async exportLayer(
    id: string,
    { form = 'layer', gzip = form === 'layer' }: ExportLayerOptions,
  ): Promise<ExportedLayer> {
    const { host, rootOf } = this.#options
    const { overlay } = rootOf(id)
    const { tar, skipped } = await this.#step((attempt) => {
      const spilled = new SpilledParts((pieces) => host.blob(pieces, ''))
      const append = (bytes: Uint8Array) => spilled.append(bytes)
      const skipped = writeLayer(upperOf(overlay), append, { form, marks: overlay.marks, attempt })
      return { tar: spilled.parts(), skipped }
    })
    const diffId = `sha256:${await host.digest('sha256', host.blob(tar, ''))}`
    const packed = gzip ? await host.gzip(tar) : undefined
    const digest = packed ? `sha256:${await host.digest('sha256', packed)}` : diffId
    const parts = packed ? [packed] : tar
    const mediaType =
      form === 'snapshot' ? (gzip ? 'application/gzip' : 'application/x-tar') : gzip ? OCI.gzipLayer : OCI.layer
    return { parts, digest, diffId, mediaType, skipped }
  }

  /** Errors: EBUSY for a socket in the upper; EINVAL for a name that no layer can have; EEXIST; ENOSPC never. */
  async commit(id: string, { name, config = {} }: CommitOptions): Promise<ImageInfo> {
    const { vfs, bundle, rootOf } = this.#options
    const root = rootOf(id)
    const { overlay, superblock } = root
    if (name !== undefined) bundle.requireFree(name)
    // Asked before anything changes.
    const base = this.#images.get(root.source)?.documents.raw ?? {}
    const { history: _, ...raw } = { ...base, config: { ...(base.config as object), ...config } } as Record<
      string,
      unknown
    >
    const documents = {
      raw,
      config: readDocument('config', encodeUtf8(JSON.stringify({ rootfs: NO_LAYERS, ...raw })), 'config'),
    }
    const { bytes, mount, lowers } = await this.#step((attempt) => {
      const { filesystem, bytes } = layerOf(overlay, attempt)
      const before = root.lowers
      const layer = vfs.newMount(vfs.newFilesystem({ type: 'layer', internal: filesystem }))
      try {
        forget(superblock.root, commitUpper(overlay, filesystem.root, attempt))
      } catch (failure) {
        vfs.discard(layer)
        throw failure
      }
      const held = vfs.newMount(layer.superblock)
      overlay.onRelease(() => vfs.discard(held))
      root.lowers = [held, ...before]
      return { bytes, mount: layer, lowers: before }
    })
    await this.#keep(mount, bytes)
    return this.#enter(name, [mount, ...this.#again(lowers)], documents, undefined, [])
  }

  /** What is known of a layer that was made here. */
  async #keep(mount: Mount, bytes: PieceSource): Promise<void> {
    const { host } = this.#options
    const diffId = `sha256:${await host.digest('sha256', bytes.pieces())}`
    const { filesystem } = mount.superblock
    const { files } = filesystem as LayerFilesystem
    this.#stored.set(filesystem, {
      diffId,
      digest: diffId,
      size: bytes.size,
      mediaType: OCI.layer,
      entries: files,
      bytes,
    })
  }

  /**
   * Measures all files of an image: a further layer holds the trees against which a mount checks them. Nothing else changes.
   * Errors: ENOENT; EEXIST for the name; ENAMETOOLONG, EIO and so on for a file that cannot be measured.
   */
  async seal(name: string, { name: wanted, rootName = '/' }: SealOptions): Promise<SealedImage> {
    const { vfs, bundle, waiting } = this.#options
    const { documents, layers } = this.#require(name)
    if (wanted !== undefined) bundle.requireFree(wanted)
    const type = vfs.types.lookup('verity')
    if (type?.load) await loaded(waiting, type.load())
    const lowers = layers.map((mount) => new VirtualDentry(mount, mount.root))
    const held: Mount[] = []
    const hold = async (make: (attempt: Attempt) => Mount): Promise<Mount> => {
      held.push(await this.#step(make))
      return held.at(-1)!
    }
    try {
      // Nobody else has it, so it is the same at each step.
      const { superblock } = await hold((attempt) => overMemory(attempt, { vfs, lowers, source: name }))
      const request = { type: 'verity', data: `root_name=${rootName}`, internal: { lower: superblock.root.inode } }
      const { root } = await hold((attempt) => vfs.newMount(vfs.newFilesystem({ ...request, attempt })))
      await this.#step((attempt) => root.inode.enableVerity!(attempt))
      const overlay = superblock.filesystem as OverlayFilesystem
      const { filesystem, bytes } = await this.#step((attempt) => layerOf(overlay, attempt))
      const mount = vfs.newMount(vfs.newFilesystem({ type: 'layer', internal: filesystem }))
      await this.#keep(mount, bytes)
      const info = await this.#enter(wanted, [mount, ...this.#again(layers)], documents, undefined, [])
      return { ...info, rootHash: toHex(root.inode.measureVerity!()!) }
    } finally {
      for (const mount of held.reverse()) vfs.discard(mount)
    }
  }

  async discard(id: string): Promise<void> {
    const { overlay, superblock } = this.#options.rootOf(id)
    await this.#step((attempt) => {
      const kept = mountPoints(superblock)
      forget(
        superblock.root,
        discardUpper(overlay, (path) => kept.has(path), attempt),
      )
    })
  }

  /** The layer that a snapshot holds, for a new upper. Errors: as importImage. */
  readSnapshot(source: BlobLike): Promise<LayerFilesystem> {
    return readSnapshot(this.#options.host, source)
  }

  /** The same of a file of the bundle, `name/path`. Errors: ENOENT; EISDIR; as importImage. */
  async readSnapshotFile(source: string): Promise<LayerFilesystem> {
    const { bundle, host } = this.#options
    const bytes = await this.#step((attempt) => {
      const { inode } = bundle.find(source, attempt).dentry
      if (inode.kind !== 'file') throw new ErrnoError('EISDIR', source, 'a snapshot is a file')
      const content = new Uint8Array(inode.size)
      inode.read(content, 0, content.length, 0, attempt)
      return content
    })
    return readSnapshot(host, host.blob([bytes], 'application/x-tar'))
  }

  /** What fills an upper with a layer. */
  restorerOf(layer: LayerFilesystem): (upper: DirectoryInode, attempt: Attempt) => void {
    const now = this.#options.vfs.clock.coarse()
    return (upper, attempt) => restore(layer.root, upper, now, attempt)
  }

  /** Runs an operation in one turn, as often as it takes until nothing must be waited for. */
  #step<T>(operation: (attempt: Attempt) => T): Promise<T> {
    return attempted(this.#options.waiting, operation)
  }

  #written(root: DirectoryInode, marks: Marks): Promise<PieceSource> {
    return this.#step((attempt) => {
      const bytes = new PieceSource()
      writeLayer(root, (piece) => bytes.append(piece), { form: 'layer', marks, attempt })
      return bytes.seal()
    })
  }

  #mountOf(filesystem: LayerFilesystem, stored: StoredLayer): Mount {
    const { vfs } = this.#options
    this.#stored.set(filesystem, stored)
    return vfs.newMount(vfs.newFilesystem({ type: 'layer', internal: filesystem }))
  }

  /** Further mounts of the same places: each image has its own. */
  #again(mounts: readonly Mount[]): Mount[] {
    return mounts.map(({ superblock, root }) => this.#options.vfs.newMount(superblock, { root }))
  }

  async #enter(
    wanted: string | undefined,
    layers: readonly Mount[],
    documents: ImageDocuments,
    digest: string | undefined,
    warnings: readonly string[],
  ): Promise<ImageInfo> {
    const { vfs, bundle } = this.#options
    let name = wanted
    try {
      while (name === undefined) {
        const next = `image${++this.#lastName}`
        if (!bundle.has(next)) name = next
      }
      bundle.provideLayers(name, layers)
    } catch (failure) {
      for (const mount of layers) vfs.discard(mount)
      throw failure
    }
    const { config } = documents
    const { process, warnings: more } = await processOf(config, (path) => this.#textIn(name, path))
    const platform = config.os && config.architecture ? { platform: `${config.os}/${config.architecture}` } : {}
    const info: ImageInfo = {
      name,
      ...(digest !== undefined && { digest }),
      ...platform,
      layers: layers.map((mount) => this.#tell(mount)),
      config: { ...(documents.raw.config as object) },
      process,
      warnings: [...warnings, ...more],
    }
    this.#images.set(name, { info, documents, layers })
    return info
  }

  #tell({ superblock }: Mount): LayerInfo {
    const stored = this.#stored.get(superblock.filesystem)
    if (!stored) return {}
    const { digest, diffId, mediaType, size, entries } = stored
    return { digest, diffId, mediaType, size, entries }
  }

  /** A layer with its bytes as they are stored: those it came with, or a tar that is made now and kept. */
  async #storedLayer(mount: Mount, gzip: boolean): Promise<StoredLayer> {
    const { host } = this.#options
    const { filesystem } = mount.superblock
    let stored = this.#stored.get(filesystem)
    if (!stored) {
      const marks = new Marks('trusted.overlay.')
      const bytes = await this.#written(mount.root.inode as DirectoryInode, marks)
      const diffId = `sha256:${await host.digest('sha256', bytes.pieces())}`
      stored = { diffId, digest: diffId, size: bytes.size, mediaType: OCI.layer, entries: 0, bytes }
      // Of a part of a tree nothing is kept: its filesystem is that of all parts.
      if (mount.root === mount.superblock.root) this.#stored.set(filesystem, stored)
    }
    // Layers that came with an image stay as they came.
    if (!gzip || !stored.bytes) return stored
    stored.packed ??= await host.gzip(stored.bytes.pieces())
    const { size } = stored.packed
    const digest = `sha256:${await host.digest('sha256', stored.packed)}`
    return { ...stored, digest, size, mediaType: OCI.gzipLayer, bytes: undefined }
  }

  /** The text of a file of an image, or undefined if there is none. */
  async #textIn(name: string, path: string): Promise<Uint8Array | undefined> {
    return this.#step((attempt) => {
      const inode = this.#options.bundle.findIn(name, path, attempt)?.dentry.inode
      if (inode?.kind !== 'file' || inode.size > 1 << 20) return undefined
      const bytes = new Uint8Array(inode.size)
      inode.read(bytes, 0, bytes.length, 0, attempt)
      return bytes
    })
  }

  #require(name: string): Image {
    const image = this.#images.get(name)
    if (!image) throw new ErrnoError('ENOENT', name, `there is no image "${name}"`)
    return image
  }
}

const NO_LAYERS = { diff_ids: [] }

/** What an overlay's upper has, as a layer. */
function layerOf(
  overlay: OverlayFilesystem,
  attempt: Attempt,
): { readonly filesystem: LayerFilesystem; readonly bytes: PieceSource } {
  const reader = new LayerReader('layer', {
    limits: { entries: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY },
  })
  writeLayer(upperOf(overlay), (piece) => reader.push(piece), { form: 'layer', marks: overlay.marks, attempt })
  return { filesystem: reader.end(), bytes: reader.source as PieceSource }
}

function upperOf(overlay: OverlayFilesystem): DirectoryInode {
  if (!overlay.upperRoot) throw new ErrnoError('EROFS', undefined, 'the root has no upper layer')
  return overlay.upperRoot
}

/** Names that mean another inode now: what hangs on them is as on removed ones. */
function forget(root: Dentry, names: readonly ChangedName[]): void {
  for (const way of names) {
    let dentry: Dentry | undefined = root
    for (const name of way) dentry = dentry?.children?.get(name)
    if (dentry) killTree(dentry)
  }
}

function killTree(dentry: Dentry): void {
  if (dentry.children) for (const child of dentry.children.values()) killTree(child)
  dentry.die()
}

/** The paths of what something is mounted on, and of all above it. */
function mountPoints({ points }: Superblock): Set<string> {
  const paths = new Set<string>()
  for (const point of points.keys()) {
    const names: string[] = []
    for (let dentry = point; dentry.parent; dentry = dentry.parent) names.unshift(dentry.name)
    for (let depth = 1; depth <= names.length; depth++) paths.add(names.slice(0, depth).join('/'))
  }
  return paths
}
