/**
 * `container.fs`: the files of a container as its processes see them, in the shape of node:fs/promises.
 *
 * Where it is not node's: paths are strings, absolute or relative to `/`; text is UTF-8; a file without an encoding is a
 * Uint8Array; streams are web streams. Errors are node's: `code`, `errno`, `syscall`, `path`, `dest` and the message.
 * The functions may be taken off the object: `const { readFile } = container.fs`.
 */

import * as linux from '../abi/linux.ts'
import {
  type Encoding,
  flagsOf,
  isText,
  type Mode,
  modeOf,
  type OpenFlags,
  pathOf,
  type Time,
  timeOf,
  type WriteData,
} from './arguments.ts'
import { bytesOf, inPieces } from './bytes.ts'
import {
  type CallFile,
  FileHandle,
  type ReadStreamOptions,
  readStream,
  textOr,
  type WriteStreamOptions,
  writeStream,
} from './file-handle.ts'
import { type BigIntStats, Dirent, type StatOptions, type Stats, statsOf } from './stats.ts'

type Bytes = Uint8Array<ArrayBuffer>

export interface WriteFileOptions {
  encoding?: Encoding | null
  /** Permission bits of a new file, less the umask; 0o666 if left out. */
  mode?: Mode
  flag?: OpenFlags
}

export interface ReadFileOptions {
  encoding?: Encoding | null
}

export interface ListOptions {
  encoding?: Encoding | null
  /** All that is below, too, but not through symbolic links. */
  recursive?: boolean
}

/** A path, or a handle that stands for one. */
type Target = string | FileHandle

/** See https://nodejs.org/api/fs.html#promises-api for each function; what differs is said here. */
export interface FileSystem {
  readonly constants: typeof constants
  /** EACCES, ENOENT, … unless the file may be used so: `constants.R_OK | constants.W_OK`; left out, whether it exists. */
  access(path: string, mode?: number): Promise<void>
  appendFile(path: Target, data: WriteData, options?: Encoding | WriteFileOptions | null): Promise<void>
  chmod(path: string, mode: Mode): Promise<void>
  chown(path: string, uid: number, gid: number): Promise<void>
  /** Copies inside the container, without sending the bytes through the page. `mode`: constants.COPYFILE_EXCL. */
  copyFile(from: string, to: string, mode?: number): Promise<void>
  /** A web stream of the file's bytes; a file that cannot be opened is the stream's error. */
  createReadStream(path: string, options?: ReadStreamOptions & { flags?: OpenFlags }): ReadableStream<Bytes>
  /** A web stream that writes a file. Its `close()` resolves when all is written and the file is closed. */
  createWriteStream(
    path: string,
    options?: WriteStreamOptions & { flags?: OpenFlags; mode?: Mode },
  ): WritableStream<Uint8Array | string>
  /**
   * In a mount of verity that has no root hash: writes beside each file what it is, for a directory all that is below, which from then on is
   * checked when it is read. Gives the hash that stands for all of it. EEXIST for what was measured before; ENOTTY elsewhere.
   */
  enableVerity(path: string): Promise<string>
  lchown(path: string, uid: number, gid: number): Promise<void>
  link(existing: string, path: string): Promise<void>
  lstat(path: string, options: StatOptions & { bigint: true }): Promise<BigIntStats>
  lstat(path: string, options?: StatOptions): Promise<Stats>
  lutimes(path: string, atime: Time, mtime: Time): Promise<void>
  /** Recursive: gives the first directory that was made, undefined if all were there. */
  mkdir(path: string, options?: Mode | { recursive?: boolean; mode?: Mode } | null): Promise<string | undefined>
  /** Makes a FIFO, a pipe with a name: mkfifo(3). node:fs has no such call. */
  mkfifo(path: string, mode?: Mode): Promise<void>
  /** Makes a directory of a new name that starts with `prefix`, for this user only; gives its path. */
  mkdtemp(prefix: string): Promise<string>
  open(path: string, flags?: OpenFlags, mode?: Mode): Promise<FileHandle>
  readdir(path: string, options: ListOptions & { withFileTypes: true }): Promise<Dirent[]>
  readdir(path: string, options?: Encoding | (ListOptions & { withFileTypes?: false }) | null): Promise<string[]>
  readFile(path: Target, options?: (ReadFileOptions & { encoding?: null }) | null): Promise<Bytes>
  readFile(path: Target, options: Encoding | { encoding: Encoding }): Promise<string>
  readlink(path: string): Promise<string>
  realpath(path: string): Promise<string>
  rename(from: string, to: string): Promise<void>
  rm(path: string, options?: { force?: boolean; recursive?: boolean }): Promise<void>
  rmdir(path: string): Promise<void>
  stat(path: string, options: StatOptions & { bigint: true }): Promise<BigIntStats>
  stat(path: string, options?: StatOptions): Promise<Stats>
  symlink(target: string, path: string): Promise<void>
  /** Resolves when all that was written so far, to whatever volume, is on disk. ENOSPC, EIO, ESTALE. */
  sync(): Promise<void>
  truncate(path: string, length?: number): Promise<void>
  unlink(path: string): Promise<void>
  /** Times in seconds since the epoch, or Dates. */
  utimes(path: string, atime: Time, mtime: Time): Promise<void>
  /** `data` in one piece arrives in one call; in pieces (a Blob, a stream, an iterable) the file grows as they come. */
  writeFile(path: Target, data: WriteData, options?: Encoding | WriteFileOptions | null): Promise<void>
}

