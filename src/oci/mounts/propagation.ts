/** What the options of a spec's mount say of propagation: runtime-spec config.md, "Linux mount options". */

import type { Propagation } from '../../vfs/propagation.ts'

export interface PropagationOption {
  readonly to: Propagation
  readonly recursive: boolean
}

/** What an option such as `rshared` means; undefined if it is not about propagation. */
export function propagationOption(name: string): PropagationOption | undefined {
  const recursive = name.startsWith('r')
  const to = recursive ? name.slice(1) : name
  return to === 'shared' || to === 'slave' || to === 'private' || to === 'unbindable' ? { to, recursive } : undefined
}
