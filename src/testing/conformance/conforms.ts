/** Runs specs on a subject, with the test runner that the caller hands over. */

import type { Superblock } from '../../vfs/mount.ts'
import type { Vfs } from '../../vfs/vfs.ts'
import { specs } from './all.ts'
import { ground, KernelArena } from './arenas.ts'
import type { Ability, Arena, Mounts, Spec, Subject, Trial } from './spec.ts'
import { User } from './user.ts'

/** Vitest's, node:test's, Jest's. */
export interface Runner {
  describe(name: string, body: () => void): void
  test(name: string, body: () => void): void
}

/** Runs one spec. Errors: WrongValue where it does not hold; a plain Error where something is left over. */
export function runSpec(subject: Subject, { given, data, run }: Spec): void {
  const arena = subject.arena(data)
  try {
    if (given) {
      given(new User(arena.task({ uid: 0 })))
      arena.given?.()
    }
    run(trialIn(arena))
  } catch (error) {
    try {
      arena.end()
    } catch {
      // The spec's own failure says more.
    }
    throw error
  }
  arena.end()
}

function trialIn(arena: Arena): Trial {
  return {
    root: new User(arena.task({ uid: 0 })),
    user: (who) => new User(arena.task(typeof who === 'number' ? { uid: who } : who)),
    get mounts(): Mounts {
      if (!arena.mounts) throw new Error('this subject has no mounts: the spec must say that it needs them')
      return arena.mounts
    },
    tick: () => arena.tick(),
  }
}

/** A test for each spec that the subject can run. Where a difference is listed, the test is that it is still there. */
export function conforms(subject: Subject, runner: Runner, list: readonly Spec[] = specs): void {
  const { abilities, differences = {}, omitted = {} } = subject
  runner.describe(`conformance of ${subject.name}`, () => {
    for (const each of list) {
      if (!each.needs.every((ability) => abilities.has(ability)) || reasonOf(omitted, each.name)) continue
      const reason = reasonOf(differences, each.name)
      if (reason === undefined) runner.test(each.name, () => runSpec(subject, each))
      else runner.test(`differs (${reason}): ${each.name}`, () => requireDifference(subject, each))
    }
  })
}

const reasonOf = (table: Readonly<Record<string, string>>, name: string): string | undefined =>
  Object.entries(table).find(([start]) => name.startsWith(start))?.[1]

function requireDifference(subject: Subject, each: Spec): void {
  try {
    runSpec(subject, each)
  } catch {
    return
  }
  throw new Error('it holds now: take it from the list of differences')
}

/** A subject of one's own filesystem type, which becomes the root of a Vfs. Left out, `abilities` are all that a tmpfs-like type has. */
export function subjectOf(
  name: string,
  mount: (vfs: Vfs) => Superblock,
  options: Pick<Subject, 'differences' | 'omitted'> & { readonly abilities?: readonly Ability[] } = {},
): Subject {
  const {
    abilities = ['root', 'users', 'mounts', 'calls', 'nodes', 'times', 'renumber', 'execute', 'own-way'],
    ...rest
  } = options
  return {
    name,
    abilities: new Set(abilities),
    arena: () => new KernelArena((vfs) => ground(vfs, mount(vfs)), ''),
    ...rest,
  }
}
