/**
 * strace for a guest: a table whose calls are told to a log, one line for each, in the shape of strace(1) -yT:
 *
 *     path_open(3</>, "a.txt", O_WRONLY|O_CREAT) = 4 <0.000012>
 *     fd_write(4</a.txt>, "hello\n", 6) = 6 <0.000004>
 *     path_filestat_get(3</>, 0, "b", 0x1f40) = -1 ENOENT (No such file or directory) <0.000003>
 *
 * How an argument is told follows from its name in the table; where a call writes a number as its result, that is what it
 * returns. A call that waits is told once, when it has its answer, with the time that it waited. A table that is not wrapped
 * costs nothing.
 */
import { wasi } from '@bjorn3/browser_wasi_shim'
import { errorMessage } from '../abi/errno.ts'
import { decodeUtf8 } from '../abi/utf8.ts'
import { WAIT } from './context.ts'
import { errnoOf, SUCCESS } from './errno.ts'
import type { Preopen } from './rights.ts'
import { isAddress, nameOf, type Table, type WasiFunction } from './table.ts'
import type { WasmFunction } from './webassembly.ts'

export interface StraceOptions {
  /** The guest's memory, for texts and results. */
  readonly memory?: () => Uint8Array
  /** Nanoseconds, for the time that a call took. */
  readonly now?: () => bigint
  /** Directories that the guest starts with. */
  readonly preopens?: readonly Preopen[]
  /** Only calls of these names, as -e trace= has it. */
  readonly calls?: readonly string[]
}

type Arg = number | bigint

/** Bytes of a text that are shown, as strace(1) without -s has it. */
const DATA_SHOWN = 32
const PATH_SHOWN = 256
const IOVECS_SHOWN = 16

/** Parameters that hold what a call returns to its caller on Linux, and whether it is a u64 there. */
const RESULTS: Readonly<Record<string, boolean>> = {
  ...{
    'opened_fd:ptr': false,
    'result_fd:ptr': false,
    'nread:ptr': false,
    'nwritten:ptr': false,
    'bufused:ptr': false,
  },
  ...{
    'nevents:ptr': false,
    'ro_datalen:ptr': false,
    'so_datalen:ptr': false,
    'newoffset:ptr': true,
    'offset:ptr': true,
  },
}
/** Where a number is written that is told among the arguments. */
const TOLD_AFTERWARDS: Readonly<Record<string, boolean>> = {
  ...{ time: true, resolution: true, argc: false, argv_buf_size: false, environ_count: false, environ_buf_size: false },
}
const DESCRIPTORS = new Set(['fd', 'old_fd', 'new_fd', 'to'])

const bits = (value: number, names: readonly string[]): string => {
  const set = names.filter((name, i) => name !== '' && value & (1 << i))
  const rest = value & ~(2 ** names.length - 1)
  if (rest !== 0) set.push(hex(rest))
  return set.join('|') || '0'
}
const one = (value: number, names: readonly string[]): string => names[value] ?? String(value)
const FDFLAGS = ['O_APPEND', 'O_DSYNC', 'O_NONBLOCK', 'O_RSYNC', 'O_SYNC']
const LOOKUP = ['AT_SYMLINK_FOLLOW']

/** Numbers that have names. */
const NAMED: Readonly<Record<string, (value: number) => string>> = {
  whence: (n) => one(n, ['SEEK_SET', 'SEEK_CUR', 'SEEK_END']),
  draft_whence: (n) => one(n, ['SEEK_CUR', 'SEEK_END', 'SEEK_SET']),
  id: (n) => one(n, ['CLOCK_REALTIME', 'CLOCK_MONOTONIC', 'CLOCK_PROCESS_CPUTIME_ID', 'CLOCK_THREAD_CPUTIME_ID']),
  advice: (n) =>
    one(
      n,
      ['NORMAL', 'SEQUENTIAL', 'RANDOM', 'WILLNEED', 'DONTNEED', 'NOREUSE'].map((a) => `POSIX_FADV_${a}`),
    ),
  how: (n) => bits(n, ['SHUT_RD', 'SHUT_WR']),
  fst_flags: (n) => bits(n, ['ATIM', 'ATIM_NOW', 'MTIM', 'MTIM_NOW']),
  old_flags: (n) => bits(n, LOOKUP),
}

