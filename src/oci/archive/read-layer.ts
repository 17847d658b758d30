/** Reads a layer's archive from its bytes, which come in order. */

import type { LayerFilesystem } from '../../fs/layer/layer.ts'
import type { PageSource } from '../../vfs/inode.ts'
import { type ArchiveForm, LayerBuilder } from './build-layer.ts'
import { type TarLimits, TarReader } from './read-tar.ts'
import { PieceSource } from './sources.ts'

/** 500,000 entries, 4 GiB uncompressed: several times what large images have. */
export const DEFAULT_LIMITS: TarLimits = { entries: 500_000, bytes: 4 * 2 ** 30 }

export class LayerReader {
  readonly #builder: LayerBuilder
  readonly #tar: TarReader
  /** The bytes, if nobody else has them. */
  readonly #kept: PieceSource | undefined
  readonly #source: PageSource

  /** `source` has the archive's bytes already; left out, they are kept. */
  constructor(
    form: ArchiveForm,
    { limits = DEFAULT_LIMITS, source }: { limits?: TarLimits; source?: PageSource } = {},
  ) {
    const builder = new LayerBuilder(form)
    this.#builder = builder
    this.#tar = new TarReader((entry) => builder.add(entry), limits)
    this.#kept = source ? undefined : new PieceSource()
    this.#source = source ?? this.#kept!
  }

  /** Errors: those of TarReader and LayerBuilder. */
  push(bytes: Uint8Array): void {
    this.#tar.push(bytes)
    this.#kept?.append(bytes)
  }

  get warnings(): readonly string[] {
    return this.#builder.warnings
  }

  get entries(): number {
    return this.#tar.entries
  }

  /** The archive's bytes. */
  get source(): PageSource {
    return this.#source
  }

  /** `below` are the layers under it, as LayerBuilder takes them. Errors: EINVAL if the archive is cut off. */
  end(below?: readonly LayerFilesystem[]): LayerFilesystem {
    this.#tar.end()
    this.#kept?.seal()
    const filesystem = this.#builder.finish(below)
    filesystem.source = this.#source
    return filesystem
  }
}
