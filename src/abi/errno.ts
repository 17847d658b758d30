/**
 * Linux error names, numbers and messages, and the one exception that a failing operation throws.
 *
 * Invariant: inside the kernel an error is a name. Numbers exist at the edges only: Linux numbers on the
 * system call channel, WASI numbers in `wasi/`.
 * Numbers: linux/errno.h (asm-generic). ENOTCAPABLE is FreeBSD's name (capsicum(4)) for a path that leaves
 * the directory it is confined to; Linux has no such error, WASI does.
 */

const table = {
  EPERM: [1, 'operation not permitted'],
  ENOENT: [2, 'no such file or directory'],
  ESRCH: [3, 'no such process'],
  EINTR: [4, 'interrupted system call'],
  EIO: [5, 'i/o error'],
  ENXIO: [6, 'no such device or address'],
  E2BIG: [7, 'argument list too long'],
  ENOEXEC: [8, 'exec format error'],
  EBADF: [9, 'bad file descriptor'],
  ECHILD: [10, 'no child processes'],
  EAGAIN: [11, 'resource temporarily unavailable'],
  ENOMEM: [12, 'not enough memory'],
  EACCES: [13, 'permission denied'],
  EFAULT: [14, 'bad address'],
  EBUSY: [16, 'resource busy or locked'],
  EEXIST: [17, 'file already exists'],
  EXDEV: [18, 'cross-device link not permitted'],
  ENODEV: [19, 'no such device'],
  ENOTDIR: [20, 'not a directory'],
  EISDIR: [21, 'illegal operation on a directory'],
  EINVAL: [22, 'invalid argument'],
  ENFILE: [23, 'file table overflow'],
  EMFILE: [24, 'too many open files'],
  ENOTTY: [25, 'inappropriate ioctl for device'],
  ETXTBSY: [26, 'text file is busy'],
  EFBIG: [27, 'file too large'],
  ENOSPC: [28, 'no space left on device'],
  ESPIPE: [29, 'invalid seek'],
  EROFS: [30, 'read-only file system'],
  EMLINK: [31, 'too many links'],
  EPIPE: [32, 'broken pipe'],
  EDOM: [33, 'argument out of domain'],
  ERANGE: [34, 'result too large'],
  EDEADLK: [35, 'resource deadlock would occur'],
  ENAMETOOLONG: [36, 'name too long'],
  ENOLCK: [37, 'no locks available'],
  ENOSYS: [38, 'function not implemented'],
  ENOTEMPTY: [39, 'directory not empty'],
  ELOOP: [40, 'too many symbolic links encountered'],
  ENODATA: [61, 'no data available'],
  EREMOTE: [66, 'object is remote'],
  EOVERFLOW: [75, 'value too large for defined data type'],
  EILSEQ: [84, 'illegal byte sequence'],
  EUSERS: [87, 'too many users'],
  ENOTSOCK: [88, 'socket operation on non-socket'],
  EOPNOTSUPP: [95, 'operation not supported'],
  EADDRINUSE: [98, 'address already in use'],
  ECONNABORTED: [103, 'software caused connection abort'],
  ENOTCONN: [107, 'socket is not connected'],
  ETIMEDOUT: [110, 'connection timed out'],
  ECONNREFUSED: [111, 'connection refused'],
  ESTALE: [116, 'stale file handle'],
  EUCLEAN: [117, 'structure needs cleaning'],
  EDQUOT: [122, 'disk quota exceeded'],
  ECANCELED: [125, 'operation canceled'],
  ENOTCAPABLE: [1093, 'the path leaves the directory that it is confined to'],
} as const satisfies Record<string, readonly [number, string]>

/** The name of a Linux error, such as `'ENOENT'`. */
export type Errno = keyof typeof table

/** The Linux number of an error name, positive as in errno.h. */
export const errnoNumber = (name: Errno): number => table[name][0]

/** The same of any text; undefined for what is no name. */
export const errnoOf = (name: string): number | undefined =>
  Object.hasOwn(table, name) ? errnoNumber(name as Errno) : undefined

const names = new Map<number, Errno>(Object.entries(table).map(([name, [number]]) => [number, name as Errno]))

/** The name of a Linux error number; EIO for a number that has no name here. */
export const errnoName = (number: number): Errno => names.get(number) ?? 'EIO'

/** What an operation was about: shown in the message, carried across the comlink edge. */
export interface ErrorPlace {
  readonly syscall?: string | undefined
  readonly path?: string | undefined
  readonly dest?: string | undefined
}

/**
 * A failed operation. `code`, `errno` (negative), `syscall`, `path`, `dest` and the form of `message` are those of
 * node:fs (https://nodejs.org/api/errors.html#class-systemerror).
 *
 * Programs probe for missing files by the thousand, so it records no stack, makes its message when asked for, and is an
 * `instanceof Error` by its prototype only: the Error constructor alone costs more than all else (measured: 480 of 500 ns).
 */
export class ErrnoError implements ErrorPlace {
  readonly code: Errno
  path: string | undefined
  syscall: string | undefined
  dest: string | undefined
  /** Why, in a sentence, where the name alone would leave a person guessing. */
  readonly detail: string | undefined

  static {
    Object.setPrototypeOf(ErrnoError.prototype, Error.prototype)
  }

  constructor(code: Errno, path?: string, detail?: string) {
    this.code = code
    this.path = path
    this.syscall = undefined
    this.dest = undefined
    this.detail = detail
  }

  get name(): string {
    return 'ErrnoError'
  }

  get errno(): number {
    return -table[this.code][0]
  }

  get message(): string {
    return errorMessage(this.code, this, this.detail)
  }
}

/** The message of node:fs for an error: `ENOENT: no such file or directory, open '/x'`. */
export function errorMessage(code: Errno, place: ErrorPlace = {}, detail?: string): string {
  let text = `${code}: ${table[code][1]}`
  if (detail !== undefined) text += ` (${detail})`
  if (place.syscall !== undefined) text += `, ${place.syscall}`
  if (place.path !== undefined) text += `${place.syscall === undefined ? ',' : ''} '${place.path}'`
  if (place.dest !== undefined) text += ` -> '${place.dest}'`
  return text
}
