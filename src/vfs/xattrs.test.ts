import { describe, expect, test } from 'vitest'
import { CAP_FOWNER, CAP_SYS_ADMIN, O_PATH, O_RDWR, O_TMPFILE, O_WRONLY } from '../abi/linux.ts'
import { decodeUtf8, encodeUtf8 } from '../abi/utf8.ts'
import { type Actor, inWorld, outcome } from '../testing/host-world.ts'
import type { FilesystemType } from './filesystem.ts'
import type { DirectoryInode, Filesystem } from './inode.ts'
import { XATTR_CREATE, XATTR_REPLACE } from './xattrs.ts'

const set = (by: Actor, path: string, name: string, value = 'v', flags = 0) =>
  by.host.setxattr(path, name, encodeUtf8(value), flags)

function get(by: Actor, path: string, name: string): string {
  const bytes = new Uint8Array(65_536)
  return decodeUtf8(bytes, 0, by.host.getxattr(path, name, bytes))!
}

function names(by: Actor, path: string): string[] {
  const bytes = new Uint8Array(65_536)
  return decodeUtf8(bytes, 0, by.host.listxattr(path, bytes))!.split('\0').slice(0, -1).sort()
}

const NONE = new Uint8Array()

test('an attribute is set, read, listed and removed by path, by link and by descriptor', () =>
  inWorld({}, (root) => {
    root.write('/f')
    root.task.symlinkat('f', -100, '/l')
    set(root, '/l', 'user.a', 'by path')
    root.host.lsetxattr('/l', 'trusted.b', encodeUtf8('of the link'), 0)
    const fd = root.open('/f')
    root.host.fsetxattr(fd, 'user.c', encodeUtf8('by fd'), 0)
    expect(names(root, '/f')).toEqual(['user.a', 'user.c'])
    const buffer = new Uint8Array(100)
    expect(decodeUtf8(buffer, 0, root.host.llistxattr('/l', buffer))).toBe('trusted.b\0')
    expect(decodeUtf8(buffer, 0, root.host.lgetxattr('/l', 'trusted.b', buffer))).toBe('of the link')
    expect(decodeUtf8(buffer, 0, root.host.fgetxattr(fd, 'user.a', buffer))).toBe('by path')
    root.host.lremovexattr('/l', 'trusted.b')
    root.host.fremovexattr(fd, 'user.c')
    root.host.removexattr('/l', 'user.a')
    expect(root.host.flistxattr(fd, NONE)).toBe(0)
    expect(root.host.llistxattr('/l', NONE)).toBe(0)
    root.task.close(fd)
  }))

test('A214 a file whose filesystem has no attributes has none, and none can be set, read or removed', () => {
  const plain: FilesystemType = {
    name: 'plain',
    userMountable: true,
    userListable: true,
    mount: ({ dev }) => {
      const root: DirectoryInode = {
        ...{
          kind: 'directory' as const,
          ino: 1,
          mode: 0o040755,
          uid: 0,
          gid: 0,
          nlink: 2,
          size: 0,
          blocks: 0,
          rdev: 0,
        },
        ...{ atime: 0n, mtime: 0n, ctime: 0n, btime: 0n },
        lookup: () => undefined,
        entries: () => [],
        isEmpty: () => true,
        setAttributes: () => {},
        touch: () => {},
        get filesystem() {
          return filesystem
        },
      }
      const filesystem: Filesystem = {
        ...{ type: 'plain', dev, root, readonly: false },
        usage: () => ({ type: 0, blockSize: 4096, blocks: 0, blocksFree: 0, files: 0, filesFree: 0 }),
      }
      return filesystem
    },
  }
  inWorld({ types: [plain] }, (root) => {
    root.mkdir('/m')
    root.vfs.attach(root.vfs.newMount(root.vfs.newFilesystem({ type: 'plain' })), root.place('/m'))
    expect(names(root, '/m')).toEqual([])
    const fd = root.open('/m')
    expect(root.host.flistxattr(fd, NONE)).toBe(0)
    root.task.close(fd)
    expect(outcome(() => set(root, '/m', 'user.a'))).toBe('EOPNOTSUPP')
    expect(outcome(() => get(root, '/m', 'user.a'))).toBe('EOPNOTSUPP')
    expect(outcome(() => root.host.removexattr('/m', 'user.a'))).toBe('EOPNOTSUPP')
    expect(outcome(() => get(root, '/m', 'system.posix_acl_access'))).toBe('EOPNOTSUPP')
  })
})

