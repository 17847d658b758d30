/** Ours for the benchmark of imports: a kernel in this thread, without programs. */

import { bootWorld } from '../../src/host/world.ts'

/** Imports an archive as an image and lets go of it: all of what `sandbox.importImage` does but for the way to the Worker. */
export async function importer() {
  const world = bootWorld()
  const images = await world.runtime.images()
  return {
    async run(archive: Blob): Promise<number> {
      const { name, layers } = await images.importImage(archive, {})
      await images.removeImage(name)
      return layers[0]?.entries ?? 0
    },
    close: () => world.close(),
  }
}
