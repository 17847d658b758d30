/**
 * The documents of an image, as far as they matter here: image-spec (descriptor.md, image-index.md, manifest.md, config.md),
 * and the manifest.json of `docker save`. A document is checked when it is read; what is unknown in it is passed over.
 */

import * as v from 'valibot'
import { ErrnoError } from '../../abi/errno.ts'
import { decodeUtf8 } from '../../abi/utf8.ts'
import { fields, parse, record, SpecError } from '../validate.ts'

const size = v.pipe(
  v.number(),
  v.check((n) => Number.isSafeInteger(n) && n >= 0, 'must be a number of bytes'),
)
const digest = v.pipe(
  v.string(),
  v.check(
    (text) => /^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/.test(text),
    'must be a sha256 or sha512 digest, such as "sha256:…"',
  ),
)
/** `null` stands for "nothing" in what Go programs write. */
const orNull = <S extends v.GenericSchema>(schema: S) => v.optional(v.nullable(schema))
const texts = orNull(v.array(v.string()))

const platform = fields({ os: v.string(), architecture: v.string(), variant: v.optional(v.string()) })

const descriptor = fields({
  mediaType: v.string(),
  digest,
  size,
  platform: orNull(platform),
  annotations: orNull(record(v.string())),
})

const index = fields({ manifests: v.array(descriptor) })
const manifest = fields({ config: descriptor, layers: v.array(descriptor) })
const dockerManifest = v.array(fields({ Config: v.string(), RepoTags: texts, Layers: v.array(v.string()) }))

const config = fields({
  os: v.optional(v.string()),
  architecture: v.optional(v.string()),
  variant: v.optional(v.string()),
  config: orNull(
    fields({
      User: v.optional(v.string()),
      Env: texts,
      Entrypoint: texts,
      Cmd: texts,
      WorkingDir: v.optional(v.string()),
      Labels: orNull(record(v.string())),
    }),
  ),
  rootfs: fields({ diff_ids: v.array(digest) }),
})

const schemas = { index, manifest, config, dockerManifest }

export type Descriptor = v.InferOutput<typeof descriptor>
export type Platform = v.InferOutput<typeof platform>
export type ImageConfig = v.InferOutput<typeof config>
export type Documents = { [K in keyof typeof schemas]: v.InferOutput<(typeof schemas)[K]> }

/** Reads a document of a kind; `name` is where it is in the archive. Errors: EINVAL with every fault. */
export function readDocument<K extends keyof Documents>(kind: K, bytes: Uint8Array, name: string): Documents[K] {
  const text = decodeUtf8(bytes)
  try {
    if (text === undefined) throw new SyntaxError('it is not UTF-8')
    return parse(schemas[kind] as v.GenericSchema, JSON.parse(text), name).output as Documents[K]
  } catch (failure) {
    if (failure instanceof SpecError) {
      const rules = failure.faults.map(({ path, rule }) => `${path === '' ? '' : `${path} `}${rule}`)
      throw new ErrnoError('EINVAL', name, `image document: ${rules.join('; ')}`)
    }
    if (failure instanceof SyntaxError) throw new ErrnoError('EINVAL', name, `image document: ${failure.message}`)
    throw failure
  }
}

export const OCI = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  gzipLayer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const

export const isIndex = ({ mediaType }: Descriptor): boolean =>
  mediaType === OCI.index || mediaType === 'application/vnd.docker.distribution.manifest.list.v2+json'

/** `wasi/wasm`, `linux/arm64/v8`. */
export const platformText = ({ os, architecture, variant }: Platform): string =>
  [os, architecture, ...(variant ? [variant] : [])].join('/')
