/** Options of a FUSE mount as text: mount.fuse3(8), and what fusermount gives the kernel. */

import { ErrnoError } from '../../abi/errno.ts'
import { S_IFDIR, S_IFMT } from '../../abi/linux.ts'
import { kindOf } from '../../vfs/kinds.ts'
import { type MountOption, optionsIn } from '../../vfs/mount-data.ts'

export interface FuseOptions {
  /** The descriptor of /dev/fuse; undefined where the connection is handed over. */
  readonly fd: number | undefined
  /** Type and permissions of the root until the server is asked for them. */
  readonly rootMode: number
  /** Who mounts: who alone may enter without `allowOther`. */
  readonly userId: number
  readonly groupId: number
  /** Permission bits are heeded here; otherwise the server decides. */
  readonly defaultPermissions: boolean
  readonly allowOther: boolean
  /** Most bytes in one READ. */
  readonly maxRead: number
}

/** Linux's floor. */
const LEAST_READ = 4096

const MANDATORY = ['fd', 'rootmode', 'user_id', 'group_id'] as const

/**
 * Reads `fd=3,rootmode=40000,user_id=0,group_id=0` and `default_permissions,allow_other,max_read=…,subtype=…`. Where a connection is
 * `given`, nothing is mandatory, there is no fd, and everybody may enter as the permission bits say.
 * Errors: EINVAL with the option in the detail.
 */
export function parseFuseOptions(data: string, given: boolean): FuseOptions {
  const options = new Map<string, MountOption>()
  for (const option of optionsIn('fuse', data)) {
    if (!KNOWN.has(option.key)) throw option.fault(`unknown; fuse knows ${[...KNOWN].join(', ')}`)
    options.set(option.key, option)
  }
  const number = (key: string, radix: 8 | 10, otherwise: number): number => {
    const option = options.get(key)
    if (!option) return otherwise
    const value = option.number(radix)
    if (!(value < 2 ** 32 - 1)) throw option.fault(radix === 8 ? 'wants an octal number' : 'wants a number')
    return value
  }
  const flag = (key: string): boolean => {
    const option = options.get(key)
    if (option?.value !== undefined) throw option.fault('takes no value')
    return option !== undefined
  }
  if (!given) for (const key of MANDATORY) if (!options.has(key)) throw fault(key, 'a fuse mount must have it')
  if (given && options.has('fd')) throw fault('fd', 'the source says already who serves it')
  const rootMode = number('rootmode', 8, S_IFDIR | 0o755)
  if (rootMode & ~(S_IFMT | 0o7777) || kindOf(rootMode) === undefined) throw fault('rootmode', 'says no type of file')
  return {
    fd: given ? undefined : number('fd', 10, 0),
    rootMode,
    userId: number('user_id', 10, 0),
    groupId: number('group_id', 10, 0),
    defaultPermissions: flag('default_permissions') || given,
    allowOther: flag('allow_other') || given,
    maxRead: Math.max(LEAST_READ, number('max_read', 10, 2 ** 31)),
  }
}

const KNOWN = new Set<string>([...MANDATORY, 'default_permissions', 'allow_other', 'max_read', 'subtype'])

const fault = (option: string, rule: string) => new ErrnoError('EINVAL', undefined, `fuse option "${option}": ${rule}`)

/** The options as /proc/mounts prints them. */
export function formatFuseOptions({ userId, groupId, defaultPermissions, allowOther, maxRead }: FuseOptions): string {
  const parts = [`user_id=${userId}`, `group_id=${groupId}`]
  if (defaultPermissions) parts.push('default_permissions')
  if (allowOther) parts.push('allow_other')
  if (maxRead < 2 ** 31) parts.push(`max_read=${maxRead}`)
  return parts.join(',')
}
