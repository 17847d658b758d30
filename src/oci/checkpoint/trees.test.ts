/** Trees of files through a checkpoint's bytes and back: everything that can be asked of them is as it was. */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '../../abi/linux.ts'
import type { FileKind } from '../../abi/syscalls.ts'
import { dumpFiles, loadFiles } from '../../fs/tmpfs/dump.ts'
import type { Tmpfs } from '../../fs/tmpfs/tmpfs.ts'
import { testVfs } from '../../testing/overlays.ts'
import { find, none, plant } from '../../testing/trees.ts'
import type { DirectoryInode, FileInode, Inode } from '../../vfs/inode.ts'
import { Missing } from '../../vfs/waiting.ts'
import { CheckpointWriter, readCheckpoint } from './format.ts'

const vfs = testVfs()
const newTmpfs = (data = '') => vfs.newFilesystem({ type: 'tmpfs', data }).filesystem as Tmpfs
const blob = (parts: readonly Uint8Array[]) => new Blob([...parts] as BlobPart[])

async function* bytesOf(parts: readonly unknown[], piece = 1 << 16): AsyncGenerator<Uint8Array> {
  const bytes = new Uint8Array(await new Blob([...parts] as BlobPart[]).arrayBuffer())
  for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece)
}

/** The filesystem as it comes back, in another one whose options are these. */
async function restored(from: Tmpfs, data = '', before: (root: Inode) => void = () => {}): Promise<Tmpfs> {
  const writer = new CheckpointWriter(blob, {})
  const missing = new Missing()
  dumpFiles(from, writer.tree(0), { attempt: none, missing })
  missing.wait()
  const { trees } = await readCheckpoint(bytesOf(writer.end(), 1000))
  const to = newTmpfs(data)
  before(to.root)
  loadFiles(to.root, { lastIno: from.lastIno, ...trees.get(0)! }, 'the checkpoint')
  return to
}

function* extentsOf(file: FileInode): Generator<number> {
  for (let at = file.nextData!(0, none); at !== undefined; ) {
    const end = file.nextHole!(at, none)!
    yield at
    yield end
    at = file.nextData!(end, none)
  }
}

/** All that stat, readdir, readlink, the xattr calls and lseek tell, by path. */
function described(inode: Inode, path = '/', found: Record<string, unknown> = {}): Record<string, unknown> {
  const { kind, ino, mode, uid, gid, nlink, size, blocks, rdev, atime, mtime, ctime, btime } = inode
  found[path] = {
    ...{ kind, ino, mode, uid, gid, nlink, size, blocks, rdev, atime, mtime, ctime, btime },
    xattrs: Object.fromEntries([...inode.xattrs!.keys()].map((key) => [key, [...inode.xattrs!.get(key)!]])),
    ...(inode.kind === 'symlink' && { target: inode.readlink(none) }),
    ...(inode.kind === 'file' && { extents: [...extentsOf(inode)], content: contentOf(inode) }),
    ...(inode.kind === 'directory' && {
      entries: [...inode.entries(0, none)].map(({ name, cookie, ino }) => [name, cookie, ino]),
    }),
  }
  if (inode.kind === 'directory')
    for (const { name } of inode.entries(0, none)) described(inode.lookup(name, none)!, `${path}${name}/`, found)
  return found
}

/** Its bytes where there are any. */
function contentOf(file: FileInode): string {
  const extents = [...extentsOf(file)]
  let text = ''
  for (let i = 0; i < extents.length; i += 2) {
    const bytes = new Uint8Array(Math.min(extents[i + 1]!, file.size) - extents[i]!)
    file.read(bytes, 0, bytes.length, extents[i]!, none)
    text += `${extents[i]}:${Buffer.from(bytes).toString('latin1')}`
  }
  return text
}

const usageOf = (filesystem: Tmpfs) => filesystem.usage()

