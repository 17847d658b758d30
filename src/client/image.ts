/** An image in the bundle of a sandbox: layers of files, and how to run what is in them. */

import type { ExportImageOptions, ImageInfo, ImageProcess, LayerInfo, SealedImage, SealOptions } from '../abi/images.ts'
import type { ProcessInput, SpecInput } from '../oci/spec.ts'
import type { Kernel } from './kernel.ts'

export class Image {
  /** In the bundle: for `root.path`, for the source of a bind, for `lowerdir` of an overlay. */
  readonly name: string
  /** Of its manifest, such as `sha256:…`; undefined where its archive had none, and for one that was committed. */
  readonly digest: string | undefined
  /** Such as `wasi/wasm`. */
  readonly platform: string | undefined
  /** The topmost first. */
  readonly layers: readonly LayerInfo[]
  /** The `config` of its config document: `Env`, `Cmd`, `Labels` and so on. */
  readonly config: Readonly<Record<string, unknown>>
  /** What its config says of the process, in the words of a spec. */
  readonly process: ImageProcess
  /** What was passed over in it, and why. */
  readonly warnings: readonly string[]
  readonly #kernel: Kernel

  /** @internal */
  constructor(kernel: Kernel, info: ImageInfo) {
    this.#kernel = kernel
    this.name = info.name
    this.digest = info.digest
    this.platform = info.platform
    this.layers = info.layers
    this.config = info.config
    this.process = info.process
    this.warnings = info.warnings
  }

  /**
   * A container spec for the image: its root and its process. `process` goes over it field by field; `env` is added to the
   * image's, which it overrides name by name. Without any `args` there is no process.
   */
  spec(process: Partial<ProcessInput> = {}): SpecInput {
    const merged = { ...this.process, ...process, env: mergedEnv(this.process.env, process.env) }
    const { args } = merged
    return { root: { path: this.name }, ...(args && { process: { ...merged, args } as ProcessInput }) }
  }

  /** The image as an archive: an OCI image layout, which also `docker load` takes. Equal images give equal bytes. */
  async export(options: ExportImageOptions = {}): Promise<Blob> {
    const parts = await this.#kernel.call('image', ['exportImage', [this.name, options]])
    return new Blob(parts as BlobPart[], { type: 'application/x-tar' })
  }

  /**
   * Measures all files of the image: gives an image with one more layer, which holds the trees to check them by, and the hash that
   * stands for all of it, to be said where it is mounted. ENAMETOOLONG for a name of more than 240 bytes.
   */
  async seal(options: SealOptions = {}): Promise<{ image: Image; rootHash: string }> {
    const info = (await this.#kernel.call('image', ['seal', [this.name, options]])) as SealedImage
    return { image: new Image(this.#kernel, info), rootHash: info.rootHash }
  }

  /** Takes the image out of the bundle. Containers that were made from it go on. */
  async remove(): Promise<void> {
    await this.#kernel.call('image', ['removeImage', [this.name]])
  }
}

function mergedEnv(image: readonly string[] = [], more: readonly string[] = []): string[] {
  const nameOf = (entry: string) => entry.slice(0, entry.indexOf('='))
  const overridden = new Set(more.map(nameOf))
  return [...image.filter((entry) => !overridden.has(nameOf(entry))), ...more]
}
