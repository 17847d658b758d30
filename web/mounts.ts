/** What the mount table says of a path. */
import type { MountInfo } from '../src/client/index.ts'

/** The mount that a path lies on: the longest destination, of those stacked on one place the last. */
export function mountOf(path: string, mounts: readonly MountInfo[]): MountInfo | undefined {
  let best: MountInfo | undefined
  for (const mount of mounts) {
    const { destination } = mount
    const holds = destination === '/' || path === destination || path.startsWith(`${destination}/`)
    if (holds && destination.length >= (best?.destination.length ?? 0)) best = mount
  }
  return best
}

export function isReadOnly(path: string, mounts: readonly MountInfo[]): boolean {
  return mountOf(path, mounts)?.options.includes('ro') ?? false
}