test('every kind of file comes back, with its numbers, owners, times, attributes, links and cookies', async () => {
  const filesystem = newTmpfs()
  plant(filesystem.root, {
    'd/e/f': 'text',
    'd/again': { kind: 'file', sameAs: 'd/e/f' },
    empty: '',
    link: { kind: 'symlink', target: 'd/e' },
    long: { kind: 'symlink', target: 'x'.repeat(300) },
    pipe: { kind: 'fifo', mode: 0o600, uid: 7, gid: 9 },
    socket: { kind: 'socket' },
    null: { kind: 'char', rdev: 0x100003 },
    disk: { kind: 'block', rdev: 0x800001 },
    old: { kind: 'file', text: 'x', atime: -(2n ** 62n), mtime: 2n ** 70n },
    'with\nodd names é \u{1f600}': { kind: 'directory', mode: 0o1777 },
    attributes: {
      kind: 'file',
      text: 'x',
      xattrs: { 'user.a': '', 'security.b': 'b', 'system.posix_acl_access': 'acl', 'trusted.overlay.opaque': 'y' },
    },
  })
  const root = filesystem.root as DirectoryInode
  root.setAttributes({ mode: 0o750, uid: 1, gid: 2, atime: 3n, mtime: 4n, ctime: 5n }, none)
  root.unlink!('empty', root.lookup('empty', none)!, none)
  const back = await restored(filesystem)
  expect(described(back.root)).toEqual(described(filesystem.root))
  expect(usageOf(back)).toEqual(usageOf(filesystem))
  const made = (root: Inode) =>
    (root as DirectoryInode).create!('new', { kind: 'file', mode: 0o644, uid: 0, gid: 0, now: 1n }, none).ino
  expect(made(back.root)).toBe(made(filesystem.root))
})

test('holes, what is allocated behind the end, and limits that are smaller by now', async () => {
  const filesystem = newTmpfs()
  plant(filesystem.root, { sparse: 'head', allocated: 'text', large: 'x'.repeat(300_000) })
  const file = (name: string) => find(filesystem.root, name) as FileInode
  const tail = new TextEncoder().encode('tail')
  file('sparse').write!(tail, 0, 4, 2 ** 42, none)
  file('allocated').allocate!(FALLOC_FL_KEEP_SIZE, 0, 200_000, none)
  file('large').allocate!(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 100_000, none)
  const back = await restored(filesystem, 'size=4k,nr_inodes=2')
  expect(described(back.root)).toEqual(described(filesystem.root))
  expect(() => plant(back.root, { more: '' })).toThrow(/ENOSPC/)
  expect(back.usage().blocksFree).toBeLessThan(0)
})

test('a file that was copied from another one without reading it has its own bytes then', async () => {
  const filesystem = newTmpfs()
  plant(filesystem.root, { copy: '', whole: '' })
  const bytes = new Uint8Array(200_000).map((_, i) => i)
  const source = {
    size: bytes.length,
    read: (memory: Uint8Array, at: number, length: number, offset: number) =>
      memory.set(bytes.subarray(offset, offset + length), at),
  }
  const copy = find(filesystem.root, 'copy') as FileInode
  copy.adopt!(source)
  copy.write!(new Uint8Array([9]), 0, 1, 70_000, none)
  copy.write!(new Uint8Array([9]), 0, 1, 400_000, none)
  const content = contentOf(copy)
  const { borrowed = 0, blocks } = copy
  const back = find((await restored(filesystem)).root, 'copy') as FileInode
  expect(contentOf(back)).toBe(content)
  expect(back.blocks).toBe(blocks + borrowed)
})

test('what a new filesystem has already is gone', async () => {
  const filesystem = newTmpfs()
  plant(filesystem.root, { a: 'A' })
  const back = await restored(filesystem, '', (root) => plant(root, { 'x/y/z': 'Z', a: 'other' }))
  expect(described(back.root)).toEqual(described(filesystem.root))
  expect(usageOf(back)).toEqual(usageOf(filesystem))
})

test('a directory of many names, and many directories below each other', async () => {
  const filesystem = newTmpfs()
  plant(filesystem.root, Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`d/${i}`, ''])))
  let deepest = filesystem.root as DirectoryInode
  const what = { kind: 'directory', mode: 0o755, uid: 0, gid: 0, now: 0n } as const
  for (let depth = 0; depth < 3000; depth++) deepest = deepest.create!('d', what, none) as DirectoryInode
  const back = await restored(filesystem)
  const names = (root: Inode) => [...(find(root, 'd') as DirectoryInode).entries(0, none)].map(({ name }) => name)
  expect(names(back.root)).toEqual(names(filesystem.root))
  expect(back.usage()).toEqual(filesystem.usage())
})

