/**
 * The sandbox's containers: the runtime-spec's operations (create, start, exec, kill, delete, state) on the kernel's parts.
 *
 * Invariant: an operation that fails leaves the sandbox as it was.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { Entropy, Machine } from '../abi/platform.ts'
import type { BlobLike, Tree } from '../abi/tree.ts'
import type {
  ContainerState,
  CreateRequest,
  FlagOptions,
  LibraryRequest,
  MachineOptions,
  MountInfo,
  ProcessStats,
  Progress,
} from '../abi/wire.ts'
import { DeviceRegistry } from '../devices/device-registry.ts'
import { memoryDevices } from '../devices/memory-devices.ts'
import { terminalDevices } from '../devices/terminal-devices.ts'
import { devptsType, terminalPairs } from '../fs/devpts/devpts.ts'
import { devtmpfsTypes } from '../fs/devtmpfs/devtmpfs.ts'
import { fuseDevice } from '../fs/fuse/device.ts'
import type { ContentReaders } from '../fs/gofer/content.ts'
import { goferType } from '../fs/gofer/gofer.ts'
import { overlayType } from '../fs/overlay/overlay.ts'
import { procType } from '../fs/proc/proc.ts'
import { sysType } from '../fs/sysfs/sysfs.ts'
import { tmpfsType } from '../fs/tmpfs/tmpfs.ts'
import { loaded, type Waiting } from '../kernel/attempts.ts'
import type { Files } from '../kernel/files.ts'
import { HostPipes } from '../kernel/host-pipes.ts'
import { PidNamespace } from '../kernel/pid-namespace.ts'
import type { GuestRunner, Process, ProcessStdio } from '../kernel/process.ts'
import { signalNumber } from '../kernel/signals.ts'
import { System } from '../kernel/system.ts'
import type { Task } from '../kernel/task.ts'
import type { Context } from '../vfs/context.ts'
import { onDemand } from '../vfs/filesystem.ts'
import { Vfs } from '../vfs/vfs.ts'
import type { ArchiveHost } from './archive/host.ts'
import type { Images } from './archive/images.ts'
import { Bundle } from './bundle.ts'
import type { Checkpoints } from './checkpoint/checkpoints.ts'
import { Container, type ContainerProcesses, type Host, requireId } from './container.ts'
import { ContainerCgroups } from './container-cgroups.ts'
import { type Flags, flagsOf } from './flags.ts'
import { FuseServers } from './fuse-servers.ts'
import { type FurtherMount, mountFurther } from './mounts/further.ts'
import { readHints } from './mounts/hints.ts'
import { type MounterOptions, mountAll } from './mounts/mounter.ts'
import type { SetUpOptions } from './mounts/set-up.ts'
import { SharedVolumes } from './mounts/shared-volumes.ts'
import { parseUppers } from './mounts/uppers.ts'
import { Programs } from './programs.ts'
import { withSources } from './sources.ts'
import { type MountSpec, parseProcess, parseSpec, type Spec } from './spec.ts'
import { NO_VOLUMES, type VolumeHost, Volumes } from './volumes.ts'

/** What a runtime needs of the machine: `host/` implements it. */
export interface RuntimeOptions extends Waiting, FlagOptions, MachineOptions {
  readonly entropy: Entropy
  readonly machine: Machine
  readonly readers: ContentReaders
  readonly runner: GuestRunner
  /** What moving layers needs; left out, images and layers cannot be moved. */
  readonly archives?: ArchiveHost
  /** Left out, there are no volumes. */
  readonly volumes?: VolumeHost
  /** Guests can't wait: what one of them has synced is on disk when its process has ended. */
  readonly inline?: boolean
}

/** What a container is made with besides its spec. */
export type Making = Pick<MounterOptions, 'uppers' | 'restore' | 'internalTmp'> &
  Partial<Pick<SetUpOptions, 'contents'>>

