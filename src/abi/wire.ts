/**
 * What the page and the kernel say to each other: comlink calls on KernelService, and one MessagePort per process for
 * its standard streams.
 *
 * Everything here survives a structured clone. A call never rejects because of what was asked: its answer is a Reply, so
 * that an error keeps its `code`, `path` and `syscall`. Byte arrays in answers and stream messages own their whole buffer
 * and are transferred.
 */

import type { CheckpointCall, CheckpointCalls } from './checkpoints.ts'
import type { Errno } from './errno.ts'
import type { ImageCall, ImageCalls } from './images.ts'
import type { FileKind, Stat } from './syscalls.ts'
import type { TerminalAttributes, WindowSize } from './terminal.ts'
import type { BlobLike, Tree } from './tree.ts'

/** Where guests run and how their calls wait. */
export type PlatformName = 'worker' | 'jspi' | 'inline'

/** Flags of a sandbox's containers, as gVisor's command line has them: oci/flags.ts says which. */
export interface FlagOptions {
  /** Values of flags by their names: `{ 'restore-spec-validation': 'warning' }`. */
  readonly flags?: Readonly<Record<string, string>> | undefined
  /** A spec's annotation `dev.gvisor.flag.NAME` may set any flag, not only to what allows no more than there is anyway. */
  readonly allowFlagOverride?: boolean | undefined
  /** Flags that a spec's annotation `dev.gvisor.bundle.NAME: "true"` sets at once, by the bundle's name. */
  readonly flagBundles?: Readonly<Record<string, Readonly<Record<string, string>>>> | undefined
  /**
   * The flag `allow-rootfs-tar-annotation`. Heeds gVisor's annotation `dev.gvisor.tar.rootfs.upper` (also with `.` and a
   * container's id behind it): the root's upper layer starts with the snapshot in that file of the bundle, `name/path`.
   */
  readonly allowRootfsTarAnnotation?: boolean | undefined
}

/** What programs are told of the machine. */
export interface MachineOptions {
  /** One line: what /sys/class/dmi/id/product_name says. Left out, it is not there. */
  readonly productName?: string | undefined
}

export interface StorageOptions {
  /**
   * The Storage Bucket that volumes and kept checkpoints are in, apart from everything else of the site; left out, they are in the
   * site's own storage. A page may open it before with a quota: `navigator.storageBuckets.open(NAME, { quota })`.
   */
  readonly storageBucket?: string | undefined
}

export interface BootOptions extends FlagOptions, MachineOptions, StorageOptions {
  /** Forces a platform; otherwise the best available one is taken. */
  readonly platform?: PlatformName
  /** A MessagePort at whose other end the page makes Workers for guests, by GuestOrder. Without it there is no `worker`. */
  readonly guests?: MessagePortLike
}

/**
 * Kernel to page: send the port to a Worker for a guest; or, when that guest has ended, terminate its Worker, unless it is `idle`:
 * the guest ended by itself, and another may run there. Numbers are the kernel's.
 */
export type GuestOrder =
  | { readonly start: number; readonly port: MessagePortLike }
  | { readonly end: number; readonly idle: boolean }

/** Page to kernel: a guest's Worker did not start, or died of something that is not the guest's doing. */
export interface GuestFailure {
  readonly failed: number
  /** Left out where the browser does not say. */
  readonly message?: string
}

export interface BootReport {
  readonly platform: PlatformName
  /** Why this one, in a sentence. */
  readonly reason: string
  readonly available: readonly PlatformName[]
}

/** An error on its way to the page. `code` is a Linux name, or ERR_… for what Linux has no name for. */
export interface WireError {
  readonly name: string
  readonly message: string
  readonly code?: Errno | string
  readonly errno?: number
  readonly syscall?: string
  readonly path?: string
  readonly dest?: string
  /** Of an invalid spec: each fault with its path. */
  readonly faults?: readonly { readonly path: string; readonly rule: string }[]
}

export type Reply<T> = { readonly value: T } | { readonly error: WireError }

/** The runtime-spec's state of a container. */
export interface ContainerState {
  readonly ociVersion: string
  readonly id: string
  readonly status: 'creating' | 'created' | 'running' | 'stopped'
  /** The init process, once it has started. */
  readonly pid?: number
  readonly bundle: string
  readonly annotations: Readonly<Record<string, string>>
}

/** A line of the container's mount table: proc_pid_mountinfo(5). */
export interface MountInfo {
  readonly id: number
  readonly parent: number
  /** Where it is mounted, as the container sees it. */
  readonly destination: string
  readonly type: string
  readonly source: string
  /** The mount's own options (`ro`, `noatime`, …), then the filesystem's. */
  readonly options: readonly string[]
}

