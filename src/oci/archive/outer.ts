/** The archive around an image, read by leaping from header to header: what is in it, and where. */

import { ErrnoError } from '../../abi/errno.ts'
import type { BlobLike } from '../../abi/tree.ts'
import type { ArchiveHost } from './host.ts'
import { type TarLimits, TarReader } from './read-tar.ts'
import type { TarKind } from './tar.ts'

/** Documents are small; a larger one is not read. */
const DOCUMENT_MAX = 4 << 20
const PIECE = 16 * 1024
/** What the writers of image archives name their files: OCI's layout; docker, podman, crane and older ones. */
const NAMES =
  /^(oci-layout|index\.json|manifest\.json|repositories|version|blobs\/.*|[0-9a-f]{64}\/.*|sha256:[0-9a-f]{64}|[^/]+\.(json|tar|tar\.gz|tgz))$/

const plain = (name: string) => name.replace(/^(\.\/)+/, '')
const isOfImage = (path: string, kind: TarKind) => kind === 'directory' || NAMES.test(path)

/** Whether the archive that begins so may be an image's: looks at names until one tells. Errors: those of TarReader. */
export async function mayHoldImage(chunks: AsyncIterable<Uint8Array>, limits: TarLimits): Promise<boolean> {
  let foreign = false
  const reader = new TarReader(({ name, kind }) => {
    foreign ||= !isOfImage(plain(name), kind)
  }, limits)
  for await (const chunk of chunks) {
    reader.push(chunk)
    if (foreign) return false
  }
  reader.end()
  return true
}

interface OuterFile {
  readonly start: number
  readonly size: number
}

export class OuterArchive {
  readonly #host: ArchiveHost
  readonly #blob: BlobLike
  readonly #files = new Map<string, OuterFile>()
  readonly #links = new Map<string, string>()

  private constructor(host: ArchiveHost, blob: BlobLike) {
    this.#host = host
    this.#blob = blob
  }

  /** undefined for an archive of something else, of which little is read. Errors: those of TarReader. */
  static async open(host: ArchiveHost, blob: BlobLike, limits: TarLimits): Promise<OuterArchive | undefined> {
    const archive = new OuterArchive(host, blob)
    let foreign = false
    const reader = new TarReader(({ name, kind, start, size, target = '' }) => {
      const path = plain(name)
      foreign ||= !isOfImage(path, kind)
      if (kind === 'file') archive.#files.set(path, { start, size })
      else if (kind === 'symlink' || kind === 'link') archive.#links.set(path, resolved(path, target, kind))
    }, limits)
    let at = 0
    while (at < blob.size && !foreign) {
      const bytes = await host.bytes(blob, at, Math.min(blob.size, at + PIECE))
      reader.push(bytes)
      at += bytes.length
      at += reader.passOver(blob.size - at)
    }
    if (foreign) return undefined
    reader.end()
    return archive
  }

  /** The content of a file, or undefined. Links to files are followed once: `docker save` makes some. */
  find(name: string): BlobLike | undefined {
    const file = this.#files.get(name) ?? this.#files.get(this.#links.get(name) ?? '')
    return file && this.#blob.slice(file.start, file.start + file.size)
  }

  /** Errors: ENOENT for a file that is missing, EINVAL for one that is too large for a document. */
  async document(name: string): Promise<Uint8Array> {
    const blob = this.require(name)
    if (blob.size > DOCUMENT_MAX) {
      throw new ErrnoError('EINVAL', name, `image document: it has ${blob.size} bytes, of at most ${DOCUMENT_MAX}`)
    }
    return this.#host.bytes(blob, 0, blob.size)
  }

  /** Errors: ENOENT. */
  require(name: string): BlobLike {
    const blob = this.find(name)
    if (!blob) throw new ErrnoError('ENOENT', name, 'the image names it, but its archive does not have it')
    return blob
  }
}

/** Where a link leads, by its text. */
function resolved(path: string, target: string, kind: 'symlink' | 'link'): string {
  const names = kind === 'link' ? [] : path.split('/').slice(0, -1)
  for (const name of target.split('/')) {
    if (name === '..') names.pop()
    else if (name !== '.' && name !== '') names.push(name)
  }
  return names.join('/')
}
