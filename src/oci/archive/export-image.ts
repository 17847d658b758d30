/**
 * Writes an image as an archive: an OCI image layout, with the manifest.json beside it that `docker load` of older versions
 * reads. Equal images give equal bytes.
 */

import { sizeOf } from '../../abi/byte-parts.ts'
import type { Parts } from '../../abi/images.ts'
import type { BlobLike } from '../../abi/tree.ts'
import { encodeUtf8 } from '../../abi/utf8.ts'
import type { ArchiveHost } from './host.ts'
import { type ImageConfig, OCI } from './image-format.ts'
import type { PieceSource } from './sources.ts'
import { paddingOf, type TarHeader } from './tar.ts'
import { END, headerOf } from './write-tar.ts'

/** A layer as it is stored: in one of `blob`, `bytes` and `packed`. */
export interface StoredLayer {
  readonly digest: string
  readonly diffId: string
  readonly mediaType: string
  readonly size: number
  readonly entries: number
  readonly blob?: BlobLike | undefined
  readonly bytes?: PieceSource | undefined
  /** `bytes`, or a plain `blob`, after gzip, once it was asked for. */
  packed?: BlobLike | undefined
}

/** What an image says of itself. The bytes of documents that came with it hold for the layers that came with it. */
export interface ImageDocuments {
  readonly config: ImageConfig
  /** The config with all of its fields. */
  readonly raw: Readonly<Record<string, unknown>>
  readonly configBytes?: Uint8Array | undefined
  readonly manifestBytes?: Uint8Array | undefined
  readonly reference?: string | undefined
}

interface Stored {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly parts: Parts
}

/** The archive, in parts. Layers come the topmost first. */
export async function imageArchive(
  host: ArchiveHost,
  image: ImageDocuments,
  layers: readonly StoredLayer[],
): Promise<Parts> {
  const stored = layers.map(layerParts).reverse()
  const config = await document(host, OCI.config, image.configBytes ?? encodeJson(configOf(image, layers)))
  const manifest = await document(host, OCI.manifest, image.manifestBytes ?? encodeJson(manifestOf(config, stored)))
  const { os = 'wasi', architecture = 'wasm' } = image.config
  const index = {
    schemaVersion: 2,
    mediaType: OCI.index,
    manifests: [
      {
        ...described(manifest),
        platform: { architecture, os },
        ...(image.reference !== undefined && {
          annotations: { 'org.opencontainers.image.ref.name': image.reference },
        }),
      },
    ],
  }
  const docker = [
    {
      Config: pathOf(config),
      RepoTags: image.reference === undefined ? [] : [image.reference],
      Layers: stored.map(pathOf),
    },
  ]
  const blobs = new Map([...stored, config, manifest].map((each) => [pathOf(each), each.parts]))
  const files = [...blobs].sort(([a], [b]) => (a < b ? -1 : 1))
  return [
    ...directory('blobs/'),
    ...directory('blobs/sha256/'),
    ...files.flatMap(([name, parts]) => file(name, parts)),
    ...file('index.json', [encodeJson(index)]),
    ...file('manifest.json', [encodeJson(docker)]),
    ...file('oci-layout', [encodeJson({ imageLayoutVersion: '1.0.0' })]),
    END.slice(),
  ]
}

function configOf({ raw }: ImageDocuments, layers: readonly StoredLayer[]): unknown {
  const rootfs = { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId).reverse() }
  return { architecture: 'wasm', os: 'wasi', ...raw, rootfs }
}

const manifestOf = (config: Stored, layers: readonly Stored[]) => ({
  schemaVersion: 2,
  mediaType: OCI.manifest,
  config: described(config),
  layers: layers.map(described),
})

const described = ({ mediaType, digest, size }: Stored) => ({ mediaType, digest, size })

const pathOf = ({ digest }: Stored) => `blobs/${digest.replace(':', '/')}`

function layerParts({ mediaType, digest, size, blob, bytes, packed }: StoredLayer): Stored {
  // Pieces are copied: what goes to the page is moved there.
  const parts = bytes ? bytes.pieces().map((piece) => piece.slice()) : [blob ?? packed!]
  return { mediaType, digest, size, parts }
}

async function document(host: ArchiveHost, mediaType: string, bytes: Uint8Array): Promise<Stored> {
  const digest = `sha256:${await host.digest('sha256', [bytes])}`
  return { mediaType, digest, size: bytes.length, parts: [bytes.slice()] }
}

const encodeJson = (value: unknown) => encodeUtf8(JSON.stringify(value))

const plain = { mode: 0o644, uid: 0, gid: 0, mtime: 0n } as const
const header = (more: Pick<TarHeader, 'name' | 'kind' | 'size'>) => headerOf({ ...plain, ...more }, 'raw')

const directory = (name: string): Uint8Array[] => [
  headerOf({ ...plain, mode: 0o755, name, kind: 'directory', size: 0 }, 'raw'),
]

function file(name: string, parts: Parts): Parts {
  const size = sizeOf(parts)
  return [header({ name, kind: 'file', size }), ...parts, new Uint8Array(paddingOf(size))]
}
