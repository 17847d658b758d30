/**
 * Reads an image: an OCI image layout in a tar (image-layout.md), what `docker save` writes, or a tar of a root filesystem.
 * Each may be compressed with gzip as a whole, as may each layer.
 *
 * Invariants: a blob is only used once its digest was found right, and a layer once its content's was. Nothing is made
 * outside before all of the image was read; a fault names the file of the archive, or the entry of the layer.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { BlobLike } from '../../abi/tree.ts'
import { decodeUtf8 } from '../../abi/utf8.ts'
import type { LayerFilesystem } from '../../fs/layer/layer.ts'
import type { PageSource } from '../../vfs/inode.ts'
import type { ArchiveHost, DigestAlgorithm } from './host.ts'
import { type Descriptor, type ImageConfig, isIndex, OCI, platformText, readDocument } from './image-format.ts'
import { mayHoldImage, OuterArchive } from './outer.ts'
import { DEFAULT_LIMITS, LayerReader } from './read-layer.ts'
import type { TarLimits } from './read-tar.ts'
import { PieceSource } from './sources.ts'

export interface ImportOptions {
  /** `os/architecture[/variant]` to take of an image of several; left out: one for wasm, or else the only one. */
  readonly platform?: string | undefined
  /** The name to take where the archive has several images: `org.opencontainers.image.ref.name`, or a tag. */
  readonly reference?: string | undefined
  /** For a tar of files alone: the layers that it will lie on, the topmost first. */
  readonly below?: readonly { readonly filesystem: LayerFilesystem }[] | undefined
  /** Of all layers together. */
  readonly limits?: Partial<TarLimits> | undefined
}

/** A layer that was read. */
export interface ImportedLayer {
  readonly filesystem: LayerFilesystem
  readonly mediaType: string
  /** Of the layer as it was stored, and as a tar. */
  readonly digest: string
  readonly diffId: string
  /** Bytes, as it was stored. */
  readonly size: number
  readonly entries: number
  /** The layer as it was stored. */
  readonly blob: BlobLike
}

export interface ImportedImage {
  /** Of the manifest; undefined where the archive has none. */
  readonly digest: string | undefined
  readonly config: ImageConfig
  /** The config with all of its fields. */
  readonly raw: Readonly<Record<string, unknown>>
  /** The documents as they stand in the archive, if it has them. */
  readonly configBytes: Uint8Array | undefined
  readonly manifestBytes: Uint8Array | undefined
  readonly reference: string | undefined
  /** The topmost first, as an overlay has them. */
  readonly layers: readonly ImportedLayer[]
  readonly warnings: readonly string[]
}

/** Blobs in memory up to this size: a guest reads them sooner than through the browser. */
const SMALL_BLOB = 8 << 20

/** `inPlace` gives a Blob as a source that system calls can read. */
export async function importImage(
  host: ArchiveHost,
  blob: BlobLike,
  inPlace: (blob: BlobLike, label: string) => PageSource,
  options: ImportOptions,
): Promise<ImportedImage> {
  const reader = new ImageReader(host, inPlace, options)
  try {
    return await reader.read(blob)
  } catch (failure) {
    if (failure instanceof Error && !(failure instanceof ErrnoError)) {
      throw new ErrnoError('EIO', undefined, `the image can't be read: ${failure.message}`)
    }
    throw failure
  }
}

/** The files of a snapshot, which may be compressed with gzip. Errors: as importImage. */
export async function readSnapshot(host: ArchiveHost, blob: BlobLike): Promise<LayerFilesystem> {
  const start = await host.bytes(blob, 0, Math.min(2, blob.size))
  const reader = new LayerReader('snapshot')
  try {
    for await (const chunk of start[0] === 0x1f && start[1] === 0x8b ? host.gunzip(blob) : host.stream(blob))
      reader.push(chunk)
  } catch (failure) {
    if (failure instanceof ErrnoError || !(failure instanceof Error)) throw failure
    throw new ErrnoError('EIO', undefined, `the snapshot can't be read: ${failure.message}`)
  }
  return reader.end()
}

interface WantedLayer {
  readonly blob: BlobLike
  readonly name: string
  readonly mediaType?: string | undefined
  /** What it must have. */
  readonly digest?: string | undefined
  readonly diffId?: string | undefined
}

