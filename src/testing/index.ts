/**
 * The conformance suite, to be run on a filesystem type of one's own with one's own test runner:
 *
 *     import { describe, test } from 'vitest'
 *     import { conforms } from 'runtab/testing'
 *     import { myType } from './my-type.ts'
 *
 *     conforms('myfs', myType, { describe, test })
 *
 * Each spec is a test, whose name begins with the rows of docs/spec.md that it checks.
 */

import type { FilesystemType } from '../vfs/filesystem.ts'
import { conforms as conformsTo, type Runner, type SubjectOptions, subjectOf } from './conformance/conforms.ts'

export { ErrnoError } from '../abi/errno.ts'
export type * from '../abi/syscalls.ts'
export type { FilesystemType, MountRequest } from '../vfs/filesystem.ts'
export type * from '../vfs/inode.ts'
export { Attempt, InFlight, WaitQueue, WouldBlock } from '../vfs/waiting.ts'
export { specs } from './conformance/all.ts'
export { type Runner, runSpec, type SubjectOptions, subjectOf } from './conformance/conforms.ts'
export type { Ability, Arena, Credentials, Mounts, Spec, SpecTask, Subject, Trial } from './conformance/spec.ts'
export { kernelSubjects } from './conformance/subjects.ts'

/**
 * A test for each spec that a filesystem of this type can be asked for. Left out of `options`, its abilities are all but limits
 * and the sizes of a tmpfs. A difference that is listed is tested to be there still.
 */
export function conforms(name: string, type: FilesystemType, runner: Runner, options: SubjectOptions = {}): void {
  conformsTo(subjectOf(name, type, options), runner)
}
