/** On whose behalf an operation runs, and from where it sees the tree. */

import { CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH } from '../abi/linux.ts'
import type { Clock } from '../abi/platform.ts'
import type { FileDescription } from './description.ts'
import type { SpecialInode, Stream } from './inode.ts'
import type { MountNamespace, VirtualDentry } from './mount.ts'
import type { Attempt } from './waiting.ts'

/** credentials(7): who asks. */
export interface Credentials {
  readonly uid: number
  readonly gid: number
  /** The real ids, which access(2) judges by. */
  readonly realUid: number
  readonly realGid: number
  readonly groups: readonly number[]
  /** A bit for each of capabilities(7), CAP_… of abi/linux.ts. */
  readonly capabilities: number
  /** Those that it could use again; the same if left out. */
  readonly permitted?: number
}

const ALL_CAPABILITIES = -1

/** The credentials of a user; uid 0 has every capability, as on Linux. */
export function credentialsOf(uid: number, gid: number, groups: readonly number[] = []): Credentials {
  return { uid, gid, realUid: uid, realGid: gid, groups, capabilities: uid === 0 ? ALL_CAPABILITIES : 0 }
}

/** Whether permission bits mean nothing to these credentials, but for executing a file. */
export const overridesPermissions = (credentials: Credentials): boolean =>
  (credentials.capabilities & (CAP_DAC_OVERRIDE | CAP_DAC_READ_SEARCH)) === (CAP_DAC_OVERRIDE | CAP_DAC_READ_SEARCH)

/** The node of a device that is being opened, and the flags of open(2). */
export interface Opening {
  readonly place: VirtualDentry
  readonly flags: number
}

export const namespaceOf = (context: Context): MountNamespace | undefined =>
  context.namespace ?? context.root.mount.namespace

/** Opens what a device number stands for. */
export interface DeviceTable {
  /** Errors: ENXIO for a number that nothing is registered under. */
  open(inode: SpecialInode, context: Context, opening: Opening): Stream
}

/** A controlling terminal: tty(4). */
export interface SessionTerminal {
  /** Another open file of it. Errors: EIO once it was hung up. */
  open(): Stream
  /** The session that it is the terminal of has ended. */
  leave(): void
}

/** Who works at a terminal: setsid(2). Every process is a session by itself. */
export interface Session {
  /** Its controlling terminal, which /dev/tty and /dev/console lead to. */
  terminal: SessionTerminal | undefined
  /** A signal that the terminal makes. */
  hear(signal: string): void
}

/** What an operation needs besides its arguments. */
export interface Context {
  readonly clock: Clock
  readonly devices: DeviceTable
  readonly credentials: Credentials
  /** Where `/` is and `..` stops. */
  readonly root: VirtualDentry
  /** Whose mounts it sees and may change; that of its root if left out. */
  readonly namespace?: MountNamespace | undefined
  /**
   * Paths must not leave the directory they start from: WASI's rule for preopens. Where they start at `root` itself, an
   * absolute link target restarts there; elsewhere it is refused.
   */
  readonly confined: boolean
  readonly attempt: Attempt
  /** The open file behind a descriptor of the caller, if there is one. */
  openFile?(fd: number): FileDescription | undefined
  /** Left out, it is in none: it has no terminal and gets none. */
  readonly session?: Session | undefined
  /** Taken from the mode of new files, unless their directory has a default ACL (umask(2)); 0 if left out. */
  readonly umask?: number
  /** RLIMIT_FSIZE: no regular file is made longer than so many bytes; none if left out. */
  readonly fileSizeLimit?: number | undefined
  /** SIGXFSZ: it was about to be. */
  fileSizeExceeded?(): void
}
