/** What a page says to serve a filesystem. */

/** Of a file, by the names of inode(7). What is left out has a usual value. */
export interface FuseAttributes {
  /** 'file' if left out. */
  readonly kind?: 'file' | 'directory' | 'symlink'
  /** Bytes. Programs read on until they get no more, but many ask first. */
  readonly size?: number
  /** Permission bits: 0o644 if left out, 0o755 of a directory, 0o777 of a link. */
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly nlink?: number
  /** Milliseconds since the epoch, or nanoseconds as bigint. The time when it was first asked for if left out. */
  readonly mtime?: number | bigint | Date
  readonly atime?: number | bigint | Date
  readonly ctime?: number | bigint | Date
}

/** An entry of a directory. By its name alone it is looked up. */
export type FuseEntry = string | { readonly name: string; readonly kind: 'file' | 'directory' | 'symlink' }

/** statfs(2): blocks of `blockSize` bytes. */
export interface FuseUsage {
  readonly blockSize?: number
  readonly blocks: number
  readonly blocksFree: number
  readonly files?: number
  readonly filesFree?: number
}

/** Who asks. */
export interface FuseRequest {
  readonly uid: number
  readonly gid: number
  /** 0: the page's own `container.fs`. */
  readonly pid: number
  /** Aborted when nobody waits for the answer any more: the program was killed. */
  readonly signal: AbortSignal
}

type Answer<T> = T | Promise<T>

/**
 * What a filesystem can do, all by absolute paths in it, `/` being its root; each may be async. What is left out it can't: without
 * an operation that changes something it is read-only. An error with a `code` of Linux (`ENOENT`, `EACCES`) is what programs see;
 * any other is EIO, and is told on the console.
 *
 * A file's content is given and taken whole, by `readFile` and `writeFile`, or in pieces, by `read` and `write`. Whole, it is read
 * when a program opens the file, and written when it closes or syncs it. `handle` is what `open` or `create` gave.
 */
export interface FuseOperations<Handle = unknown> {
  /** undefined: there is no such file. Left out, what `readdir` lists is a directory and what `readFile` reads a file. */
  getattr?(path: string, request: FuseRequest): Answer<FuseAttributes | undefined>
  /** Without `.` and `..`; undefined: it is no directory. */
  readdir?(path: string, request: FuseRequest): Answer<Iterable<FuseEntry> | undefined>
  readlink?(path: string, request: FuseRequest): Answer<string>
  /** undefined: there is no such file. */
  readFile?(path: string, request: FuseRequest): Answer<Uint8Array | string | undefined>
  writeFile?(path: string, content: Uint8Array<ArrayBuffer>, request: FuseRequest): Answer<void>
  /** Flags are those of open(2). */
  open?(path: string, flags: number, request: FuseRequest): Answer<Handle>
  create?(path: string, mode: number, flags: number, request: FuseRequest): Answer<Handle>
  /** Up to `length` bytes from `offset`; fewer only where the file ends. */
  read?(path: string, offset: number, length: number, handle: Handle, request: FuseRequest): Answer<Uint8Array>
  /** Gives how many bytes were taken; nothing: all. */
  write?(
    path: string,
    content: Uint8Array<ArrayBuffer>,
    offset: number,
    handle: Handle,
    request: FuseRequest,
  ): Answer<number | undefined> | Answer<void>
  truncate?(path: string, size: number, request: FuseRequest): Answer<void>
  unlink?(path: string, request: FuseRequest): Answer<void>
  mkdir?(path: string, mode: number, request: FuseRequest): Answer<void>
  rmdir?(path: string, request: FuseRequest): Answer<void>
  /** What has the new name is replaced; with `exchange` the two names are swapped. */
  rename?(from: string, to: string, exchange: boolean, request: FuseRequest): Answer<void>
  symlink?(target: string, path: string, request: FuseRequest): Answer<void>
  link?(existing: string, path: string, request: FuseRequest): Answer<void>
  chmod?(path: string, mode: number, request: FuseRequest): Answer<void>
  /** An id of -1 stays. */
  chown?(path: string, uid: number, gid: number, request: FuseRequest): Answer<void>
  /** Nanoseconds; undefined stays. */
  utimens?(path: string, atime: bigint | undefined, mtime: bigint | undefined, request: FuseRequest): Answer<void>
  statfs?(request: FuseRequest): Answer<FuseUsage>
  fsync?(path: string, handle: Handle, request: FuseRequest): Answer<void>
  /** A descriptor is closed: the program hears of an error. */
  flush?(path: string, handle: Handle, request: FuseRequest): Answer<void>
  /** The last descriptor was closed. */
  release?(path: string, handle: Handle): Answer<void>
}

export interface FuseServerOptions {
  /** Seconds for which the kernel need not ask again what is where, and what it is like. 0 if left out: it is always current. */
  readonly timeout?: number
}
