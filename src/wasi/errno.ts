/**
 * WASI preview1's error numbers, under the names that Linux gives the errors. The only place where the two meet.
 * Names that WASI lacks a number for (ENODATA, EREMOTE, EUCLEAN, EUSERS) become EIO.
 */
import type { Errno } from '../abi/errno.ts'

export const SUCCESS = 0

/** The WASI number of each error. */
export const E = {
  E2BIG: 1,
  EACCES: 2,
  EADDRINUSE: 3,
  EAGAIN: 6,
  EBADF: 8,
  EBUSY: 10,
  ECANCELED: 11,
  ECHILD: 12,
  ECONNABORTED: 13,
  ECONNREFUSED: 14,
  EDEADLK: 16,
  EDOM: 18,
  EDQUOT: 19,
  EEXIST: 20,
  EFAULT: 21,
  EFBIG: 22,
  EILSEQ: 25,
  EINTR: 27,
  EINVAL: 28,
  EIO: 29,
  EISDIR: 31,
  ELOOP: 32,
  EMFILE: 33,
  EMLINK: 34,
  ENAMETOOLONG: 37,
  ENFILE: 41,
  ENODEV: 43,
  ENOENT: 44,
  ENOEXEC: 45,
  ENOLCK: 46,
  ENOMEM: 48,
  ENOSPC: 51,
  ENOSYS: 52,
  ENOTCONN: 53,
  ENOTDIR: 54,
  ENOTEMPTY: 55,
  ENOTSOCK: 57,
  EOPNOTSUPP: 58,
  ENOTTY: 59,
  ENXIO: 60,
  EOVERFLOW: 61,
  EPERM: 63,
  EPIPE: 64,
  ERANGE: 68,
  EROFS: 69,
  ESPIPE: 70,
  ESRCH: 71,
  ESTALE: 72,
  ETIMEDOUT: 73,
  ETXTBSY: 74,
  EXDEV: 75,
  ENOTCAPABLE: 76,
  ENODATA: 29,
  EREMOTE: 29,
  EUCLEAN: 29,
  EUSERS: 29,
} as const satisfies Record<Errno, number>

const names = new Map<number, Errno>()
for (const [name, number] of Object.entries(E)) if (!names.has(number)) names.set(number, name as Errno)

/** The error that a number stands for. */
export const errnoOf = (number: number): Errno | undefined => names.get(number)
