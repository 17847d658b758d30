/** What the page and the kernel say to each other about images and layers: the wire types, which a structured clone can carry. */

import type { FileKind } from './syscalls.ts'
import type { BlobLike } from './tree.ts'

/** Most that is read of an archive. */
export interface ArchiveLimits {
  /** Entries of all layers together; 500,000 if left out. */
  readonly entries?: number
  /** Bytes of all layers together, uncompressed; 4 GiB if left out. */
  readonly bytes?: number
}

export interface ImportImageOptions {
  /** What `root.path` and the sources of mounts will say for it; `image1`, `image2` and so on if left out. */
  readonly name?: string
  /** The image, by name, whose layers lie under those of the archive; only for an archive of files. */
  readonly base?: string
  /** `os/architecture` to take where the archive has several; `wasi/wasm`, or the only one, if left out. */
  readonly platform?: string
  /** The tag or `ref.name` to take where the archive has several. */
  readonly reference?: string
  readonly limits?: ArchiveLimits
}

export interface LayerInfo {
  /** Of the layer as it was stored, such as `sha256:…`, and as a tar. Left out for a tree that was never exported. */
  readonly digest?: string
  readonly diffId?: string
  readonly mediaType?: string
  /** Bytes, as it was stored. */
  readonly size?: number
  readonly entries?: number
}

/** What an image's config says of the process: fields of a spec's `process`, which takes them as they are. */
export interface ImageProcess {
  readonly args?: string[]
  readonly env?: string[]
  readonly cwd?: string
  readonly user?: { uid: number; gid: number; additionalGids?: number[] }
}

export interface ImageInfo {
  /** In the bundle. */
  readonly name: string
  /** Of its manifest; left out where the archive has none. */
  readonly digest?: string
  readonly platform?: string
  /** The topmost first, as an overlay has them. */
  readonly layers: readonly LayerInfo[]
  /** The `config` of its config document: `Env`, `Cmd`, `Labels` and so on. */
  readonly config: Readonly<Record<string, unknown>>
  readonly process: ImageProcess
  /** What was passed over, and why. */
  readonly warnings: readonly string[]
}

/** A line of a diff. */
export interface Change {
  /** Absolute in the container. */
  readonly path: string
  readonly change: 'added' | 'changed' | 'deleted'
  /** What is there now, or was there if it was deleted. */
  readonly kind: FileKind
  /** Bytes of a file or a link's target; 0 for others. */
  readonly size: number
  /** Of what was changed: what the lower layers have. */
  readonly before?: { readonly kind: FileKind; readonly size: number }
}

export interface ExportLayerOptions {
  /**
   * `layer`: as OCI has it, with `.wh.` files for what was deleted. `snapshot`: a tar that holds everything as the upper has
   * it, deletions as devices 0:0; what `upper` of `sandbox.create` takes. `layer` if left out.
   */
  readonly form?: 'layer' | 'snapshot'
  /** True for a layer and false for a snapshot if left out. */
  readonly gzip?: boolean
}

/** Bytes on their way to the page: parts of a Blob. */
export type Parts = readonly (Uint8Array | BlobLike)[]

export interface ExportedLayer {
  readonly parts: Parts
  /** Of these bytes, and of the tar in them. */
  readonly digest: string
  readonly diffId: string
  readonly mediaType: string
  /** Paths that were left out: sockets. */
  readonly skipped: readonly string[]
}

export interface CommitOptions {
  /** As of an import. */
  readonly name?: string
  /** Fields to put over those of the image that the container was made from: `Env`, `Cmd`, `Entrypoint`, `WorkingDir`, `User`, `Labels`. */
  readonly config?: Readonly<Record<string, unknown>>
}

export interface ExportImageOptions {
  /** Whether layers that were made here are compressed; true if left out. */
  readonly gzip?: boolean
  /** The name that the archive tells, such as `app:1.0`; the one it was imported with if left out. */
  readonly reference?: string
}

export interface SealOptions {
  /** As of an import. */
  readonly name?: string
  /** What the root's tree is found by: the last name of where it will be mounted; `/`, a container's root, if left out. */
  readonly rootName?: string
}

export interface SealedImage extends ImageInfo {
  /** SHA-256 of all that is in it, in hexadecimal digits. */
  readonly rootHash: string
}

/** The calls about images; `id` is a container's. */
export interface ImageCalls {
  importImage(source: BlobLike, options: ImportImageOptions): ImageInfo
  exportImage(name: string, options: ExportImageOptions): Parts
  removeImage(name: string): void
  diff(id: string): readonly Change[]
  exportLayer(id: string, options: ExportLayerOptions): ExportedLayer
  commit(id: string, options: CommitOptions): ImageInfo
  discard(id: string): void
  seal(name: string, options: SealOptions): SealedImage
}

export type ImageCall = keyof ImageCalls