/** How a process ended, and what it used. */
export interface ExitStatus {
  /** What the program gave to exit; 128 + the signal's number if one ended it (134 for a trap, as SIGABRT). */
  readonly exitCode: number
  /** The signal's name, such as `SIGKILL`. */
  readonly signal?: string
  /** Why the kernel ended it, in a sentence: the trap's message, or the limit that was passed. */
  readonly reason?: string
  /** Of a trap: where in the program it was, innermost first, as the browser tells it. */
  readonly stack?: string
  /** Milliseconds from the start of the program to its end. */
  readonly wallTime: number
  /** System calls made. */
  readonly syscalls: number
}

/** What a process has asked of the kernel. */
export interface ProcessStats {
  /** Calls of preview1 that returned, by name; of those that were made. */
  readonly calls: Readonly<Record<string, number>>
  /** By fd_read and fd_pread. */
  readonly bytesRead: number
  /** By fd_write and fd_pwrite. */
  readonly bytesWritten: number
  /** Milliseconds in calls, without those in which they waited: measured on one of several calls where there are many. */
  readonly kernelTime: number
}

/** What is asked of a library that runs: an export to be called, or bytes of its memory. */
export type LibraryRequest =
  | { readonly call: string; readonly args: readonly (number | bigint)[] }
  | { readonly at: number; readonly length: number }
  | { readonly at: number; readonly bytes: Uint8Array }

/** Why it was not done. */
export interface RequestFailure {
  readonly code: Errno
  readonly path?: string
  readonly detail: string
}

export interface StartedProcess {
  readonly pid: number
  /** Its standard streams are a terminal: what it shows comes as `stdout`, what is typed goes as `stdin`. */
  readonly terminal: boolean
  readonly warnings: readonly string[]
  /** Of one that joined: for the thread that runs its program. */
  readonly connection?: Connection | undefined
}

/** What a thread of the page's needs to make the system calls of a process whose program it runs. It can be posted. */
export interface Connection {
  readonly channel: SharedArrayBuffer
  readonly doorbell: SharedArrayBuffer
  readonly args: readonly string[]
  /** `NAME=value` each. */
  readonly env: readonly string[]
  /** All that are open. */
  readonly descriptors: readonly number[]
  readonly preopens: readonly { readonly fd: number; readonly name: string; readonly root?: boolean }[]
}

/** Page to kernel on a process's port. The last three are for a terminal. */
export type StdioInput =
  | { readonly stdin: Uint8Array }
  | { readonly stdinEnd: true }
  | { readonly window: WindowSize }
  | { readonly attributes: Partial<TerminalAttributes> }
  | { readonly hangUp: true }
  /** So many bytes of a terminal's output were read, in all. */
  | { readonly seen: number }

/** Kernel to page on a process's port; `exit` comes last, once. */
export type StdioOutput =
  | { readonly stdout: Uint8Array }
  | { readonly stderr: Uint8Array }
  | { readonly progress: Progress }
  | { readonly strace: readonly string[] }
  | { readonly exit: ExitStatus; readonly stats?: ProcessStats }

/** Something that takes long: the program is fetched, then compiled. */
export interface Progress {
  readonly stage: 'fetch' | 'compile'
  readonly path: string
  /** Bytes so far; bytes in all if known. */
  readonly loaded?: number
  readonly total?: number
}

/** What a process starts with on its standard input. */
export interface Stdin {
  /** Bytes that are there from the start. */
  readonly initial: Uint8Array
  /** More may come through the port, until `stdinEnd`. */
  readonly more: boolean
}

/**
 * What a descriptor of a process is when it starts: nothing (/dev/null), the same as a lower one, an end of a pipe, or a
 * file of the container, opened as by open(2). Left out, 0 to 2 are streams of the page's.
 */
export type StdioEntry =
  | 'ignore'
  | number
  | { readonly pipe: number; readonly end: PipeEndName }
  | { readonly path: string; readonly flags: number; readonly mode: number }

export type PipeEndName = 'read' | 'write'

/** What a process is started with, besides what its spec says. */
export interface LaunchOptions {
  readonly stdin: Stdin
  /** By descriptor. */
  readonly stdio?: readonly (StdioEntry | undefined)[]
  /** Its calls are told: on its port or, with a path, in a file of the container. */
  readonly strace?: StraceWish | undefined
}

export interface StraceWish {
  readonly path?: string | undefined
  /** Only calls of these names. */
  readonly calls?: readonly string[] | undefined
}

