/**
 * What a kernel and a FUSE server say to each other: the structs and numbers of linux/fuse.h, version 7.38. Both sides read and
 * write them by these tables, here as on Linux, so that a server that was written for one serves the other.
 *
 * Always true: all is little-endian, and aligned as C has it; a message is a header with its own length in it and what the
 * opcode says behind it.
 */

export const FUSE_KERNEL_VERSION = 7
export const FUSE_KERNEL_MINOR_VERSION = 38
export const FUSE_ROOT_ID = 1n

/** A page that read and write buffers are counted in. */
export const FUSE_PAGE = 4096
/** The least that a server must read at a time. */
export const FUSE_MIN_READ_BUFFER = 8192

type Kind = 'u16' | 'i16' | 'u32' | 'i32' | 'u64' | 'i64'
type Fields = Readonly<Record<string, Kind>>
export type Values<F extends Fields> = { -readonly [K in keyof F]: F[K] extends 'u64' | 'i64' ? bigint : number }

const SIZES: Record<Kind, number> = { u16: 2, i16: 2, u32: 4, i32: 4, u64: 8, i64: 8 }

/** A C struct of integers without gaps. What is not said is 0. */
export class Struct<F extends Fields> {
  readonly size: number
  readonly #fields: readonly (readonly [name: keyof F & string, kind: Kind, at: number])[]

  constructor(fields: F) {
    let size = 0
    this.#fields = Object.entries(fields).map(([name, kind]) => {
      const at = size
      size += SIZES[kind]
      return [name, kind, at] as const
    })
    this.size = size
  }

  /** What lies behind the end of `bytes` reads as 0: older versions end sooner. */
  read(bytes: Uint8Array, from = 0): Values<F> {
    const { view, start } = viewOf(bytes, from, this.size)
    const values: Record<string, number | bigint> = {}
    for (const [name, kind, offset] of this.#fields) {
      const at = start + offset
      if (kind === 'u32') values[name] = view.getUint32(at, true)
      else if (kind === 'u64') values[name] = view.getBigUint64(at, true)
      else if (kind === 'i32') values[name] = view.getInt32(at, true)
      else if (kind === 'i64') values[name] = view.getBigInt64(at, true)
      else values[name] = kind === 'u16' ? view.getUint16(at, true) : view.getInt16(at, true)
    }
    return values as Values<F>
  }

  put(bytes: Uint8Array, at: number, values: Partial<Values<F>>): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (const [name, kind, offset] of this.#fields) {
      const value = values[name]
      if (value === undefined) continue
      if (SIZES[kind] === 8) view.setBigUint64(at + offset, BigInt.asUintN(64, value as bigint), true)
      else if (SIZES[kind] === 4) view.setUint32(at + offset, value as number, true)
      else view.setUint16(at + offset, value as number, true)
    }
  }

  bytes(values: Partial<Values<F>>): Uint8Array {
    const bytes = new Uint8Array(this.size)
    this.put(bytes, 0, values)
    return bytes
  }
}

function viewOf(bytes: Uint8Array, from: number, size: number): { view: DataView; start: number } {
  if (bytes.length - from >= size)
    return { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), start: from }
  const whole = new Uint8Array(size)
  whole.set(bytes.subarray(from))
  return { view: new DataView(whole.buffer), start: 0 }
}

export const inHeader = new Struct({
  len: 'u32',
  opcode: 'u32',
  unique: 'u64',
  nodeid: 'u64',
  uid: 'u32',
  gid: 'u32',
  pid: 'u32',
  extensions: 'u16',
  padding: 'u16',
})

/** `error` is 0 or a negative errno; a notification has `unique` 0 and its code there. */
export const outHeader = new Struct({ len: 'u32', error: 'i32', unique: 'u64' })

const attr = {
  ino: 'u64',
  size: 'u64',
  blocks: 'u64',
  atime: 'i64',
  mtime: 'i64',
  ctime: 'i64',
  atimensec: 'u32',
  mtimensec: 'u32',
  ctimensec: 'u32',
  mode: 'u32',
  nlink: 'u32',
  uid: 'u32',
  gid: 'u32',
  rdev: 'u32',
  blksize: 'u32',
  attrFlags: 'u32',
} as const
export type FuseAttr = Values<typeof attr>

const entry = {
  nodeid: 'u64',
  generation: 'u64',
  entryValid: 'u64',
  attrValid: 'u64',
  entryValidNsec: 'u32',
  attrValidNsec: 'u32',
  ...attr,
} as const
const opened = { fh: 'u64', openFlags: 'u32', padding: 'u32' } as const

