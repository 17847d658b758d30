/** The filesystem of control groups: mounting shows a hierarchy, the one that there is of these controllers, or a new one. */

import { ErrnoError } from '../../abi/errno.ts'
import type { Clock } from '../../abi/platform.ts'
import type { FilesystemType } from '../../vfs/filesystem.ts'
import { KernfsFilesystem } from '../kernfs.ts'
import { directoryOf } from './directory.ts'
import { type Cgroups, CONTROLLERS, type Controller, type Hierarchy } from './hierarchy.ts'

/** CGROUP_SUPER_MAGIC (linux/magic.h). */
const MAGIC = 0x27e0eb
/** MAX_CGROUP_ROOT_NAMELEN, with its NUL. */
const NAME_LENGTH = 63

export function cgroupType(cgroups: Cgroups): FilesystemType {
  return {
    name: 'cgroup',
    userMountable: true,
    userListable: true,
    mount({ data, dev, clock }) {
      const { controllers, name } = parseOptions(data)
      const hierarchy = cgroups.hierarchy(controllers, name)
      hierarchy.filesystem ??= new CgroupFilesystem(hierarchy, dev, clock)
      return hierarchy.filesystem
    },
  }
}

export class CgroupFilesystem extends KernfsFilesystem {
  readonly hierarchy: Hierarchy

  constructor(hierarchy: Hierarchy, dev: number, clock: Clock) {
    const { root, options } = hierarchy
    super({ type: 'cgroup', dev, clock, magic: MAGIC, root: directoryOf(root), options, strict: true })
    this.hierarchy = hierarchy
  }

  override release(): void {
    this.hierarchy.filesystem = undefined
    this.hierarchy.dropIfUnused()
  }
}

interface CgroupOptions {
  /** undefined: those of the hierarchy of this name. */
  readonly controllers: readonly Controller[] | undefined
  readonly name: string
}

/** cgroup1_parse_param and check_cgroupfs_options of Linux. Errors: EINVAL. */
function parseOptions(data: string): CgroupOptions {
  const named = new Set<Controller>()
  let [all, none, name] = [false, false, '']
  for (const option of data.split(',').filter(Boolean)) {
    const controller = CONTROLLERS.find((each) => each === option)
    if (controller) named.add(controller)
    else if (option === 'all') all = true
    else if (option === 'none') none = true
    else if (option.startsWith('name=') && name === '') name = requireName(option.slice(5))
    else throw invalid(`cgroup does not know the option "${option}"`)
  }
  if (all && named.size > 0) throw invalid(`all goes with no other controller, such as ${[...named][0]}`)
  if (none && (all || named.size > 0)) throw invalid('none goes with no controller')
  if (none && name === '') throw invalid('a hierarchy without controllers needs a name')
  if (none) return { controllers: [], name }
  if (named.size > 0) return { controllers: [...named], name }
  return { controllers: all || name === '' ? CONTROLLERS : undefined, name }
}

function requireName(name: string): string {
  if (!/^[\w.-]+$/.test(name) || name.length > NAME_LENGTH) {
    throw invalid(`a hierarchy's name has up to ${NAME_LENGTH} of letters, digits, _ . -, and is not "${name}"`)
  }
  return name
}

const invalid = (rule: string) => new ErrnoError('EINVAL', undefined, rule)
