/**
 * A filesystem that is being configured: what a descriptor of fsopen(2) holds.
 *
 * Invariant: parameters are taken, then it is created, then it is mounted; each step once.
 */

import { ErrnoError } from '../abi/errno.ts'
import type { Context } from '../vfs/context.ts'
import type { Stream } from '../vfs/inode.ts'
import type { Mount, MountFlags, Superblock } from '../vfs/mount.ts'
import { newFilesystemFor } from '../vfs/mount-operations.ts'
import type { Vfs } from '../vfs/vfs.ts'
import { WaitQueue } from '../vfs/waiting.ts'

export class FilesystemConfig implements Stream {
  readonly queue = new WaitQueue()
  readonly #vfs: Vfs
  readonly #type: string
  readonly #by: Context
  readonly #data: string[] = []
  #source: string | undefined
  #readonly = false
  /** Holds the filesystem between create and mount. */
  #mount: Mount | undefined
  #created: Superblock | undefined

  constructor(vfs: Vfs, type: string, by: Context) {
    this.#vfs = vfs
    this.#type = type
    this.#by = by
  }

  /** Errors: EBUSY once it is created. */
  setFlag(key: string): void {
    this.#requireOpen()
    if (key === 'ro' || key === 'rw') this.#readonly = key === 'ro'
    else this.#data.push(key)
  }

  /** Errors: EBUSY once it is created; EINVAL for a second source. */
  setString(key: string, value: string): void {
    this.#requireOpen()
    if (key !== 'source') {
      this.#data.push(`${key}=${value}`)
      return
    }
    if (this.#source !== undefined) throw new ErrnoError('EINVAL', value, 'the source was said before')
    this.#source = value
  }

  /** Errors: EBUSY the second time; what the type says of its parameters. */
  create(): void {
    this.#requireOpen()
    const source = this.#source ?? 'none'
    const asked = { type: this.#type, source, data: this.#data.join(',') }
    this.#created = newFilesystemFor(this.#vfs, this.#by, this.#by.root, asked)
    this.#mount = this.#vfs.newMount(this.#created, { source })
  }

  /** Gives the mount to the caller, who attaches it. Errors: EINVAL before it is created; EBUSY the second time. */
  mount(flags: MountFlags): Mount {
    if (!this.#created) throw new ErrnoError('EINVAL', undefined, 'the filesystem is not created yet')
    const mount = this.#mount
    if (!mount) throw new ErrnoError('EBUSY', undefined, 'the filesystem was mounted before')
    this.#mount = undefined
    mount.setFlags(this.#readonly ? { ...flags, readonly: true } : flags)
    return mount
  }

  poll(): number {
    return 0
  }

  release(): void {
    if (this.#mount) this.#vfs.discard(this.#mount)
    this.#mount = undefined
  }

  #requireOpen(): void {
    if (this.#created) throw new ErrnoError('EBUSY', undefined, 'the filesystem was created before')
  }
}
