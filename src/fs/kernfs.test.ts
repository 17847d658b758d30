import { describe, expect, test } from 'vitest'
import { AT_FDCWD, AT_REMOVEDIR, O_CREAT, O_DIRECTORY, O_RDWR, O_WRONLY, SEEK_END } from '../abi/linux.ts'
import { decodeUtf8 } from '../abi/utf8.ts'
import { MountCalls } from '../kernel/mount-calls.ts'
import { inWorld, outcome, type World } from '../testing/host-world.ts'
import type { FilesystemType } from '../vfs/filesystem.ts'
import { statFsOf } from '../vfs/statfs.ts'
import { getXattr, listXattrs } from '../vfs/xattrs.ts'
import {
  type Child,
  type Children,
  type DirectoryNode,
  directory,
  file,
  KernfsFilesystem,
  link,
  type Node,
} from './kernfs.ts'

/** What a test mounts at /k. */
interface Options {
  readonly fixed?: boolean
  readonly strict?: boolean
}

/** Directories that can be made, removed and renamed; and names that the test makes come and go. */
class Living implements Children {
  readonly changes = true
  readonly nodes = new Map<string, Node>()

  find(name: string): Node | undefined {
    return this.nodes.get(name)
  }

  *list(): Generator<Child> {
    let cookie = 3
    for (const [name, node] of this.nodes) yield { name, node, cookie: cookie++ }
  }

  makeDirectory(name: string): void {
    this.nodes.set(name, directory(new Living(), { mode: 0o755 }))
  }

  removeDirectory(name: string): void {
    this.nodes.delete(name)
  }

  rename(name: string, to: Living, newName: string): void {
    to.nodes.set(newName, this.nodes.get(name)!)
    this.nodes.delete(name)
  }
}

function inKernfs(options: Options, run: (root: World, children: Living) => void): void {
  const children = new Living()
  let written = 'hello\n'
  const root: DirectoryNode = directory({
    hello: file(() => written),
    note: file(() => written, {
      write(text) {
        written = text
      },
    }),
    closed: { kind: 'file', mode: 0o200, write: () => {} },
    link: link('hello'),
    live: directory(children, { mode: 0o755 }),
    table: directory({ x: file(() => 'x') }),
  })
  const type: FilesystemType = {
    name: 'test',
    userMountable: true,
    userListable: true,
    mount: ({ dev, clock }) => new KernfsFilesystem({ type: 'test', dev, clock, magic: 0x1234, root, ...options }),
  }
  inWorld({ types: [type] }, (world) => {
    world.mkdir('/k')
    new MountCalls(world.vfs, world.task).mount('/k', { type: 'test', source: 'none', flags: 0, data: '' })
    run(world, children)
  })
}

const names = (root: World, path: string): string[] => {
  const fd = root.open(path, O_DIRECTORY)
  const found = root.task.getdents(fd, 2, 1e6).map(({ name }) => name)
  root.task.close(fd)
  return found
}