export interface WireDirent {
  readonly name: string
  readonly kind: FileKind
  /** The directory that holds it, relative to the one listed; '' for itself. */
  readonly parent: string
}

/** Who answers calls, each in its own time. */
export type Answers<Calls extends Record<keyof Calls, (...args: never[]) => unknown>> = {
  [Call in keyof Calls]: (...args: Parameters<Calls[Call]>) => Promise<ReturnType<Calls[Call]>>
}

/** The calls of `container.fs`, in a container's own view of files. Paths are absolute or relative to `/`. */
export interface FileCalls {
  /** Flags are Linux's O_ bits. Gives a handle: a descriptor of the container's host-side process. */
  open(path: string, flags: number, mode: number): number
  close(fd: number): void
  /** Up to `length` bytes, from `position` or, if null, from where the handle stands. Empty at the end. */
  read(fd: number, length: number, position: number | null): Uint8Array
  /** Writes all of it; gives the count. */
  write(fd: number, bytes: Uint8Array, position: number | null): number
  fstat(fd: number): Stat
  ftruncate(fd: number, size: number): void
  fsync(fd: number): void
  fdatasync(fd: number): void
  futimes(fd: number, atime: bigint, mtime: bigint): void
  fchmod(fd: number, mode: number): void
  readFile(path: string): Uint8Array
  writeFile(path: string, bytes: Uint8Array, flags: number, mode: number): void
  mkdir(path: string, mode: number, recursive: boolean): string | undefined
  rmdir(path: string): void
  readdir(path: string, recursive: boolean): WireDirent[]
  stat(path: string): Stat
  lstat(path: string): Stat
  rename(from: string, to: string): void
  /** The bytes and the permission bits; `exclusive`: EEXIST where `to` is there. */
  copyFile(from: string, to: string, exclusive: boolean): void
  unlink(path: string): void
  rm(path: string, recursive: boolean, force: boolean): void
  symlink(target: string, path: string): void
  readlink(path: string): string
  /** Measures what lies below a mount of verity without a root hash; gives the digest in hexadecimal digits. */
  enableVerity(path: string): string
  /** mkfifo(3): a named pipe. */
  mkfifo(path: string, mode: number): void
  link(from: string, to: string): void
  utimes(path: string, atime: bigint, mtime: bigint, follow: boolean): void
  chmod(path: string, mode: number): void
  chown(path: string, uid: number, gid: number, follow: boolean): void
  truncate(path: string, size: number): void
  access(path: string, mode: number): void
  realpath(path: string): string
  /** Resolves when all that was written to any volume is on disk. */
  sync(): void
}

export type FileCall = keyof FileCalls

/** A tree of files that outlives the sandbox. */
export interface VolumeInfo {
  readonly name: string
  /** It is mounted, for writing, in this sandbox. */
  readonly mounted: boolean
  /** Its entry in the catalogue is: which files are its nobody knows, and no new volume is made. */
  readonly damaged?: true
}

export interface VolumeUsage {
  /** Bytes of files as they were last committed, and what the database takes for them, snapshots among it. */
  readonly bytes: number
  readonly storedBytes: number
  /** Files, directories, links and so on, the root included. */
  readonly files: number
  /** Which records are damaged, and what that means. Files that are told by one are EIO, and the volume is read-only. */
  readonly damage: readonly string[]
}

export interface VolumeSnapshot {
  readonly name: string
  /** Milliseconds since the epoch. */
  readonly time: number
  /** It can be deleted, and not rolled back to. Until then whatever it may refer to stays. */
  readonly damaged?: true
}

/** What the browser says of the whole site, in bytes. */
export interface StorageEstimate {
  readonly usage: number
  readonly quota: number
}

/** The calls of `sandbox.volumes`. */
export interface VolumeCalls {
  list(): VolumeInfo[]
  usage(name: string): VolumeUsage
  rename(from: string, to: string): void
  delete(name: string): void
  persist(): boolean
  estimate(): StorageEstimate
  snapshots(name: string): VolumeSnapshot[]
  takeSnapshot(name: string, snapshot: string): void
  rollBack(name: string, snapshot: string): void
  deleteSnapshot(name: string, snapshot: string): void
}

export type VolumeCall = keyof VolumeCalls

/** What else a container is made with. */
export interface CreateRequest {
  /** A snapshot that the root's upper starts with. */
  readonly upper?: BlobLike | undefined
  /** What takes the changes to its files: oci/mounts/uppers.ts says how. */
  readonly overlay?: unknown
  /** What of the bundle stands for the paths of a machine that the spec names. */
  readonly sources?: Readonly<Record<string, string>> | undefined
}

