/**
 * The mount table as programs read it: /proc/PID/mounts and /proc/PID/mountinfo, proc_pid_mountinfo(5), as Linux writes them.
 * One walk finds what a root can see; the two texts, and the page's table, differ in what they tell of it.
 */

import { type Mount, type MountNamespace, topmost, VirtualDentry } from './mount.ts'
import { filesystemPath, reachablePath } from './path-print.ts'
import { masterOf, type PeerGroup } from './propagation.ts'

/** A mount and where it is, seen from a root. */
export interface MountEntry {
  readonly mount: Mount
  readonly path: string
}

/** The mounts of a namespace that are at or below a root, in the order they were made. */
export function mountEntries(namespace: MountNamespace, root: VirtualDentry): MountEntry[] {
  const entries: MountEntry[] = []
  for (const mount of namespace.all()) {
    const path = reachablePath(new VirtualDentry(mount, mount.root), root)
    if (path !== undefined) entries.push({ mount, path })
  }
  return entries.sort((a, b) => a.mount.id - b.mount.id)
}

/** What /proc/mounts holds for a task with this root. Promises that are open come last, with the type `promise`. */
export function mountsText(namespace: MountNamespace, root: VirtualDentry): string {
  let text = ''
  for (const { mount, path } of mountEntries(namespace, root)) {
    const { type, options } = mount.superblock.filesystem
    const all = [mount.readonly ? 'ro' : 'rw', ...flagNames(mount), ...(options ? [escapePath(options)] : [])]
    text += `${escapeSource(mount.source)} ${escapePath(path)} ${escapeSource(type)} ${all.join(',')} 0 0\n`
  }
  for (const { path } of promisedPlaces(namespace, root)) text += `none ${escapePath(path)} promise rw 0 0\n`
  return text
}

/** What /proc/self/mountinfo holds for a task with this root. */
export function mountInfoText(namespace: MountNamespace, root: VirtualDentry): string {
  let text = ''
  for (const { mount, path } of mountEntries(namespace, root)) {
    const { type, dev, options, readonly } = mount.superblock.filesystem
    const fields = [
      mount.id,
      mount.parent?.id ?? mount.id,
      `0:${dev}`,
      escapePath(filesystemPath(mount.root)),
      escapePath(path),
      [mount.flags.readonly ? 'ro' : 'rw', ...flagNames(mount)].join(','),
      ...tags(mount, root),
      '-',
      escapeSource(type),
      escapeSource(mount.source),
      [readonly ? 'ro' : 'rw', ...(options ? [escapePath(options)] : [])].join(','),
    ]
    text += `${fields.join(' ')}\n`
  }
  for (const { mount, path } of promisedPlaces(namespace, root)) {
    text += `0 ${mount.id} 0:0 / ${escapePath(path)} rw - promise none rw\n`
  }
  return text
}

/** What /proc/self/mountstats holds for a task with this root. */
export function mountStatsText(namespace: MountNamespace, root: VirtualDentry): string {
  const line = ({ mount, path }: MountEntry) => {
    const source = mount.source === '' ? 'no device' : `device ${escapeSource(mount.source)}`
    return `${source} mounted on ${escapePath(path)} with fstype ${escapeSource(mount.superblock.filesystem.type)}\n`
  }
  return mountEntries(namespace, root).map(line).join('')
}

/** The options of a mount but for ro and rw, in Linux's order. */
export function flagNames({ flags }: Mount): string[] {
  const names: string[] = []
  if (flags.nosuid) names.push('nosuid')
  if (flags.nodev) names.push('nodev')
  if (flags.noexec) names.push('noexec')
  if (flags.noatime) names.push('noatime')
  if (flags.nodiratime) names.push('nodiratime')
  if (!flags.noatime && !flags.strictatime) names.push('relatime')
  return names
}

function tags(mount: Mount, root: VirtualDentry): string[] {
  const found: string[] = []
  if (mount.peers) found.push(`shared:${mount.peers.id}`)
  const master = masterOf(mount)
  if (master) {
    found.push(`master:${master.id}`)
    const dominant = dominantOf(master, root)
    if (dominant && dominant !== master) found.push(`propagate_from:${dominant.id}`)
  }
  if (mount.unbindable) found.push('unbindable')
  return found
}

/** The nearest of the groups above that has a member which the root can see. */
function dominantOf(master: PeerGroup, root: VirtualDentry): PeerGroup | undefined {
  for (let group: PeerGroup | undefined = master; group; group = group.master) {
    for (const member of group.members) {
      if (reachablePath(new VirtualDentry(member, member.root), root) !== undefined) return group
    }
  }
  return undefined
}

function* promisedPlaces(namespace: MountNamespace, root: VirtualDentry): Generator<MountEntry> {
  for (const mount of namespace.all()) {
    for (const { state, point } of mount.promises?.values() ?? []) {
      const path = state === 'open' ? reachablePath(topmost(new VirtualDentry(mount, point)), root) : undefined
      if (path !== undefined) yield { mount, path }
    }
  }
}

const escapePath = (text: string) => text.replace(/[ \t\n\\]/g, octal)
const escapeSource = (text: string) => (text === '' ? 'none' : text).replace(/[ \t\n\\#]/g, octal)
const octal = (character: string) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`
