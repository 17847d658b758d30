/** Runs specs on a subject, with the test runner that the caller hands over. */

import type { FilesystemType } from '../../vfs/filesystem.ts'
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

export function trialIn(arena: Arena): Trial {
  return {
    root: new User(arena.task({ uid: 0 })),
    user: (who) => new User(arena.task(typeof who === 'number' ? { uid: who } : who)),
    get mounts(): Mounts {
      if (!arena.mounts) throw new Error('this subject has no mounts: the spec must say that it needs them')
      return arena.mounts
    },
    tick: (milliseconds) => arena.tick(milliseconds),
  }
}

/** A test for each spec that the subject can run. Where a difference is listed, the test is that it is still there. */
export function conforms(subject: Subject, runner: Runner, list: readonly Spec[] = specs): void {
  const { differences = {} } = subject
  runner.describe(`conformance of ${subject.name}`, () => {
    for (const each of list) {
      if (!canRun(subject, each)) continue
      const reason = reasonOf(differences, each.name)
      if (reason === undefined) runner.test(each.name, () => runSpec(subject, each))
      else runner.test(`differs (${reason}): ${each.name}`, () => requireDifference(subject, each))
    }
  })
}

/** Whether the subject has what the spec needs, and does not leave it out. */
export const canRun = ({ abilities, omitted = {} }: Subject, { needs, name }: Spec): boolean =>
  needs.every((ability) => abilities.has(ability)) && reasonOf(omitted, name) === undefined

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

export interface SubjectOptions extends Pick<Subject, 'differences' | 'omitted'> {
  readonly abilities?: readonly Ability[]
  /** Options of the mount. */
  readonly data?: string
  /** What the type wants and no text can say: `MountRequest.internal`. Called for each arena. */
  readonly internal?: () => unknown
}

/** A subject of one's own filesystem type: a new, empty one is the root of each arena. It should be of mode 755 and root's. */
export function subjectOf(name: string, type: FilesystemType, options: SubjectOptions = {}): Subject {
  const { abilities = USUAL, data, internal, ...rest } = options
  const mount = (vfs: Vfs) => {
    if (!vfs.types.lookup(type.name)) vfs.types.register(type)
    return ground(vfs, vfs.newFilesystem({ type: type.name, data: data ?? '', internal: internal?.() }))
  }
  return { name, abilities: new Set(abilities), arena: () => new KernelArena(mount, ''), ...rest }
}

const USUAL: readonly Ability[] = [
  ...(['root', 'users', 'mounts', 'calls', 'nodes', 'times', 'renumber', 'execute', 'own-way'] as const),
]