const constants = {
  F_OK: 0,
  R_OK: linux.R_OK,
  W_OK: linux.W_OK,
  X_OK: linux.X_OK,
  COPYFILE_EXCL: 1,
  O_RDONLY: linux.O_RDONLY,
  O_WRONLY: linux.O_WRONLY,
  O_RDWR: linux.O_RDWR,
  O_CREAT: linux.O_CREAT,
  O_EXCL: linux.O_EXCL,
  O_TRUNC: linux.O_TRUNC,
  O_APPEND: linux.O_APPEND,
  O_DIRECTORY: linux.O_DIRECTORY,
  O_NOFOLLOW: linux.O_NOFOLLOW,
  O_NOATIME: linux.O_NOATIME,
  O_NONBLOCK: linux.O_NONBLOCK,
  O_DSYNC: linux.O_DSYNC,
  O_SYNC: linux.O_SYNC,
} as const

/** @internal */
export function fileSystem(call: CallFile): FileSystem {
  const open = async (path: string, flags: OpenFlags = 'r', mode: Mode = 0o666) =>
    new FileHandle(call, await call('open', [pathOf(path), flagsOf(flags), modeOf(mode)]))

  const writer =
    (flag: OpenFlags) => async (path: Target, data: WriteData, given?: Encoding | WriteFileOptions | null) => {
      if (path instanceof FileHandle) return path.writeFile(data)
      isText(given)
      const options = typeof given === 'object' && given !== null ? given : {}
      const flags = options.flag ?? flag
      const mode = options.mode ?? 0o666
      if (!inPieces(data)) {
        const bytes = bytesOf(data, 'data')
        return call('writeFile', [pathOf(path), bytes, flagsOf(flags), modeOf(mode)], [bytes.buffer])
      }
      const handle = await open(path, flags, mode)
      try {
        await handle.writeFile(data)
      } finally {
        await handle.close()
      }
    }

  const stat = (name: 'stat' | 'lstat') => async (path: string, options?: StatOptions) =>
    statsOf(await call(name, [pathOf(path)]), options)

  const chown = (follow: boolean) => async (path: string, uid: number, gid: number) =>
    call('chown', [pathOf(path), uid, gid, follow])

  const utimes = (follow: boolean) => async (path: string, atime: Time, mtime: Time) =>
    call('utimes', [pathOf(path), timeOf(atime), timeOf(mtime), follow])

  const onPath =
    <C extends 'enableVerity' | 'readlink' | 'realpath' | 'rmdir' | 'unlink'>(name: C) =>
    async (path: string) =>
      (call as (name: C, args: [string]) => ReturnType<CallFile>)(name, [pathOf(path)])

  const onTwo =
    (name: 'rename' | 'link' | 'symlink', first: string, second: string) => async (from: string, to: string) =>
      call(name, [pathOf(from, first), pathOf(to, second)])

  const fs = {
    constants,
    open,
    access: async (path: string, mode = 0) => call('access', [pathOf(path), mode]),
    appendFile: writer('a'),
    writeFile: writer('w'),
    chmod: async (path: string, mode: Mode) => call('chmod', [pathOf(path), modeOf(mode)]),
    chown: chown(true),
    lchown: chown(false),
    copyFile: async (from: string, to: string, mode = 0) =>
      call('copyFile', [pathOf(from, 'src'), pathOf(to, 'dest'), (mode & constants.COPYFILE_EXCL) !== 0]),
    createReadStream(path: string, options: ReadStreamOptions & { flags?: OpenFlags } = {}) {
      pathOf(path)
      return readStream(() => open(path, options.flags), options, true)
    },
    createWriteStream(path: string, options: WriteStreamOptions & { flags?: OpenFlags; mode?: Mode } = {}) {
      pathOf(path)
      return writeStream(() => open(path, options.flags ?? 'w', options.mode), options)
    },
    link: onTwo('link', 'existingPath', 'newPath'),
    rename: onTwo('rename', 'oldPath', 'newPath'),
    symlink: onTwo('symlink', 'target', 'path'),
    stat: stat('stat'),
    lstat: stat('lstat'),
    utimes: utimes(true),
    lutimes: utimes(false),
    async mkdir(path: string, given?: Mode | { recursive?: boolean; mode?: Mode } | null) {
      const options = typeof given === 'object' && given !== null ? given : { mode: given ?? undefined }
      const { recursive = false, mode = 0o777 } = options as { recursive?: boolean; mode?: Mode }
      return call('mkdir', [pathOf(path), modeOf(mode), recursive])
    },
    mkfifo: async (path: string, mode: Mode = 0o666) => call('mkfifo', [pathOf(path), modeOf(mode)]),
    async mkdtemp(prefix: string) {
      for (;;) {
        const random = crypto.getRandomValues(new Uint32Array(1))[0]!
        const path = pathOf(prefix, 'prefix') + random.toString(36).padStart(6, '0').slice(-6)
        try {
          await call('mkdir', [path, 0o700, false])
          return path
        } catch (error) {
          if ((error as { code?: string }).code !== 'EEXIST') throw error
        }
      }
    },
    async readdir(path: string, options?: Encoding | (ListOptions & { withFileTypes?: boolean }) | null) {
      isText(options)
      const { recursive = false, withFileTypes = false } = typeof options === 'object' ? (options ?? {}) : {}
      const entries = await call('readdir', [pathOf(path), recursive])
      const under = (directory: string, name: string) => (directory ? `${directory.replace(/\/$/, '')}/${name}` : name)
      return entries.map((entry) =>
        withFileTypes
          ? new Dirent(entry, entry.parent ? under(path, entry.parent) : path)
          : under(entry.parent, entry.name),
      )
    },
    async readFile(path: Target, options?: Encoding | ReadFileOptions | null) {
      if (path instanceof FileHandle) return path.readFile(options as Encoding)
      isText(options)
      return textOr(await call('readFile', [pathOf(path)]), options)
    },
    enableVerity: onPath('enableVerity'),
    readlink: onPath('readlink'),
    realpath: onPath('realpath'),
    rmdir: onPath('rmdir'),
    unlink: onPath('unlink'),
    rm: async (path: string, { force = false, recursive = false } = {}) => call('rm', [pathOf(path), recursive, force]),
    sync: async () => call('sync', []),
    truncate: async (path: string, length = 0) => call('truncate', [pathOf(path), Math.max(0, length)]),
  }
  return fs as unknown as FileSystem
}