test('A215 a missing name is ENODATA, a small buffer ERANGE, an empty buffer asks for the length', () =>
  inWorld({}, (root) => {
    root.write('/f')
    set(root, '/f', 'user.a', '12345')
    expect(outcome(() => get(root, '/f', 'user.b'))).toBe('ENODATA')
    expect(outcome(() => root.host.removexattr('/f', 'user.b'))).toBe('ENODATA')
    expect(outcome(() => root.host.getxattr('/f', 'user.a', new Uint8Array(4)))).toBe('ERANGE')
    expect(root.host.getxattr('/f', 'user.a', new Uint8Array(5))).toBe(5)
    expect(root.host.getxattr('/f', 'user.a', NONE)).toBe(5)
    expect(outcome(() => root.host.listxattr('/f', new Uint8Array(6)))).toBe('ERANGE')
    expect(root.host.listxattr('/f', NONE)).toBe(7)
    set(root, '/f', 'user.empty', '')
    expect(root.host.getxattr('/f', 'user.empty', new Uint8Array(1))).toBe(0)
  }))

test('A216 XATTR_CREATE wants the name to be new, XATTR_REPLACE wants it to be there', () =>
  inWorld({}, (root) => {
    root.write('/f')
    expect(outcome(() => set(root, '/f', 'user.a', '1', XATTR_REPLACE))).toBe('ENODATA')
    set(root, '/f', 'user.a', '1', XATTR_CREATE)
    expect(outcome(() => set(root, '/f', 'user.a', '2', XATTR_CREATE))).toBe('EEXIST')
    set(root, '/f', 'user.a', '3', XATTR_REPLACE)
    expect(get(root, '/f', 'user.a')).toBe('3')
    // Both, as measured on Linux.
    expect(outcome(() => set(root, '/f', 'user.a', '4', XATTR_CREATE | XATTR_REPLACE))).toBe('EEXIST')
    expect(outcome(() => set(root, '/f', 'user.b', '4', XATTR_CREATE | XATTR_REPLACE))).toBe('ENODATA')
    expect(outcome(() => set(root, '/f', 'user.a', '4', 4))).toBe('EINVAL')
    expect(names(root, '/f')).toEqual(['user.a'])
  }))

test('A217 a name has 1 to 255 bytes, a value at most 64 KiB, a list at most 64 KiB; asked before the path is walked', () =>
  inWorld({}, (root) => {
    root.write('/f')
    const longest = `user.${'é'.repeat(125)}`
    set(root, '/f', longest)
    for (const name of ['', `${longest}x`]) {
      expect(outcome(() => set(root, '/missing', name))).toBe('ERANGE')
      expect(outcome(() => get(root, '/missing', name))).toBe('ERANGE')
      expect(outcome(() => root.host.removexattr('/missing', name))).toBe('ERANGE')
    }
    root.host.setxattr('/f', 'user.big', new Uint8Array(65_536), 0)
    expect(outcome(() => root.host.setxattr('/missing', 'user.b', new Uint8Array(65_537), 0))).toBe('E2BIG')
    expect(root.host.getxattr('/f', 'user.big', NONE)).toBe(65_536)
    for (let i = 0; i < 260; i++) set(root, '/f', `user.${String(i).padStart(250, '0')}`)
    expect(root.host.listxattr('/f', NONE)).toBeGreaterThan(65_536)
    expect(outcome(() => root.host.listxattr('/f', new Uint8Array(70_000)))).toBe('E2BIG')
  }))

describe('A218 names of users', () => {
  test('A218 another prefix is EOPNOTSUPP, a prefix alone EINVAL', () =>
    inWorld({}, (root) => {
      root.write('/f')
      for (const name of ['foo.x', 'user', 'system.other', 'os2.a']) {
        expect(outcome(() => set(root, '/f', name))).toBe('EOPNOTSUPP')
        expect(outcome(() => get(root, '/f', name))).toBe('EOPNOTSUPP')
        expect(outcome(() => root.host.removexattr('/f', name))).toBe('EOPNOTSUPP')
      }
      expect(outcome(() => set(root, '/f', 'user.'))).toBe('EINVAL')
    }))

  test.each(['fifo', 'socket', 'char'] as const)('A218 on a %s they are EPERM to set and ENODATA to read', (kind) =>
    inWorld({}, (root) => {
      root.mknod('/x', kind)
      expect(outcome(() => set(root, '/x', 'user.a'))).toBe('EPERM')
      expect(outcome(() => root.host.removexattr('/x', 'user.a'))).toBe('EPERM')
      expect(outcome(() => get(root, '/x', 'user.a'))).toBe('ENODATA')
      set(root, '/x', 'trusted.a')
    }),
  )

  test('A218 on a symlink they are EPERM to set and ENODATA to read', () =>
    inWorld({}, (root) => {
      root.task.symlinkat('x', -100, '/l')
      expect(outcome(() => root.host.lsetxattr('/l', 'user.a', NONE, 0))).toBe('EPERM')
      expect(outcome(() => root.host.lgetxattr('/l', 'user.a', NONE))).toBe('ENODATA')
    }))

  test('A218 on a sticky directory only its owner sets them', () =>
    inWorld({}, (root) => {
      root.mkdir('/d', 0o1777)
      const user = root.as(1000)
      expect(outcome(() => set(user, '/d', 'user.a'))).toBe('EPERM')
      expect(outcome(() => set(root.as(1001, { capabilities: CAP_FOWNER }), '/d', 'user.a'))).toBe('ok')
      expect(outcome(() => user.host.removexattr('/d', 'user.a'))).toBe('EPERM')
      expect(get(user, '/d', 'user.a')).toBe('v')
      root.chmod('/d', 0o777)
      expect(outcome(() => set(user, '/d', 'user.a'))).toBe('ok')
    }))
})

