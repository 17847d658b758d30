/** All specs, in the order of docs/spec.md. */

import { data } from './data.ts'
import { devices } from './devices.ts'
import { directories } from './directories.ts'
import { fuzzed } from './fuzzed.ts'
import { mounts } from './mounts.ts'
import { names } from './names.ts'
import { opening } from './open.ts'
import { paths } from './paths.ts'
import { permissions } from './permissions.ts'
import { quota } from './quota.ts'
import { renaming } from './rename.ts'
import type { Spec } from './spec.ts'
import { attributes } from './stat.ts'
import { times } from './times.ts'
import { unlinking } from './unlink.ts'

export const specs: readonly Spec[] = [
  ...[...paths, ...names, ...opening, ...renaming, ...unlinking, ...attributes, ...mounts],
  ...[...data, ...permissions, ...times, ...directories, ...quota, ...devices, ...fuzzed],
]