describe('kernfs', () => {
  test('reads, writes, links and lists', () =>
    inKernfs({}, (root) => {
      expect(names(root, '/k')).toEqual(['hello', 'note', 'closed', 'link', 'live', 'table'])
      expect(root.read('/k/link')).toBe('hello\n')
      root.write('/k/note', 'new')
      expect([root.read('/k/hello'), root.stat('/k/hello').size]).toEqual(['new', 0])
      expect(root.stat('/k').nlink).toBe(4)
    }))

  test('a file has one inode number, in listings and by its name', () =>
    inKernfs({}, (root) => {
      const fd = root.open('/k', O_DIRECTORY)
      for (const { name, ino } of root.task.getdents(fd, 2, 1e6)) {
        expect(root.task.fstatat(AT_FDCWD, `/k/${name}`, 0x100).ino).toBe(ino)
      }
      root.task.close(fd)
    }))

  test('B198 B201 what cannot be made: search, dots, length, what is there, write permission, then that nothing is made', () =>
    inKernfs({}, (root) => {
      const stranger = root.as(7)
      expect(outcome(() => root.mkdir('/k/hello/x'))).toBe('ENOTDIR')
      expect(outcome(() => root.mkdir('/k/.'))).toBe('EEXIST')
      expect(outcome(() => root.mkdir(`/k/${'x'.repeat(256)}`))).toBe('ENAMETOOLONG')
      expect(outcome(() => root.mkdir('/k/hello'))).toBe('EEXIST')
      expect(outcome(() => stranger.mkdir('/k/x'))).toBe('EACCES')
      expect(outcome(() => stranger.open('/k/x', O_CREAT | O_WRONLY))).toBe('EACCES')
      expect(outcome(() => root.mkdir('/k/x'))).toBe('EPERM')
      expect(outcome(() => root.mkdir('/k/x/'))).toBe('EPERM')
      expect(outcome(() => root.mknod('/k/x', 'fifo'))).toBe('EPERM')
      expect(outcome(() => root.task.symlinkat('a', AT_FDCWD, '/k/x'))).toBe('EPERM')
      // Linux: open(2) of a directory that makes no files is EACCES, measured on sysfs.
      expect(outcome(() => root.open('/k/x', O_CREAT | O_WRONLY))).toBe('EACCES')
      expect(outcome(() => root.task.linkat(AT_FDCWD, '/k/hello', AT_FDCWD, '/k/x', 0))).toBe('EPERM')
      expect(outcome(() => root.task.unlinkat(AT_FDCWD, '/k/hello', 0))).toBe('EPERM')
      expect(outcome(() => root.task.unlinkat(AT_FDCWD, '/k/table', AT_REMOVEDIR))).toBe('EPERM')
      expect(outcome(() => root.task.renameat2(AT_FDCWD, '/k/hello', AT_FDCWD, '/k/y', 0))).toBe('EPERM')
      const mounts = new MountCalls(root.vfs, root.task)
      mounts.mount('/k', { type: '', source: '', flags: 0x21, data: '' })
      expect(outcome(() => root.mkdir('/k/x'))).toBe('EROFS')
      expect(outcome(() => root.open('/k/x', O_CREAT | O_WRONLY))).toBe('EROFS')
    }))

  test('B201 in a fixed one a name that is not there cannot even be asked for', () =>
    inKernfs({ fixed: true }, (root) => {
      const stranger = root.as(7)
      expect(outcome(() => stranger.mkdir('/k/x'))).toBe('ENOENT')
      expect(outcome(() => root.open('/k/x', O_CREAT | O_WRONLY))).toBe('ENOENT')
      expect(outcome(() => root.task.renameat2(AT_FDCWD, '/k/hello', AT_FDCWD, '/k/y', 0))).toBe('ENOENT')
      expect(outcome(() => root.task.renameat2(AT_FDCWD, '/k/hello', AT_FDCWD, '/k/note', 0))).toBe('EPERM')
      expect(outcome(() => root.mkdir('/k/hello'))).toBe('EEXIST')
    }))

  test('B198 in a directory that is gone nothing is made', () =>
    inKernfs({}, (root, children) => {
      root.mkdir('/k/live/d')
      root.task.chdir('/k/live/d')
      children.nodes.delete('d')
      expect(outcome(() => root.stat('/k/live/d'))).toBe('ENOENT')
      expect(outcome(() => root.mkdir('x'))).toBe('ENOENT')
      root.task.chdir('/')
    }))

  test('B199 a name that stands for something else is looked up anew, and what was below it is gone', () =>
    inKernfs({}, (root, children) => {
      const inner = () => directory({ f: file(() => 'one') }, { mode: 0o755 })
      children.nodes.set('d', inner())
      const { ino } = root.stat('/k/live/d/f')
      expect(root.stat('/k/live/d/f').ino).toBe(ino)
      const held = root.open('/k/live/d/f')
      const place = root.place('/k/live/d/f')
      children.nodes.set('d', inner())
      expect(root.stat('/k/live/d/f').ino).not.toBe(ino)
      expect(place.dentry.dead).toBe(true)
      expect(root.get(held)).toBe('one')
      root.task.close(held)
      children.nodes.delete('d')
      expect(outcome(() => root.stat('/k/live/d/f'))).toBe('ENOENT')
      expect(names(root, '/k/live')).toEqual([])
    }))

  test('B199 what is mounted on a name that goes is unmounted', () =>
    inKernfs({}, (root, children) => {
      children.nodes.set('d', directory({}))
      const mounts = new MountCalls(root.vfs, root.task)
      mounts.mount('/k/live/d', { type: 'tmpfs', source: 'none', flags: 0, data: '' })
      expect(mounts.mounts).toContain('/k/live/d')
      children.nodes.delete('d')
      expect(outcome(() => root.stat('/k/live/d'))).toBe('ENOENT')
      expect(mounts.mounts).not.toContain('/k/live/d')
    }))

  test('B200 there are no extended attributes', () =>
    inKernfs({}, (root) => {
      const inode = root.inode('/k/hello')
      expect(outcome(() => getXattr(root.task, inode, 'user.a'))).toBe('EOPNOTSUPP')
      expect(listXattrs(root.task, inode)).toEqual([])
    }))

  test('B202 directories that can be made are removed and renamed, but not onto one that is there', () =>
    inKernfs({}, (root) => {
      root.mkdir('/k/live/a')
      root.mkdir('/k/live/b')
      const rename = (from: string, to: string) => root.task.renameat2(AT_FDCWD, from, AT_FDCWD, to, 0)
      expect(outcome(() => rename('/k/live/a', '/k/live/b'))).toBe('EEXIST')
      rename('/k/live/a', '/k/live/c')
      expect(names(root, '/k/live')).toEqual(['b', 'c'])
      root.task.unlinkat(AT_FDCWD, '/k/live/c', AT_REMOVEDIR)
      expect(outcome(() => root.stat('/k/live/c'))).toBe('ENOENT')
      expect(outcome(() => root.open('/k/live/f', O_CREAT | O_WRONLY))).toBe('EACCES')
      expect(outcome(() => root.mknod('/k/live/f', 'file'))).toBe('EPERM')
    }))

  test('B203 a link is not opened; statfs is Linux’s: a number, and no blocks', () =>
    inKernfs({}, (root) => {
      expect(outcome(() => root.open('/k/link', 0o400000))).toBe('ELOOP')
      expect(statFsOf(root.place('/k').mount)).toMatchObject({ type: 0x1234, blocks: 0, files: 0, nameLength: 255 })
    }))

  test('B204 a size is ignored by files and refused by directories; a mode is kept', () =>
    inKernfs({}, (root) => {
      root.task.truncate('/k/note', 3)
      expect([root.read('/k/note'), root.stat('/k/note').size]).toEqual(['hello\n', 0])
      expect(outcome(() => root.task.truncate('/k/table', 0))).toBe('EISDIR')
      root.chmod('/k/note', 0o600)
      root.chown('/k/note', 3, 4)
      expect(root.stat('/k/note')).toMatchObject({ uid: 3, gid: 4 })
      expect(root.mode('/k/note')).toBe(0o600)
    }))

  test('B204 the mode of what is somebody’s cannot be changed', () =>
    inKernfs({}, (root, children) => {
      let uid = 5
      children.nodes.set(
        'f',
        file(() => '', { owner: () => ({ uid, gid: 6 }) }),
      )
      expect(outcome(() => root.chmod('/k/live/f', 0o777))).toBe('EPERM')
      root.chown('/k/live/f', 1, 1)
      expect(root.stat('/k/live/f')).toMatchObject({ uid: 5, gid: 6 })
      uid = 8
      expect(root.stat('/k/live/f').uid).toBe(8)
    }))

  test('B205 the end of a directory is at 0', () =>
    inKernfs({}, (root) => {
      const fd = root.open('/k', O_DIRECTORY)
      expect(root.task.lseek(fd, 0, SEEK_END)).toBe(0)
      expect(root.task.lseek(fd, 5, SEEK_END)).toBe(5)
      expect(outcome(() => root.task.lseek(fd, -1, SEEK_END))).toBe('EINVAL')
      root.task.close(fd)
    }))

  test('a file that cannot be written says so to a write, or where the type is strict to an open', () => {
    inKernfs({}, (root) => {
      const fd = root.open('/k/hello', O_RDWR)
      expect(outcome(() => root.put(fd, 'x'))).toBe('EIO')
      root.task.close(fd)
      expect(outcome(() => root.read('/k/closed'))).toBe('EIO')
    })
    inKernfs({ strict: true }, (root) => {
      expect(outcome(() => root.open('/k/hello', O_RDWR))).toBe('EACCES')
      expect(outcome(() => root.open('/k/closed'))).toBe('EACCES')
      root.task.close(root.open('/k/closed', O_WRONLY))
    })
  })

  test('an inode is read without an open file, too', () =>
    inKernfs({}, (root) => {
      const inode = root.inode('/k/hello')
      const bytes = new Uint8Array(3)
      if (inode.kind === 'file') inode.read(bytes, 0, 3, 1, root.task.attempt)
      expect(decodeUtf8(bytes)).toBe('ell')
    }))
})
