/** What proc tells of, as its tables read it: the kernel implements these, and nothing is copied or kept here. */

import type { Clock, Entropy, Machine } from '../../abi/platform.ts'
import type { Context, Credentials } from '../../vfs/context.ts'
import type { FileDescription } from '../../vfs/description.ts'
import type { MountNamespace, VirtualDentry } from '../../vfs/mount.ts'

/** The kernel as a whole. */
export interface ProcSystem {
  readonly clock: Clock
  readonly entropy: Entropy
  readonly machine: Machine
  /** When it started, on the monotonic clock. */
  readonly bootedAt: bigint
  /** Text of /proc/filesystems and /proc/devices. */
  readonly filesystems: string
  readonly devices: string
  readonly cgroups: {
    /** That of /proc/cgroups. */
    readonly text: string
  }
  /** Bytes that guests' memories take, and files in memory. */
  readonly guestMemory: number
  readonly fileMemory: number
  /** Milliseconds that all processes there ever were have run, in their own code and in calls. */
  readonly userTime: number
  readonly systemTime: number
  /** Averages over 1, 5 and 15 minutes of how many processes ran. */
  readonly loads: readonly [number, number, number]
  /** Processes that were ever made, and that run, in their own code or in a call that does not wait. */
  readonly processesMade: number
  readonly processesRunning: number
  /** Calls that guests have made. */
  readonly calls: number
  /** Open files that count against no process: all of them. */
  readonly openFiles: number
}

/** The processes of one container: pid_namespaces(7). */
export interface ProcNamespace {
  readonly hostname: string
  readonly domainname: string
  /** The last pid that was given. */
  readonly lastPid: number
  get(pid: number): ProcProcess | undefined
  /** Those that live, lower pids first. */
  all(): Iterable<ProcProcess>
  /** The process that asks; undefined for who is none of them: the page. */
  of(context: Context): ProcProcess | undefined
}

/** getrlimit(2): a soft and a hard limit. */
export type Limit = readonly [soft: number, hard: number]

export interface ProcProcess {
  readonly pid: number
  readonly args: readonly string[]
  /** `NAME=value` each. */
  readonly env: readonly string[]
  /** The file that it runs. */
  readonly executable: VirtualDentry | undefined
  /** PR_SET_NAME's, at most 15 bytes. */
  command: string
  oomScoreAdj: number
  readonly credentials: Credentials
  readonly umask: number
  readonly root: VirtualDentry
  readonly cwd: VirtualDentry
  readonly mounts: MountNamespace | undefined
  /** The numbers of its namespaces, by the names of the links in /proc/PID/ns. */
  readonly namespaces: Readonly<Record<string, number>>
  /** It waits in a call. */
  readonly waiting: boolean
  /** On the monotonic clock. */
  readonly startedAt: bigint
  /** Bytes of memory, the most there were, and the most there may be. */
  readonly memory: number
  readonly memoryPeak: number
  /** Milliseconds. */
  readonly userTime: number
  readonly systemTime: number
  readonly io: {
    readonly bytesRead: number
    readonly bytesWritten: number
    readonly reads: number
    readonly writes: number
  }
  /** Calls in which it waited. */
  readonly waits: number
  /** By the names of getrlimit(2), such as `NOFILE`; what is left out has no limit. */
  readonly limits: Readonly<Record<string, Limit>>
  /** Lines of /proc/PID/cgroup. */
  readonly cgroups: string
  readonly descriptors: {
    readonly limit: number
    has(fd: number): boolean
    /** Errors: EBADF. */
    get(fd: number): FileDescription
    open(): Iterable<[fd: number, file: FileDescription]>
  }
}