const NO_CONFIG: ImageConfig = { rootfs: { diff_ids: [] } }
const NO_DOCUMENTS = {
  raw: {},
  digest: undefined,
  configBytes: undefined,
  manifestBytes: undefined,
  reference: undefined,
}

class ImageReader {
  readonly #host: ArchiveHost
  readonly #inPlace: (blob: BlobLike, label: string) => PageSource
  readonly #options: ImportOptions
  readonly #limits: TarLimits
  readonly #warnings: string[] = []
  /** What the layers read so far have used of the limits. */
  #entries = 0
  #bytes = 0

  constructor(host: ArchiveHost, inPlace: (blob: BlobLike, label: string) => PageSource, options: ImportOptions) {
    this.#host = host
    this.#inPlace = inPlace
    this.#options = options
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits }
  }

  async read(given: BlobLike): Promise<ImportedImage> {
    let blob = given
    if ((await this.#compression(given, undefined)) === 'gzip') {
      if (!(await mayHoldImage(this.#gunzip(given, undefined), this.#limits))) return this.#readRoot(given)
      blob = await this.#unpacked(given)
    }
    const archive = await OuterArchive.open(this.#host, blob, this.#limits)
    if (archive?.find('index.json')) return this.#readLayout(archive)
    if (archive?.find('manifest.json')) return this.#readDocker(archive)
    return this.#readRoot(given)
  }

  async #unpacked(blob: BlobLike): Promise<BlobLike> {
    const parts: Uint8Array[] = []
    let size = 0
    for await (const chunk of this.#gunzip(blob, undefined)) {
      size += chunk.length
      this.#requireRoom(size)
      parts.push(chunk)
    }
    return this.#host.blob(parts, 'application/x-tar')
  }

  /** A tar of files, as `docker export` or `tar -c` make it. */
  async #readRoot(blob: BlobLike): Promise<ImportedImage> {
    const layer = await this.#readLayer({ blob, name: 'the archive' }, this.#options.below ?? [])
    return { config: NO_CONFIG, layers: [layer], warnings: this.#warnings, ...NO_DOCUMENTS }
  }

  async #readLayout(archive: OuterArchive): Promise<ImportedImage> {
    const index = readDocument('index', await archive.document('index.json'), 'index.json')
    const chosen = await this.#choose(archive, index.manifests, 0)
    const name = blobName(chosen.digest)
    const bytes = await this.#verified(archive, chosen)
    const manifest = readDocument('manifest', bytes, name)
    const configBytes = await this.#verified(archive, manifest.config)
    if (/wasm/.test(manifest.config.mediaType)) {
      throw new ErrnoError(
        'EINVAL',
        name,
        `it is a WebAssembly artifact (${manifest.config.mediaType}), not an image of files`,
      )
    }
    const config = readDocument('config', configBytes, blobName(manifest.config.digest))
    const layers = manifest.layers.map((layer, i) => ({
      blob: archive.require(blobName(layer.digest)),
      name: blobName(layer.digest),
      mediaType: layer.mediaType,
      digest: layer.digest,
      diffId: config.rootfs.diff_ids[i],
    }))
    const documents = { raw: rawOf(configBytes), digest: chosen.digest, configBytes, manifestBytes: bytes }
    return this.#finish({ ...documents, reference: chosen.annotations?.[REF_NAME] }, config, layers, name)
  }

  /** The image of an index to take. Errors: EINVAL where there is a choice, with what there is. */
  async #choose(archive: OuterArchive, all: readonly Descriptor[], depth: number): Promise<Descriptor> {
    if (depth > 4) throw new ErrnoError('EINVAL', 'index.json', 'its indexes lie too deep in each other')
    const { platform, reference } = this.#options
    const images = all.filter(
      ({ annotations }) => annotations?.['vnd.docker.reference.type'] !== 'attestation-manifest',
    )
    const named = reference === undefined || depth > 0 ? images : images.filter((each) => refersTo(each, reference))
    const fits = (each: Descriptor, wanted: string) => {
      const text = each.platform ? platformText(each.platform) : ''
      return text === wanted || text.startsWith(`${wanted}/`)
    }
    const isWasm = ({ platform: its }: Descriptor) => its?.architecture === 'wasm' || its?.architecture === 'wasm32'
    const candidates =
      platform === undefined
        ? named.length > 1 && named.some(isWasm)
          ? named.filter(isWasm)
          : named
        : named.filter((each) => !each.platform || fits(each, platform))
    const different = [...new Map(candidates.map((each) => [each.digest, each])).values()]
    const [chosen] = different
    if (!chosen || different.length > 1) {
      const has = named.map((each) =>
        [each.annotations?.[REF_NAME], each.platform ? platformText(each.platform) : undefined]
          .filter(Boolean)
          .join(' '),
      )
      const wish = platform === undefined ? (reference ?? 'the one') : platform
      const rule = chosen ? `several are ${wish}: say platform or reference` : `there is no image for ${wish}`
      throw new ErrnoError(
        'EINVAL',
        'index.json',
        `${rule}; it has ${has.map((each) => `"${each}"`).join(', ') || 'none'}`,
      )
    }
    if (!isIndex(chosen)) return chosen
    const nested = readDocument('index', await this.#verified(archive, chosen), blobName(chosen.digest))
    return this.#choose(archive, nested.manifests, depth + 1)
  }

  async #readDocker(archive: OuterArchive): Promise<ImportedImage> {
    const all = readDocument('dockerManifest', await archive.document('manifest.json'), 'manifest.json')
    const { reference } = this.#options
    const wanted = reference === undefined ? all : all.filter(({ RepoTags }) => RepoTags?.includes(reference))
    const [image] = wanted
    if (!image || wanted.length > 1) {
      const has = all.flatMap(({ RepoTags }) => RepoTags ?? []).map((tag) => `"${tag}"`)
      const rule = image ? 'it has several images: say reference' : `there is no image ${reference ?? 'in it'}`
      throw new ErrnoError('EINVAL', 'manifest.json', `${rule}; it has ${has.join(', ') || 'none with a name'}`)
    }
    const configBytes = await archive.document(image.Config)
    // Both names that docker gives it hold its digest.
    const named = /^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.json)?$/.exec(image.Config)?.[1]
    if (named) await this.#requireDigest(`sha256:${named}`, [configBytes], image.Config)
    const config = readDocument('config', configBytes, image.Config)
    const layers = image.Layers.map((name, i) => ({
      blob: archive.require(name),
      name,
      diffId: config.rootfs.diff_ids[i],
    }))
    const documents = { ...NO_DOCUMENTS, raw: rawOf(configBytes), configBytes, reference: image.RepoTags?.[0] }
    return this.#finish(documents, config, layers, image.Config)
  }

  async #finish(
    documents: Pick<ImportedImage, keyof typeof NO_DOCUMENTS>,
    config: ImageConfig,
    wanted: readonly WantedLayer[],
    name: string,
  ): Promise<ImportedImage> {
    const { length } = config.rootfs.diff_ids
    if (length !== wanted.length) {
      throw new ErrnoError('EINVAL', name, `it has ${wanted.length} layers, its config tells of ${length}`)
    }
    const layers: ImportedLayer[] = []
    for (const layer of wanted) layers.unshift(await this.#readLayer(layer, layers))
    return { ...documents, config, layers, warnings: this.#warnings }
  }

  async #readLayer(wanted: WantedLayer, below: readonly { filesystem: LayerFilesystem }[]): Promise<ImportedLayer> {
    const { blob, name, mediaType, digest, diffId } = wanted
    if (mediaType !== undefined && !/^application\/vnd\.(oci|docker)\.image\.(layer|rootfs)\b/.test(mediaType)) {
      throw new ErrnoError('EINVAL', name, `its type is ${mediaType}, which is no layer of files`)
    }
    if (digest !== undefined) await this.#requireDigest(digest, blob, name)
    const kind = await this.#compression(blob, name)
    const inPlace = kind === undefined && this.#host.readsInPlace && blob.size > SMALL_BLOB
    const { entries, bytes } = this.#limits
    const limits = { entries: entries - this.#entries, bytes: bytes - this.#bytes }
    const reader = new LayerReader('layer', { limits, ...(inPlace && { source: this.#inPlace(blob, name) }) })
    let filesystem: LayerFilesystem
    try {
      for await (const chunk of kind === 'gzip' ? this.#gunzip(blob, name) : this.#host.stream(blob)) reader.push(chunk)
      filesystem = reader.end(below.map((layer) => layer.filesystem))
    } catch (failure) {
      throw failure instanceof ErrnoError ? inLayer(failure, name) : failure
    }
    const { source } = reader
    this.#entries += reader.entries
    this.#bytes += source.size
    for (const warning of reader.warnings) this.#warnings.push(`${name}: ${warning}`)
    const content = source instanceof PieceSource ? source.pieces() : blob
    const actual = `sha256:${await this.#host.digest('sha256', content)}`
    if (diffId?.startsWith('sha256:') && diffId !== actual) {
      throw new ErrnoError(
        'EINVAL',
        name,
        `its content has the digest ${actual}, its image's config tells of ${diffId}`,
      )
    }
    return {
      filesystem,
      mediaType: kind === 'gzip' ? OCI.gzipLayer : OCI.layer,
      digest: digest ?? (kind === undefined ? actual : `sha256:${await this.#host.digest('sha256', blob)}`),
      diffId: actual,
      size: blob.size,
      entries: reader.entries,
      blob,
    }
  }

  /** How a blob is compressed, by how it begins. Errors: EINVAL for what cannot be taken apart here. */
  async #compression(blob: BlobLike, name: string | undefined): Promise<'gzip' | undefined> {
    const start = await this.#host.bytes(blob, 0, Math.min(6, blob.size))
    const begins = (...bytes: number[]) => bytes.every((byte, i) => start[i] === byte)
    const kind = begins(0x28, 0xb5, 0x2f, 0xfd)
      ? 'zstd'
      : begins(0xfd, 0x37, 0x7a, 0x58, 0x5a)
        ? 'xz'
        : begins(0x42, 0x5a, 0x68)
          ? 'bzip2'
          : undefined
    if (kind !== undefined) {
      throw new ErrnoError(
        'EINVAL',
        name,
        `it is compressed with ${kind}, which browsers do not know: use gzip, or none`,
      )
    }
    return begins(0x1f, 0x8b) ? 'gzip' : undefined
  }

  async *#gunzip(blob: BlobLike, name: string | undefined): AsyncGenerator<Uint8Array, void> {
    try {
      yield* this.#host.gunzip(blob)
    } catch (failure) {
      if (failure instanceof ErrnoError || !(failure instanceof Error)) throw failure
      throw new ErrnoError('EINVAL', name, `its gzip is damaged or cut off: ${failure.message}`)
    }
  }

  async #verified(archive: OuterArchive, { digest, size }: Descriptor): Promise<Uint8Array> {
    const name = blobName(digest)
    const bytes = await archive.document(name)
    if (bytes.length !== size) {
      throw new ErrnoError('EINVAL', name, `it has ${bytes.length} bytes, what refers to it says ${size}`)
    }
    await this.#requireDigest(digest, [bytes], name)
    return bytes
  }

  async #requireDigest(digest: string, content: BlobLike | readonly Uint8Array[], name: string): Promise<void> {
    const [algorithm, wanted] = digest.split(':') as [DigestAlgorithm, string]
    const actual = await this.#host.digest(algorithm, content)
    if (actual !== wanted) throw new ErrnoError('EINVAL', name, `its digest is ${algorithm}:${actual}`)
  }

  #requireRoom(bytes: number): void {
    if (bytes <= this.#limits.bytes) return
    throw new ErrnoError('EFBIG', undefined, `the archive is larger than the limit of ${this.#limits.bytes} bytes`)
  }
}

const REF_NAME = 'org.opencontainers.image.ref.name'

function refersTo({ annotations }: Descriptor, reference: string): boolean {
  return annotations?.[REF_NAME] === reference || annotations?.['io.containerd.image.name'] === reference
}

const blobName = (digest: string) => `blobs/${digest.replace(':', '/')}`

/** An entry's fault, with the layer that it is in. */
function inLayer(failure: ErrnoError, name: string): ErrnoError {
  return new ErrnoError(failure.code, failure.path, `${name}: ${failure.detail}`)
}

/** Preconditions: it was read as a document. */
const rawOf = (bytes: Uint8Array) => JSON.parse(decodeUtf8(bytes)!) as Record<string, unknown>
