/**
 * What a conformance spec is, and what it runs on.
 *
 * A spec is data: a name that begins with the rows of docs/spec.md that would turn it red if they broke, and what to do. It knows
 * no test runner and no subject; a subject makes a fresh arena for each spec. Real Linux is a subject, and is asked first: a spec
 * that fails there is wrong.
 */

import type { FileKind, Syscalls } from '../../abi/syscalls.ts'
import type { User } from './user.ts'

/** What not every subject can do. A spec that needs something which its subject lacks is not run there. */
export type Ability =
  /** `/` is the root of the filesystem under test. */
  | 'root'
  /** Tasks of other users than root. */
  | 'users'
  /** Mounting, with options. */
  | 'mounts'
  /** Calls and flags that node:fs does not have: lseek, fallocate, O_PATH by descriptor, rename flags, umask, dup… */
  | 'calls'
  /** Sockets and device nodes can be made. */
  | 'nodes'
  /** Limits of a tmpfs: `size=` and `nr_inodes=`. */
  | 'quota'
  /** What only a tmpfs promises, such as the size of a directory. */
  | 'tmpfs'
  /** Linux's own times: relatime, coarse clock. */
  | 'times'
  /** What is not as on Linux, on purpose: a row says so, and no guest can tell. */
  | 'own-way'
  /** What Linux cannot be asked for. */
  | 'renumber'
  | 'execute'

export interface Credentials {
  readonly uid: number
  readonly gid?: number
  readonly groups?: readonly number[]
  /** A mask of CAP_…; what the user id brings if left out: all for 0, none for others. */
  readonly capabilities?: number
  /** RLIMIT_FSIZE, in bytes. */
  readonly fileSize?: number
}

/** statfs(2), as far as it is compared. */
export interface FilesystemStat {
  readonly type: number
  readonly blockSize: number
  readonly blocks: number
  readonly blocksFree: number
  readonly files: number
  readonly filesFree: number
  readonly nameMax: number
  /** ST_RDONLY and so on: statvfs(3). */
  readonly flags: number
}

/** A process's system calls: those of a guest, and those that only a host makes. */
export interface SpecTask extends Syscalls {
  truncate(path: string, size: number): void
  chdir(path: string): void
  chroot(path: string): void
  /** `rdev` is as in Stat. */
  mknodat(dirfd: number, path: string, kind: FileKind, mode: number, rdev: number): void
  umask(mask: number): void
  dup(fd: number): number
  statfs(path: string): FilesystemStat
  /** Whether execve(2) would run the file; its errors. */
  execute(path: string): void
}

export interface MountOptions {
  readonly readonly?: boolean
  readonly noexec?: boolean
  readonly nosuid?: boolean
  readonly nodev?: boolean
  readonly noatime?: boolean
  readonly strictatime?: boolean
}

/** Mounting, by root. Paths are absolute. */
export interface Mounts {
  /** A new tmpfs. Errors: EINVAL for its options. */
  tmpfs(at: string, data?: string): void
  bind(from: string, at: string): void
  /** The mount's own options, those left out being off. */
  remount(at: string, options: MountOptions): void
  /** Takes the top mount at a place away; `lazily` also while it is in use. */
  unmount(at: string, options?: { readonly lazily?: boolean }): void
}

/** Where one spec runs: an empty filesystem, on which the working directories of all its tasks are. */
export interface Arena {
  task(credentials: Credentials): SpecTask
  readonly mounts?: Mounts
  /** Lets time pass: the next timestamp is later than the last one. Real time cannot be told how much. */
  tick(milliseconds?: number): void
  /** What was made before is to be the start: a subject may put it somewhere else, such as below an overlay. */
  given?(): void
  /** Ends the tasks. Errors: a plain Error if something is left over: an open file, a mount, space. */
  end(): void
}

export interface Subject {
  readonly name: string
  readonly abilities: ReadonlySet<Ability>
  /** Options of the tmpfs to start with, where there is one. */
  arena(data?: string): Arena
  /** Differences that stand, by the start of a spec's name: why. Such a spec must fail there, so that it shows when it no longer does. */
  readonly differences?: Readonly<Record<string, string>>
  /** Specs that make no sense there, by the start of the name: why. */
  readonly omitted?: Readonly<Record<string, string>>
}

/** What a spec sees. */
export interface Trial {
  /** Root, with all capabilities. */
  readonly root: User
  user(credentials: Credentials | number): User
  readonly mounts: Mounts
  tick(milliseconds?: number): void
}

export interface Spec {
  readonly name: string
  readonly needs: readonly Ability[]
  /** Options of the tmpfs. */
  readonly data?: string | undefined
  /** What is there before. */
  readonly given?: ((root: User) => void) | undefined
  run(trial: Trial): void
}

export type Run = (root: User, trial: Trial) => void

export interface SpecOptions {
  readonly needs?: readonly Ability[]
  readonly data?: string
  readonly given?: (root: User) => void
}

export function spec(name: string, run: Run, options: SpecOptions = {}): Spec {
  const { needs = [], data, given } = options
  return { name, needs, data, given, run: (trial) => run(trial.root, trial) }
}

/** The rows and what is done, what comes of it (an error's name, or undefined for success), and how. */
export type Case = readonly [name: string, outcome: string | undefined, run: Run]

/** A spec for each case: that its call fails with that error and no other, or succeeds. */
export function cases(table: readonly Case[], options: SpecOptions = {}): Spec[] {
  return table.map(([name, outcome, run]) =>
    spec(
      `${name}: ${outcome ?? 'done'}`,
      (root, trial) =>
        equal(
          outcomeOf(() => run(root, trial)),
          outcome,
          name,
        ),
      options,
    ),
  )
}

/** The name of the error that an operation fails with, or undefined. */
export function outcomeOf(operation: () => unknown): string | undefined {
  try {
    operation()
    return undefined
  } catch (error) {
    const { code } = error as { code?: string }
    if (typeof code !== 'string' || error instanceof WrongValue) throw error
    return code
  }
}

/** Errors: WrongValue unless the operation fails with the error of this name. */
export function fails(code: string, operation: () => unknown): void {
  equal(outcomeOf(operation), code, 'the error')
}

/** What a spec throws when it does not hold. */
export class WrongValue extends Error {
  override readonly name = 'WrongValue'
}

/** Errors: WrongValue unless both are the same, structures by what they hold. */
export function equal(actual: unknown, expected: unknown, what = 'the value'): void {
  const [a, b] = [show(actual), show(expected)]
  if (a !== b) throw new WrongValue(`${what} is ${a}, not ${b}`)
}

/** Errors: WrongValue. */
export function holds(condition: boolean, what: string): void {
  if (!condition) throw new WrongValue(`not so: ${what}`)
}

const show = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === 'bigint') return `${part}n`
    if (part !== null && typeof part === 'object' && !Array.isArray(part)) {
      return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
    }
    return part
  }) ?? 'undefined'
