/** Checkpoints, from the page's side: loaded when the first one is asked for. */

import type { CheckpointOptions, Orphan as OrphanInfo, RestoreOptions, RestoreReport } from '../abi/checkpoints.ts'
import { type Bytes, blobOf } from './blobs.ts'
import type { Container } from './container.ts'
import type { Kernel } from './kernel.ts'

/** A file or directory that had no name any more when it was saved, and that a process held. */
export type Orphan = Omit<OrphanInfo, 'content'> & { readonly content?: Blob }

export interface Restored {
  /** As they were created: none of them is started. */
  readonly containers: readonly Container[]
  readonly orphans: readonly Orphan[]
}

export async function checkpoint(kernel: Kernel, options: CheckpointOptions): Promise<ReadableStream<Uint8Array>> {
  const parts = await kernel.call('checkpoint', ['save', [options]])
  return new Blob(parts as BlobPart[]).stream()
}

export async function restore(kernel: Kernel, source: Bytes | string, options: RestoreOptions): Promise<RestoreReport> {
  const given = typeof source === 'string' ? source : await blobOf(source, 'source')
  return (await kernel.call('checkpoint', ['restore', [given, options]])) as RestoreReport
}
