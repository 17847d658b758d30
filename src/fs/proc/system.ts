/** The files of /proc itself, as a table: what proc tells of the kernel as a whole. The texts are those of proc(5), to the column. */

import { ErrnoError } from '../../abi/errno.ts'
import { directory, file, link, type Node } from '../kernfs.ts'
import type { ProcNamespace, ProcSystem } from './kernel.ts'
import { cpuMask, ticksOf } from './status.ts'
import { OS_RELEASE, OS_TYPE, OS_VERSION, sysctls } from './sys.ts'

export function systemFiles(system: ProcSystem, namespace: ProcNamespace): Record<string, Node> {
  return {
    bus: directory({}),
    cgroups: file(() => system.cgroups.text),
    cmdline: file(() => '\n'),
    cpuinfo: file(() => cpuText(system)),
    devices: file(() => system.devices),
    diskstats: file(() => ''),
    filesystems: file(() => system.filesystems),
    fs: directory({}),
    irq: directory({ default_smp_affinity: file(() => `${cpuMask(system.machine.cpus)}\n`) }),
    loadavg: file(() => loadText(system, namespace)),
    meminfo: file(() => memoryText(system)),
    modules: file(() => ''),
    mounts: link('self/mounts'),
    net: link('self/net'),
    partitions: file(() => 'major minor  #blocks  name\n\n'),
    stat: file(() => statText(system)),
    swaps: file(() => 'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n'),
    sys: directory(sysctls(system, namespace)),
    'sysrq-trigger': { kind: 'file', mode: 0o200, write: refuse },
    uptime: file(() => uptimeText(system)),
    version: file(() => `${OS_TYPE} version ${OS_RELEASE} (runtab) (wasm32) ${OS_VERSION}\n`),
  }
}

/** There is no machine here that a key could reach. */
function refuse(): never {
  throw new ErrnoError('EPERM')
}

/** Seconds since the kernel started, and those that its processors had nothing to do, together. */
function seconds({ clock, bootedAt, machine, userTime, systemTime }: ProcSystem): { up: number; idle: number } {
  const up = Number(clock.monotonic() - bootedAt) / 1e9
  return { up, idle: Math.max(0, up * machine.cpus - (userTime + systemTime) / 1000) }
}

function uptimeText(system: ProcSystem): string {
  const { up, idle } = seconds(system)
  return `${up.toFixed(2)} ${idle.toFixed(2)}\n`
}

function loadText({ loads, processesRunning }: ProcSystem, namespace: ProcNamespace): string {
  const there = [...namespace.all()].length
  return `${loads.map((load) => load.toFixed(2)).join(' ')} ${processesRunning}/${there} ${namespace.lastPid}\n`
}

/** A processor of which WebAssembly says nothing but that it is there. */
function cpuText({ machine: { cpus } }: ProcSystem): string {
  const of = (cpu: number) =>
    [
      `processor\t: ${cpu}`,
      'vendor_id\t: WebAssembly',
      'cpu family\t: 1',
      'model\t\t: 0',
      'model name\t: WebAssembly virtual processor (wasm32)',
      'stepping\t: 0',
      'physical id\t: 0',
      `siblings\t: ${cpus}`,
      `core id\t\t: ${cpu}`,
      `cpu cores\t: ${cpus}`,
      'fpu\t\t: yes',
      'address sizes\t: 32 bits physical, 32 bits virtual',
      'power management:',
      '',
    ].join('\n')
  return Array.from({ length: cpus }, (_, cpu) => `${of(cpu)}\n`).join('')
}

/** All memory that is in use is a guest's, or holds a file. */
function memoryText({ machine, guestMemory, fileMemory }: ProcSystem): string {
  const free = Math.max(0, machine.memory - guestMemory - fileMemory)
  const rows: Record<string, number> = {
    MemTotal: machine.memory,
    MemFree: free,
    MemAvailable: free,
    Buffers: 0,
    Cached: fileMemory,
    SwapCached: 0,
    Active: guestMemory + fileMemory,
    Inactive: 0,
    'Active(anon)': guestMemory + fileMemory,
    'Inactive(anon)': 0,
    'Active(file)': 0,
    'Inactive(file)': 0,
    Unevictable: 0,
    Mlocked: 0,
    SwapTotal: 0,
    SwapFree: 0,
    Dirty: 0,
    Writeback: 0,
    AnonPages: guestMemory,
    Mapped: 0,
    Shmem: fileMemory,
    Slab: 0,
    SReclaimable: 0,
    SUnreclaim: 0,
    KernelStack: 0,
    PageTables: 0,
    CommitLimit: machine.memory,
    Committed_AS: guestMemory + fileMemory,
  }
  return Object.entries(rows)
    .map(([name, bytes]) => `${`${name}:`.padEnd(15)} ${String(Math.floor(bytes / 1024)).padStart(8)} kB\n`)
    .join('')
}

function statText(system: ProcSystem): string {
  const { machine, clock, bootedAt, userTime, systemTime, calls, processesMade, processesRunning } = system
  const { idle } = seconds(system)
  const figures = [userTime, 0, systemTime, idle * 1000, 0, 0, 0, 0, 0, 0]
  const share = (cpus: number) => figures.map((figure) => ticksOf(figure / cpus)).join(' ')
  const booted = (clock.realtime() - (clock.monotonic() - bootedAt)) / 1_000_000_000n
  return [
    `cpu  ${share(1)}`,
    ...Array.from({ length: machine.cpus }, (_, cpu) => `cpu${cpu} ${share(machine.cpus)}`),
    'intr 0',
    `ctxt ${calls}`,
    `btime ${booted}`,
    `processes ${processesMade}`,
    `procs_running ${processesRunning}`,
    'procs_blocked 0',
    `softirq ${Array<number>(11).fill(0).join(' ')}`,
    '',
  ].join('\n')
}
