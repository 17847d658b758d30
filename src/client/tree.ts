/**
 * Trees of files as a page has them, to the tree that the kernel takes (abi/tree.ts). Nothing is checked or read here: the
 * kernel refuses a faulty tree, and Files stay where they are until a program reads them.
 */

import type { Tree, TreeContent, TreeEntry } from '../abi/tree.ts'

/** What is in a file. Text is UTF-8. A URL is fetched when the file is first needed. */
export type FileContent = string | Uint8Array | ArrayBuffer | Blob | URL

/** What else may be said of a file. */
export interface FileAttributes {
  /** Permission bits, such as 0o755. */
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  /** Milliseconds, or nanoseconds as bigint, since the epoch. */
  readonly mtime?: number | bigint | Date
}

export type FileSpec =
  | FileContent
  /** `size` spares the kernel fetching a URL merely to list it. */
  | (FileAttributes & { readonly data: FileContent; readonly size?: number })
  | (FileAttributes & { readonly symlink: string })
  | (FileAttributes & { readonly directory: true })

export type FilePair = readonly [path: string, file: FileSpec]

/**
 * What is at each path; or a list of such pairs, of Files (as `input.files` and a drop give them, placed by
 * `webkitRelativePath` where they have one) or of entries; or a tree that was made before.
 */
export type Files = Tree | Readonly<Record<string, FileSpec>> | Iterable<TreeEntry | File | FilePair>

/**
 * Makes a tree of files.
 *
 *     tree({ 'main.c': 'int main() {}', 'bin/cc': { data: wasm, mode: 0o755 }, lib: { symlink: 'usr/lib' } })
 *     tree(input.files)
 *
 * Directories on the way are made. A path may begin with './', and that of a directory may end with '/', as in a tar.
 * Errors: TypeError for a file without content.
 */
export function tree(files: Files): Tree {
  if (isTree(files)) return files
  const entries: TreeEntry[] = []
  for (const item of Symbol.iterator in files
    ? (files as Iterable<TreeEntry | File | FilePair>)
    : Object.entries(files)) {
    if (item instanceof Blob) entries.push(entryOf(item.webkitRelativePath || item.name, item))
    else entries.push('kind' in item ? item : entryOf(...item))
  }
  return { entries }
}

const isTree = (files: Files): files is Tree => Array.isArray((files as Tree).entries)

interface Description extends FileAttributes {
  readonly data?: FileContent
  readonly size?: number
  readonly symlink?: string
  readonly directory?: true
}

function entryOf(path: string, spec: FileSpec): TreeEntry {
  const { data, size, symlink, directory, mtime, ...owner }: Description = isContent(spec) ? { data: spec } : spec
  const common = {
    ...owner,
    ...(mtime !== undefined && { mtime: mtime instanceof Date ? +mtime : mtime }),
    path: path.replace(/^(\.\/)+/, ''),
  }
  if (symlink !== undefined) return { ...common, kind: 'symlink', target: symlink }
  if (directory) return { ...common, kind: 'directory', path: common.path.replace(/\/$/, '') }
  if (data === undefined) throw new TypeError(`'${path}' must have data, a symlink, or directory: true`)
  return { ...common, kind: 'file', content: contentOf(data, size) }
}

const isContent = (spec: FileSpec): spec is FileContent =>
  typeof spec === 'string' ||
  spec instanceof Uint8Array ||
  spec instanceof ArrayBuffer ||
  spec instanceof Blob ||
  spec instanceof URL

function contentOf(data: FileContent, size: number | undefined): TreeContent {
  if (typeof data === 'string') return new TextEncoder().encode(data)
  if (data instanceof ArrayBuffer) return new Uint8Array(data)
  if (data instanceof URL) return { url: data.href, ...(size !== undefined && { size }) }
  return data
}
