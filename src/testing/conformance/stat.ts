/** What a file is, and setting it: stat(2), chmod(2), chown(2), truncate(2), access(2), statfs(2). */

import {
  AT_EACCESS,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  CAP_FSETID,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  R_OK,
  W_OK,
  X_OK,
} from '../../abi/linux.ts'
import { given } from './paths.ts'
import { cases, equal, fails, type Spec, spec } from './spec.ts'
import type { User } from './user.ts'

const ST_RDONLY = 1
const ST_NOSUID = 2
const ST_NODEV = 4
const ST_NOEXEC = 8
const ST_NOATIME = 1024
const MOUNT_FLAGS = ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME

/** Setgid stays where the group may not execute, for who is of it. */
function setIdGoes(root: User, who: User): void {
  root.file('f', 'text', 0o666)
  root.chown('f', -1, who === root ? 0 : 1000)
  const after = (mode: number, act: () => void) => {
    root.chmod('f', mode)
    act()
    return root.mode('f')
  }
  const open = (act: (fd: number) => void) => () => who.with('f', O_WRONLY, act)
  const cases: readonly (readonly [string, before: number, after: number, act: () => void])[] = [
    ['a write of nothing', 0o6777, 0o6777, open((fd) => who.write(fd, ''))],
    ['a write', 0o6777, 0o777, open((fd) => who.write(fd, 'x'))],
    ['a write where the group may not execute', 0o6767, 0o2767, open((fd) => who.write(fd, 'x'))],
    ['truncate to the same size', 0o6777, 0o777, () => who.truncate('f', 4)],
    ['O_TRUNC', 0o6777, 0o777, () => who.touch('f', O_WRONLY | O_TRUNC)],
    ['ftruncate', 0o6777, 0o777, open((fd) => who.sys.ftruncate(fd, 1))],
    ['fallocate', 0o6777, 0o777, open((fd) => who.sys.fallocate(fd, 0, 0, 9))],
  ]
  for (const [name, before, expected, act] of cases) equal(after(before, act).toString(8), expected.toString(8), name)
}