export const entryOut = new Struct(entry)
export const createOut = new Struct({ ...entry, ...opened })
export const attrOut = new Struct({ attrValid: 'u64', attrValidNsec: 'u32', dummy: 'u32', ...attr })
export const openOut = new Struct(opened)
export const writeOut = new Struct({ size: 'u32', padding: 'u32' })
export const lseekOut = new Struct({ offset: 'u64' })
export const statfsOut = new Struct({
  ...{ blocks: 'u64', bfree: 'u64', bavail: 'u64', files: 'u64', ffree: 'u64' },
  ...{ bsize: 'u32', namelen: 'u32', frsize: 'u32', padding: 'u32', spare0: 'u64', spare1: 'u64', spare2: 'u64' },
} as const)
export const initOut = new Struct({
  ...{ major: 'u32', minor: 'u32', maxReadahead: 'u32', flags: 'u32' },
  ...{ maxBackground: 'u16', congestionThreshold: 'u16', maxWrite: 'u32', timeGran: 'u32' },
  ...{ maxPages: 'u16', mapAlignment: 'u16', flags2: 'u32' },
  ...{ unused0: 'u32', unused1: 'u64', unused2: 'u64', unused3: 'u64' },
} as const)
/** One entry of a listing; its name follows, and zeros up to a multiple of 8. */
export const dirent = new Struct({ ino: 'u64', off: 'u64', namelen: 'u32', type: 'u32' })

export const initIn = new Struct({
  ...{ major: 'u32', minor: 'u32', maxReadahead: 'u32', flags: 'u32', flags2: 'u32' },
  ...{ unused0: 'u32', unused1: 'u64', unused2: 'u64', unused3: 'u64', unused4: 'u64', unused5: 'u32' },
} as const)
export const forgetIn = new Struct({ nlookup: 'u64' })
export const getattrIn = new Struct({ flags: 'u32', dummy: 'u32', fh: 'u64' })
export const setattrIn = new Struct({
  ...{ valid: 'u32', padding: 'u32', fh: 'u64', size: 'u64', lockOwner: 'u64' },
  ...{ atime: 'i64', mtime: 'i64', ctime: 'i64', atimensec: 'u32', mtimensec: 'u32', ctimensec: 'u32' },
  ...{ mode: 'u32', unused4: 'u32', uid: 'u32', gid: 'u32', unused5: 'u32' },
} as const)
export const mknodIn = new Struct({ mode: 'u32', rdev: 'u32', umask: 'u32', padding: 'u32' })
export const mkdirIn = new Struct({ mode: 'u32', umask: 'u32' })
export const renameIn = new Struct({ newdir: 'u64' })
export const rename2In = new Struct({ newdir: 'u64', flags: 'u32', padding: 'u32' })
export const linkIn = new Struct({ oldnodeid: 'u64' })
export const openIn = new Struct({ flags: 'u32', openFlags: 'u32' })
export const createIn = new Struct({ flags: 'u32', mode: 'u32', umask: 'u32', openFlags: 'u32' })
export const releaseIn = new Struct({ fh: 'u64', flags: 'u32', releaseFlags: 'u32', lockOwner: 'u64' })
export const flushIn = new Struct({ fh: 'u64', unused: 'u32', padding: 'u32', lockOwner: 'u64' })
export const readIn = new Struct({
  ...{ fh: 'u64', offset: 'u64', size: 'u32', readFlags: 'u32', lockOwner: 'u64', flags: 'u32', padding: 'u32' },
} as const)
export const writeIn = new Struct({
  ...{ fh: 'u64', offset: 'u64', size: 'u32', writeFlags: 'u32', lockOwner: 'u64', flags: 'u32', padding: 'u32' },
} as const)
export const fsyncIn = new Struct({ fh: 'u64', fsyncFlags: 'u32', padding: 'u32' })
export const accessIn = new Struct({ mask: 'u32', padding: 'u32' })
export const interruptIn = new Struct({ unique: 'u64' })
export const fallocateIn = new Struct({ fh: 'u64', offset: 'u64', length: 'u64', mode: 'u32', padding: 'u32' })

export const notifyInvalInode = new Struct({ ino: 'u64', off: 'i64', len: 'i64' })
export const notifyInvalEntry = new Struct({ parent: 'u64', namelen: 'u32', flags: 'u32' })
export const notifyDelete = new Struct({ parent: 'u64', child: 'u64', namelen: 'u32', padding: 'u32' })

export const Op = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  FALLOCATE: 43,
  RENAME2: 45,
} as const
export type Opcode = (typeof Op)[keyof typeof Op]

/** Codes of notifications: what the kernel keeps of an inode or of a name is to be asked for again. */
export const Notify = { INVAL_INODE: 2, INVAL_ENTRY: 3, DELETE: 6 } as const

/** Bits of INIT's flags: what a side can do. */
export const FUSE_ASYNC_READ = 1 << 0
export const FUSE_ATOMIC_O_TRUNC = 1 << 3
export const FUSE_BIG_WRITES = 1 << 5
export const FUSE_DONT_MASK = 1 << 6
export const FUSE_PARALLEL_DIROPS = 1 << 18
export const FUSE_MAX_PAGES = 1 << 22

/** Bits of SETATTR's `valid`. */
export const FATTR_MODE = 1 << 0
export const FATTR_UID = 1 << 1
export const FATTR_GID = 1 << 2
export const FATTR_SIZE = 1 << 3
export const FATTR_ATIME = 1 << 4
export const FATTR_MTIME = 1 << 5
export const FATTR_FH = 1 << 6

/** Of INTERRUPT: `unique` of the request with this bit set. */
export const FUSE_INT_REQ_BIT = 1n
/** Of FSYNC: the data only. */
export const FUSE_FSYNC_FDATASYNC = 1

/** Every entry of a listing takes a multiple of this. */
export const direntSize = (nameLength: number): number => (dirent.size + nameLength + 7) & ~7
