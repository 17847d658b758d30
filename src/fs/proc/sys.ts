/** /proc/sys, as a table: sysctl(2). What can be read is true of this kernel; nothing of it can be set. */

import { ErrnoError } from '../../abi/errno.ts'
import { toHex } from '../../abi/hex.ts'
import { directory, file, type Node } from '../kernfs.ts'
import type { ProcNamespace, ProcSystem } from './kernel.ts'

/** What the kernel calls itself: uname(2). */
export const OS_TYPE = 'Linux'
export const OS_RELEASE = '6.18.0-runtab'
export const OS_VERSION = '#1 SMP'

/** Files that the superuser may open for writing: what they say is so, and stays. */
const fixed = (read: () => string | number): Node =>
  file(() => `${read()}\n`, {
    write: () => {
      throw new ErrnoError('EPERM')
    },
  })
const told = (read: () => string | number): Node => file(() => `${read()}\n`)

export function sysctls(system: ProcSystem, namespace: ProcNamespace): Record<string, Node> {
  const bootId = uuid(system)
  return {
    fs: directory({
      'file-max': fixed(() => '9223372036854775807'),
      'file-nr': told(() => `${system.openFiles}\t0\t9223372036854775807`),
      'mount-max': fixed(() => 10_000),
      nr_open: fixed(() => 1_048_576),
      overflowgid: fixed(() => 65534),
      overflowuid: fixed(() => 65534),
      'pipe-max-size': fixed(() => 1 << 20),
      protected_fifos: fixed(() => 0),
      protected_hardlinks: fixed(() => 1),
      protected_regular: fixed(() => 0),
      protected_symlinks: fixed(() => 0),
    }),
    kernel: directory({
      cap_last_cap: told(() => 40),
      domainname: fixed(() => namespace.domainname || '(none)'),
      hostname: fixed(() => namespace.hostname || '(none)'),
      ngroups_max: told(() => 65536),
      osrelease: told(() => OS_RELEASE),
      ostype: told(() => OS_TYPE),
      overflowgid: fixed(() => 65534),
      overflowuid: fixed(() => 65534),
      pid_max: fixed(() => 4_194_304),
      random: directory({
        boot_id: told(() => bootId),
        entropy_avail: told(() => 256),
        poolsize: told(() => 256),
        uuid: told(() => uuid(system)),
      }),
      'threads-max': fixed(() => 4_194_304),
      version: told(() => OS_VERSION),
    }),
    net: directory({ core: directory({ somaxconn: fixed(() => 4096) }) }),
    vm: directory({
      max_map_count: fixed(() => 65530),
      mmap_min_addr: fixed(() => 0),
      overcommit_memory: fixed(() => 0),
      swappiness: fixed(() => 0),
    }),
  }
}

/** Version 4: RFC 9562. */
function uuid({ entropy }: ProcSystem): string {
  const bytes = new Uint8Array(16)
  entropy.fill(bytes)
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = toHex(bytes)
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