export const attributes: readonly Spec[] = [
  ...cases(
    [
      ['A203 truncate to a negative size', 'EINVAL', (u) => u.truncate('f', -1)],
      ['A203 truncate of nothing to a negative size', 'EINVAL', (u) => u.truncate('missing', -1)],
      ['A204 truncate of a directory', 'EISDIR', (u) => u.truncate('d', 0)],
      ['A204 truncate of nothing', 'ENOENT', (u) => u.truncate('missing', 0)],
      ['A204 truncate of a dangling link', 'ENOENT', (u) => u.truncate('dangling', 0)],
      ['A204 truncate of a file with a slash', 'ENOTDIR', (u) => u.truncate('f/', 0)],
      ['A046 truncate of an empty path', 'ENOENT', (u) => u.truncate('', 0)],
      ['A046 chmod of an empty path', 'ENOENT', (u) => u.chmod('', 0)],
      ['A046 chown of an empty path', 'ENOENT', (u) => u.chown('', 0)],
      ['A046 access of an empty path', 'ENOENT', (u) => u.access('', 0)],
      ['A190 chmod of a file with a slash', 'ENOTDIR', (u) => u.chmod('f/', 0)],
      ['A077 access with other bits', 'EINVAL', (u) => u.access('f', 8)],
      ['A077 access of nothing with other bits', 'EINVAL', (u) => u.access('missing', 8)],
      ['A076 access to nothing', 'ENOENT', (u) => u.access('missing', 0)],
      ['A076 access to a dangling link', 'ENOENT', (u) => u.access('dangling', 0)],
      ['A076 access to a directory', undefined, (u) => u.access('d', R_OK | W_OK | X_OK)],
    ],
    { given },
  ),
  ...cases(
    [
      ['A077 access with unknown flags', 'EINVAL', (u) => u.access('f', 0, 0x4000)],
      ['A077 access to a link itself', undefined, (u) => u.access('dangling', R_OK, AT_SYMLINK_NOFOLLOW)],
      [
        'A202 ftruncate of a file that is open for reading',
        'EINVAL',
        (u) => u.with('f', O_RDONLY, (fd) => u.sys.ftruncate(fd, 0)),
      ],
      ['A203 ftruncate to a negative size', 'EINVAL', (u) => u.with('f', O_RDWR, (fd) => u.sys.ftruncate(fd, -1))],
      ['A204 ftruncate of a directory', 'EINVAL', (u) => u.with('d', O_RDONLY, (fd) => u.sys.ftruncate(fd, 0))],
      ['A202 ftruncate of a descriptor that is not open', 'EBADF', (u) => u.sys.ftruncate(99, 0)],
      ['A224 fsync of a descriptor that is not open', 'EBADF', (u) => u.sys.fsync(99)],
      ['A224 fdatasync of a descriptor that is not open', 'EBADF', (u) => u.sys.fdatasync(99)],
      ['B069 fsync of a file', undefined, (u) => u.with('f', O_RDONLY, (fd) => u.sys.fsync(fd))],
      ['B069 fdatasync of a directory', undefined, (u) => u.with('d', O_RDONLY, (fd) => u.sys.fdatasync(fd))],
      ['A211 statfs of nothing', 'ENOENT', (u) => u.sys.statfs('missing')],
      ['A211 statfs of a file with a slash', 'ENOTDIR', (u) => u.sys.statfs('f/')],
    ],
    { given, needs: ['calls'] },
  ),
  spec(
    'A204 truncate of what is no file',
    (root) => {
      for (const kind of ['fifo', 'socket'] as const) {
        root.mknod(kind, kind)
        fails('EINVAL', () => root.truncate(kind, 0))
      }
      root.mknod('char', 'char', 0o644, 5)
      fails('EINVAL', () => root.truncate('char', 0))
    },
    { needs: ['nodes'] },
  ),
  spec('A190 stat follows a last link, lstat does not', (root) => {
    root.file('f', 'text')
    root.symlink('f', 'l')
    equal([root.stat('l').size, root.lstat('l').size, root.kind('l')], [4, 1, 'symlink'])
    root.with('l', O_RDONLY, (fd) => equal(root.sys.fstat(fd).ino, root.stat('f').ino))
  }),
  spec(
    'A194 A360 chmod is for the owner, and knows no umask',
    (root, { user }) => {
      root.file('f')
      const u = user(1000)
      u.sys.umask(0o077)
      fails('EPERM', () => u.chmod('f', 0o777))
      root.chown('f', 1000)
      u.chmod('f', 0o7777 & ~0o2000)
      equal(root.mode('f'), 0o5777)
      fails('EPERM', () => user(1001).chmod('f', 0o777))
      root.chmod('f', 0)
      u.chmod('f', 0o600)
      equal(root.kind('f'), 'file')
    },
    { needs: ['users'] },
  ),
  spec('A194 chmod through a link changes its target', (root) => {
    root.file('f')
    root.symlink('f', 'l')
    root.chmod('l', 0o600)
    equal([root.mode('f'), root.mode('l')], [0o600, 0o777])
  }),
  spec(
    'A194 a link has no mode to be changed',
    (root) => {
      root.symlink('f', 'l')
      fails('EOPNOTSUPP', () => root.sys.fchmodat(AT_FDCWD, 'l', 0o600, AT_SYMLINK_NOFOLLOW))
      equal(root.mode('l'), 0o777)
    },
    { needs: ['calls'] },
  ),
  spec(
    'A195 chmod drops setgid for who is not of the group, on directories too',
    (root, { user }) => {
      const [stranger, member] = [user({ uid: 1000, gid: 1000 }), user({ uid: 1000, gid: 1000, groups: [50] })]
      const able = user({ uid: 1000, gid: 1000, capabilities: CAP_FSETID })
      for (const kind of ['file', 'directory']) {
        if (kind === 'file') root.file(kind)
        else root.mkdir(kind)
        root.chown(kind, 1000, 50)
        stranger.chmod(kind, 0o6770)
        equal(root.mode(kind), 0o4770, `${kind} by a stranger`)
        member.chmod(kind, 0o6770)
        equal(root.mode(kind), 0o6770, `${kind} by a member`)
        able.chmod(kind, 0o2755)
        equal(root.mode(kind), 0o2755, `${kind} with CAP_FSETID`)
      }
    },
    { needs: ['users'] },
  ),
  spec(
    'A196 chown: the owner may give a file to a group of theirs, root may all',
    (root, { user }) => {
      root.file('f')
      root.chown('f', 1000, 1000)
      const u = user({ uid: 1000, gid: 1000, groups: [50] })
      u.chown('f', -1, 50)
      u.chown('f', 1000, 1000)
      u.chown('f', -1, -1)
      for (const [uid, gid] of [
        [1001, -1],
        [-1, 60],
        [1000, 60],
        [0, 0],
      ] as const)
        fails('EPERM', () => u.chown('f', uid, gid))
      const other = user({ uid: 1001, gid: 50, groups: [1000] })
      for (const [uid, gid] of [
        [-1, 50],
        [1000, -1],
        [-1, 1000],
      ] as const)
        fails('EPERM', () => other.chown('f', uid, gid))
      equal([root.stat('f').uid, root.stat('f').gid], [1000, 1000])
      root.chown('f', 7, 8)
      root.chown('f', -1, 9)
      equal([root.stat('f').uid, root.stat('f').gid], [7, 9])
    },
    { needs: ['users'] },
  ),
  spec('A196 chown of a link changes the link', (root) => {
    root.file('f')
    root.symlink('f', 'l')
    root.chown('l', 7, 8)
    equal([root.lstat('l').uid, root.stat('f').uid], [7, 0])
    root.sys.fchownat(AT_FDCWD, 'l', 9, -1, 0)
    equal([root.lstat('l').uid, root.stat('f').uid], [7, 9])
  }),
  spec('A197 A361 chown clears setuid, and setgid where the group may execute, but for directories', (root) => {
    root.file('f')
    const after = (mode: number, uid: number, gid: number) => {
      root.chmod('f', mode)
      root.chown('f', uid, gid)
      return root.mode('f')
    }
    equal(after(0o6755, 7, -1), 0o755)
    equal(after(0o6745, 7, 7), 0o2745)
    equal(after(0o6755, -1, 8), 0o755)
    equal(after(0o6755, 7, 8), 0o755)
    equal(after(0o6755, -1, -1), 0o755)
    root.mkdir('d')
    root.chmod('d', 0o6755)
    root.chown('d', 7, 7)
    equal(root.mode('d'), 0o6755)
  }),
  spec(
    "A197 A195 the owner's own chown clears setgid of a group that they are not in",
    (root, { user }) => {
      root.file('f')
      root.chown('f', 1000, 50)
      root.chmod('f', 0o2745)
      user({ uid: 1000, gid: 1000 }).chown('f', -1, -1)
      equal(root.mode('f'), 0o745)
    },
    { needs: ['users'] },
  ),
  spec('A206 A361 B046 writing and cutting clear set-id bits', (root, { user }) => setIdGoes(root, user(1000)), {
    needs: ['users', 'calls'],
  }),
  spec('A206 A361 B046 they clear them for root, too', (root) => setIdGoes(root, root), { needs: ['own-way'] }),
  spec(
    'A202 truncate asks for permission, ftruncate for a writable descriptor',
    (root, { user }) => {
      root.file('f', 'text', 0o644)
      const u = user(1000)
      fails('EACCES', () => u.truncate('f', 0))
      root.chown('f', 1000)
      u.with('f', O_RDWR, (fd) => {
        root.chmod('f', 0o444)
        fails('EACCES', () => u.truncate('f', 0))
        u.sys.ftruncate(fd, 2)
      })
      equal(root.text('f'), 'te')
    },
    { needs: ['users'] },
  ),
  spec(
    'A205 A363 no file grows past the limit of the process',
    (root, { user }) => {
      root.chmod('.', 0o777)
      const u = user({ uid: 1000, fileSize: 10 })
      const fd = u.open('f', O_RDWR | O_CREAT)
      equal([u.write(fd, '12345678'), u.write(fd, 'abcd'), u.sys.fstat(fd).size], [8, 2, 10])
      fails('EFBIG', () => u.write(fd, 'x'))
      fails('EFBIG', () => u.pwrite(fd, 'x', 20))
      equal(u.pwrite(fd, 'yy', 9), 1)
      fails('EFBIG', () => u.sys.ftruncate(fd, 11))
      fails('EFBIG', () => u.truncate('f', 11))
      fails('EFBIG', () => u.sys.fallocate(fd, 0, 0, 11))
      u.sys.ftruncate(fd, 10)
      equal(u.pread(fd, 20, 0), '12345678ay')
      u.close(fd)
    },
    { needs: ['users', 'calls'] },
  ),
  spec(
    'A076 A077 access goes by the real ids, and by the class that matches',
    (root, { user }) => {
      root.file('f', 'text', 0o640)
      root.chown('f', 1000, 50)
      const outcomes = (u: typeof root) =>
        [R_OK, W_OK, X_OK].map((mode) => {
          try {
            u.access('f', mode)
            return true
          } catch {
            return false
          }
        })
      equal(outcomes(user(1000)), [true, true, false])
      equal(outcomes(user({ uid: 1001, gid: 50 })), [true, false, false])
      equal(outcomes(user({ uid: 1001, gid: 1001, groups: [50] })), [true, false, false])
      equal(outcomes(user(1001)), [false, false, false])
      equal(outcomes(root), [true, true, false])
      user(1000).access('f', R_OK, AT_EACCESS)
    },
    { needs: ['users', 'calls'] },
  ),
  spec(
    'A076 A389 access on a read-only mount: permission first, then the mount',
    (root, { mounts, user }) => {
      root.mkdir('m')
      mounts.tmpfs('/m', 'mode=755')
      root.file('m/f', 'text', 0o644)
      root.mknod('m/fifo', 'fifo', 0o666)
      mounts.remount('/m', { readonly: true, noexec: true })
      fails('EROFS', () => root.access('m/f', W_OK))
      fails('EROFS', () => root.access('m', W_OK))
      root.access('m/f', R_OK)
      root.access('m/fifo', W_OK)
      fails('EACCES', () => user(1000).access('m/f', W_OK))
      fails('EACCES', () => root.access('m/f', X_OK))
      root.access('m', X_OK)
    },
    { needs: ['mounts', 'users', 'nodes'] },
  ),
  spec(
    'A078 the working directory must be a directory that can be searched',
    (root, { user }) => {
      root.mkdir('d')
      root.file('d/x')
      root.mkdir('locked', 0o644)
      root.file('f')
      root.symlink('d', 'l')
      const u = user(1000)
      fails('ENOTDIR', () => u.sys.chdir('f'))
      fails('ENOENT', () => u.sys.chdir('missing'))
      fails('EACCES', () => u.sys.chdir('locked'))
      u.sys.chdir('l')
      equal(u.text('x'), 'text')
      u.sys.chdir('..')
      fails('ENOENT', () => u.stat('x'))
      root.sys.chdir('d')
      u.sys.chdir('d')
      root.rename('../d', '../e')
      equal(u.text('x'), 'text')
      root.sys.chdir('..')
    },
    { needs: ['users', 'calls'] },
  ),
  spec(
    'A211 B067 statfs tells the filesystem and its mount',
    (root, { mounts }) => {
      root.mkdir('m')
      mounts.tmpfs('/m', 'size=1m,nr_inodes=100')
      root.file('m/f', 'x'.repeat(5000))
      mounts.remount('/m', { nosuid: true, nodev: true, noexec: true, noatime: true })
      const { flags, ...stat } = root.sys.statfs('m/f')
      equal(
        [stat.type, stat.blockSize, stat.blocks, stat.blocksFree, stat.files, stat.filesFree, stat.nameMax],
        [0x01021994, 4096, 256, 254, 100, 98, 255],
      )
      equal(flags & MOUNT_FLAGS, ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME)
      mounts.remount('/m', { readonly: true })
      equal(root.sys.statfs('m').flags & MOUNT_FLAGS, ST_RDONLY)
      equal(root.sys.statfs('m/..').flags & MOUNT_FLAGS, 0)
    },
    { needs: ['mounts', 'calls'] },
  ),
]
