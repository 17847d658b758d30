/** Removing names: unlink(2), rmdir(2), and what becomes of files that were open. */

import { AT_FDCWD, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR } from '../../abi/linux.ts'
import { given } from './paths.ts'
import { cases, equal, fails, type Spec, spec } from './spec.ts'

export const unlinking: readonly Spec[] = [
  ...cases(
    [
      ['A170 unlink of an empty path', 'ENOENT', (u) => u.unlink('')],
      ['A170 rmdir of an empty path', 'ENOENT', (u) => u.rmdir('')],
      ['A172 A387 unlink of a dot', 'EISDIR', (u) => u.unlink('.')],
      ['A172 A387 unlink of dot dot', 'EISDIR', (u) => u.unlink('d/..')],
      ['A172 A387 unlink of a dot below what is missing', 'ENOENT', (u) => u.unlink('missing/.')],
      ['A172 A387 unlink of a dot below a file', 'ENOTDIR', (u) => u.unlink('f/.')],
      ['A171 A387 rmdir of a dot', 'EINVAL', (u) => u.rmdir('d/.')],
      ['A171 A387 rmdir of dot dot', 'ENOTEMPTY', (u) => u.rmdir('d/e/..')],
      ['A171 rmdir of a dot with a slash', 'EINVAL', (u) => u.rmdir('d/./')],
      ['A174 unlink of a directory', 'EISDIR', (u) => u.unlink('d/e')],
      ['A174 A387 unlink of a directory with a slash', 'EISDIR', (u) => u.unlink('d/e/')],
      ['A175 A387 unlink of a file with a slash', 'ENOTDIR', (u) => u.unlink('f/')],
      ['A175 unlink of a link to a directory with a slash', 'ENOTDIR', (u) => u.unlink('to-d/')],
      ['A387 unlink of nothing', 'ENOENT', (u) => u.unlink('missing')],
      ['A387 unlink of nothing with a slash', 'ENOENT', (u) => u.unlink('missing/')],
      ['A387 unlink of a dangling link', undefined, (u) => u.unlink('dangling')],
      ['A387 rmdir of nothing', 'ENOENT', (u) => u.rmdir('missing')],
      ['A173 rmdir of a file', 'ENOTDIR', (u) => u.rmdir('f')],
      ['A173 rmdir of a file with a slash', 'ENOTDIR', (u) => u.rmdir('f/')],
      ['A173 rmdir of a link to a directory', 'ENOTDIR', (u) => u.rmdir('to-d')],
      ['A173 rmdir of a link to a directory with a slash', 'ENOTDIR', (u) => u.rmdir('to-d/')],
      ['A173 rmdir of a directory with entries', 'ENOTEMPTY', (u) => u.rmdir('d')],
      ['A176 rmdir of a directory with slashes', undefined, (u) => u.rmdir('d/e//')],
      ['A048 unlink of a long name', 'ENAMETOOLONG', (u) => u.unlink('n'.repeat(256))],
      ['A048 rmdir of a long name', 'ENAMETOOLONG', (u) => u.rmdir('n'.repeat(256))],
    ],
    { given },
  ),
  ...cases(
    [
      ['A170 A387 unlink of the root', 'EISDIR', (u) => u.unlink('/')],
      ['A170 A387 rmdir of the root', 'EBUSY', (u) => u.rmdir('/')],
      ['A172 A387 unlink of dot dot at the root', 'EISDIR', (u) => u.unlink('/..')],
      ['A171 A387 rmdir of dot dot at the root', 'ENOTEMPTY', (u) => u.rmdir('/..')],
    ],
    { given, needs: ['root'] },
  ),
  ...cases(
    [
      ['A185 unlinkat with unknown flags', 'EINVAL', (u) => u.sys.unlinkat(AT_FDCWD, 'f', 0x100)],
      ['A185 unlinkat of nothing with unknown flags', 'EINVAL', (u) => u.sys.unlinkat(AT_FDCWD, 'missing', 1)],
    ],
    { given, needs: ['calls'] },
  ),
  spec('A387 what is removed is gone, a link without its target', (root) => {
    root.file('f')
    root.mkdir('d')
    root.symlink('f', 'l')
    root.unlink('l')
    root.rmdir('d')
    equal(root.list('.'), ['f'])
    root.unlink('f')
    equal(root.list('.'), [])
  }),
  spec('A182 a file without a name is used on through its descriptor', (root) => {
    const { sys } = root
    root.file('f', 'text')
    root.with('f', O_RDWR, (fd) => {
      root.unlink('f')
      equal([sys.fstat(fd).nlink, root.read(fd)], [0, 'text'])
      equal([root.pwrite(fd, 'more', 4), root.pread(fd, 99, 0)], [4, 'textmore'])
      sys.ftruncate(fd, 2)
      equal([sys.fstat(fd).size, root.pread(fd, 9, 0)], [2, 'te'])
      root.file('f', 'other')
      equal([root.pread(fd, 9, 0), root.text('f')], ['te', 'other'])
    })
  }),
  spec(
    'A182 a file without a name has its attributes set through its descriptor',
    (root) => {
      const { sys } = root
      const AT_EMPTY_PATH = 0x1000
      root.file('f')
      root.with('f', O_RDWR, (fd) => {
        root.unlink('f')
        sys.fchmodat(fd, '', 0o600, AT_EMPTY_PATH)
        sys.utimensat(fd, '', 1n, 2n, AT_EMPTY_PATH)
        sys.fallocate(fd, 0, 0, 100)
        const { mode, atime, size } = sys.fstat(fd)
        equal([mode & 0o777, atime, size], [0o600, 1n, 100])
      })
    },
    { needs: ['calls'] },
  ),
  spec('A183 B017 a new file of an old name has another number', (root) => {
    root.file('f')
    const { ino } = root.stat('f')
    root.with('f', O_RDONLY, () => {
      root.unlink('f')
      root.file('f')
    })
    equal(root.stat('f').ino === ino, false)
  }),
  spec('A184 a removed directory has no entries, and its dot dot still leads up', (root) => {
    root.mkdir('p')
    root.mkdir('p/d')
    root.with('p/d', O_RDONLY | O_DIRECTORY, (fd) => {
      root.rmdir('p/d')
      equal(root.sys.fstat(fd).nlink, 0)
      equal(root.sys.fstatat(fd, '.', 0).ino, root.sys.fstat(fd).ino)
      equal(root.sys.fstatat(fd, '..', 0).ino, root.stat('p').ino)
      fails('ENOENT', () => root.sys.fstatat(fd, 'x', 0))
      fails('ENOENT', () => root.sys.openat(fd, 'x', O_CREAT | O_RDWR, 0o644))
      fails('ENOENT', () => root.sys.unlinkat(fd, 'x', 0))
    })
  }),
  spec('A040 dot dot of removed directories leads up through all of them', (root) => {
    root.mkdir('p')
    root.mkdir('p/q')
    root.mkdir('p/q/d')
    const [p, q] = [root.stat('p').ino, root.stat('p/q').ino]
    root.with('p/q/d', O_RDONLY | O_DIRECTORY, (fd) => {
      root.rmdir('p/q/d')
      root.rmdir('p/q')
      equal([root.sys.fstatat(fd, '..', 0).ino, root.sys.fstatat(fd, '../..', 0).ino], [q, p])
      root.rmdir('p')
      equal([root.sys.fstatat(fd, '../..', 0).ino, root.sys.fstatat(fd, '..', 0).nlink], [p, 0])
      equal(root.sys.fstatat(fd, '../../..', 0).ino, root.stat('.').ino)
    })
  }),
  spec(
    'A184 a removed directory cannot be listed',
    (root) => {
      root.mkdir('d')
      root.with('d', O_RDONLY | O_DIRECTORY, (fd) => {
        root.rmdir('d')
        fails('ENOENT', () => root.entries(fd))
      })
    },
    { needs: ['calls'] },
  ),
  spec('A188 a directory that was removed and made again is another one', (root) => {
    root.mkdir('d')
    root.with('d', O_RDONLY | O_DIRECTORY, (fd) => {
      root.rmdir('d')
      root.mkdir('d')
      root.file('d/x')
      fails('ENOENT', () => root.sys.unlinkat(fd, 'x', 0))
      fails('ENOENT', () => root.sys.fstatat(fd, 'x', 0))
    })
    equal(root.list('d'), ['x'])
  }),
  spec(
    'A177 A359 A387 in a sticky directory only owners remove',
    (root, { user }) => {
      root.mkdir('tmp')
      root.chmod('tmp', 0o1777)
      const [a, b] = [user(1000), user(1001)]
      a.file('tmp/f')
      a.chmod('tmp/f', 0o777)
      a.mkdir('tmp/d')
      fails('EPERM', () => b.unlink('tmp/f'))
      fails('EPERM', () => b.rmdir('tmp/d'))
      fails('EPERM', () => b.unlink('tmp/d'))
      fails('EPERM', () => b.rmdir('tmp/f'))
      fails('ENOENT', () => b.unlink('tmp/missing'))
      a.unlink('tmp/f')
      a.file('tmp/g')
      root.chown('tmp', 1001)
      b.unlink('tmp/g')
      user({ uid: 1002, capabilities: 8 }).rmdir('tmp/d')
    },
    { needs: ['users'] },
  ),
  spec(
    'A178 A387 the name is looked up before permission is asked',
    (root, { user }) => {
      root.mkdir('d')
      root.file('d/f')
      root.mkdir('d/e')
      const u = user(1000)
      fails('ENOENT', () => u.unlink('d/missing'))
      fails('EACCES', () => u.unlink('d/f'))
      fails('ENOTDIR', () => u.unlink('d/f/'))
      fails('EISDIR', () => u.unlink('d/e/'))
      fails('EACCES', () => u.unlink('d/e'))
      fails('EACCES', () => u.rmdir('d/f'))
      fails('EACCES', () => u.rmdir('d/e'))
      fails('ENOENT', () => u.rename('d/missing', 'x'))
      fails('EINVAL', () => u.rmdir('d/.'))
      root.chmod('d', 0o666)
      fails('EACCES', () => u.unlink('d/missing'))
      fails('EACCES', () => u.unlink('d/f'))
    },
    { needs: ['users'] },
  ),
]
