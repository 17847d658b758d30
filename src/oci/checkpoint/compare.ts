/**
 * What a spec says otherwise than the one that was saved, as far as it matters to the files: gVisor's check at restore. Where files
 * come from may differ: that is for the sources to be compared.
 */

import { cleanPath, type Fault, type MountSpec, type Spec } from '../spec.ts'

/** Annotations that a runtime heeds. */
const PREFIX = 'dev.gvisor.'
/** Of these, those that may differ: what the runtime tells itself, where volumes come from, and how it is watched. */
const FREE = [
  /^dev\.gvisor\.internal\./,
  /^dev\.gvisor\.spec\.mount\.[^.]*\.source$/,
  /^dev\.gvisor\.flag\.(debug|log)/,
]

export function differences(saved: Spec, given: Spec): Fault[] {
  const found: Fault[] = []
  if ((saved.root?.readonly ?? false) !== (given.root?.readonly ?? false)) {
    found.push({
      path: 'root.readonly',
      rule: `is ${given.root?.readonly ?? false}, was ${saved.root?.readonly ?? false}`,
    })
  }
  compareMounts(saved.mounts ?? [], given.mounts ?? [], found)
  compareDevices(saved, given, found)
  compareAnnotations(saved.annotations ?? {}, given.annotations ?? {}, found)
  return found
}

function compareMounts(saved: readonly MountSpec[], given: readonly MountSpec[], found: Fault[]): void {
  const [before, now] = [byDestination(saved), byDestination(given)]
  for (const [spec, mounts] of [
    ['the saved spec', before],
    ['the spec', now],
  ] as const) {
    for (const [destination, [first, ...others]] of mounts) {
      if (others.some((other) => textOf(other, true) !== textOf(first!, true)))
        found.push({ path: 'mounts', rule: `${spec} has several on ${destination}, which are not the same` })
    }
  }
  if (before.size !== now.size)
    found.push({ path: 'mounts', rule: `on ${now.size} destinations, were on ${before.size}` })
  for (const [destination, [mount]] of before) {
    const other = now.get(destination)?.[0]
    if (!other) found.push({ path: 'mounts', rule: `nothing is mounted on ${destination}, where something was` })
    else if (textOf(other, false) !== textOf(mount!, false))
      found.push({ path: 'mounts', rule: `on ${destination} is ${textOf(other, false)}, was ${textOf(mount!, false)}` })
  }
  for (const destination of now.keys())
    if (!before.has(destination))
      found.push({ path: 'mounts', rule: `something is mounted on ${destination}, where nothing was` })
}

function byDestination(mounts: readonly MountSpec[]): Map<string, MountSpec[]> {
  const found = new Map<string, MountSpec[]>()
  for (const mount of mounts) {
    const destination = cleanPath(mount.destination)
    found.set(destination, [...(found.get(destination) ?? []), mount])
  }
  return found
}

function textOf({ type, source, options = [], uidMappings, gidMappings }: MountSpec, withSource: boolean): string {
  return JSON.stringify({ type, ...(withSource && { source }), options, uidMappings, gidMappings })
}

function compareDevices(saved: Spec, given: Spec, found: Fault[]): void {
  const [before, now] = [saved, given].map(
    ({ linux }) => new Map((linux?.devices ?? []).map(({ path, type }) => [cleanPath(path), type])),
  ) as [Map<string, string>, Map<string, string>]
  for (const path of new Set([...before.keys(), ...now.keys()])) {
    const [was, is] = [before.get(path), now.get(path)]
    if (was !== is)
      found.push({ path: 'linux.devices', rule: `${path} is ${is ?? 'not there'}, was ${was ?? 'not there'}` })
  }
}

function compareAnnotations(
  saved: Readonly<Record<string, string>>,
  given: Readonly<Record<string, string>>,
  found: Fault[],
): void {
  for (const key of new Set([...Object.keys(saved), ...Object.keys(given)])) {
    if (!key.startsWith(PREFIX) || FREE.some((free) => free.test(key)) || saved[key] === given[key]) continue
    found.push({
      path: `annotations[${JSON.stringify(key)}]`,
      rule: `is ${shown(given[key])}, was ${shown(saved[key])}`,
    })
  }
}

const shown = (value: string | undefined) => (value === undefined ? 'not there' : JSON.stringify(value))
