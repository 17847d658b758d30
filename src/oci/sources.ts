/**
 * A spec that was written for a real machine names its paths: where the root is, where the sources of binds are. The page says
 * what of the bundle stands for them.
 *
 * Always true: what is no text is left as it is, for parseSpec to tell of.
 */

import { isSourceKey } from './mounts/hints.ts'
import { isPlainObject } from './validate.ts'

/** By path of the machine: a name in the bundle, optionally with a path behind it. */
export type Sources = Readonly<Record<string, string>>

/**
 * The spec with `root.path` and the sources of its mounts replaced, and those of mount hints, which are compared with them: of
 * several paths that a source lies in, by the longest.
 */
export function withSources(spec: unknown, sources: Sources | undefined): unknown {
  if (!sources || !isPlainObject(spec)) return spec
  const { root, mounts, annotations } = spec
  return {
    ...spec,
    ...(isPlainObject(root) && { root: { ...root, path: replaced(root.path, sources) } }),
    ...(Array.isArray(mounts) && {
      mounts: mounts.map((mount: unknown) =>
        isPlainObject(mount) && 'source' in mount ? { ...mount, source: replaced(mount.source, sources) } : mount,
      ),
    }),
    ...(isPlainObject(annotations) && {
      annotations: Object.fromEntries(
        Object.entries(annotations).map(([key, value]) => [key, isSourceKey(key) ? replaced(value, sources) : value]),
      ),
    }),
  }
}

function replaced(path: unknown, sources: Sources): unknown {
  if (typeof path !== 'string') return path
  let longest: string | undefined
  for (const each of Object.keys(sources)) {
    const inside = path === each || path.startsWith(each.endsWith('/') ? each : `${each}/`)
    if (inside && each.length > (longest?.length ?? -1)) longest = each
  }
  if (longest === undefined) return path
  const rest = path.slice(longest.length).replace(/^\/+/, '')
  return rest === '' ? sources[longest] : `${sources[longest]}/${rest}`
}
