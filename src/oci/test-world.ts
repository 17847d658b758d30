/** For tests over a whole kernel: that it leaves nothing behind. */

import { expect } from 'vitest'
import type { Runtime } from './runtime.ts'

/** Ends a world; no filesystem, open file or device number of its containers is left. */
export async function endClean({
  close,
  runtime: { vfs },
}: {
  close(): Promise<void>
  runtime: Runtime
}): Promise<void> {
  await close()
  expect(vfs.superblocks.size).toBe(0)
  expect(vfs.anonymousFiles.users).toBe(0)
  expect(vfs.anonymousDevices.inUse).toBe(1)
}
