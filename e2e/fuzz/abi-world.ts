/**
 * The world that the fuzz of the guest ABI lets loose on: a kernel with a small tmpfs, a read-only mount, devices and a FIFO in it, and
 * a guest whose calls go to its task, directly or over a channel.
 *
 * Always true: nothing in it can grow without bound (space, inodes, open files), and no call waits: one that would is answered when its
 * deadline has come, by a clock that is set, or with EAGAIN.
 */
import { createChannel, createDoorbell } from '../../src/abi/channel.ts'
import { AT_FDCWD, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from '../../src/abi/linux.ts'
import type { Entropy } from '../../src/abi/platform.ts'
import { RemoteSyscalls } from '../../src/abi/remote-syscalls.ts'
import { ServedChannel } from '../../src/abi/served-channel.ts'
import type { Syscalls } from '../../src/abi/syscalls.ts'
import { encodeUtf8 } from '../../src/abi/utf8.ts'
import { DeviceRegistry } from '../../src/devices/device-registry.ts'
import { memoryDevices } from '../../src/devices/memory-devices.ts'
import { tmpfsType } from '../../src/fs/tmpfs/tmpfs.ts'
import { Task } from '../../src/kernel/task.ts'
import { liveCounts } from '../../src/testing/check-mounts.ts'
import { credentialsOf } from '../../src/vfs/context.ts'
import { makeDevice } from '../../src/vfs/kinds.ts'
import { VirtualDentry } from '../../src/vfs/mount.ts'
import { resolve } from '../../src/vfs/path-walk.ts'
import { Vfs } from '../../src/vfs/vfs.ts'
import { WouldBlock } from '../../src/vfs/waiting.ts'
import { Preview1 } from '../../src/wasi/preview1.ts'
import { HandClock } from '../../src/wasi/test-world.ts'

/** How the guest's calls reach the kernel. */
export type Way = 'direct' | 'channel'

export class AbiWorld {
  readonly clock = new HandClock()
  /** What the kernel threw and should not have. */
  readonly faults: unknown[] = []
  readonly #vfs: Vfs
  readonly #host: Task
  readonly #guest: Task
  readonly #syscalls: Syscalls
  readonly #entropy: Entropy

  constructor(way: Way, entropy: Entropy) {
    this.#entropy = entropy
    const devices = new DeviceRegistry()
    for (const each of memoryDevices(entropy)) devices.register(each)
    const vfs = new Vfs(this.clock, devices)
    this.#vfs = vfs
    vfs.types.register(tmpfsType)
    const mount = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs', data: 'size=2m,nr_inodes=400' }))
    vfs.newNamespace(mount)
    const root = new VirtualDentry(mount, mount.root)
    const credentials = credentialsOf(0, 0)
    this.#host = new Task({ vfs, credentials, root })
    this.#guest = new Task({ vfs, credentials, root, confined: true, openFiles: 64 })
    this.#furnish()
    for (const path of ['/dev/zero', '/dev/null', '/dev/full', '/', '/fixed', '/sub']) this.#give(path, O_RDONLY)
    for (const path of ['/f', '/sub/f', '/fifo', '/dev/null']) this.#give(path, O_RDWR)
    this.#syscalls = way === 'direct' ? this.#guest : this.#remote()
  }

  /** A guest whose memory this is: at first, and whenever the last one has ended. Descriptors go on as they are. */
  guest(memory: { buffer: ArrayBuffer }): Preview1 {
    const guest = new Preview1({
      syscalls: this.#syscalls,
      args: ['fuzz', 'ä', ''],
      env: ['A=1'],
      preopens: [
        { fd: 3, name: '/', root: true },
        { fd: 4, name: 'fixed' },
        { fd: 5, name: '/sub', readOnly: true },
      ],
      clock: this.clock,
      entropy: this.#entropy,
      sleep: (until) => this.clock.set(until),
      onFault: (error) => this.faults.push(error),
    })
    guest.attach({ exports: { memory } })
    return guest
  }

  #furnish(): void {
    const host = this.#host
    for (const path of ['/dev', '/fixed', '/sub', '/sub/deep', '/moved']) host.mkdirat(AT_FDCWD, path, 0o755)
    for (const [name, minor] of [
      ['null', 3],
      ['zero', 5],
      ['full', 7],
      ['random', 8],
    ] as const) {
      host.mknodat(AT_FDCWD, `/dev/${name}`, 'char', 0o666, makeDevice(1, minor))
    }
    host.mknodat(AT_FDCWD, '/fifo', 'fifo', 0o666, 0)
    host.symlinkat('f', AT_FDCWD, '/l')
    host.symlinkat('/sub', AT_FDCWD, '/abs')
    host.symlinkat('../..', AT_FDCWD, '/sub/out')
    host.symlinkat('loop', AT_FDCWD, '/loop')
    for (const path of ['/f', '/sub/f', '/sub/deep/ä']) this.#write(path)
    // Seen through a second mount, which is read-only.
    const fixed = this.#vfs.newFilesystem({ type: 'tmpfs', data: 'size=64k' })
    const mount = (readonly: boolean) =>
      this.#vfs.attach(this.#vfs.newMount(fixed, { flags: { readonly } }), resolve(host, host.root, '/fixed', true))
    mount(false)
    this.#write('/fixed/f')
    mount(true)
  }

  #write(path: string): void {
    const host = this.#host
    const fd = host.openat(AT_FDCWD, path, O_WRONLY | O_CREAT, 0o644)
    const bytes = encodeUtf8('some text to begin with')
    host.writev(fd, bytes, [0, bytes.length])
    host.close(fd)
  }

  /** Opens a path for the guest, from outside its confinement. */
  #give(path: string, flags: number): void {
    const fd = this.#host.openat(AT_FDCWD, path, flags, 0)
    const file = this.#host.descriptors.get(fd)
    file.refs++
    this.#guest.descriptors.add(file)
    this.#host.close(fd)
  }

  /** The guest's end of a channel; the kernel's turn is whenever the guest waits. */
  #remote(): Syscalls {
    const channel = createChannel()
    const served = new ServedChannel(channel)
    return new RemoteSyscalls(channel, createDoorbell(), () => {
      let waited = false
      while (served.requested) {
        try {
          served.serve(this.#guest)
        } catch (error) {
          if (!(error instanceof WouldBlock)) {
            this.faults.push(error)
            served.fail('EIO')
          } else if (error.deadline === undefined) served.fail('EAGAIN')
          else this.clock.set(error.deadline)
          waited = true
        }
      }
      if (waited) this.#guest.settle()
    })
  }

  /**
   * Ends the guest, and looks at what it leaves: nothing open, nothing charged for nothing, and a kernel that works.
   * @throws with what is wrong
   */
  end(): void {
    this.#guest.release()
    const counts = liveCounts(this.#vfs)
    if (counts.opens !== 0 || counts.tasks !== 1) throw new Error(`left over: ${JSON.stringify(counts)}`)
    const host = this.#host
    this.#empty('/')
    const { blocks, blocksFree, files, filesFree } = host.root.mount.superblock.filesystem.usage()
    if (blocks !== blocksFree || files - filesFree !== 2)
      throw new Error(
        `${blocks - blocksFree} blocks and ${files - filesFree} inodes of an empty filesystem are charged`,
      )
    this.#write('/after')
    const bytes = new Uint8Array(64)
    const fd = host.openat(AT_FDCWD, '/after', O_RDONLY, 0)
    const count = host.readv(fd, bytes, [0, bytes.length])
    host.close(fd)
    if (count !== 23) throw new Error(`a file that was written is read as ${count} bytes`)
    host.release()
    const left = liveCounts(this.#vfs)
    if (left.opens + left.tasks + left.users + left.writers !== 0) throw new Error(`left over: ${JSON.stringify(left)}`)
  }

  /** Removes all that is in a directory, but for the mount point. */
  #empty(path: string): void {
    const host = this.#host
    const fd = host.openat(AT_FDCWD, path, O_RDONLY, 0)
    const entries = host.getdents(fd, 0, Number.POSITIVE_INFINITY)
    host.close(fd)
    for (const { name, kind } of entries) {
      const inner = `${path === '/' ? '' : path}/${name}`
      if (name === '.' || name === '..' || inner === '/fixed') continue
      if (kind === 'directory') this.#empty(inner)
      host.unlinkat(AT_FDCWD, inner, kind === 'directory' ? 0x200 : 0)
    }
  }
}