export class Runtime implements Host {
  readonly vfs: Vfs
  readonly waiting: Waiting
  readonly runner: GuestRunner
  readonly programs: Programs
  readonly pipes: HostPipes
  readonly volumes: Volumes
  readonly inline: boolean
  readonly shared: SharedVolumes
  /** Filesystems that the page serves. */
  readonly fuse: FuseServers
  readonly system: System
  readonly #bundle: Bundle
  /** undefined while a container of that id is being created. */
  readonly #containers = new Map<string, Container | undefined>()
  /** Who hears of fetches: the processes whose programs are being loaded. */
  readonly #loading = new Set<ProcessStdio>()
  readonly #options: RuntimeOptions
  /** Hears why the sandbox has stopped. */
  onPanic: (reason: string) => void = () => {}
  #panic: string | undefined
  #lastPid = 0
  #lastMount = 0
  #checkpoints: Promise<Checkpoints> | undefined
  #images: Promise<Images> | undefined

  constructor(options: RuntimeOptions) {
    this.#options = options
    const devices = new DeviceRegistry()
    devices.register(fuseDevice)
    for (const device of [...memoryDevices(options.entropy), ...terminalDevices, ...terminalPairs]) {
      devices.register(device)
    }
    this.waiting = options
    this.inline = options.inline ?? false
    this.runner = this.#committing(options)
    this.vfs = new Vfs(options.clock, devices)
    this.system = new System(this.vfs, devices, options.machine, options.entropy)
    this.vfs.types.register(
      procType(this.system, ({ internal, by }) => (internal as PidNamespace | undefined) ?? this.#processesOf(by)),
    )
    this.vfs.types.register(sysType({ ...options, cgroups: true }))
    this.vfs.types.register(
      onDemand('cgroup', async () => (await import('../fs/cgroup/cgroup.ts')).cgroupType(this.system.cgroups)),
    )
    this.vfs.types.register(tmpfsType)
    this.vfs.types.register(overlayType)
    this.vfs.types.register(goferType(options.readers))
    this.vfs.types.register(onDemand('fuse', async () => (await import('../fs/fuse/fuse.ts')).fuseType))
    this.vfs.types.register(onDemand('mqueue', async () => (await import('../fs/mqueue/mqueue.ts')).mqueueType()))
    this.vfs.types.register(
      onDemand('erofs', async () => (await import('../fs/erofs/erofs.ts')).erofsType, {
        userMountable: false,
        userListable: true,
        requiresDevice: true,
      }),
    )
    this.vfs.types.register(onDemand('verity', async () => (await import('../fs/verity/sha256.ts')).verityType))
    this.fuse = new FuseServers(this.vfs)
    for (const type of [...devtmpfsTypes(devices), devptsType]) this.vfs.types.register(type)
    this.programs = new Programs(options.runner, options)
    this.pipes = new HostPipes(this.vfs, options)
    this.#bundle = new Bundle(this.vfs)
    this.shared = new SharedVolumes(this.vfs)
    const host = options.volumes ?? NO_VOLUMES
    this.volumes = new Volumes({ ...options, vfs: this.vfs, host, writersWait: !this.inline })
  }

  /** What a program changed is committed when it ends. */
  #committing({ runner }: RuntimeOptions): GuestRunner {
    return {
      ...runner,
      compile: (bytes, path, memoryPages) => runner.compile(bytes, path, memoryPages),
      run: async (program, process) => {
        const end = await runner.run(program, process)
        this.volumes.flush()
        if (this.inline) await this.volumes.settled()
        return end
      },
    }
  }

  /** Why the sandbox has stopped: nothing more is to be asked of it but to shut down. */
  get panicked(): string | undefined {
    return this.#panic
  }