/** What strerror(3) of Linux says where our own message, which is node's, differs. */
const STRERROR: Readonly<Record<string, string>> = {
  EIO: 'Input/output error',
  EBUSY: 'Device or resource busy',
  EEXIST: 'File exists',
  EXDEV: 'Invalid cross-device link',
  EISDIR: 'Is a directory',
  ENOMEM: 'Cannot allocate memory',
  ENFILE: 'Too many open files in system',
  ENOLCK: 'No locks available',
  ESPIPE: 'Illegal seek',
  EROFS: 'Read-only file system',
  EDOM: 'Numerical argument out of domain',
  ERANGE: 'Numerical result out of range',
  EDEADLK: 'Resource deadlock avoided',
  ENAMETOOLONG: 'File name too long',
  ELOOP: 'Too many levels of symbolic links',
  EILSEQ: 'Invalid or incomplete multibyte or wide character',
  ENOTCONN: 'Transport endpoint is not connected',
  ETXTBSY: 'Text file busy',
  ENOTCAPABLE: 'Capabilities insufficient',
}

function strerror(answer: number): string {
  const code = errnoOf(answer)
  if (code === undefined) return String(answer)
  const text = STRERROR[code] ?? errorMessage(code).slice(code.length + 2)
  return `${code} (${text[0]!.toUpperCase()}${text.slice(1)})`
}

const hex = (value: Arg) => `0x${(typeof value === 'bigint' ? BigInt.asUintN(64, value) : value >>> 0).toString(16)}`

const ESCAPES: Readonly<Record<string, string>> = {
  ...{ '\n': '\\n', '\t': '\\t', '\r': '\\r', '\v': '\\v', '\f': '\\f', '"': '\\"', '\\': '\\\\' },
}
/** For replace: in octal, of three digits where a digit follows, as strace(1) does. */
const escaped = (char: string, at: number, text: string) =>
  ESCAPES[char] ??
  `\\${char
    .charCodeAt(0)
    .toString(8)
    .padStart(/[0-7]/.test(text[at + 1] ?? '') ? 3 : 1, '0')}`

