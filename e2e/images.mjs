/**
 * Images for tests, made of files by other means than the project's own: modern-tar, node's zlib and crypto.
 *
 * @typedef {{ header: import('modern-tar').TarHeader, body?: string | Uint8Array }} Entry
 *
 * @typedef {object} ImageParts
 * @property {(Record<string, string | Uint8Array> | Entry[])[]} layers the bottom first: files by path, a path with a slash
 *   at its end being a directory, or entries
 * @property {object} [config] the `config` of the config document
 * @property {'gzip' | 'none'} [compression]
 * @property {{ os: string, architecture: string }} [platform]
 * @property {string} [reference]
 */
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { packTar } from 'modern-tar'

/** @param {Uint8Array | string} bytes */
export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

const mtime = new Date(1_700_000_000_000)

/** @param {Record<string, string | Uint8Array> | Entry[]} files @returns {Promise<Uint8Array>} */
export function layerTar(files) {
  if (Array.isArray(files)) return packTar(files)
  return packTar(
    Object.entries(files).map(([name, body]) =>
      name.endsWith('/')
        ? { header: { name, type: 'directory', size: 0, mtime, mode: 0o755 } }
        : { header: { name, size: Buffer.byteLength(body), mtime, mode: /\bbin\//.test(name) ? 0o755 : 0o644 }, body },
    ),
  )
}

/** @param {ImageParts} parts */
async function blobsOf({ layers, config = {}, compression = 'gzip', platform = { os: 'wasi', architecture: 'wasm' } }) {
  const tars = await Promise.all(layers.map(layerTar))
  const stored = tars.map((tar) => (compression === 'gzip' ? gzipSync(tar) : Buffer.from(tar)))
  const configBytes = JSON.stringify({
    ...platform,
    created: '2026-01-01T00:00:00Z',
    config,
    rootfs: { type: 'layers', diff_ids: tars.map((tar) => `sha256:${sha256(tar)}`) },
    history: tars.map(() => ({ created_by: 'a test' })),
  })
  return { tars, stored, configBytes }
}

/** @param {string} mediaType @param {Uint8Array | string} bytes */
const described = (mediaType, bytes) => ({
  mediaType,
  digest: `sha256:${sha256(bytes)}`,
  size: Buffer.byteLength(bytes),
})

/**
 * An OCI image layout in a tar, of one image or several in one index.
 *
 * @param {ImageParts | ImageParts[]} images
 * @param {{ nested?: boolean, spoil?: (blobs: Map<string, Uint8Array | string>) => void }} [options] `nested`: the index is
 *   named by another one; `spoil` changes the blobs, by digest, after all digests were taken
 */
export async function ociArchive(images, { nested = false, spoil } = {}) {
  /** @type {Map<string, Uint8Array | string>} */
  const blobs = new Map()
  /** @param {string} mediaType @param {Uint8Array | string} bytes */
  const keep = (mediaType, bytes) => {
    blobs.set(sha256(bytes), bytes)
    return described(mediaType, bytes)
  }
  const manifests = []
  for (const image of [images].flat()) {
    const { stored, configBytes } = await blobsOf(image)
    const type = `application/vnd.oci.image.layer.v1.tar${image.compression === 'none' ? '' : '+gzip'}`
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: keep('application/vnd.oci.image.config.v1+json', configBytes),
      layers: stored.map((layer) => keep(type, layer)),
    })
    manifests.push({
      ...keep('application/vnd.oci.image.manifest.v1+json', manifest),
      ...(image.platform && { platform: image.platform }),
      ...(image.reference && { annotations: { 'org.opencontainers.image.ref.name': image.reference } }),
    })
  }
  let index = JSON.stringify({ schemaVersion: 2, manifests })
  if (nested)
    index = JSON.stringify({ schemaVersion: 2, manifests: [keep('application/vnd.oci.image.index.v1+json', index)] })
  spoil?.(blobs)
  return packTar([
    { header: { name: 'oci-layout', size: 30 }, body: '{"imageLayoutVersion":"1.0.0"}' },
    { header: { name: 'index.json', size: Buffer.byteLength(index) }, body: index },
    ...[...blobs].map(([digest, body]) => ({
      header: { name: `blobs/sha256/${digest}`, size: Buffer.byteLength(body) },
      body,
    })),
  ])
}

/** What `docker save` wrote before it knew OCI's layout. @param {ImageParts} parts */
export async function dockerArchive(parts) {
  const { tars, configBytes } = await blobsOf({ ...parts, compression: 'none' })
  const config = `${sha256(configBytes)}.json`
  const names = tars.map((_, i) => `${String(i).repeat(64)}/layer.tar`)
  const manifest = JSON.stringify([{ Config: config, RepoTags: [parts.reference ?? 'test:latest'], Layers: names }])
  return packTar([
    ...tars.flatMap((body, i) => [
      { header: { name: `${String(i).repeat(64)}/`, type: /** @type {const} */ ('directory'), size: 0 } },
      { header: { name: names[i], size: body.length }, body },
    ]),
    { header: { name: config, size: Buffer.byteLength(configBytes) }, body: configBytes },
    { header: { name: 'manifest.json', size: Buffer.byteLength(manifest) }, body: manifest },
  ])
}