test('A219 trusted names are for CAP_SYS_ADMIN: others cannot set, read, remove or see them', () =>
  inWorld({}, (root) => {
    root.write('/f', '', 0o666)
    const user = root.as(1000)
    const admin = root.as(1001, { capabilities: CAP_SYS_ADMIN })
    set(admin, '/f', 'trusted.a')
    set(user, '/f', 'user.b')
    expect(outcome(() => set(user, '/f', 'trusted.a'))).toBe('EPERM')
    expect(outcome(() => user.host.removexattr('/f', 'trusted.a'))).toBe('EPERM')
    expect(outcome(() => get(user, '/f', 'trusted.a'))).toBe('ENODATA')
    expect(names(user, '/f')).toEqual(['user.b'])
    expect(names(admin, '/f')).toEqual(['trusted.a', 'user.b'])
    root.chmod('/f', 0)
    expect(get(admin, '/f', 'trusted.a')).toBe('v')
  }))

test('A220 D100 of security names only file capabilities can be set, by CAP_SETFCAP, well-formed; all may be read', () =>
  inWorld({}, (root) => {
    root.write('/f', '', 0o600)
    expect(outcome(() => set(root, '/f', 'security.selinux'))).toBe('EOPNOTSUPP')
    expect(outcome(() => root.host.removexattr('/f', 'security.selinux'))).toBe('EOPNOTSUPP')
    const capability = new Uint8Array(20)
    capability.set([0, 0, 0, 2, 1])
    expect(outcome(() => root.host.setxattr('/f', 'security.capability', capability.subarray(0, 19), 0))).toBe('EINVAL')
    expect(outcome(() => root.host.setxattr('/f', 'security.capability', NONE, 0))).toBe('EINVAL')
    root.host.setxattr('/f', 'security.capability', capability, 0)
    const user = root.as(1000)
    expect(outcome(() => user.host.setxattr('/f', 'security.capability', capability, 0))).toBe('EPERM')
    expect(outcome(() => user.host.removexattr('/f', 'security.capability'))).toBe('EPERM')
    expect(user.host.getxattr('/f', 'security.capability', NONE)).toBe(20)
    expect(outcome(() => get(user, '/f', 'security.selinux'))).toBe('ENODATA')
    root.host.removexattr('/f', 'security.capability')
    expect(names(root, '/f')).toEqual([])
  }))

test('B046 D096 a write, a change of size and one of owner take away file capabilities and set-id bits, whoever writes', () =>
  inWorld({}, (root) => {
    const capability = new Uint8Array(20)
    capability.set([0, 0, 0, 2, 1])
    const armed = (path: string) => {
      root.write(path, 'text')
      root.chmod(path, 0o6755)
      root.host.setxattr(path, 'security.capability', capability, 0)
      set(root, path, 'user.kept')
    }
    const disarmed = (path: string) => {
      expect(names(root, path)).toEqual(['user.kept'])
      expect(root.mode(path)).toBe(0o755)
    }
    armed('/written')
    const fd = root.open('/written', O_WRONLY)
    root.put(fd, 'x')
    root.task.close(fd)
    disarmed('/written')
    armed('/cut')
    root.task.truncate('/cut', 1)
    disarmed('/cut')
    // Measured on Linux: a change of owner that changes nothing, too.
    for (const [uid, gid] of [
      [5, 6],
      [-1, 7],
      [-1, -1],
    ] as const) {
      armed('/given')
      root.task.fchownat(-100, '/given', uid, gid, 0)
      disarmed('/given')
    }
    armed('/given')
    root.host.setAttributes('/given', { uid: 8 })
    disarmed('/given')
    armed('/moded')
    root.chmod('/moded', 0o700)
    expect(names(root, '/moded')).toEqual(['security.capability', 'user.kept'])
  }))

