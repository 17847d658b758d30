/** Opening files: open(2). */

import {
  AT_EMPTY_PATH,
  AT_SYMLINK_FOLLOW,
  O_ACCMODE,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_DSYNC,
  O_EXCL,
  O_NOATIME,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_SYNC,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  SEEK_SET,
} from '../../abi/linux.ts'
import { given } from './paths.ts'
import { cases, equal, fails, holds, type Spec, spec } from './spec.ts'

/** Nothing is registered under it. */
const NO_DEVICE = 200 * 0x100000 + 7

export const opening: readonly Spec[] = [
  ...cases(
    [
      ['A117 A133 opening a link with O_NOFOLLOW', 'ELOOP', (u) => u.touch('to-f', O_RDONLY | O_NOFOLLOW)],
      ['A117 O_NOFOLLOW is for the last name only', undefined, (u) => u.touch('to-d/x', O_RDONLY | O_NOFOLLOW)],
      ['A059 O_NOFOLLOW with O_DIRECTORY on a link', 'ENOTDIR', (u) => u.touch('to-d', O_DIRECTORY | O_NOFOLLOW)],
      ['A117 O_NOFOLLOW on a link with a slash behind', undefined, (u) => u.touch('to-d/', O_NOFOLLOW)],
      ['A118 opening a directory for writing', 'EISDIR', (u) => u.touch('d', O_WRONLY)],
      ['A118 opening a directory for both', 'EISDIR', (u) => u.touch('d', O_RDWR)],
      ['A118 opening a directory with O_TRUNC', 'EISDIR', (u) => u.touch('d', O_RDONLY | O_TRUNC)],
      ['A118 opening a directory with O_CREAT', 'EISDIR', (u) => u.touch('d', O_RDONLY | O_CREAT)],
      ['A118 opening a link to a directory with O_CREAT', 'EISDIR', (u) => u.touch('to-d', O_RDONLY | O_CREAT)],
      ['A118 opening a dot with O_CREAT', 'EISDIR', (u) => u.touch('.', O_RDONLY | O_CREAT)],
      ['A118 opening dot dot with O_CREAT', 'EISDIR', (u) => u.touch('d/..', O_RDONLY | O_CREAT)],
      ['A122 opening a dot with O_CREAT and O_EXCL', 'EEXIST', (u) => u.touch('.', O_CREAT | O_EXCL)],
      ['A120 O_DIRECTORY on a file', 'ENOTDIR', (u) => u.touch('f', O_DIRECTORY)],
      ['A120 O_DIRECTORY on a link to a file', 'ENOTDIR', (u) => u.touch('to-f', O_DIRECTORY)],
      ['A120 O_DIRECTORY on a directory', undefined, (u) => u.touch('d', O_DIRECTORY)],
      ['A120 O_DIRECTORY with writing on a file', 'ENOTDIR', (u) => u.touch('f', O_DIRECTORY | O_WRONLY)],
      ['A121 O_CREAT with a slash', 'EISDIR', (u) => u.touch('new/', O_CREAT | O_WRONLY)],
      ['A121 O_CREAT with a slash behind a file', 'EISDIR', (u) => u.touch('f/', O_CREAT | O_WRONLY)],
      ['A121 O_CREAT with a slash behind a directory', 'EISDIR', (u) => u.touch('d/', O_CREAT)],
      ['A121 O_CREAT and O_EXCL with a slash', 'EISDIR', (u) => u.touch('d/', O_CREAT | O_EXCL)],
      ['A122 O_EXCL on a file', 'EEXIST', (u) => u.touch('f', O_CREAT | O_EXCL)],
      ['A122 O_EXCL on a directory', 'EEXIST', (u) => u.touch('d', O_CREAT | O_EXCL)],
      ['A122 O_EXCL on a link', 'EEXIST', (u) => u.touch('to-f', O_CREAT | O_EXCL)],
      ['A122 O_EXCL on a dangling link', 'EEXIST', (u) => u.touch('dangling', O_CREAT | O_EXCL)],
      ['A122 O_EXCL on a link to itself', 'EEXIST', (u) => u.touch('loop', O_CREAT | O_EXCL)],
      ['A124 O_CREAT with O_NOFOLLOW on a link', 'ELOOP', (u) => u.touch('to-f', O_CREAT | O_NOFOLLOW)],
      ['A124 O_CREAT with O_NOFOLLOW on a dangling link', 'ELOOP', (u) => u.touch('dangling', O_CREAT | O_NOFOLLOW)],
      ['A124 O_CREAT with O_NOFOLLOW on nothing', undefined, (u) => u.touch('new', O_CREAT | O_NOFOLLOW)],
      ['A123 creating a file below what is missing', 'ENOENT', (u) => u.touch('missing/x', O_CREAT)],
      ['A123 creating a file below a file', 'ENOTDIR', (u) => u.touch('f/x', O_CREAT)],
      ['A129 creating a file with a long name', 'ENAMETOOLONG', (u) => u.touch('n'.repeat(256), O_CREAT)],
      ['A058 opening a dangling link', 'ENOENT', (u) => u.touch('dangling')],
      ['A060 opening a link to itself with O_CREAT', 'ELOOP', (u) => u.touch('loop', O_CREAT)],
      ['A119 a directory has no direct I/O', 'EINVAL', (u) => u.touch('d', O_DIRECT)],
    ],
    { given },
  ),
  ...cases(
    [
      ['A120 O_DIRECTORY with O_CREAT', 'EINVAL', (u) => u.touch('d', O_DIRECTORY | O_CREAT)],
      ['A120 O_DIRECTORY with O_CREAT on nothing', 'EINVAL', (u) => u.touch('new', O_DIRECTORY | O_CREAT)],
      ['A112 O_TMPFILE that cannot be written', 'EINVAL', (u) => u.touch('d', O_TMPFILE | O_RDONLY)],
      ['A112 O_TMPFILE with O_CREAT', 'EINVAL', (u) => u.touch('d', O_TMPFILE | O_RDWR | O_CREAT)],
      ['A112 O_TMPFILE without O_DIRECTORY', 'EINVAL', (u) => u.touch('d', (O_TMPFILE & ~O_DIRECTORY) | O_RDWR)],
      ['A385 O_PATH makes O_TMPFILE nothing', undefined, (u) => u.touch('d', O_TMPFILE | O_RDONLY | O_PATH)],
      ['A113 O_TMPFILE in a file', 'ENOTDIR', (u) => u.touch('f', O_TMPFILE | O_RDWR)],
      ['A113 O_TMPFILE in nothing', 'ENOENT', (u) => u.touch('missing', O_TMPFILE | O_RDWR)],
      ['A115 O_PATH with O_DIRECTORY on a file', 'ENOTDIR', (u) => u.touch('f', O_PATH | O_DIRECTORY)],
      [
        'A115 O_PATH with O_DIRECTORY and O_NOFOLLOW on a link',
        'ENOTDIR',
        (u) => u.touch('to-d', O_PATH | O_DIRECTORY | O_NOFOLLOW),
      ],
      ['A385 O_PATH makes nothing', 'ENOENT', (u) => u.touch('new', O_PATH | O_CREAT)],
      ['A385 O_PATH with O_EXCL on a file', undefined, (u) => u.touch('f', O_PATH | O_CREAT | O_EXCL)],
      ['A385 O_PATH with writing on a directory', undefined, (u) => u.touch('d', O_PATH | O_RDWR | O_TRUNC)],
      ['A114 O_PATH without O_NOFOLLOW on a dangling link', 'ENOENT', (u) => u.touch('dangling', O_PATH)],
      ['A114 O_PATH with O_NOFOLLOW on a dangling link', undefined, (u) => u.touch('dangling', O_PATH | O_NOFOLLOW)],
    ],
    { needs: ['calls'], given },
  ),
  spec('A123 O_CREAT through a dangling link makes its target', (root) => {
    root.mkdir('d')
    root.symlink('d/made', 'link')
    root.touch('link', O_CREAT | O_WRONLY)
    equal([root.kind('link'), root.kind('d/made')], ['symlink', 'file'])
    root.symlink('missing/made', 'far')
    fails('ENOENT', () => root.touch('far', O_CREAT))
  }),
  spec(
    'A034 the status flags leave out those of creation',
    (root) => {
      const flags = O_RDWR | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND
      const fd = root.open('f', flags)
      equal(root.sys.getfl(fd) & (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND), O_RDWR | O_APPEND)
      root.close(fd)
    },
    { needs: ['calls'] },
  ),
  spec(
    'A110 unknown flags and O_CLOEXEC are no status flags',
    (root) => {
      root.file('f')
      root.with('f', O_RDWR | O_CLOEXEC | 0x20000000, (fd) => {
        equal(root.sys.getfl(fd) & (O_CLOEXEC | 0x20000000), 0)
      })
    },
    { needs: ['calls'] },
  ),
  spec(
    'A111 O_SYNC holds O_DSYNC',
    (root) => {
      root.file('f')
      root.with('f', O_RDWR | O_SYNC, (fd) => equal(root.sys.getfl(fd) & O_SYNC, O_SYNC))
      root.with('f', O_RDWR | O_DSYNC, (fd) => equal(root.sys.getfl(fd) & O_SYNC, O_DSYNC))
      equal(O_SYNC & O_DSYNC, O_DSYNC)
    },
    { needs: ['calls'] },
  ),
  spec(
    'A308 F_SETFL changes O_APPEND, O_NONBLOCK and O_NOATIME, and nothing else',
    (root) => {
      root.file('f')
      root.with('f', O_RDONLY, (fd) => {
        const before = root.sys.getfl(fd)
        root.sys.setfl(fd, O_RDWR | O_APPEND | O_NONBLOCK | O_NOATIME | O_CREAT | O_TRUNC | O_DIRECTORY)
        equal(root.sys.getfl(fd), before | O_APPEND | O_NONBLOCK | O_NOATIME)
        root.sys.setfl(fd, 0)
        equal(root.sys.getfl(fd), before)
        fails('EBADF', () => root.write(fd, 'x'))
      })
    },
    { needs: ['calls'] },
  ),
  spec(
    'A310 another user may not set O_NOATIME, nor open with it',
    (root, { user }) => {
      root.file('f', 'text', 0o666)
      const u = user(1000)
      fails('EPERM', () => u.touch('f', O_RDONLY | O_NOATIME))
      u.with('f', O_RDWR, (fd) => {
        fails('EPERM', () => u.sys.setfl(fd, O_NOATIME))
        u.sys.setfl(fd, O_APPEND)
      })
      root.chown('f', 1000)
      u.with('f', O_RDWR | O_NOATIME, (fd) => equal(u.sys.getfl(fd) & O_NOATIME, O_NOATIME))
    },
    { needs: ['users', 'calls'] },
  ),
  spec(
    'A035 access mode 3 wants both permissions and gives neither right',
    (root, { user }) => {
      root.file('f', 'text', 0o644)
      root.with('f', 3, (fd) => {
        fails('EBADF', () => root.read(fd))
        fails('EBADF', () => root.write(fd, 'x'))
      })
      fails('EACCES', () => user(1000).touch('f', 3))
    },
    { needs: ['users', 'calls'] },
  ),
  spec(
    'A114 A385 O_PATH asks for no permission on the file, and opens any kind',
    (root, { user }) => {
      root.file('secret', 'text', 0)
      root.mknod('fifo', 'fifo')
      root.symlink('secret', 'link')
      const u = user(1000)
      for (const path of ['secret', 'fifo'])
        u.with(path, O_PATH | O_RDWR, (fd) => equal(u.sys.fstat(fd).ino, root.stat(path).ino))
      u.with('link', O_PATH | O_NOFOLLOW, (fd) => equal(u.sys.fstat(fd).ino, root.lstat('link').ino))
      u.with('secret', O_PATH | O_TRUNC | O_CREAT, () => equal(root.text('secret'), 'text'))
    },
    { needs: ['users', 'calls', 'nodes'] },
  ),
  spec(
    'A315 A210 A224 a descriptor that only names a file does nothing else',
    (root) => {
      root.file('f')
      root.mkdir('d')
      const { sys } = root
      root.with('f', O_PATH, (fd) => {
        equal(sys.fstat(fd).size, 4)
        equal(sys.getfl(fd) & O_PATH, O_PATH)
        const refused: (() => unknown)[] = [
          () => root.read(fd),
          () => root.write(fd, 'x'),
          () => root.pread(fd, 1, 0),
          () => root.pwrite(fd, 'x', 0),
          () => root.seek(fd, 0, SEEK_SET),
          () => sys.ftruncate(fd, 0),
          () => sys.fallocate(fd, 0, 0, 1),
          () => sys.fsync(fd),
          () => sys.fdatasync(fd),
          () => sys.setfl(fd, O_APPEND),
        ]
        for (const call of refused) fails('EBADF', call)
      })
      root.with('d', O_PATH | O_DIRECTORY, (fd) => {
        fails('EBADF', () => root.entries(fd))
        sys.mkdirat(fd, 'e', 0o755)
      })
      equal(root.list('d'), ['e'])
    },
    { needs: ['calls'] },
  ),
  spec(
    'A125 O_TRUNC with O_RDONLY wants write permission, and empties the file',
    (root, { user }) => {
      root.file('f', 'text', 0o644)
      fails('EACCES', () => user(1000).touch('f', O_RDONLY | O_TRUNC))
      equal(root.text('f'), 'text')
      root.with('f', O_RDONLY | O_TRUNC, (fd) => {
        fails('EBADF', () => root.write(fd, 'x'))
        equal(root.stat('f').size, 0)
      })
    },
    { needs: ['users'] },
  ),
  spec(
    'A126 A129 A389 opening through a read-only mount',
    (root, { mounts, user }) => {
      root.mkdir('m')
      mounts.tmpfs('/m')
      root.file('m/f', 'text', 0o644)
      root.mkdir('m/d')
      root.mknod('m/fifo', 'fifo')
      mounts.remount('/m', { readonly: true })
      for (const flags of [O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_WRONLY | O_CREAT]) {
        fails('EROFS', () => root.touch('m/f', flags))
      }
      equal(root.text('m/f'), 'text')
      root.touch('m/f', O_RDONLY | O_CREAT)
      fails('EROFS', () => root.touch('m/new', O_CREAT))
      fails('EEXIST', () => root.touch('m/f', O_CREAT | O_EXCL | O_WRONLY))
      fails('EISDIR', () => root.touch('m/d', O_WRONLY))
      fails('EROFS', () => root.touch('m', O_TMPFILE | O_RDWR))
      const u = user(1000)
      fails('EACCES', () => u.touch('m/f', O_WRONLY))
      fails('EROFS', () => u.touch('m/new', O_CREAT))
      root.touch('m/f', 3)
    },
    { needs: ['mounts', 'users', 'calls', 'nodes'] },
  ),
  spec(
    'A134 A013 A108 opening what is no file',
    (root) => {
      root.mknod('socket', 'socket')
      root.mknod('char', 'char', 0o644, NO_DEVICE)
      root.mknod('block', 'block', 0o644, NO_DEVICE)
      for (const path of ['socket', 'char', 'block']) fails('ENXIO', () => root.touch(path))
      equal(root.kind('socket'), 'socket')
    },
    { needs: ['nodes', 'calls'] },
  ),
  spec(
    'A128 a new file is opened whatever its mode',
    (root, { user }) => {
      root.chmod('.', 0o777)
      const u = user(1000)
      const fd = u.open('f', O_RDWR | O_CREAT, 0)
      equal([u.write(fd, 'abc'), u.pread(fd, 3, 0), u.mode('f')], [3, 'abc', 0])
      u.close(fd)
      fails('EACCES', () => u.touch('f'))
    },
    { needs: ['users'] },
  ),
  spec(
    'A116 A360 the mode of a new file is what was asked for without the umask',
    (root) => {
      root.sys.umask(0o027)
      root.touch('f', O_CREAT, 0o7777)
      equal(root.mode('f'), 0o7750)
      root.sys.umask(0)
      root.touch('g', O_CREAT, 0o666)
      equal(root.mode('g'), 0o666)
      root.touch('g', O_CREAT, 0o600)
      equal(root.mode('g'), 0o666)
    },
    { needs: ['calls'] },
  ),
  spec('A130 A184 A163 A086 nothing is made in a directory that was removed', (root) => {
    root.mkdir('d')
    root.file('f')
    const { sys } = root
    root.with('d', O_DIRECTORY, (fd) => {
      root.rmdir('d')
      fails('ENOENT', () => sys.openat(fd, 'x', O_CREAT | O_WRONLY, 0o644))
      fails('ENOENT', () => sys.mkdirat(fd, 'x', 0o755))
      fails('ENOENT', () => sys.symlinkat('x', fd, 'x'))
      fails('ENOENT', () => sys.linkat(-100, 'f', fd, 'x', 0))
      fails('ENOENT', () => sys.renameat2(-100, 'f', fd, 'x', 0))
      fails('ENOENT', () => sys.openat(fd, 'x', O_RDONLY, 0))
    })
    equal(root.list('.'), ['f'])
  }),
  spec(
    'A113 A090 a file without a name, which may be given one',
    (root) => {
      root.mkdir('d')
      const { sys } = root
      const fd = root.open('d', O_TMPFILE | O_RDWR, 0o640)
      equal([root.list('d'), sys.fstat(fd).nlink, sys.fstat(fd).mode], [[], 0, 0o100640])
      root.write(fd, 'text')
      sys.linkat(fd, '', -100, 'd/named', AT_EMPTY_PATH)
      equal([root.text('d/named'), sys.fstat(fd).nlink], ['text', 1])
      root.close(fd)
    },
    { needs: ['calls'] },
  ),
  spec(
    'A113 A090 a file without a name that was opened with O_EXCL gets none',
    (root) => {
      const fd = root.open('.', O_TMPFILE | O_RDWR | O_EXCL)
      fails('ENOENT', () => root.sys.linkat(fd, '', -100, 'named', AT_EMPTY_PATH | AT_SYMLINK_FOLLOW))
      root.close(fd)
      equal(root.list('.'), [])
    },
    { needs: ['calls'] },
  ),
  spec(
    'A136 the smallest free descriptor is taken',
    (root) => {
      root.file('f')
      equal([root.open('f'), root.open('f'), root.open('f')], [0, 1, 2])
      root.close(1)
      root.close(0)
      equal([root.open('f'), root.sys.dup(2), root.open('f')], [0, 1, 3])
      for (const fd of [0, 1, 2, 3]) root.close(fd)
      fails('EBADF', () => root.close(0))
      fails('EBADF', () => root.close(-1))
    },
    { needs: ['calls'] },
  ),
  spec(
    'A136 a descriptor moves onto another, which is closed',
    (root) => {
      root.file('f', 'one')
      root.file('g', 'two')
      const [a, b] = [root.open('f'), root.open('g')]
      root.sys.renumber(a, b)
      equal(root.read(b), 'one')
      fails('EBADF', () => root.read(a))
      fails('EBADF', () => root.sys.renumber(a, b))
      fails('EBADF', () => root.sys.renumber(b, 77))
      root.close(b)
    },
    { needs: ['renumber'] },
  ),
  spec(
    'A131 A132 A356 a file is run if a bit allows it, its mount does, and it is a file',
    (root, { mounts, user }) => {
      root.file('plain', '', 0o644)
      root.file('mine', '', 0o700)
      root.mkdir('m')
      root.mknod('fifo', 'fifo', 0o777)
      mounts.tmpfs('/m')
      root.file('m/f', '', 0o755)
      fails('EACCES', () => root.sys.execute('plain'))
      fails('EACCES', () => root.sys.execute('m'))
      fails('EACCES', () => root.sys.execute('fifo'))
      fails('EACCES', () => user(1000).sys.execute('mine'))
      mounts.remount('/m', { noexec: true })
      fails('EACCES', () => root.sys.execute('m/f'))
      holds(root.mode('m/f') === 0o755, 'the bits are there')
    },
    { needs: ['execute', 'mounts', 'users', 'nodes'] },
  ),
]
