/**
 * Devices by kind and number.
 *
 * Invariant: a (kind, major, minor) is registered once; the first registration stays.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { Context, DeviceTable } from '../vfs/context.ts'
import type { SpecialInode, Stream } from '../vfs/inode.ts'
import { majorOf, makeDevice, minorOf } from '../vfs/kinds.ts'

export interface Device {
  readonly kind: 'char' | 'block'
  readonly major: number
  readonly minor: number
  open(context: Context): Stream
}

export class DeviceRegistry implements DeviceTable {
  readonly #devices = new Map<string, Device>()

  /** Errors: a plain Error when the number is taken: that is a bug of the caller. */
  register(device: Device): void {
    const key = keyOf(device.kind, makeDevice(device.major, device.minor))
    if (this.#devices.has(key)) throw new Error(`device ${key} is registered already`)
    this.#devices.set(key, device)
  }

  open(inode: SpecialInode, context: Context): Stream {
    const device = this.#devices.get(keyOf(inode.kind, inode.rdev))
    if (!device) throw new ErrnoError('ENXIO')
    return device.open(context)
  }
}

const keyOf = (kind: SpecialInode['kind'], rdev: number) => `${kind} ${majorOf(rdev)}:${minorOf(rdev)}`
