/** For tests of verity: trees that are measured, looked at from end to end, and flipped bit by bit. */

import { toHex } from '../abi/hex.ts'
import { verityType } from '../fs/verity/sha256.ts'
import type { VerityLower } from '../fs/verity/verity.ts'
import type { DirectoryInode, FileInode, Inode } from '../vfs/inode.ts'
import type { Superblock } from '../vfs/mount.ts'
import type { Vfs } from '../vfs/vfs.ts'
import { Attempt, WouldBlock } from '../vfs/waiting.ts'
import { none, Shell } from './trees.ts'

/** A verity filesystem over a directory; without a hash trees may be built. */
export function verityOver(
  vfs: Vfs,
  lower: Inode,
  {
    hash = '',
    name = 'root',
    attempt,
    ...rest
  }: { hash?: string; name?: string; attempt?: Attempt } & Partial<VerityLower> = {},
): Superblock {
  if (!vfs.types.lookup('verity')) vfs.types.register(verityType)
  const internal: VerityLower = { lower, ...rest }
  return vfs.newFilesystem({ type: 'verity', data: `root_hash=${hash},root_name=${name}`, internal, attempt })
}

/** Does what may have to wait, until it is done. */
export function waited<T>(act: (attempt: Attempt) => T): T {
  const attempt = new Attempt()
  for (;;) {
    try {
      const result = act(attempt)
      attempt.end()
      return result
    } catch (thrown) {
      if (!(thrown instanceof WouldBlock)) throw thrown
    }
  }
}

/** Builds the trees of all below a directory; gives the hash of its root. */
export function seal(vfs: Vfs, lower: Inode, name = 'root'): string {
  const shell = new Shell(
    vfs,
    waited((attempt) => verityOver(vfs, lower, { name, attempt })),
  )
  const { inode } = shell.place('/').dentry
  shell.call((task) => inode.enableVerity!(task.attempt))
  const hash = toHex(inode.measureVerity!()!)
  shell.end()
  return hash
}

/** Reads all there is: every listing, every attribute, every byte. */
export function readAll(inode: Inode, attempt = none): void {
  inode.refresh?.(attempt)
  for (const name of inode.xattrs?.keys() ?? []) inode.xattrs!.get(name)
  if (inode.kind === 'symlink') inode.readlink(attempt)
  if (inode.kind === 'file') {
    const bytes = new Uint8Array(inode.size)
    inode.read(bytes, 0, bytes.length, 0, attempt)
  }
  if (inode.kind !== 'directory') return
  for (const { name } of inode.entries(0, attempt)) readAll(inode.lookup(name, attempt)!, attempt)
}

/** One bit of something, and what it is: flips it, and flips it back. */
export interface Flip {
  readonly what: string
  flip(): () => void
}

/** All inodes below a directory, hidden ones too, with the place of each. */
export function* everything(
  root: Inode,
  path = '/',
  parent?: DirectoryInode,
): Generator<{ path: string; name: string; inode: Inode; parent: DirectoryInode | undefined }> {
  yield { path, name: path.slice(path.lastIndexOf('/') + 1), inode: root, parent }
  if (root.kind !== 'directory') return
  for (const { name } of [...root.entries(0, none)]) {
    yield* everything(root.lookup(name, none)!, `${path === '/' ? '' : path}/${name}`, root)
  }
}

/** Every bit of the content of a file. */
export function* contentFlips(path: string, file: FileInode): Generator<Flip> {
  for (let bit = 0; bit < file.size * 8; bit++) yield contentFlip(path, file, bit)
}

export function contentFlip(path: string, file: FileInode, bit: number): Flip {
  const at = Math.floor(bit / 8)
  const turn = () => {
    const byte = new Uint8Array(1)
    file.read(byte, 0, 1, at, none)
    byte[0]! ^= 1 << (bit % 8)
    file.write!(byte, 0, 1, at, none)
  }
  return {
    what: `bit ${bit % 8} of byte ${at} of ${path}`,
    flip() {
      turn()
      return turn
    },
  }
}

/** Every bit of what is known of an inode but its content: mode, ids, time, size, attributes. */
export function* attributeFlips(path: string, inode: Inode): Generator<Flip> {
  const change = (what: string, now: object, then: object): Flip => ({
    what: `${what} of ${path}`,
    flip() {
      inode.setAttributes(now, none)
      return () => inode.setAttributes(then, none)
    },
  })
  const { mode, uid, gid, mtime } = inode
  for (let bit = 0; bit < 12; bit++)
    yield change(`bit ${bit} of the mode`, { mode: (mode & 0o7777) ^ (1 << bit) }, { mode: mode & 0o7777 })
  for (let bit = 0; bit < 32; bit++) {
    yield change(`bit ${bit} of the owner`, { uid: (uid ^ (1 << bit)) >>> 0 }, { uid })
    yield change(`bit ${bit} of the group`, { gid: (gid ^ (1 << bit)) >>> 0 }, { gid })
  }
  for (let bit = 0n; bit < 63n; bit++) yield change(`bit ${bit} of the time`, { mtime: mtime ^ (1n << bit) }, { mtime })
  for (const name of [...(inode.xattrs?.keys() ?? [])]) {
    const value = inode.xattrs!.get(name)!
    const put = (now: Uint8Array) => () => void inode.xattrs!.set(name, now)
    for (let bit = 0; bit < value.length * 8; bit++) {
      const turned = value.slice()
      turned[bit >> 3]! ^= 1 << (bit & 7)
      yield {
        what: `bit ${bit} of attribute ${name} of ${path}`,
        flip() {
          put(turned)()
          return put(value)
        },
      }
    }
    yield {
      what: `attribute ${name} of ${path}`,
      flip() {
        inode.xattrs!.delete(name)
        return put(value)
      },
    }
  }
  if (inode.kind === 'file') {
    const { size } = inode
    for (let bit = 0; bit < 24; bit++) {
      yield {
        what: `bit ${bit} of the size of ${path}`,
        flip() {
          const bytes = new Uint8Array(size)
          inode.read(bytes, 0, size, 0, none)
          inode.truncate!(size ^ (1 << bit), none)
          return () => {
            inode.truncate!(size, none)
            inode.write!(bytes, 0, size, 0, none)
          }
        },
      }
    }
  }
}

