/**
 * A small kernel in which a process serves a filesystem at /dev/fuse: the test is the server, request by request, and says when.
 */

import { expect } from 'vitest'
import * as wire from '../abi/fuse.ts'
import { AT_FDCWD, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_WRONLY } from '../abi/linux.ts'
import type { DeviceRegistry } from '../devices/device-registry.ts'
import { type FuseDevice, fuseDevice } from '../fs/fuse/device.ts'
import { fuseType } from '../fs/fuse/fuse.ts'
import { MountCalls } from '../kernel/mount-calls.ts'
import type { Task } from '../kernel/task.ts'
import { type Call, NOTHING_LEFT, World } from './waiting.ts'

const { Op } = wire

/** A request as a server reads it. */
export type Asked = ReturnType<typeof wire.inHeader.read> & { readonly bytes: Uint8Array; readonly body: Uint8Array }

export const fuseOptions = (fd: number) => `fd=${fd},rootmode=40755,user_id=0,group_id=0`
export const INIT = wire.initOut.bytes({
  ...{ major: 7, minor: 38, maxWrite: 1 << 17, maxPages: 32, flags: wire.FUSE_MAX_PAGES },
})
export const attr = (mode: number, size = 0n) => ({ ino: 9n, mode, nlink: 1, size })
export const entry = (nodeid: bigint, mode: number, more = {}) =>
  wire.entryOut.bytes({ nodeid, ...attr(mode), ...more, entryValid: 60n, attrValid: 60n })

/** A reply; `len` is what its header says of its length, if that is not the truth. */
export function replyBytes(unique: bigint, body: Uint8Array = new Uint8Array(0), error = 0, len?: number): Uint8Array {
  const bytes = new Uint8Array(wire.outHeader.size + body.length)
  wire.outHeader.put(bytes, 0, { len: len ?? bytes.length, error, unique })
  bytes.set(body, wire.outHeader.size)
  return bytes
}

/** A process `server` has /dev/fuse open; what it serves is mounted on /m by `mount`, for `client` and others. */
export class FuseWorld {
  readonly world = new World()
  readonly server = this.world.process()
  readonly client = this.world.process()
  readonly mounts = new MountCalls(this.world.vfs, this.server.task)
  readonly fd: number
  readonly #options: string
  readonly #memory = new Uint8Array(1 << 18)

  constructor(options = 'default_permissions,allow_other') {
    this.#options = options
    const { task } = this.server
    this.world.vfs.types.register(fuseType)
    ;(this.world.vfs.devices as DeviceRegistry).register(fuseDevice)
    task.mknodat(AT_FDCWD, 'fuse', 'char', 0o666, 10 * 0x100000 + 229)
    for (const name of ['m', 'plain']) task.mkdirat(AT_FDCWD, name, 0o755)
    this.fd = task.openat(AT_FDCWD, 'fuse', O_RDWR, 0)
    const { connection } = task.descriptors.get(this.fd).stream as FuseDevice
    this.connection = connection
  }

  readonly connection: FuseDevice['connection']

