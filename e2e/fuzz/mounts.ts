/** Random scripts of mount operations, run on ours and on Linux, and compared. The other side is src/testing/linux/mounts.py. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { checkMountTree, liveCounts } from '../../src/testing/check-mounts.ts'
import { MountScript, type Operation, type Outcome, picture } from '../../src/testing/mount-script.ts'
import { mulberry32 } from './random.ts'

/** A script with what Linux made of it. */
export interface Recorded {
  readonly script: readonly Operation[]
  readonly results: readonly unknown[]
  readonly picture: readonly string[]
}

/** Linux, as a process that runs one script after the other. Needs root. */
export class Linux {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(program: string) {
    this.#child = spawn('python3', [program], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]()
  }

  async run(script: readonly Operation[]): Promise<Outcome> {
    this.#child.stdin!.write(`${JSON.stringify(script)}\n`)
    const { value, done } = await this.#lines.next()
    if (done) throw new Error('the process on Linux ended: is this root, on Linux?')
    return JSON.parse(value) as Outcome
  }

  close(): void {
    this.#child.stdin!.end()
  }
}

/** Runs a script on ours. Errors: a plain Error for a broken invariant, or for what is left at the end. */
function runOurs(script: readonly Operation[]): Outcome {
  // Linux has room for 100,000 mounts.
  const world = new MountScript({ limit: 100_000 })
  const results = script.map((operation) => {
    const answer = world.run(operation)
    const faults = checkMountTree(world.vfs)
    if (faults.length > 0) throw new Error(`${JSON.stringify(operation)}: ${faults.join('; ')}`)
    return answer
  })
  const { tables } = world
  world.release()
  const { devices, ...left } = liveCounts(world.vfs)
  if (devices !== 1 || Object.values(left).some((count) => count !== 0))
    throw new Error(`left: ${JSON.stringify(left)}`)
  return { results, tables }
}

/** What differs, or undefined. */
async function difference(script: readonly Operation[], linux: Linux): Promise<string | undefined> {
  const theirs = await linux.run(script)
  let ours: Outcome
  try {
    ours = runOurs(script)
  } catch (error) {
    return (error as Error).stack
  }
  for (const [i, result] of ours.results.entries()) {
    if (result !== theirs.results[i]) return `step ${i}: ours ${result}, Linux ${theirs.results[i]}`
  }
  const [a, b] = [picture(ours.tables), picture(theirs.tables)]
  return a.join('\n') === b.join('\n') ? undefined : ['ours', ...a, 'Linux', ...b].join('\n')
}

/** Compares scripts of the seeds from `seed` on; gives the first that differs, as short as it could be made. */
export async function fuzzMounts(options: {
  readonly seed: number
  readonly sequences: number
  readonly steps: number
  readonly linux: Linux
}): Promise<{ seed: number; script: readonly Operation[]; text: string } | undefined> {
  for (let seed = options.seed; seed < options.seed + options.sequences; seed++) {
    const script = randomScript(seed, options.steps)
    const text = await difference(script, options.linux)
    if (text !== undefined) return { seed, ...(await shortest(script, text, options.linux)) }
  }
  return undefined
}

/** Leaves out steps for as long as the sides still differ. */
async function shortest(script: readonly Operation[], text: string, linux: Linux) {
  let best = { script, text }
  for (let shorter = true; shorter; ) {
    shorter = false
    for (let i = best.script.length - 1; i >= 0; i--) {
      if (best.script[i]![1] === 'fork') continue
      const less = best.script.filter((_, at) => at !== i)
      const differs = await difference(less, linux)
      if (differs === undefined) continue
      best = { script: less, text: differs }
      shorter = true
    }
  }
  return best
}

/** Scripts with what Linux answers, for tests that have no Linux to ask. */
export async function record(seed: number, count: number, steps: number, linux: Linux): Promise<Recorded[]> {
  const recorded: Recorded[] = []
  for (let i = 0; i < count; i++) {
    const script = randomScript(seed + i, steps)
    const { results, tables } = await linux.run(script)
    recorded.push({ script, results, picture: picture(tables) })
  }
  return recorded
}

const DIRECTORIES = ['/a', '/b', '/c', '/a/d', '/b/d', '/c/d', '/a/d/e', '/b/d/e', '/a/x', '/b/x']
const PLACES = ['/', '.', ...DIRECTORIES, ...DIRECTORIES]
const MAX_TASKS = 4

