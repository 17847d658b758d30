/**
 * A tree of files that the page hands to the kernel: the wire type, which the structured clone can carry.
 *
 * It is flat, like a tar: one entry per file, in any order. Directories that no entry names are made (0755, owner 0:0).
 * The kernel checks it when it is handed in (fs/gofer/build.ts lists the rules) and never changes it.
 */

/** A Blob or a File, as far as the core may know it: something with a size that the host can read. */
export interface BlobLike {
  readonly size: number
  readonly type: string
  slice(start?: number, end?: number): BlobLike
  /** Milliseconds since the epoch; a File has it. */
  readonly lastModified?: number
}

/** A file that is fetched when it is first needed: at the first read, or at the first lookup if no size is given. */
export interface UrlContent {
  /** Absolute: the kernel does not know the page's address. */
  readonly url: string
  /** Bytes. What the server sends must have this size. */
  readonly size?: number
}

export type TreeContent = Uint8Array | BlobLike | UrlContent

export interface TreeEntry {
  /** Relative, names parted by one '/' each, without '.' and '..'. Empty for the root itself. */
  readonly path: string
  readonly kind: 'file' | 'directory' | 'symlink'
  /** Of a file; an empty file if left out. The bytes belong to the kernel from then on. */
  readonly content?: TreeContent
  /** Of a symlink. */
  readonly target?: string
  /** Permission, set-id and sticky bits (07777). Files 0644, directories 0755, symlinks 0777 if left out. */
  readonly mode?: number
  /** 0 if left out. */
  readonly uid?: number
  readonly gid?: number
  /** Nanoseconds since the epoch as bigint, milliseconds as number; a File's lastModified, or else the present, if left out. */
  readonly mtime?: bigint | number
}

/** An only entry with an empty path and kind 'file' makes a tree whose root is that file, to be bound over a file. */
export interface Tree {
  readonly entries: readonly TreeEntry[]
}