  /**
   * Ends everything: all processes are killed, nothing more is committed, so volumes stay as they last were. For what must not
   * be worked with any longer, such as files that are not what they were. `reason` is for a person; the first one counts.
   */
  panic(reason: string): void {
    if (this.#panic !== undefined) return
    this.#panic = reason
    this.volumes.abandon()
    for (const container of this.#containers.values()) container?.panic(reason)
    this.onPanic(reason)
  }

  /** Hands in a tree of files under a name. Errors: EINVAL, EEXIST. */
  provide(name: string, tree: Tree): void {
    this.#bundle.provide(name, tree)
  }

  /** Images and layers: loaded when they are first asked for. Errors: a plain one on a machine without what they need. */
  images(): Promise<Images> {
    this.#images ??= this.#loadImages()
    return this.#images
  }

  async #loadImages(): Promise<Images> {
    const { archives, readers } = this.#options
    if (!archives) throw new Error('this runtime was made without what moves images and layers')
    const { Images } = await loaded(this.waiting, import('./archive/images.ts'))
    return new Images({
      vfs: this.vfs,
      bundle: this.#bundle,
      waiting: this.waiting,
      host: archives,
      inPlace: (blob, label) => readers.source(blob, label),
      rootOf: (id) => this.#get(id).layeredRoot,
    })
  }

  /** Checkpoints: loaded when they are first asked for. Errors: as of images. */
  checkpoints(): Promise<Checkpoints> {
    this.#checkpoints ??= this.#loadCheckpoints()
    return this.#checkpoints
  }

  async #loadCheckpoints(): Promise<Checkpoints> {
    const { archives, volumes = NO_VOLUMES } = this.#options
    if (!archives) throw new Error('this runtime was made without what moves checkpoints')
    const { Checkpoints } = await loaded(this.waiting, import('./checkpoint/checkpoints.ts'))
    return new Checkpoints({
      runtime: this,
      bundle: this.#bundle,
      archives,
      records: () => volumes.checkpoints(),
      flags: this.#options,
      all: () => [...this.#containers.values()].filter((container) => container !== undefined),
      container: (id) => this.#get(id),
    })
  }

  /**
   * A path of the spec that `sources` has, or that lies in one, stands for what it says of the bundle.
   * Errors: SpecError with every fault, of the overlay or of the spec; EEXIST for an id that is taken; those of the mounts and of the snapshot.
   */
  async create(id: string, input: unknown, request: CreateRequest = {}): Promise<{ warnings: string[] }> {
    requireId(id)
    const { upper, overlay, sources } = request
    const uppers = parseUppers(overlay)
    const { spec, warnings } = parseSpec(withSources(input, sources))
    const flags = flagsOf(spec.annotations ?? {}, this.#options)
    return this.make(id, spec, warnings, async () => ({
      uppers,
      restore: await this.#restoreOf(id, spec, flags, upper),
    }))
  }

  /**
   * Makes a container of a spec that was checked; `how` is asked once the id is taken, and `warnings` get what there is more to say.
   * Errors: as create, but for those of what was checked.
   */
  async make(id: string, spec: Spec, warnings: string[], how: () => Promise<Making>): Promise<{ warnings: string[] }> {
    if (this.#containers.has(id)) throw new ErrnoError('EEXIST', id, 'there is a container of this id')
    this.#containers.set(id, undefined)
    let withdraw = () => {}
    let cgroups: ContainerCgroups | undefined
    try {
      const warn = onceIn(warnings)
      const making = await how()
      withdraw = this.shared.enter(readHints(spec.annotations ?? {}, warn))
      const processes = new PidNamespace(() => ++this.#lastPid, spec)
      cgroups = new ContainerCgroups(this.system.cgroups, id, processes, spec.linux)
      const within = { processes, cgroups }
      const mounted = await mountAll(spec, { ...this.#mounting(within, warn), ...making })
      this.#containers.set(id, new Container(this, id, spec, within, mounted))
      return { warnings }
    } catch (error) {
      this.#containers.delete(id)
      withdraw()
      cgroups?.release()
      await this.volumes.closed().catch(() => {})
      throw error
    }
  }

  /** The processes among which somebody is, or whose container's files the page has a hand in. */
  #processesOf(who: Context | undefined): PidNamespace | undefined {
    for (const container of this.#containers.values())
      if (who && container?.isOf(who)) return container.processes.processes
    return undefined
  }

  #mounting(processes: ContainerProcesses, warn: (warning: string) => void): SetUpOptions {
    const { vfs, waiting, volumes, shared, fuse } = this
    const panic = (reason: string) => this.panic(reason)
    const contents = () => undefined
    return { vfs, bundle: this.#bundle, waiting, volumes, shared, fuse, ...processes, panic, contents, warn }
  }

  /**
   * Mounts something in a container that is there. `pid` is the process whose descriptors options such as `fd=3` mean, of whatever
   * container. Gives the warnings that it earned. Errors: SpecError; ENOENT, ESRCH; those of the mount.
   */
  async mount(id: string, input: unknown, pid?: number): Promise<string[]> {
    const { spec, warnings } = parseSpec({ mounts: [input] })
    const container = this.#get(id)
    const by = pid === undefined ? undefined : this.#taskOf(pid)
    await this.mountFurther(container, spec.mounts![0]!, { warnings, by })
    return warnings
  }

  /** The same of a spec that was checked. */
  async mountFurther(
    container: Container,
    spec: MountSpec,
    { warnings, ...options }: { warnings: string[] } & Partial<SetUpOptions>,
  ): Promise<void> {
    const mount: FurtherMount = { unique: `further[${++this.#lastMount}]`, spec }
    const mounting = { ...this.#mounting(container.processes, onceIn(warnings)), ...options }
    const root = await mountFurther(container.namespace, mount, mounting)
    if (root) container.memory.set(mount.unique, root)
    container.further.push(mount)
  }

  #taskOf(pid: number): Task {
    for (const container of this.#containers.values()) {
      const task = container?.processes.processes.get(pid)?.task
      if (task) return task
    }
    throw new ErrnoError('ESRCH', undefined, `no process ${pid} is running`)
  }

  /** What fills the upper of a root: the snapshot of the call, or one that an annotation names. */
  async #restoreOf(
    id: string,
    spec: Spec,
    flags: Flags,
    given: BlobLike | undefined,
  ): Promise<MounterOptions['restore']> {
    const annotation = rootfsTarAnnotation(id, spec)
    if (!given && !annotation) return undefined
    if (!given && !flags.allowRootfsTarAnnotation) {
      throw new Error(`annotation ${annotation!.key} is not allowed: boot the sandbox with allowRootfsTarAnnotation`)
    }
    if (!spec.root || spec.root.readonly) {
      throw new Error(`container "${id}": its upper can only be restored for a root that is given, and not read-only`)
    }
    const images = await this.images()
    const layer = given ? await images.readSnapshot(given) : await images.readSnapshotFile(annotation!.source)
    return images.restorerOf(layer)
  }

  /** Runs the spec's process, if it has one. Errors: ENOENT for no such container; those of exec. */
  start(id: string, stdio: ProcessStdio): Promise<Process | undefined> {
    return this.#whileLoading(stdio, () => this.#get(id).start(stdio))
  }

  /** Errors: SpecError; EBUSY; ENOENT, EACCES and so on for the program; the runner's error for what is no program. */
  exec(id: string, input: unknown, stdio: ProcessStdio): Promise<Process> {
    return this.#whileLoading(stdio, async () => {
      const container = this.#get(id)
      const { process: spec, warnings } = parseProcess(input)
      const process = await container.exec(spec, stdio)
      process.warnings = warnings
      return process
    })
  }

  /**
   * A process whose program the page runs: its `joined.connection` is for the thread that does. Errors: as exec, but for the
   * program; EOPNOTSUPP where threads can't share memory.
   */
  async join(id: string, input: unknown, stdio: ProcessStdio): Promise<Process> {
    const container = this.#get(id)
    const joined = this.runner.join?.()
    if (!joined)
      throw new ErrnoError(
        'EOPNOTSUPP',
        id,
        "a Worker of the page's joins a container on platform worker only: its calls need shared memory (sandbox.platform says why there is none)",
      )
    const { process: spec, warnings } = parseProcess(input)
    const process = await container.exec(spec, stdio, joined)
    const limited = spec.limits?.memoryPages !== undefined
    process.warnings = [
      ...warnings,
      ...(limited
        ? ["limits.memoryPages: has no effect on a program that the page runs: its memory is the page's"]
        : []),
    ]
    process.exited.then(() => this.volumes.flush())
    return process
  }

  /** Errors: ENOENT, ESRCH, EINVAL. */
  leave(id: string, pid: number, exitCode: number): void {
    this.#get(id).leave(pid, exitCode)
  }

  async #whileLoading<T>(stdio: ProcessStdio, work: () => Promise<T>): Promise<T> {
    this.#loading.add(stdio)
    try {
      return await work()
    } finally {
      this.#loading.delete(stdio)
    }
  }

  /** A file behind a URL is being fetched: whoever waits for a program hears of it. */
  fetching(progress: Progress): void {
    for (const stdio of this.#loading) stdio.progress(progress)
  }

  /** Errors: ENOENT, EINVAL for no such signal, ESRCH for no such process. */
  kill(id: string, signal: string | number, pid?: number): void {
    this.#get(id).kill(signalNumber(signal), pid)
  }

  /** Errors: ENOENT, ESRCH. */
  stats(id: string, pid: number): ProcessStats {
    return this.#get(id).stats(pid)
  }

  /** Asks something of a process that is a library. Errors: ENOENT, ESRCH; as Process.request. */
  async request(id: string, pid: number, request: LibraryRequest): Promise<unknown> {
    return this.#get(id).request(pid, request)
  }

  /** Errors: ENOENT; EBUSY while it runs, unless forced. */
  async delete(id: string, force: boolean): Promise<void> {
    const container = this.#get(id)
    if (container.isLive && !force) {
      throw new ErrnoError('EBUSY', id, 'a process runs in the container: kill it first, or delete with force')
    }
    this.#containers.delete(id)
    await container.destroy()
    await this.volumes.closed()
  }

  state(id: string): ContainerState {
    return this.#get(id).state
  }

  containers(): ContainerState[] {
    return [...this.#containers.values()].flatMap((container) => (container ? [container.state] : []))
  }

  mounts(id: string): MountInfo[] {
    return this.#get(id).mounts
  }

  files(id: string): Files {
    return this.#get(id).files
  }

  #get(id: string): Container {
    const container = this.#containers.get(id)
    if (!container) throw new ErrnoError('ENOENT', id, 'there is no container of this id')
    return container
  }

  /** Deletes all containers, then lets go of the bundle. */
  async shutdown(): Promise<void> {
    const containers = [...this.#containers.values()]
    this.#containers.clear()
    await Promise.all(containers.map((container) => container?.destroy()))
    this.pipes.closeAll()
    this.shared.release()
    this.fuse.endAll()
    this.#bundle.release()
    await this.volumes.closed()
    this.vfs.types.release()
  }
}

/** Takes a warning, once: a step that had to wait is made again and says it again. */
const onceIn = (warnings: string[]) => (warning: string) => {
  if (!warnings.includes(warning)) warnings.push(warning)
}

/** gVisor's: for one container by its name, or for any. */
function rootfsTarAnnotation(id: string, { annotations = {} }: Spec): { key: string; source: string } | undefined {
  for (const key of [`dev.gvisor.tar.rootfs.upper.${id}`, 'dev.gvisor.tar.rootfs.upper']) {
    const source = annotations[key]
    if (source !== undefined) return { key, source }
  }
  return undefined
}