  mount(data = [fuseOptions(this.fd), this.#options].filter(Boolean).join(',')): void {
    this.mounts.mount('m', { source: 'x', type: 'fuse', flags: 0, data })
  }

  /** Mounted, and the two have said hello. */
  static ready(options?: string): FuseWorld {
    const w = new FuseWorld(options)
    w.mount()
    w.init()
    return w
  }

  init(): void {
    this.reply(this.next()!.unique, INIT)
  }

  /** The next request that the server reads; undefined if there is none. */
  next(): Asked | undefined {
    const { task } = this.server
    const memory = this.#memory
    const call = this.world.call(task, () => task.readv(this.fd, memory, [0, memory.length]))
    if (call.state === 'waiting') {
      call.kill()
      return undefined
    }
    if (call.state === 'failed') throw call.error
    const bytes = memory.slice(0, call.result)
    return { bytes, ...wire.inHeader.read(bytes), body: bytes.subarray(wire.inHeader.size) }
  }

  /** Writes to the device, and lets those go on who hear of it; gives what write(2) gave. */
  say(bytes: Uint8Array): unknown {
    const { task } = this.server
    const call = this.world.call(task, () => task.writev(this.fd, bytes, [0, bytes.length]))
    this.world.run()
    return call.outcome
  }

  reply(unique: bigint, body?: Uint8Array, error?: number, len?: number): unknown {
    return this.say(replyBytes(unique, body, error, len))
  }

  /** Answers as a good server does until a request of this opcode comes, which is given. */
  until(opcode: number): Asked | undefined {
    for (;;) {
      const request = this.next()
      if (!request || request.opcode === opcode) return request
      const { opcode: asked, unique, nodeid, body } = request
      if (asked === Op.FORGET || asked === Op.INTERRUPT) continue
      if (asked === Op.GETATTR) {
        const said = attr(nodeid === 1n ? 0o40777 : 0o100666, 10n)
        this.reply(unique, wire.attrOut.bytes({ attrValid: 60n, ...said }))
      } else if (asked === Op.LOOKUP)
        this.reply(unique, body[0] === 110 ? entry(0n, 0) : entry(5n, 0o100666, { size: 10n }))
      else if (asked === Op.OPEN) this.reply(unique, wire.openOut.bytes({ fh: 3n }))
      else if (asked === Op.OPENDIR) this.reply(unique, wire.openOut.bytes({ fh: 4n }))
      else this.reply(unique)
    }
  }

  /** The client's call; with `open` it has /m/f open already, as descriptor 0. */
  begin<T>(call: (task: Task) => T, open = false): Call<T> {
    const { task } = this.client
    if (open) {
      const opening = this.world.call(task, () => task.openat(AT_FDCWD, 'm/f', O_RDWR, 0))
      this.until(-1)
      this.world.run()
      expect(opening.outcome).toBe(0)
    }
    return this.world.call(task, () => call(task))
  }

  /** The server's process ends, and all that it had open. */
  kill(): void {
    this.world.exit(this.server)
    this.world.run()
  }

  /** Ends everything, and nothing is left. */
  end(): void {
    this.world.exit(this.client)
    try {
      this.mounts.umount2('m', 2)
    } catch {
      // It is mounted no more.
    }
    this.world.end()
    this.world.run()
    expect(this.world.live).toEqual(NOTHING_LEFT)
    expect(this.world.vfs.superblocks.size).toBe(1)
    expect(this.connection.active).toBe(0)
  }
}

const bytes = new Uint8Array(64)

/** A call in which an operation is asked. */
export interface Asking {
  readonly name: string
  readonly opcode: wire.Opcode
  readonly call: (task: Task) => unknown
  /** With /m/f open, in descriptor 0. */
  readonly open: boolean
}

const asking = (open: boolean, name: string, opcode: wire.Opcode, call: (task: Task) => unknown): Asking => ({
  ...{ name, opcode, call, open },
})
/** `n` is a new name, `f` a file. */
export const ASKING = {
  lookup: asking(false, 'a lookup', Op.LOOKUP, (task) => task.fstatat(AT_FDCWD, 'm/f', 0)),
  attributes: asking(false, 'attributes', Op.GETATTR, (task) => task.fstatat(AT_FDCWD, 'm', 0)),
  open: asking(false, 'an open', Op.OPEN, (task) => task.openat(AT_FDCWD, 'm/f', O_RDONLY, 0)),
  create: asking(false, 'a creation', Op.CREATE, (task) => task.openat(AT_FDCWD, 'm/n', O_CREAT | O_WRONLY, 0o644)),
  mkdir: asking(false, 'a directory', Op.MKDIR, (task) => task.mkdirat(AT_FDCWD, 'm/n', 0o755)),
  symlink: asking(false, 'a link', Op.SYMLINK, (task) => task.symlinkat('target', AT_FDCWD, 'm/n')),
  link: asking(false, 'a further name', Op.LINK, (task) => task.linkat(AT_FDCWD, 'm/f', AT_FDCWD, 'm/n', 0)),
  unlink: asking(false, 'a removal', Op.UNLINK, (task) => task.unlinkat(AT_FDCWD, 'm/f', 0)),
  rename: asking(false, 'a move', Op.RENAME, (task) => task.renameat2(AT_FDCWD, 'm/f', AT_FDCWD, 'm/n', 0)),
  chmod: asking(false, 'a change', Op.SETATTR, (task) => task.fchmodat(AT_FDCWD, 'm/f', 0o600, 0)),
  opendir: asking(false, 'a listing', Op.OPENDIR, (task) => task.openat(AT_FDCWD, 'm', O_RDONLY | O_DIRECTORY, 0)),
  read: asking(true, 'a read', Op.READ, (task) => task.preadv(0, bytes, [0, 64], 0)),
  write: asking(true, 'a write', Op.WRITE, (task) => task.pwritev(0, bytes, [0, 64], 0)),
  sync: asking(true, 'a sync', Op.FSYNC, (task) => task.fsync(0)),
  close: asking(true, 'a close', Op.FLUSH, (task) => task.close(0)),
} as const