/** What the kernel Worker exposes to the page. */
export interface KernelService {
  boot(options: BootOptions): Promise<Reply<BootReport>>
  /** Hands a tree of files to the sandbox's bundle, under a name that `root.path` and mount sources can use. */
  provide(name: string, tree: Tree): Promise<Reply<void>>
  /** Gives the warnings that the spec earned. */
  create(id: string, spec: unknown, request?: CreateRequest): Promise<Reply<{ warnings: readonly string[] }>>
  /** Runs the spec's process, if it has one. The port carries its streams. */
  start(id: string, launch: LaunchOptions, stdio: MessagePortLike): Promise<Reply<StartedProcess | undefined>>
  exec(id: string, process: unknown, launch: LaunchOptions, stdio: MessagePortLike): Promise<Reply<StartedProcess>>
  /** A process whose program the page runs, in a thread of its own, until it says `leave`. Errors: EOPNOTSUPP but on platform `worker`. */
  join(id: string, process: unknown, launch: LaunchOptions, stdio: MessagePortLike): Promise<Reply<StartedProcess>>
  /** Its program has ended. Errors: ESRCH; EINVAL for a process that did not join, or no exit code. */
  leave(id: string, pid: number, exitCode: number): Promise<Reply<void>>
  /** Without a pid: all processes of the container. `signal` is a name or number. */
  kill(id: string, signal: string | number, pid?: number): Promise<Reply<void>>
  /** Of a process that runs. Errors: ESRCH. */
  stats(id: string, pid: number): Promise<Reply<ProcessStats>>
  /** Of a process that is a library. Errors: ENOENT, EINVAL, EFAULT; ESRCH if it is not there or ends meanwhile. */
  request(id: string, pid: number, request: LibraryRequest): Promise<Reply<unknown>>
  delete(id: string, force: boolean): Promise<Reply<void>>
  state(id: string): Promise<Reply<ContainerState>>
  containers(): Promise<Reply<readonly ContainerState[]>>
  mounts(id: string): Promise<Reply<readonly MountInfo[]>>
  file<Call extends FileCall>(
    id: string,
    call: Call,
    args: Parameters<FileCalls[Call]>,
  ): Promise<Reply<ReturnType<FileCalls[Call]>>>
  /** Makes a pipe and gives its number. Both ends are open until a process has got them, or `closePipe`. */
  pipe(): Promise<Reply<number>>
  /** The page uses an end itself, which stays open until `closePipe` says otherwise. */
  usePipe(pipe: number, end: PipeEndName): Promise<Reply<void>>
  /** Waits for bytes; none: the end. */
  readPipe(pipe: number): Promise<Reply<Uint8Array>>
  /** Waits until there was room for all of them. Errors: EPIPE. */
  writePipe(pipe: number, bytes: Uint8Array): Promise<Reply<void>>
  /** The page lets go of an end; its call that waits there is cancelled. */
  closePipe(pipe: number, end: PipeEndName): Promise<Reply<void>>
  image<Call extends ImageCall>(
    call: Call,
    args: Parameters<ImageCalls[Call]>,
  ): Promise<Reply<ReturnType<ImageCalls[Call]>>>
  volume<Call extends VolumeCall>(
    call: Call,
    args: Parameters<VolumeCalls[Call]>,
  ): Promise<Reply<ReturnType<VolumeCalls[Call]>>>
  checkpoint<Call extends CheckpointCall>(
    call: Call,
    args: Parameters<CheckpointCalls[Call]>,
  ): Promise<Reply<ReturnType<CheckpointCalls[Call]>>>
  /** Begins to commit what has changed in volumes: the page may be about to go. */
  flush(): Promise<Reply<void>>
  /**
   * Tells on the port, by a boolean, whenever it changes whether something is not on disk yet; and by a text that the kernel has
   * stopped, and why.
   */
  watch(port: MessagePortLike): Promise<Reply<void>>
  /** Mounts one more thing, for the process `pid`; gives the warnings that it earned. */
  mount(id: string, mount: unknown, pid?: number): Promise<Reply<readonly string[]>>
  /** The page serves a FUSE filesystem on the port: requests and replies as bytes; `null` ends it. Errors: EINVAL, EEXIST. */
  serveFuse(name: string, port: MessagePortLike): Promise<Reply<void>>
  shutdown(): Promise<Reply<void>>
}

/** The part of a MessagePort that both ends use; the core does not know the browser's type. */
export interface MessagePortLike {
  postMessage(message: unknown): void
}