const name = fc.constantFrom('a', 'b', 'c', 'longer name', 'é')
const attributes = fc.record({
  mode: fc.nat(0o7777),
  uid: fc.nat(2 ** 32 - 2),
  gid: fc.nat(2 ** 32 - 2),
  atime: fc.bigInt({ min: -(2n ** 66n), max: 2n ** 66n }),
  mtime: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n }),
})
type Action = (directory: DirectoryInode, all: Inode[]) => void
const kind: fc.Arbitrary<FileKind> = fc.constantFrom('file', 'directory', 'symlink', 'fifo', 'socket', 'char', 'block')
const some = <T>(all: readonly T[], which: number) => all[which % all.length]!
/** What one step does to some directory, or to some file of all. */
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.tuple(name, kind, fc.nat(0o777), fc.string({ maxLength: 200 }), fc.nat(2 ** 32 - 1)).map(
    ([name, kind, mode, target, rdev]): Action =>
      (directory, all) => {
        if (directory.lookup(name, none)) return
        all.push(directory.create!(name, { kind, mode, uid: 0, gid: 0, target, rdev, now: 5n }, none))
      },
  ),
  fc.tuple(fc.nat(), fc.nat(200_000), fc.uint8Array({ maxLength: 5000 })).map(
    ([which, offset, bytes]): Action =>
      (_, all) => {
        const file = some(all, which)
        if (file.kind === 'file' && bytes.length > 0) file.write!(bytes, 0, bytes.length, offset, none)
      },
  ),
  fc.tuple(fc.nat(), fc.nat(200_000), fc.integer({ min: 1, max: 100_000 }), fc.nat(3)).map(
    ([which, offset, length, mode]): Action =>
      (_, all) => {
        const file = some(all, which)
        if (file.kind !== 'file') return
        if (mode === 2) file.truncate!(offset, none)
        else
          file.allocate!(
            [0, FALLOC_FL_KEEP_SIZE, 0, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE][mode]!,
            offset,
            length,
            none,
          )
      },
  ),
  fc.tuple(name, fc.nat()).map(
    ([name, which]): Action =>
      (directory, all) => {
        const inode = some(all, which)
        if (inode.kind !== 'directory' && inode.nlink > 0 && !directory.lookup(name, none))
          directory.link!(name, inode, none)
      },
  ),
  name.map(
    (name): Action =>
      (directory) => {
        const inode = directory.lookup(name, none)
        if (inode && !(inode.kind === 'directory' && !inode.isEmpty(none))) directory.unlink!(name, inode, none)
      },
  ),
  fc.tuple(fc.nat(), attributes).map(
    ([which, changes]): Action =>
      (_, all) =>
        some(all, which).setAttributes(changes, none),
  ),
  fc.tuple(fc.nat(), fc.constantFrom('user.a', 'system.posix_acl_default'), fc.uint8Array({ maxLength: 40 })).map(
    ([which, key, value]): Action =>
      (_, all) =>
        void some(all, which).xattrs!.set(key, value),
  ),
)

test('any tree that actions can make comes back as it was', async () => {
  const actions = fc.array(fc.tuple(fc.nat(), action), { minLength: 1, maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(actions, async (steps) => {
      const filesystem = newTmpfs()
      const all: Inode[] = [filesystem.root]
      for (const [which, act] of steps) {
        const directories = all.filter((inode) => inode.kind === 'directory' && inode.nlink > 0)
        act(some(directories, which) as DirectoryInode, all)
        for (const inode of all.splice(0)) if (inode.nlink > 0) all.push(inode)
      }
      const back = await restored(filesystem)
      expect(described(back.root)).toEqual(described(filesystem.root))
      expect(back.usage()).toEqual(filesystem.usage())
    }),
    { numRuns: 200 },
  )
})