/**
 * A script of one seed. Left out is what is known to differ: an unmount of a task's own root, which turns the filesystem read-only on
 * Linux; and a new mount that is read-only, for there it is the filesystem that is.
 */
export function randomScript(seed: number, steps: number): Operation[] {
  const random = mulberry32(seed)
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!
  const place = () => pick(PLACES)
  const directory = () => pick(DIRECTORIES)
  let tasks = 1
  let made = 0
  const held: { task: number; name: string }[] = []
  const hold = (task: number) => {
    const name = `f${++made}`
    held.push({ task, name })
    return name
  }
  const propagation = () => pick(['shared', 'shared', 'private', 'slave', 'slave', 'unbindable']) + pick(['', ',rec'])
  const flags = () => pick(['', '', '', 'nosuid,noexec', 'noatime', 'strictatime', 'nodev,nodiratime'])
  const again = () =>
    pick(['', 'rdonly', 'noexec', 'noatime', 'relatime', 'nosuid,nodev', 'rdonly,nosuid,nodev,noexec'])
  const kinds: readonly [weight: number, make: (task: number) => Operation | undefined][] = [
    [20, (task) => [task, 'mkdir', directory()]],
    [16, (task) => [task, 'mount', place(), `s${++made}`, 'tmpfs', flags()]],
    [12, (task) => [task, 'mount', place(), place(), '', 'bind']],
    [12, (task) => [task, 'mount', place(), place(), '', 'bind,rec']],
    [8, (task) => [task, 'mount', place(), place(), '', 'move']],
    [22, (task) => [task, 'mount', place(), '', '', propagation()]],
    [4, (task) => [task, 'mount', place(), '', '', `remount,bind,${again()}`]],
    [8, (task) => [task, 'umount', directory(), 0]],
    [8, (task) => [task, 'umount', place(), 2]],
    [4, (task) => [task, 'rmdir', directory()]],
    [4, (task) => [task, 'rename', directory(), directory()]],
    [3, (task) => (tasks < MAX_TASKS && ++tasks ? [task, 'fork'] : undefined)],
    [3, (task) => [task, 'unshare']],
    [3, (task) => [task, 'unshareuser']],
    [1, (task) => [task, 'pivot', place(), place()]],
    [2, (task) => [task, 'pivot', '.', '.']],
    [
      3,
      (task) => {
        const root = pick(DIRECTORIES)
        return [task, 'pivot', root, `${root}/d`]
      },
    ],
    [3, (task) => [task, 'chdir', place()]],
    [1, (task) => [task, 'chroot', place()]],
    [1, (task) => [task, 'getcwd']],
    [3, (task) => [task, 'open', hold(task), place(), 'p']],
    [6, (task) => [task, 'opentree', hold(task), null, place(), pick([0, 1, 1, 1]) | pick([0, 0x8000])]],
    [
      2,
      () => {
        if (held.length === 0) return undefined
        const { task, name } = pick(held)
        return [task, 'opentree', hold(task), name, '', 1 | 0x1000 | pick([0, 0x8000])]
      },
    ],
    [
      6,
      () => {
        if (held.length === 0) return undefined
        const [from, to] = [pick(held), pick(held)]
        return from.task === to.task && random() < 0.25
          ? [from.task, 'movemount', from.name, '', to.name, '', 0x44]
          : [from.task, 'movemount', from.name, '', null, place(), 4]
      },
    ],
    [
      3,
      () => {
        const [gone] = held.splice(Math.floor(random() * held.length), 1)
        return gone && [gone.task, 'close', gone.name]
      },
    ],
  ]
  const total = kinds.reduce((sum, [weight]) => sum + weight, 0)
  const script: Operation[] = DIRECTORIES.map((path) => [0, 'mkdir', path])
  if (random() < 0.5) script.push([0, 'mount', '/', '', '', 'rec,shared'])
  while (script.length < steps) {
    const task = Math.floor(random() * tasks)
    let at = random() * total
    let kind = 0
    for (; at >= kinds[kind]![0]; kind++) at -= kinds[kind]![0]
    const operation = kinds[kind]![1](task)
    if (operation) script.push(operation)
    if (operation?.[4] === 'tmpfs') {
      for (const name of ['d', 'x', 'd/e']) script.push([task, 'mkdir', `${operation[2]}/${name}`])
    }
  }
  return script
}
