/**
 * Random scripts of mount operations by several tasks in several namespaces, against a small model: what each task sees is what the
 * operations that succeeded made of it, and one that failed changed nothing. After every step the tree's invariants hold, at the end
 * nothing is left. `FUZZ_SEQUENCES` says how many scripts; `FUZZ_SEED` repeats one run.
 */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AT_EMPTY_PATH } from '../abi/linux.ts'
import { AT_RECURSIVE, MNT_DETACH, MOVE_MOUNT_F_EMPTY_PATH, OPEN_TREE_CLONE } from '../abi/mount-flags.ts'
import { checkMountTree, liveCounts } from '../testing/check-mounts.ts'
import { MountScript, type Operation, picture } from '../testing/mount-script.ts'
import { type Mount, type MountNamespace, topmost, type VirtualDentry } from './mount.ts'
import { resolve } from './path-walk.ts'
import { masterOf, type PeerGroup } from './propagation.ts'

const SEQUENCES = Number(process.env.FUZZ_SEQUENCES ?? 300)
const SEED = { seed: Number(process.env.FUZZ_SEED ?? 1) }
const TASKS = 4

const directory = fc.constantFrom('/a', '/b', '/c', '/a/d', '/b/d', '/c/d', '/a/d/e', '/b/d/e', '/a/x', '/b/x')
const place = fc.oneof({ weight: 1, arbitrary: fc.constantFrom('/', '.') }, { weight: 5, arbitrary: directory })
const source = fc.integer({ min: 0, max: 999 }).map((n) => `s${n}`)
const flags = fc.constantFrom('', '', 'nosuid,noexec', 'noatime', 'rdonly')
const spreading = fc.constantFrom(
  'shared',
  'shared',
  'shared,rec',
  'slave',
  'slave,rec',
  'private',
  'private,rec',
  'unbindable',
)
const held = fc.constantFrom('f1', 'f2')

const step = fc.oneof(
  { weight: 16, arbitrary: fc.tuple(fc.constant('mkdir'), directory) },
  { weight: 14, arbitrary: fc.tuple(fc.constant('mount'), place, source, fc.constant('tmpfs'), flags) },
  {
    weight: 18,
    arbitrary: fc.tuple(fc.constant('mount'), place, place, fc.constant(''), fc.constantFrom('bind', 'bind,rec')),
  },
  { weight: 8, arbitrary: fc.tuple(fc.constant('mount'), place, place, fc.constant(''), fc.constant('move')) },
  { weight: 20, arbitrary: fc.tuple(fc.constant('mount'), place, fc.constant(''), fc.constant(''), spreading) },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc.constant('mount'),
      place,
      fc.constant(''),
      fc.constant(''),
      fc.constantFrom('remount,rdonly', 'remount'),
    ),
  },
  { weight: 14, arbitrary: fc.tuple(fc.constant('umount'), place, fc.constantFrom(0, MNT_DETACH)) },
  { weight: 6, arbitrary: fc.tuple(fc.constant('rmdir'), directory) },
  { weight: 6, arbitrary: fc.tuple(fc.constant('rename'), directory, directory) },
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom('unshare', 'unshareuser')) },
  { weight: 3, arbitrary: fc.tuple(fc.constant('pivot'), place, place) },
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom('chdir', 'chroot'), place) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('open'), held, place, fc.constantFrom('r', 'p')) },
  { weight: 4, arbitrary: fc.tuple(fc.constant('close'), held) },
  {
    weight: 4,
    arbitrary: fc.tuple(
      fc.constant('opentree'),
      held,
      fc.constant(null),
      place,
      fc.constantFrom(OPEN_TREE_CLONE, OPEN_TREE_CLONE | AT_RECURSIVE),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.constant('opentree'),
      held,
      held,
      fc.constant(''),
      fc.constant(OPEN_TREE_CLONE | AT_EMPTY_PATH),
    ),
  },
  {
    weight: 4,
    arbitrary: fc.tuple(
      fc.constant('movemount'),
      held,
      fc.constant(''),
      fc.constant(null),
      place,
      fc.constant(MOVE_MOUNT_F_EMPTY_PATH),
    ),
  },
) as fc.Arbitrary<[string, ...(string | number | null)[]]>

const operation = fc
  .tuple(fc.integer({ min: 0, max: TASKS - 1 }), step)
  .map(([task, rest]): Operation => [task, ...rest])

