/** /proc/PID/stat, statm and status: one process's figures, in the three texts that programs parse. proc_pid_stat(5) and so on. */

import type { ProcProcess, ProcSystem } from './kernel.ts'

/** The page of the texts that count in pages: getpagesize(2) of Linux. */
export const PAGE = 4096
/** Clock ticks a second: sysconf(_SC_CLK_TCK). */
const TICKS = 100
const SIGNALS = '0000000000000000'
const ALL_CAPABILITIES = '000001ffffffffff'

export const ticksOf = (milliseconds: number): number => Math.floor((milliseconds * TICKS) / 1000)

const stateOf = ({ waiting }: ProcProcess) => (waiting ? 'S' : 'R')

export function statText(process: ProcProcess, system: ProcSystem): string {
  const { pid, command, memory, userTime, systemTime, startedAt } = process
  const started = ticksOf(Number(startedAt - system.bootedAt) / 1e6)
  const zeros = (count: number) => Array<number>(count).fill(0)
  const fields = [
    ...[pid, `(${command})`, stateOf(process), 0, pid, pid, 0, -1, 0],
    ...[...zeros(4), ticksOf(userTime), ticksOf(systemTime), 0, 0],
    // priority, nice, threads, itrealvalue
    ...[20, 0, 1, 0],
    ...[started, memory, memory / PAGE, '18446744073709551615'],
    ...[...zeros(12), 17, 0, 0, 0, 0],
    ...zeros(10),
  ]
  return `${fields.join(' ')}\n`
}

/** Size, resident, shared, text, lib, data, dirty: all of a guest's memory is data. */
export function statmText({ memory }: ProcProcess): string {
  const pages = memory / PAGE
  return `${pages} ${pages} 0 0 0 ${pages} 0\n`
}

export function statusText(process: ProcProcess, { machine }: ProcSystem): string {
  const { pid, command, umask, credentials, memory, memoryPeak, descriptors, waits } = process
  const { uid, gid, realUid, realGid, groups, capabilities, permitted = capabilities } = credentials
  const state = process.waiting ? 'S (sleeping)' : 'R (running)'
  const kilobytes = (bytes: number) => `${String(Math.floor(bytes / 1024)).padStart(8)} kB`
  const caps = (set: number) => (set === -1 ? ALL_CAPABILITIES : (set >>> 0).toString(16).padStart(16, '0'))
  const rows: readonly (readonly [string, string | number])[] = [
    ['Name', escaped(command)],
    ['Umask', umask.toString(8).padStart(4, '0')],
    ['State', state],
    ['Tgid', pid],
    ['Ngid', 0],
    ['Pid', pid],
    ['PPid', 0],
    ['TracerPid', 0],
    ['Uid', [realUid, uid, uid, uid].join('\t')],
    ['Gid', [realGid, gid, gid, gid].join('\t')],
    ['FDSize', tableSize(descriptors)],
    ['Groups', `${groups.join(' ')} `],
    ['NStgid', pid],
    ['NSpid', pid],
    ['NSpgid', pid],
    ['NSsid', pid],
    ['Kthread', 0],
    ['VmPeak', kilobytes(memoryPeak)],
    ['VmSize', kilobytes(memory)],
    ['VmLck', kilobytes(0)],
    ['VmPin', kilobytes(0)],
    ['VmHWM', kilobytes(memoryPeak)],
    ['VmRSS', kilobytes(memory)],
    ['RssAnon', kilobytes(memory)],
    ['RssFile', kilobytes(0)],
    ['RssShmem', kilobytes(0)],
    ['VmData', kilobytes(memory)],
    ['VmStk', kilobytes(0)],
    ['VmExe', kilobytes(0)],
    ['VmLib', kilobytes(0)],
    ['VmPTE', kilobytes(0)],
    ['VmSwap', kilobytes(0)],
    ['CoreDumping', 0],
    ['Threads', 1],
    ['SigQ', '0/0'],
    ...['SigPnd', 'ShdPnd', 'SigBlk', 'SigIgn', 'SigCgt'].map((name) => [name, SIGNALS] as const),
    ['CapInh', caps(0)],
    ['CapPrm', caps(permitted)],
    ['CapEff', caps(capabilities)],
    ['CapBnd', ALL_CAPABILITIES],
    ['CapAmb', caps(0)],
    ['NoNewPrivs', 0],
    ['Seccomp', 0],
    ['Seccomp_filters', 0],
    ['Cpus_allowed', cpuMask(machine.cpus)],
    ['Cpus_allowed_list', cpuList(machine.cpus)],
    ['Mems_allowed', 1],
    ['Mems_allowed_list', 0],
    ['voluntary_ctxt_switches', waits],
    ['nonvoluntary_ctxt_switches', 0],
  ]
  return rows.map(([name, value]) => `${name}:\t${value}\n`).join('')
}

/** `0-3`, or `0` for one. */
export const cpuList = (cpus: number): string => (cpus === 1 ? '0' : `0-${cpus - 1}`)

/** A bit for each, in groups of 32. */
export function cpuMask(cpus: number): string {
  const hex = ((1n << BigInt(cpus)) - 1n).toString(16)
  return hex.length <= 8 ? hex : hex.replace(/\B(?=(.{8})+$)/g, ',')
}

/** Linux's table starts at 64 and doubles. */
function tableSize(descriptors: ProcProcess['descriptors']): number {
  let size = 64
  for (const [fd] of descriptors.open()) while (fd >= size) size *= 2
  return size
}

const escaped = (command: string) => command.replace(/[\n\\]/g, (c) => (c === '\n' ? '\\n' : '\\\\'))
