/** Preview1's calls that touch no file: arguments, environment, preopened names, clocks, randomness, the process, sockets. */
import { wasi } from '@bjorn3/browser_wasi_shim'
import { encodeUtf8 } from '../abi/utf8.ts'
import { type Context, GuestExit, killed } from './context.ts'
import { E, SUCCESS } from './errno.ts'
import { row, socketRow, type Table } from './table.ts'

/** Signals whose default action is not the process's end (signal(7)): ignored, or a stop, which nobody could end. */
const IGNORED = new Set([wasi.SIGNAL_CHLD, wasi.SIGNAL_CONT, wasi.SIGNAL_URG, wasi.SIGNAL_WINCH])
const STOPPING = new Set([wasi.SIGNAL_STOP, wasi.SIGNAL_TSTP, wasi.SIGNAL_TTIN, wasi.SIGNAL_TTOU])

/** What browsers tell time in, at their finest (cross-origin isolated): 5 µs. */
const RESOLUTION = 5000n

/** Strings as execve(2) hands them over: each with a NUL behind it. */
function strings(context: Context, texts: readonly string[]) {
  const { memory } = context
  let blob: Uint8Array | undefined
  let ends: number[] = []
  const encoded = () => {
    if (blob !== undefined) return blob
    const parts = texts.map((text) => encodeUtf8(text))
    blob = new Uint8Array(parts.reduce((sum, part) => sum + part.length + 1, 0))
    let at = 0
    ends = []
    for (const part of parts) {
      blob.set(part, at)
      at += part.length + 1
      ends.push(at)
    }
    return blob
  }
  return {
    sizes(count: number, size: number): number {
      count >>>= 0
      size >>>= 0
      if (!memory.fits(count, 4) || !memory.fits(size, 4)) return E.EFAULT
      memory.view.setUint32(count, texts.length, true)
      memory.view.setUint32(size, encoded().length, true)
      return SUCCESS
    },
    get(pointers: number, buffer: number): number {
      pointers >>>= 0
      buffer >>>= 0
      const bytes = encoded()
      if (!memory.fits(pointers, texts.length * 4) || !memory.fits(buffer, bytes.length)) return E.EFAULT
      memory.bytes.set(bytes, buffer)
      let start = 0
      for (const [i, end] of ends.entries()) {
        memory.view.setUint32(pointers + i * 4, buffer + start, true)
        start = end
      }
      return SUCCESS
    },
  }
}

export function systemFunctions(context: Context, args: readonly string[], env: readonly string[]): Table {
  const { memory, descriptors, clock, entropy, started } = context
  const argv = strings(context, args)
  const environ = strings(context, env)

  function time(id: number): bigint | undefined {
    switch (id) {
      case wasi.CLOCKID_REALTIME:
        return clock.realtime()
      case wasi.CLOCKID_MONOTONIC:
        return clock.monotonic()
      // A host does not tell the processor's time; this is its upper bound.
      case wasi.CLOCKID_PROCESS_CPUTIME_ID:
      case wasi.CLOCKID_THREAD_CPUTIME_ID:
        return clock.monotonic() - started
      default:
        return undefined
    }
  }

  /** No descriptor is a socket: EBADF, thrown by the kernel, or ENOTSOCK. */
  function noSocket(fd: number): number {
    descriptors.filetype(fd)
    return E.ENOTSOCK
  }

  return {
    args_sizes_get: row(['argc:ptr', 'argv_buf_size:ptr'], (count, size) => argv.sizes(count, size)),
    args_get: row(['argv:ptr', 'argv_buf:ptr'], (pointers, buffer) => argv.get(pointers, buffer)),
    environ_sizes_get: row(['environ_count:ptr', 'environ_buf_size:ptr'], (count, size) => environ.sizes(count, size)),
    environ_get: row(['environ:ptr', 'environ_buf:ptr'], (pointers, buffer) => environ.get(pointers, buffer)),

    fd_prestat_get: row(['fd', 'buf:ptr'], (fd, buf) => {
      buf >>>= 0
      const name = descriptors.preopen(fd)
      if (name === undefined) return E.EBADF
      if (!memory.fits(buf, 8)) return E.EFAULT
      memory.view.setUint32(buf, wasi.PREOPENTYPE_DIR, true)
      memory.view.setUint32(buf + 4, name.length, true)
      return SUCCESS
    }),

    fd_prestat_dir_name: row(['fd', 'path:ptr', 'path_len'], (fd, at, length) => {
      at >>>= 0
      length >>>= 0
      const name = descriptors.preopen(fd)
      if (name === undefined) return E.EBADF
      if (!memory.fits(at, length)) return E.EFAULT
      if (length < name.length) return E.ENAMETOOLONG
      memory.setBytes(at, length, name)
      return SUCCESS
    }),

    clock_res_get: row(['id', 'resolution:ptr'], (id, resolution) => {
      resolution >>>= 0
      if (time(id) === undefined) return E.EINVAL
      if (!memory.fits(resolution, 8)) return E.EFAULT
      memory.view.setBigUint64(resolution, RESOLUTION, true)
      return SUCCESS
    }),

    clock_time_get: row(['id', 'precision:i64', 'time:ptr'], (id, _precision, out) => {
      out >>>= 0
      const now = time(id)
      if (now === undefined) return E.EINVAL
      if (!memory.fits(out, 8)) return E.EFAULT
      memory.view.setBigUint64(out, now, true)
      return SUCCESS
    }),

    random_get: row(['buf:ptr', 'buf_len'], (buf, length) => {
      buf >>>= 0
      length >>>= 0
      if (!memory.fits(buf, length)) return E.EFAULT
      if (length > 0) entropy.fill(memory.bytes.subarray(buf, buf + length))
      return SUCCESS
    }),

    proc_exit: {
      ...row(['rval'], (code) => {
        throw new GuestExit(code & 0xff)
      }),
      result: false,
    },

    proc_raise: row(['sig'], (signal) => {
      if (signal < 0 || signal > wasi.SIGNAL_SYS) return E.EINVAL
      if (signal === wasi.SIGNAL_NONE || IGNORED.has(signal)) return SUCCESS
      if (STOPPING.has(signal)) return E.EOPNOTSUPP
      throw killed(linuxSignal(signal))
    }),

    sched_yield: row([], () => SUCCESS),

    sock_accept: socketRow(['fd', 'flags', 'result_fd:ptr'], (fd, _flags, _result) => noSocket(fd)),
    sock_recv: socketRow(
      ['fd', 'ri_data:ptr', 'ri_data_len', 'ri_flags', 'ro_datalen:ptr', 'ro_flags:ptr'],
      (fd, _data, _length, _flags, _got, _out) => noSocket(fd),
    ),
    sock_send: socketRow(
      ['fd', 'si_data:ptr', 'si_data_len', 'si_flags', 'so_datalen:ptr'],
      (fd, _data, _length, _flags, _sent) => noSocket(fd),
    ),
    sock_shutdown: socketRow(['fd', 'how'], (fd, _how) => noSocket(fd)),
  }
}

/** WASI left out SIGSTKFLT (16), so that the signals behind it have other numbers than Linux's. */
const linuxSignal = (signal: number): number => (signal > wasi.SIGNAL_TERM ? signal + 1 : signal)