test(
  'A279 A256 A283 A275 A290 A232 random mounts, binds, moves, unmounts, pivots and renames agree with the model and leave nothing',
  () => {
    fc.assert(
      fc.property(
        fc.array(operation, { minLength: 20, maxLength: 60 }),
        fc.constantFrom(40, 10_000),
        (operations, limit) => {
          const script = new MountScript({ limit })
          for (const path of ['/a', '/b', '/c', '/a/d', '/b/d']) script.run([0, 'mkdir', path])
          for (let i = 1; i < TASKS; i++) script.run([0, 'fork'])
          for (const each of operations) runAgainstModel(script, each)
          script.release()
          expect(checkMountTree(script.vfs)).toEqual([])
          const { devices, ...rest } = liveCounts(script.vfs)
          expect([devices, ...new Set(Object.values(rest))]).toEqual([1, 0])
        },
      ),
      { numRuns: SEQUENCES, ...SEED },
    )
  },
  Math.max(60_000, SEQUENCES * 200),
)

/** What a namespace holds, by count: the model's whole state, kept by what the operations are defined to do. */
type Sizes = ReadonlyMap<MountNamespace, number>

const sizes = (script: MountScript): Sizes =>
  new Map(
    script.actors.flatMap(({ task }) => (task.namespace ? [[task.namespace, task.namespace.mounts] as const] : [])),
  )

function runAgainstModel(script: MountScript, each: Operation): void {
  const [i, name, ...args] = each
  const { task } = script.actors[i]!
  const before = { tables: picture(script.tables), sizes: sizes(script), counts: liveCounts(script.vfs) }
  const target =
    name === 'mount' || name === 'movemount' ? find(script, i, args[name === 'mount' ? 0 : 3] as string) : undefined
  const expected = target && expectedPlaces(target)
  const answer = script.run(each)
  expect(checkMountTree(script.vfs), each.join(' ')).toEqual([])
  const after = sizes(script)
  if (answer !== 'ok') {
    expect(answer, each.join(' ')).toMatch(/^E[A-Z]+$/)
    expect(picture(script.tables), each.join(' ')).toEqual(before.tables)
    expect(after).toEqual(before.sizes)
    expect(liveCounts(script.vfs)).toEqual(before.counts)
    return
  }
  const isNew = name === 'mount' && args[2] === 'tmpfs'
  const isBind = name === 'mount' && args[3] === 'bind'
  if (isNew || isBind) {
    // One mount more wherever the definition says, in each namespace as often as it says; nothing else comes or goes.
    for (const [namespace, old] of before.sizes) {
      expect(namespace.mounts - old, each.join(' ')).toBe(
        expected!.filter(({ mount }) => mount.namespace === namespace).length,
      )
    }
    for (const at of expected!) expect(at.mount.children.has(at.dentry), each.join(' ')).toBe(true)
  }
  if (isNew && task.namespace === task.root.mount.namespace) {
    const top = topmost(target!)
    expect([top.mount.source, top.mount.parent!.namespace], each.join(' ')).toEqual([args[1], task.namespace])
  }
  if (['mkdir', 'chdir', 'chroot', 'open'].includes(name)) expect(after).toEqual(before.sizes)
}

function find(script: MountScript, i: number, path: string): VirtualDentry | undefined {
  const { task } = script.actors[i]!
  try {
    return topmost(resolve(task, path.startsWith('/') ? task.root : task.cwd, path, true))
  } catch {
    return undefined
  }
}

/**
 * Where a mount on a place comes to be, by the definition in mount_namespaces(7) and not by the kernel's way of finding it: a mount
 * gets it if it is the place's own, or a peer, or the slave of a group of which one member gets it, in turn, whatever it shows.
 */
function expectedPlaces({ mount, dentry }: VirtualDentry): VirtualDentry[] {
  const all = [...mount.superblock.views].filter(({ namespace }) => namespace)
  const reached = new Set<Mount>([mount])
  const groups = new Set<PeerGroup>()
  for (let more = true; more; ) {
    more = false
    for (const each of reached) if (each.peers) groups.add(each.peers)
    for (const each of all) {
      const master = masterOf(each)
      const gets = (each.peers && groups.has(each.peers)) || (master && reachesGroup(master, groups))
      if (gets && !reached.has(each)) {
        reached.add(each)
        more = true
      }
    }
  }
  const shows = (each: Mount) => each === mount || (dentry.isUnder(each.root) && !each.namespace!.anonymous)
  return [...reached].filter(shows).map((each) => ({ mount: each, dentry }) as VirtualDentry)
}

function reachesGroup(group: PeerGroup, groups: ReadonlySet<PeerGroup>): boolean {
  for (let at: PeerGroup | undefined = group; at; at = at.master) if (groups.has(at)) return true
  return false
}