test('A222 an O_PATH descriptor gives no access to attributes', () =>
  inWorld({}, (root) => {
    root.write('/f')
    set(root, '/f', 'user.a')
    const fd = root.open('/f', O_PATH)
    expect(outcome(() => root.host.fgetxattr(fd, 'user.a', NONE))).toBe('EBADF')
    expect(outcome(() => root.host.fsetxattr(fd, 'user.a', NONE, 0))).toBe('EBADF')
    expect(outcome(() => root.host.fremovexattr(fd, 'user.a'))).toBe('EBADF')
    expect(outcome(() => root.host.flistxattr(fd, NONE))).toBe('EBADF')
    root.task.close(fd)
  }))

test('B068 A364 reading a user name wants read permission, setting and removing write permission', () =>
  inWorld({}, (root) => {
    root.write('/f', '', 0o604)
    set(root, '/f', 'user.a')
    const user = root.as(1000)
    expect(get(user, '/f', 'user.a')).toBe('v')
    expect(outcome(() => set(user, '/f', 'user.a'))).toBe('EACCES')
    expect(outcome(() => user.host.removexattr('/f', 'user.a'))).toBe('EACCES')
    root.chmod('/f', 0o602)
    expect(outcome(() => get(user, '/f', 'user.a'))).toBe('EACCES')
    expect(outcome(() => set(user, '/f', 'user.a', 'w'))).toBe('ok')
    // Names of an unknown prefix ask for permission first.
    expect(outcome(() => get(user, '/f', 'foo.x'))).toBe('EACCES')
    expect(names(user, '/f')).toEqual(['user.a'])
  }))

test('A389 a read-only mount refuses changes of attributes before it asks who owns the file', () =>
  inWorld({}, (root) => {
    root.write('/f')
    set(root, '/f', 'user.a')
    const user = root.as(1000)
    const { mount } = root.task.root
    mount.setFlags({ readonly: true })
    expect(outcome(() => set(user, '/f', 'trusted.a'))).toBe('EROFS')
    expect(outcome(() => user.host.removexattr('/f', 'user.a'))).toBe('EROFS')
    expect(outcome(() => set(root, '/f', 'system.posix_acl_access', 'nonsense'))).toBe('EROFS')
    expect(get(root, '/f', 'user.a')).toBe('v')
    mount.setFlags({})
  }))

test('A364 what is stored is a copy; a change moves ctime only', () =>
  inWorld({}, (root) => {
    root.write('/f')
    const before = root.stat('/f')
    root.clock.now += 5n
    const value = encodeUtf8('abc')
    root.host.setxattr('/f', 'user.a', value, 0)
    value[0] = 0
    const buffer = new Uint8Array(3)
    root.host.getxattr('/f', 'user.a', buffer)
    buffer[1] = 0
    expect(get(root, '/f', 'user.a')).toBe('abc')
    expect(root.stat('/f')).toEqual({ ...before, ctime: before.ctime + 5n })
  }))

test('attributes count against nr_inodes, 1024 bytes as one, until they or the file are gone', () =>
  inWorld({ data: 'nr_inodes=4' }, (root) => {
    const free = () => root.host.statfs('/').filesFree
    root.write('/f')
    expect(free()).toBe(2)
    root.host.setxattr('/f', 'user.a', new Uint8Array(1000), 0)
    expect(free()).toBe(0)
    expect(outcome(() => root.host.setxattr('/f', 'user.b', new Uint8Array(1000), 0))).toBe('ENOSPC')
    expect(outcome(() => root.host.setxattr('/f', 'user.a', new Uint8Array(3000), 0))).toBe('ENOSPC')
    expect(root.host.getxattr('/f', 'user.a', NONE)).toBe(1000)
    expect(outcome(() => root.write('/g'))).toBe('ENOSPC')
    root.host.setxattr('/f', 'user.a', new Uint8Array(10), 0)
    root.host.setxattr('/f', 'trusted.overlay.opaque', new Uint8Array(5000), 0)
    expect(free()).toBe(1)
    root.task.unlinkat(-100, '/f', 0)
    expect(free()).toBe(3)
    const fd = root.open('/', O_TMPFILE | O_RDWR)
    root.host.fsetxattr(fd, 'user.a', new Uint8Array(1000), 0)
    expect(free()).toBe(0)
    root.task.close(fd)
    expect(free()).toBe(3)
  }))
