/**
 * Devices by kind and number, and the major numbers that are given out.
 *
 * Invariants: a (kind, major, minor) is registered once, and so is (kind, major) for all minors; the first registration stays. A dynamic major has one owner, or
 * one key that shares it for ever.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { Context, DeviceTable, Opening } from '../vfs/context.ts'
import type { SpecialInode, Stream } from '../vfs/inode.ts'
import { majorOf, minorOf } from '../vfs/kinds.ts'

export interface Device {
  readonly kind: 'char' | 'block'
  readonly major: number
  /** Left out: all minors of the major that have no device of their own. */
  readonly minor?: number
  /** What /proc/devices calls it, with its siblings; left out: it is not listed there. */
  readonly group?: string
  /** Its path below /dev; left out: it has no node there. */
  readonly path?: string
  /** Permission bits of its node. */
  readonly mode?: number
  /** `opening` says which node is opened, and how. */
  open(context: Context, opening: Opening): Stream
}

/** Where Linux looks for a free major of a character device: Documentation/admin-guide/devices.txt, find_dynamic_major. */
const DYNAMIC = [
  { from: 254, to: 234 },
  { from: 511, to: 384 },
]

export class DeviceRegistry implements DeviceTable {
  readonly #devices = new Map<string, Device>()
  readonly #dynamicMajors = new Set<number>()
  readonly #sharedMajors = new Map<string, number>()

  /** Errors: a plain Error when the number is taken: that is a bug of the caller. */
  register(device: Device): void {
    const key = keyOf(device.kind, device.major, device.minor)
    if (this.#devices.has(key)) throw new Error(`device ${key} is registered already`)
    this.#devices.set(key, device)
  }

  open(inode: SpecialInode, context: Context, opening: Opening): Stream {
    const { kind, rdev } = inode
    const device =
      this.#devices.get(keyOf(kind, majorOf(rdev), minorOf(rdev))) ?? this.#devices.get(keyOf(kind, majorOf(rdev)))
    if (!device) throw new ErrnoError('ENXIO')
    return device.open(context, opening)
  }

  /** A major number for character devices that nobody has. Errors: EBUSY when all are in use. */
  takeMajor(): number {
    for (const { from, to } of DYNAMIC) {
      for (let major = from; major >= to; major--) {
        if (this.#dynamicMajors.has(major)) continue
        this.#dynamicMajors.add(major)
        return major
      }
    }
    throw new ErrnoError('EBUSY', undefined, 'no major device number is free')
  }

  giveMajor(major: number): void {
    this.#dynamicMajors.delete(major)
  }

  /** The major number of a key, which is taken at the first asking and never given back. Errors: EBUSY. */
  sharedMajor(key: string): number {
    let major = this.#sharedMajors.get(key)
    if (major === undefined) {
      major = this.takeMajor()
      this.#sharedMajors.set(key, major)
    }
    return major
  }

  /** All devices, for the making of /dev. */
  all(): Iterable<Device> {
    return this.#devices.values()
  }

  /** The text of /proc/devices: proc(5). */
  list(): string {
    return `Character devices:\n${this.#listKind('char')}\nBlock devices:\n${this.#listKind('block')}`
  }

  #listKind(kind: Device['kind']): string {
    const lines = new Set<string>()
    const devices = [...this.#devices.values()].filter((device) => device.kind === kind)
    for (const { major, group } of devices.sort((a, b) => a.major - b.major || (a.minor ?? 0) - (b.minor ?? 0))) {
      if (group !== undefined) lines.add(`${String(major).padStart(3)} ${group}\n`)
    }
    return [...lines].join('')
  }
}

const keyOf = (kind: SpecialInode['kind'], major: number, minor?: number) => `${kind} ${major}:${minor ?? '*'}`
