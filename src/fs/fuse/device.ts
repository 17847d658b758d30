/** /dev/fuse: what a program that serves a filesystem reads requests from and writes replies to (fuse(4)). */

import { copyBytes } from '../../abi/copy-bytes.ts'
import { ErrnoError } from '../../abi/errno.ts'
import { POLLERR, POLLIN, POLLOUT } from '../../abi/linux.ts'
import type { Device } from '../../devices/device-registry.ts'
import type { Stream } from '../../vfs/inode.ts'
import { type WaitQueue, WouldBlock } from '../../vfs/waiting.ts'
import { Connection } from './connection.ts'

export const fuseDevice: Device = {
  kind: 'char',
  major: 10,
  minor: 229,
  group: 'misc',
  path: 'fuse',
  mode: 0o666,
  open: () => new FuseDevice(),
}

/** One opening of the device: the server's end of one connection, which ends with it. */
export class FuseDevice implements Stream {
  readonly connection = new Connection()

  get queue(): WaitQueue {
    return this.connection.readable
  }

  /** One request. Errors: EPERM before the mount; EINVAL for a buffer that not any request fits in; ENODEV, ECONNABORTED. */
  read(memory: Uint8Array, at: number, length: number, nonblocking: boolean): number {
    const { connection } = this
    if (!connection.isMounted) throw new ErrnoError('EPERM')
    if (length < connection.readBuffer) throw new ErrnoError('EINVAL')
    const request = connection.next(length)
    if (request) {
      copyBytes(request, 0, memory, at, request.length)
      return request.length
    }
    if (nonblocking) throw new ErrnoError('EAGAIN')
    throw new WouldBlock([connection.readable])
  }

  write(memory: Uint8Array, at: number, length: number): number {
    return this.#answer(memory.slice(at, at + length))
  }

  /** A reply whose header and data lie apart is one reply. */
  writeRanges(memory: Uint8Array, ranges: readonly number[]): number {
    const parts: Uint8Array[] = []
    let length = 0
    for (let i = 0; i < ranges.length; i += 2) {
      parts.push(memory.subarray(ranges[i]!, ranges[i]! + ranges[i + 1]!))
      length += ranges[i + 1]!
    }
    const bytes = new Uint8Array(length)
    let filled = 0
    for (const part of parts) {
      bytes.set(part, filled)
      filled += part.length
    }
    return this.#answer(bytes)
  }

  #answer(bytes: Uint8Array): number {
    if (!this.connection.isMounted) throw new ErrnoError('EPERM')
    this.connection.answer(bytes)
    return bytes.length
  }

  poll(): number {
    const { connection } = this
    if (!connection.isMounted || (connection.isOver && !connection.hasNext)) return POLLERR
    return connection.hasNext ? POLLIN | POLLOUT : POLLOUT
  }

  release(): void {
    this.connection.abort()
  }
}
