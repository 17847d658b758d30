/** null, zero, full, random and urandom: null(4), full(4), random(4). Major 1, as on Linux. */

import { ErrnoError } from '../abi/errno.ts'
import { POLLIN, POLLOUT } from '../abi/linux.ts'
import type { Entropy } from '../abi/platform.ts'
import type { Stream } from '../vfs/inode.ts'
import { WaitQueue } from '../vfs/waiting.ts'
import type { Device } from './device-registry.ts'

type Transfer = (memory: Uint8Array, at: number, length: number) => number

const discard: Transfer = (_memory, _at, length) => length
const zeros: Transfer = (memory, at, length) => {
  memory.fill(0, at, at + length)
  return length
}
const noSpace: Transfer = () => {
  throw new ErrnoError('ENOSPC')
}

/** The memory devices, to be registered. */
export function memoryDevices(entropy: Entropy): Device[] {
  const random: Transfer = (memory, at, length) => {
    entropy.fill(memory.subarray(at, at + length))
    return length
  }
  const device = (minor: number, path: string, read: Transfer, write: Transfer): Device => ({
    kind: 'char',
    major: 1,
    minor,
    group: 'mem',
    path,
    mode: 0o666,
    open: () => new AlwaysReady(read, write),
  })
  return [
    device(3, 'null', () => 0, discard),
    device(5, 'zero', zeros, discard),
    device(7, 'full', zeros, noSpace),
    device(8, 'random', random, discard),
    device(9, 'urandom', random, discard),
  ]
}

/** A stream that never waits. */
class AlwaysReady implements Stream {
  readonly read: Transfer
  readonly write: Transfer
  readonly queue = new WaitQueue()
  readonly unpositioned = true
  readonly lockable = true
  constructor(read: Transfer, write: Transfer) {
    this.read = read
    this.write = write
  }
  poll(): number {
    return POLLIN | POLLOUT
  }
}