/** Every bit of a name, as far as that leaves a name that is free. */
export function* nameFlips(path: string, name: string, inode: Inode, parent: DirectoryInode): Generator<Flip> {
  for (let bit = 0; bit < name.length * 7; bit++) {
    const at = Math.floor(bit / 7)
    const turned = name.slice(0, at) + String.fromCharCode(name.charCodeAt(at) ^ (1 << (bit % 7))) + name.slice(at + 1)
    if (/[/\0]/.test(turned) || turned === '.' || turned === '..' || parent.lookup(turned, none)) continue
    const move = (from: string, to: string) => parent.rename!(from, inode, parent, to, undefined, none)
    yield {
      what: `bit ${bit % 7} of letter ${at} of the name of ${path}`,
      flip() {
        move(name, turned)
        return () => move(turned, name)
      },
    }
  }
}

/** The entry goes; or something else comes into its place. */
export function* entryFlips(path: string, name: string, inode: Inode, parent: DirectoryInode): Generator<Flip> {
  const away = '.merkle.verity.away'
  const out = () => {
    parent.rename!(name, inode, parent, away, undefined, none)
    return () => parent.rename!(away, inode, parent, name, undefined, none)
  }
  yield { what: `the entry ${path}`, flip: out }
  const { mode, uid, gid, mtime } = inode
  for (const kind of ['file', 'directory', 'fifo', 'symlink'] as const) {
    if (kind === inode.kind) continue
    yield {
      what: `${path}, a ${kind} in its place`,
      flip() {
        const back = out()
        const what = { kind, mode: mode & 0o7777, uid, gid, now: mtime, ...(kind === 'symlink' && { target: 'x' }) }
        const other = parent.create!(name, what, none)
        return () => {
          parent.unlink!(name, other, none)
          back()
        }
      },
    }
  }
}

/** Every bit of a link's target, as far as that leaves one; by a link of the same attributes in its place. */
export function* targetFlips(path: string, name: string, inode: Inode, parent: DirectoryInode): Generator<Flip> {
  if (inode.kind !== 'symlink') return
  const target = inode.readlink(none)
  const away = '.merkle.verity.away'
  for (let bit = 0; bit < target.length * 7; bit++) {
    const at = Math.floor(bit / 7)
    const turned =
      target.slice(0, at) + String.fromCharCode(target.charCodeAt(at) ^ (1 << (bit % 7))) + target.slice(at + 1)
    if (turned.includes('\0')) continue
    yield {
      what: `bit ${bit % 7} of letter ${at} of the target of ${path}`,
      flip() {
        const { mode, uid, gid, mtime } = inode
        parent.rename!(name, inode, parent, away, undefined, none)
        const other = parent.create!(
          name,
          { kind: 'symlink', mode: mode & 0o7777, uid, gid, now: mtime, target: turned },
          none,
        )
        other.setAttributes({ mtime }, none)
        return () => {
          parent.unlink!(name, other, none)
          parent.rename!(away, inode, parent, name, undefined, none)
        }
      },
    }
  }
}

/** What was not there comes: beside an entry, with and without a tree. */
export function* additions(path: string, inode: Inode): Generator<Flip> {
  if (inode.kind !== 'directory') return
  for (const kind of ['file', 'directory', 'fifo'] as const) {
    yield {
      what: `a new ${kind} in ${path}`,
      flip() {
        const made = inode.create!('new', { kind, mode: 0o644, uid: 0, gid: 0, now: 1n }, none)
        return () => inode.unlink!('new', made, none)
      },
    }
  }
}

/** All of the above, of all that is below a directory. */
export function* allFlips(root: Inode): Generator<Flip> {
  for (const { path, name, inode, parent } of [...everything(root)]) {
    const hidden = name.startsWith('.merkle')
    if (inode.kind === 'file') yield* contentFlips(path, inode)
    if (!hidden) {
      yield* attributeFlips(path, inode)
      yield* additions(path, inode)
    }
    if (!parent) continue
    yield* nameFlips(path, name, inode, parent)
    yield* targetFlips(path, name, inode, parent)
    yield* entryFlips(path, name, inode, parent)
  }
}
