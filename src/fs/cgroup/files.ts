/**
 * The files of a control group, as tables: those that each has, and those of its controllers (Documentation/admin-guide/cgroup-v1).
 * What cannot be limited here, processor time and devices, is told and cannot be set.
 */

import { ErrnoError } from '../../abi/errno.ts'
import type { Caller } from '../../vfs/waiting.ts'
import { type FileNode, file, type Node } from '../kernfs.ts'
import type { Group } from './group.ts'
import type { Controller } from './hierarchy.ts'

/** What limits are counted in: getpagesize(2) of Linux. */
const PAGE = 4096
/** PAGE_COUNTER_MAX, in bytes. */
const NO_LIMIT = 9_223_372_036_854_771_712n
/** PIDS_MAX of kernel/cgroup/pids.c. */
const PIDS_MAX = 4_194_305
const NANOSECONDS = 1e6
const TICKS = 100

type Files = Record<string, FileNode>

export function filesOf(group: Group): Record<string, Node> {
  const { maker } = group
  const files: Files = ofEvery(group)
  for (const controller of group.hierarchy.controllers) Object.assign(files, BY_CONTROLLER[controller](group))
  return Object.fromEntries(Object.entries(files).map(([name, node]) => [name, { ...whileThere(group, node), maker }]))
}

/** What is still open of a group that is gone can't be used. */
function whileThere(group: Group, node: FileNode): FileNode {
  const { read, write } = node
  return {
    ...node,
    ...(read && {
      read() {
        group.requireThere()
        return read()
      },
    }),
    ...(write && {
      write(text: string, caller: Caller | undefined) {
        group.requireThere()
        write(text, caller)
      },
    }),
  }
}

function ofEvery(group: Group): Files {
  const pids = file(() => group.processes.map(({ pid }) => `${pid}\n`).join(''), {
    write: (text, caller) => move(group, text, caller),
  })
  return { 'cgroup.procs': pids, tasks: { ...pids } }
}

/** Errors: EINVAL, ESRCH; EACCES for another user's process, unless by the superuser. */
function move(group: Group, text: string, caller: Caller | undefined): void {
  const process = group.hierarchy.find(text, caller)
  const uid = caller?.credentials.uid ?? 0
  if (uid !== 0 && uid !== process.credentials.uid && uid !== process.credentials.realUid) {
    throw new ErrnoError('EACCES')
  }
  group.hierarchy.enter(process, group)
}

const BY_CONTROLLER: Readonly<Record<Controller, (group: Group) => Files>> = {
  cpuset: ({ hierarchy }) => {
    const { cpus } = hierarchy.cgroups.machine
    const range = told(() => (cpus === 1 ? '0' : `0-${cpus - 1}`))
    const node = told(() => 0)
    return {
      'cpuset.cpus': range,
      'cpuset.effective_cpus': { ...range },
      'cpuset.effective_mems': node,
      'cpuset.mems': { ...node },
    }
  },

  cpu: () => ({
    'cpu.cfs_period_us': told(() => 100_000),
    'cpu.cfs_quota_us': told(() => -1),
    'cpu.shares': told(() => 1024),
    'cpu.stat': file(() => 'nr_periods 0\nnr_throttled 0\nthrottled_time 0\n'),
  }),

  cpuacct: (group) => {
    const nanoseconds = (milliseconds: number) => Math.floor(milliseconds * NANOSECONDS)
    const ticks = (milliseconds: number) => Math.floor((milliseconds * TICKS) / 1000)
    return {
      'cpuacct.stat': file(() => `user ${ticks(group.times.userTime)}\nsystem ${ticks(group.times.systemTime)}\n`),
      'cpuacct.usage': told(() => nanoseconds(group.times.userTime + group.times.systemTime)),
      'cpuacct.usage_sys': told(() => nanoseconds(group.times.systemTime)),
      'cpuacct.usage_user': told(() => nanoseconds(group.times.userTime)),
    }
  },

  memory: (group) => ({
    'memory.failcnt': file(() => `${group.memoryFailures}\n`, {
      write: () => {
        group.memoryFailures = 0
      },
    }),
    'memory.limit_in_bytes': file(() => `${shownLimit(group.memoryLimit)}\n`, {
      write: (text) => limitMemory(group, text),
    }),
    'memory.max_usage_in_bytes': file(() => `${Math.max(group.memoryPeak, group.memory)}\n`, {
      write: () => {
        group.memoryPeak = 0
      },
    }),
    'memory.oom_control': file(() => `oom_kill_disable 0\nunder_oom 0\noom_kill ${group.oomKills}\n`),
    'memory.stat': file(() => memoryStat(group)),
    'memory.usage_in_bytes': told(() => group.memory),
    'memory.use_hierarchy': told(() => 1),
  }),

  devices: () => ({ 'devices.list': told(() => 'a *:* rwm') }),

  pids: (group): Files => ({
    'pids.current': told(() => group.allProcesses.length),
    ...(group.parent && {
      'pids.events': file(() => `max ${group.pidsRefused}\n`),
      'pids.max': file(() => `${group.pidsMax === Number.POSITIVE_INFINITY ? 'max' : group.pidsMax}\n`, {
        write: (text) => {
          group.pidsMax = text.trim() === 'max' ? Number.POSITIVE_INFINITY : integer(text, PIDS_MAX - 1)
        },
      }),
    }),
  }),

  job: (group) => ({
    'job.id': file(() => `${group.jobId}\n`, {
      write: (text) => {
        if (!/^\s*-?\d{1,18}\s*$/.test(text)) throw new ErrnoError('EINVAL')
        group.jobId = BigInt(text.trim())
      },
    }),
  }),
}

const told = (read: () => string | number): FileNode => file(() => `${read()}\n`)

const shownLimit = (bytes: number) => (bytes === Number.POSITIVE_INFINITY ? NO_LIMIT : bytes)

function memoryStat(group: Group): string {
  const own = group.processes.reduce((sum, { memory }) => sum + memory, 0)
  const all = group.memory
  return [
    'cache 0',
    `rss ${own}`,
    `inactive_anon 0\nactive_anon ${own}`,
    `hierarchical_memory_limit ${shownLimit(group.memoryBound)}`,
    'total_cache 0',
    `total_rss ${all}`,
    `total_inactive_anon 0\ntotal_active_anon ${all}`,
    '',
  ].join('\n')
}

/** Errors: EINVAL for no size, and for the root's; EBUSY for less than is in use. */
function limitMemory(group: Group, text: string): void {
  const bytes = sizeOf(text.trim())
  if (bytes === undefined || !group.parent) throw new ErrnoError('EINVAL')
  if (group.memory > bytes) throw new ErrnoError('EBUSY', undefined, `${group.memory} bytes are in use`)
  group.memoryLimit = bytes
}

/** As page_counter_memparse has it: whole pages, -1 for no limit. */
function sizeOf(text: string): number | undefined {
  if (text === '-1') return Number.POSITIVE_INFINITY
  const [, digits, unit] = /^(\d{1,20})([kmgt]?)$/i.exec(text) ?? []
  if (digits === undefined) return undefined
  const bytes = Number(digits) * 1024 ** ' kmgt'.indexOf((unit || ' ').toLowerCase())
  return bytes >= Number(NO_LIMIT) ? Number.POSITIVE_INFINITY : bytes - (bytes % PAGE)
}

/** Errors: EINVAL. */
function integer(text: string, max: number): number {
  const value = /^\s*\d{1,10}\s*$/.test(text) ? Number(text) : Number.NaN
  if (!(value <= max)) throw new ErrnoError('EINVAL')
  return value
}
