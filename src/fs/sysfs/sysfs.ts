/**
 * sysfs(5): the fixed tree that programs look for, of a machine that has processors and no devices that could be seen.
 *
 * Invariant: nothing in it changes, and nobody changes it.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { Machine } from '../../abi/platform.ts'
import type { FilesystemType } from '../../vfs/filesystem.ts'
import { directory, file, KernfsFilesystem, link, type Node } from '../kernfs.ts'

/** SYSFS_MAGIC (linux/magic.h). */
const MAGIC = 0x62656572
/** What stat tells of every attribute. */
const SIZE = 4096
/** NR_CPUS of a large kernel, less one. */
const KERNEL_MAX = 8191

export interface SysOptions {
  readonly machine: Machine
  /** There are cgroups: /sys/fs/cgroup is there to mount them on. */
  readonly cgroups: boolean
  /** What /sys/devices/virtual/dmi/id/product_name says; left out, it is not there. */
  readonly productName?: string | undefined
}

/** Errors: EINVAL for a product's name that is not a line of text. */
export function sysType(options: SysOptions): FilesystemType {
  const { productName } = options
  if (productName !== undefined && (typeof productName !== 'string' || /[\n\0]/.test(productName))) {
    throw new ErrnoError('EINVAL', undefined, 'productName must be one line of text')
  }
  return {
    name: 'sysfs',
    userMountable: true,
    userListable: true,
    mount({ data, dev, clock }) {
      if (data !== '') throw new ErrnoError('EINVAL', undefined, `sysfs takes no options: "${data}"`)
      const root = folder(sysFiles(options))
      return new KernfsFilesystem({ type: 'sysfs', dev, clock, magic: MAGIC, root, strict: true })
    },
  }
}

export function sysFiles({ machine: { cpus }, cgroups, productName }: SysOptions): Record<string, Node> {
  const range = cpus === 1 ? '0' : `0-${cpus - 1}`
  const each = Array.from({ length: cpus }, (_, cpu) => [`cpu${cpu}`, folder({ topology: topology(cpu, range) })])
  const cpu = folder({
    ...(Object.fromEntries(each) as Record<string, Node>),
    isolated: attribute(''),
    kernel_max: attribute(String(KERNEL_MAX)),
    offline: attribute(''),
    online: attribute(range),
    possible: attribute(range),
    present: attribute(range),
  })
  const node = folder({ has_cpu: attribute('0'), online: attribute('0'), possible: attribute('0') })
  const dmi: Record<string, Node> =
    productName === undefined
      ? {}
      : { virtual: folder({ dmi: folder({ id: folder({ product_name: attribute(productName) }) }) }) }
  return {
    block: folder({}),
    bus: folder({}),
    class: folder(productName === undefined ? {} : { dmi: folder({ id: link('../../devices/virtual/dmi/id') }) }),
    dev: folder({ block: folder({}), char: folder({}) }),
    devices: folder({ system: folder({ cpu, node }), ...dmi }),
    firmware: folder({}),
    fs: folder(cgroups ? { cgroup: folder({}) } : {}),
    kernel: folder({}),
    module: folder({}),
    power: folder({}),
  }
}

const topology = (cpu: number, siblings: string) =>
  folder({
    core_id: attribute(String(cpu)),
    core_siblings_list: attribute(siblings),
    physical_package_id: attribute('0'),
    thread_siblings_list: attribute(String(cpu)),
  })

const folder = (nodes: Record<string, Node>) => directory(nodes, { mode: 0o755 })
const attribute = (text: string) => file(() => `${text}\n`, { size: SIZE })