/** A text in quotes, cut; bytes that are no text are told in octal. */
function quoted(bytes: Uint8Array, shown: number): string {
  const part = bytes.subarray(0, shown)
  const more = bytes.length > shown
  // The cut may go through a character.
  for (let cut = 0; cut < (more ? 4 : 1); cut++) {
    const text = decodeUtf8(part, 0, part.length - cut)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped
    if (text !== undefined) return `"${text.replace(/[\x00-\x1f"\\\x7f]/g, escaped)}"${more ? '...' : ''}`
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped
  return `"${String.fromCharCode(...part).replace(/[\x00-\x1f"\\\x7f-\xff]/g, escaped)}"${more ? '...' : ''}`
}

/** The guest's memory as it is now. */
class Memory {
  readonly bytes: Uint8Array
  readonly #view: DataView

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  slice(at: Arg, length: Arg): Uint8Array | undefined {
    const start = Number(at) >>> 0
    const end = start + (Number(length) >>> 0)
    return end <= this.bytes.length ? this.bytes.subarray(start, end) : undefined
  }

  /** A number that the guest can see; undefined where it is outside the memory. */
  number(at: Arg, wide: boolean): Arg | undefined {
    const start = Number(at) >>> 0
    if (start + (wide ? 8 : 4) > this.bytes.length) return undefined
    return wide ? this.#view.getBigUint64(start, true) : this.#view.getUint32(start, true)
  }

  /** What lies in iovecs: as one text, cut to `length` bytes; the address where they lead outside. */
  data(iovs: Arg, count: Arg, length = Number.POSITIVE_INFINITY): { text: string; total: number } | undefined {
    const parts: number[] = []
    let total = 0
    for (let i = 0; i < Number(count) >>> 0; i++) {
      if (i === IOVECS_SHOWN) return undefined
      const at = (Number(iovs) >>> 0) + i * 8
      const start = this.number(at, false)
      const size = this.number(at + 4, false)
      const part = start === undefined || size === undefined ? undefined : this.slice(start, size)
      if (part === undefined) return undefined
      total += part.length
      if (parts.length <= DATA_SHOWN) parts.push(...part.subarray(0, DATA_SHOWN + 1))
    }
    return { text: quoted(Uint8Array.from(parts.slice(0, length)), DATA_SHOWN), total }
  }
}

/** What a tracer knows of a guest's descriptors: where they lead. */
class Paths {
  readonly #paths: (string | undefined)[] = ['stdin', 'stdout', 'stderr']

  constructor(preopens: readonly Preopen[]) {
    for (const { fd, name } of preopens) this.#paths[fd] = name
  }

  shown(fd: Arg): string {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped
    const path = this.#paths[Number(fd)]?.replace(/[\x00-\x1f"\\\x7f<>]/g, escaped)
    return path === undefined ? String(fd) : `${fd}<${path}>`
  }

  /** A call has succeeded. */
  follow(name: string, args: readonly Arg[], result: Arg, path: string | undefined): void {
    const fd = Number(args[0])
    if (name === 'fd_close') this.#paths[fd] = undefined
    if (name === 'fd_renumber') {
      this.#paths[Number(args[1])] = this.#paths[fd]
      if (fd !== args[1]) this.#paths[fd] = undefined
    }
    if (name === 'path_open' && path !== undefined) this.#paths[Number(result)] = joined(this.#paths[fd], path)
  }
}

function joined(directory: string | undefined, path: string): string {
  const plain = path.replace(/^(\.\/+)+/, '').replace(/(\/\.)*\/*$/, '')
  if (directory === undefined || path.startsWith('/')) return path
  return plain === '' || plain === '.' ? directory : `${directory.replace(/\/$/, '')}/${plain}`
}

/** open(2)'s flags of path_open's many. */
function openFlags([, dirflags, , , oflags, base, , fdflags]: readonly Arg[]): string {
  const rights = BigInt(base!)
  const writes = (rights & BigInt(wasi.RIGHTS_FD_WRITE)) !== 0n
  const reads = (rights & BigInt(wasi.RIGHTS_FD_READ)) !== 0n
  const names = [writes ? (reads ? 'O_RDWR' : 'O_WRONLY') : 'O_RDONLY']
  if (oflags !== 0) names.push(bits(Number(oflags), ['O_CREAT', 'O_DIRECTORY', 'O_EXCL', 'O_TRUNC']))
  if (fdflags !== 0) names.push(bits(Number(fdflags), FDFLAGS))
  if (!(Number(dirflags) & 1)) names.push('O_NOFOLLOW')
  return names.join('|')
}

/** The arguments of a call as a line tells them; `result` once it has returned. */
function told(
  name: string,
  { params }: WasiFunction,
  args: readonly Arg[],
  memory: Memory,
  paths: Paths,
  result?: Arg,
) {
  const parts: string[] = []
  for (let i = 0; i < params.length; i++) {
    const param = params[i]!
    const plain = nameOf(param)
    const value = args[i]!
    if (param.endsWith('path:ptr')) {
      const bytes = memory.slice(value, args[++i]!)
      parts.push(bytes ? quoted(bytes, PATH_SHOWN) : hex(value))
    } else if (plain === 'iovs' || plain === 'si_data' || plain === 'ri_data') {
      const count = args[++i]!
      // What a read is to fill is told when it is there.
      const reads = name === 'fd_read' || name === 'fd_pread' || plain === 'ri_data'
      const data =
        reads && result === undefined ? undefined : memory.data(value, count, reads ? Number(result) : undefined)
      parts.push(data ? `${data.text}, ${data.total}` : `${hex(value)}, ${count}`)
    } else if (name === 'path_open' && plain === 'oflags') {
      parts.push(openFlags(args))
      break
    } else if (name === 'path_open' && plain === 'dirflags') continue
    else if (DESCRIPTORS.has(plain)) parts.push(paths.shown(value))
    else if (param in RESULTS) continue
    else if (plain in TOLD_AFTERWARDS)
      parts.push(result === undefined ? hex(value) : String(memory.number(value, TOLD_AFTERWARDS[plain]!)))
    else if (plain in NAMED) parts.push(NAMED[plain]!(Number(value)))
    else if (plain === 'flags') parts.push(bits(Number(value), name === 'fd_fdstat_set_flags' ? FDFLAGS : LOOKUP))
    else if (isAddress(param) || plain === 'base' || plain === 'inheriting') parts.push(hex(value))
    else parts.push(String(value))
  }
  return parts.join(', ')
}

/** What a call that succeeded gives: the number that it wrote for that, or 0. */
function resultOf({ params }: WasiFunction, args: readonly Arg[], memory: Memory): Arg {
  for (const [i, param] of params.entries()) {
    const wide = RESULTS[param]
    if (wide !== undefined) return memory.number(args[i]!, wide) ?? 0
  }
  return 0
}

/** The same table with every call told to `log` when it returns or ends the guest. */
export function strace(table: Table, log: (line: string) => void, options: StraceOptions = {}): Table {
  const { now, calls, preopens = [] } = options
  const paths = new Paths(preopens)
  const nothing = new Uint8Array(0)
  /** When the call that answered WAIT was first made. */
  let since: bigint | undefined
  const wrapped = Object.entries(table).map(([name, entry]) => {
    const call = entry.call as unknown as WasmFunction
    const pathAt = entry.params.findIndex((param) => param.endsWith('path:ptr'))
    const shown = calls === undefined || calls.includes(name)
    const traced = (...args: Arg[]) => {
      const start = since ?? now?.()
      // Of a call that ends the guest, and of memory that the call overwrites, only this is known.
      const before = new Memory(options.memory?.() ?? nothing)
      let answer: number
      try {
        answer = call(...args) as number
      } catch (error) {
        since = undefined
        if (shown) log(`${name}(${told(name, entry, args, before, paths)}) = ?`)
        throw error
      }
      if (answer === WAIT) {
        since = start
        return answer
      }
      since = undefined
      const memory = new Memory(options.memory?.() ?? nothing)
      const result = answer === SUCCESS ? resultOf(entry, args, memory) : undefined
      if (shown) {
        const line = `${name}(${told(name, entry, args, memory, paths, result)})`
        const time = start === undefined ? '' : ` <${(Number(now!() - start) / 1e9).toFixed(6)}>`
        log(`${line} = ${result ?? `-1 ${strerror(answer)}`}${time}`)
      }
      if (result !== undefined) {
        const path = pathAt < 0 ? undefined : memory.slice(args[pathAt]!, args[pathAt + 1]!)
        paths.follow(name, args, result, path && (decodeUtf8(path) ?? undefined))
      }
      return answer
    }
    return [name, { ...entry, call: withLength(traced, entry.params.length) }] as const
  })
  return Object.fromEntries(wrapped)
}

/** Wrappers around a table choose by the number of parameters, which a rest parameter hides. */
function withLength(call: WasmFunction, length: number): WasiFunction['call'] {
  Object.defineProperty(call, 'length', { value: length })
  return call as unknown as WasiFunction['call']
}
