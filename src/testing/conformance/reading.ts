/** Which specs only read what they are given: those that a filesystem which takes no changes can run. */

import { O_ACCMODE, O_CREAT, O_RDONLY, O_TMPFILE, O_TRUNC } from '../../abi/linux.ts'
import { canRun, runSpec } from './conforms.ts'
import type { Arena, Spec, SpecTask, Subject } from './spec.ts'

const READS: ReadonlySet<string> = new Set([
  ...['openat', 'close', 'preadv', 'readv', 'getdents', 'lseek', 'fstat', 'fstatat', 'readlinkat', 'faccessat'],
  ...['chdir', 'chroot', 'umask', 'dup', 'statfs', 'execute', 'getfl', 'setfl', 'poll', 'renumber'],
])
const CHANGES = O_CREAT | O_TRUNC | O_TMPFILE

/** Found out by running them on `subject`, as they are given something and do nothing then that could change it. */
export function readingSpecs(subject: Subject, list: readonly Spec[]): Spec[] {
  return list.filter((each) => each.given && canRun(subject, each) && reads(subject, each))
}

function reads(subject: Subject, each: Spec): boolean {
  let isGiven = false
  let changes = false
  const watched = (task: SpecTask): SpecTask =>
    new Proxy(task, {
      get(target, name: keyof SpecTask & string) {
        const call = target[name] as (...args: unknown[]) => unknown
        return (...args: unknown[]) => {
          const flags = name === 'openat' ? (args[2] as number) : O_RDONLY
          if (isGiven && (!READS.has(name) || (flags & O_ACCMODE) !== O_RDONLY || (flags & CHANGES) !== 0))
            changes = true
          return call.apply(target, args)
        }
      },
    })
  const arena = (data?: string): Arena => {
    const real = subject.arena(data)
    return {
      task: (credentials) => watched(real.task(credentials)),
      ...(real.mounts && { mounts: real.mounts }),
      tick: (milliseconds) => real.tick(milliseconds),
      given() {
        real.given?.()
        isGiven = true
      },
      end: () => real.end(),
    }
  }
  runSpec({ ...subject, arena }, each)
  return !changes
}
