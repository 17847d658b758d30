/** Moving and swapping names: rename(2), in Linux's order of checks. */

import { O_DIRECTORY, O_RDONLY, O_RDWR, RENAME_EXCHANGE, RENAME_NOREPLACE } from '../../abi/linux.ts'
import { type Case, cases, equal, fails, type Spec, spec } from './spec.ts'
import type { User } from './user.ts'

function given(root: User): void {
  root.file('f', 'f')
  root.file('g', 'g')
  root.mkdir('empty')
  root.mkdir('full')
  root.mkdir('full/in')
  root.file('full/in/x', 'x')
  root.symlink('f', 'link')
  root.symlink('full', 'dirlink')
  root.symlink('missing', 'dangling')
}

const LONG = 'n'.repeat(256)
const to = (row: string, outcome: string | undefined, from: string, target: string, flags?: number): Case => {
  const how = flags === RENAME_NOREPLACE ? ' without replacing' : flags === RENAME_EXCHANGE ? ' in exchange' : ''
  const name = (path: string) => (path === LONG ? 'a long name' : path || 'nothing')
  return [`${row} ${name(from)} to ${name(target)}${how}`, outcome, (u) => u.rename(from, target, flags)]
}

export const renaming: readonly Spec[] = [
  ...cases(
    [
      to('A143', 'ENOENT', '', 'new'),
      to('A145', 'ENOENT', 'f', ''),
      to('A144 A386', 'EBUSY', '.', 'new'),
      to('A144 A386', 'EBUSY', 'full/..', 'new'),
      to('A144 A386', 'EBUSY', 'full/.', 'missing'),
      to('A144 A386', 'ENOENT', '.', 'missing/new'),
      to('A144 A386', 'ENOTDIR', '.', 'f/new'),
      to('A147 A386', 'EBUSY', 'f', '.'),
      to('A147 A386', 'EBUSY', 'missing', 'full/..'),
      to('A151', 'ENOENT', 'missing', 'new'),
      to('A151 A386', 'ENOENT', 'missing', 'f/'),
      to('A151', 'ENOENT', 'missing/x', 'new'),
      to('A145 A386', 'ENOENT', 'missing', 'missing/new'),
      to('A050', 'ENOTDIR', 'f/x', 'new'),
      to('A152', 'ENOTDIR', 'f/', 'new'),
      to('A152', 'ENOTDIR', 'f', 'new/'),
      to('A152', 'ENOTDIR', 'f', 'g/'),
      to('A152 A386', 'ENOTDIR', 'f', 'empty/'),
      to('A152', 'ENOTDIR', 'link/', 'new'),
      to('A152', 'ENOTDIR', 'dirlink/', 'new'),
      to('A152', undefined, 'empty/', 'new/'),
      to('A152', 'ENOTDIR', 'empty', 'f/'),
      to('A153', 'EINVAL', 'full', 'full/new'),
      to('A153', 'EINVAL', 'full', 'full/in/new'),
      to('A153 A386', 'EINVAL', 'full', 'full/in'),
      to('A153', 'EINVAL', 'full', 'dirlink/new'),
      to('A153 A386', 'EINVAL', 'full/', 'full/new/'),
      to('A154', 'ENOTEMPTY', 'full/in', 'full'),
      to('A154', 'ENOTEMPTY', 'full/in/x', 'full'),
      to('A154 A386', 'ENOTEMPTY', 'full/in/x', 'full/in'),
      to('A154 A386', 'ENOTDIR', 'full/in/x/', 'full/in'),
      to('A156', undefined, 'f', 'f'),
      to('A156', undefined, 'full', 'full'),
      to('A156', undefined, 'full/', 'full'),
      to('A156', undefined, 'full', 'empty/../full'),
      to('A156 A152 A386', 'ENOTDIR', 'f', 'f/'),
      to('A160', 'ENOTDIR', 'empty', 'f'),
      to('A160', 'ENOTDIR', 'empty', 'dangling'),
      to('A160', 'EISDIR', 'f', 'empty'),
      to('A160', 'EISDIR', 'f', 'full'),
      to('A160', 'EISDIR', 'dirlink', 'empty'),
      to('A160', 'ENOTEMPTY', 'empty', 'full'),
      to('A160', undefined, 'full', 'empty'),
      to('A160', undefined, 'f', 'g'),
      to('A160', undefined, 'f', 'dangling'),
      to('A048', 'ENAMETOOLONG', LONG, 'new'),
      to('A048', 'ENAMETOOLONG', 'f', LONG),
      to('A151 A386', 'ENOENT', 'missing', LONG),
    ],
    { given },
  ),
  ...cases(
    [
      to('A143 A386', 'EBUSY', '/', 'new'),
      to('A145 A386', 'EBUSY', 'f', '/'),
      to('A145 A386', 'EBUSY', 'missing', '/'),
      to('A143 A386', 'ENOENT', '/', 'missing/new'),
    ],
    { given, needs: ['root'] },
  ),
  ...cases(
    [
      to('A148', 'EINVAL', 'f', 'g', RENAME_NOREPLACE | RENAME_EXCHANGE),
      ['A149 A386 unknown flags are refused before any path is looked at', 'EINVAL', (u) => u.rename('', '', 1 << 20)],
      ['A149 A386 flags that exclude each other, before any path', 'EINVAL', (u) => u.rename('missing/x', '', 3)],
      to('A158', 'EEXIST', 'f', 'g', RENAME_NOREPLACE),
      to('A158', 'EEXIST', 'f', 'dangling', RENAME_NOREPLACE),
      to('A158', undefined, 'f', 'new', RENAME_NOREPLACE),
      to('A158 A386', 'ENOENT', 'missing', 'g', RENAME_NOREPLACE),
      to('A158 A386', 'EEXIST', 'full', 'full/in', RENAME_NOREPLACE),
      to('A158 A386', 'EEXIST', 'f', 'g/', RENAME_NOREPLACE),
      to('A156 A158', 'EEXIST', 'f', 'f', RENAME_NOREPLACE),
      to('A147', 'EEXIST', 'f', '.', RENAME_NOREPLACE),
      to('A147', 'EEXIST', 'missing', 'full/..', RENAME_NOREPLACE),
      to('A144', 'EBUSY', '.', 'f', RENAME_NOREPLACE),
      to('A159', 'ENOENT', 'f', 'new', RENAME_EXCHANGE),
      to('A159', 'ENOENT', 'missing', 'f', RENAME_EXCHANGE),
      to('A159', undefined, 'f', 'g', RENAME_EXCHANGE),
      to('A159', undefined, 'f', 'full', RENAME_EXCHANGE),
      to('A159', undefined, 'full', 'f', RENAME_EXCHANGE),
      to('A159', undefined, 'f', 'f', RENAME_EXCHANGE),
      to('A159 A153', 'EINVAL', 'full', 'full/in', RENAME_EXCHANGE),
      to('A159 A154', 'EINVAL', 'full/in', 'full', RENAME_EXCHANGE),
      to('A159 A154', 'EINVAL', 'full/in/x', 'full', RENAME_EXCHANGE),
      to('A159 A152', 'ENOTDIR', 'full', 'f/', RENAME_EXCHANGE),
      to('A159 A152', 'ENOTDIR', 'f/', 'full', RENAME_EXCHANGE),
      to('A159 A152', undefined, 'f', 'full/', RENAME_EXCHANGE),
      to('A147 A159', 'EBUSY', 'f', '.', RENAME_EXCHANGE),
    ],
    { given, needs: ['calls'] },
  ),
  spec('A160 A169 a replaced file lives on for who has it open', (root) => {
    root.file('a', 'new')
    root.file('b', 'old')
    const ino = root.stat('a').ino
    root.with('b', O_RDWR, (fd) => {
      root.rename('a', 'b')
      equal([root.text('b'), root.pread(fd, 9, 0), root.sys.fstat(fd).nlink], ['new', 'old', 0])
      equal([root.pwrite(fd, '!', 3), root.pread(fd, 9, 0), root.stat('b').ino], [1, 'old!', ino])
    })
    equal(root.list('.'), ['b'])
  }),
  spec('A169 an open file follows its inode, and a directory what is in it', (root) => {
    root.mkdir('d')
    root.file('d/f', 'one')
    root.with('d', O_RDONLY | O_DIRECTORY, (dir) =>
      root.with('d/f', O_RDWR, (fd) => {
        root.rename('d', 'e')
        root.file('e/more')
        equal([root.read(fd), root.names(dir)], ['one', ['f', 'more']])
        equal(root.sys.fstatat(dir, 'f', 0).ino, root.stat('e/f').ino)
        equal(root.sys.fstatat(dir, '..', 0).ino, root.stat('.').ino)
      }),
    )
    fails('ENOENT', () => root.stat('d/f'))
  }),
  spec('A169 dot dot of a moved directory is its new parent', (root) => {
    root.mkdir('a')
    root.mkdir('a/d')
    root.mkdir('b')
    root.with('a/d', O_RDONLY | O_DIRECTORY, (fd) => {
      root.rename('a/d', 'b/d')
      equal(root.sys.fstatat(fd, '..', 0).ino, root.stat('b').ino)
    })
    equal([root.stat('b/d/..').ino === root.stat('b').ino, root.list('a')], [true, []])
  }),
  spec('A157 names of one file are not replaced by each other', (root) => {
    root.file('a')
    root.link('a', 'b')
    root.rename('a', 'b')
    equal([root.list('.'), root.stat('a').nlink], [['a', 'b'], 2])
  }),
  spec(
    'A159 an exchange swaps what two names stand for',
    (root) => {
      root.mkdir('d')
      root.mkdir('d/sub')
      root.file('d/sub/in', 'in')
      root.file('f', 'text')
      root.rename('d/sub', 'f', RENAME_EXCHANGE)
      equal(
        [root.kind('f'), root.kind('d/sub'), root.text('f/in'), root.text('d/sub')],
        ['directory', 'file', 'in', 'text'],
      )
      equal(root.stat('f/..').ino, root.stat('.').ino)
      root.symlink('x', 'l')
      root.rename('l', 'd', RENAME_EXCHANGE)
      equal([root.readlink('d'), root.list('l')], ['x', ['sub']])
    },
    { needs: ['calls'] },
  ),
  spec(
    'A159 A166 an exchange of a directory with a file moves a link count',
    (root) => {
      root.mkdir('a')
      root.mkdir('a/d')
      root.mkdir('b')
      root.file('b/f')
      root.rename('a/d', 'b/f', RENAME_EXCHANGE)
      equal([root.stat('a').nlink, root.stat('b').nlink], [2, 3])
    },
    { needs: ['calls', 'tmpfs'] },
  ),
  spec(
    "A166 a moved directory takes its parent's link count along",
    (root) => {
      for (const path of ['a', 'b', 'a/d', 'a/e', 'b/e']) root.mkdir(path)
      root.rename('a/d', 'b/d')
      equal([root.stat('a').nlink, root.stat('b').nlink], [3, 4])
      root.rename('a/e', 'b/e')
      equal([root.stat('a').nlink, root.stat('b').nlink], [2, 4])
      root.rename('b/e', 'b/f')
      equal(root.stat('b').nlink, 4)
    },
    { needs: ['tmpfs'] },
  ),
  spec(
    'A161 A386 both directories must be writable and searchable',
    (root, { user }) => {
      for (const path of ['mine', 'theirs']) root.mkdir(path)
      root.chown('mine', 1000)
      root.file('theirs/f')
      const u = user(1000)
      u.file('mine/f')
      fails('EACCES', () => u.rename('mine/f', 'theirs/new'))
      fails('EACCES', () => u.rename('mine/f', 'theirs/f'))
      fails('EACCES', () => u.rename('theirs/f', 'mine/new'))
      fails('ENOENT', () => u.rename('theirs/missing', 'mine/new'))
      fails('EEXIST', () => u.rename('theirs/f', 'mine/f', RENAME_NOREPLACE))
      root.chmod('theirs', 0o666)
      fails('EACCES', () => u.rename('theirs/missing', 'mine/new'))
      u.chmod('mine', 0o500)
      fails('EACCES', () => u.rename('mine/f', 'mine/new'))
      u.rename('mine/f', 'mine/f')
    },
    { needs: ['users', 'calls'] },
  ),
  spec(
    'A161 A386 a directory that gets another parent must be writable itself',
    (root, { user }) => {
      root.mkdir('mine')
      root.chown('mine', 1000)
      root.mkdir('mine/d', 0o555)
      root.mkdir('mine/e')
      root.chown('mine/e', 1000)
      root.mkdir('mine/e/full')
      root.chown('mine/e/full', 1000)
      root.file('mine/e/full/x')
      const u = user(1000)
      u.rename('mine/d', 'mine/d2')
      fails('EACCES', () => u.rename('mine/d2', 'mine/e/d'))
      fails('EACCES', () => u.rename('mine/d2', 'mine/e/full'))
      u.rename('mine/e/full', 'mine/full')
      u.file('mine/f')
      u.rename('mine/f', 'mine/e/f')
    },
    { needs: ['users'] },
  ),
  spec(
    'A162 A386 in a sticky directory only the owner moves or replaces a file',
    (root, { user }) => {
      root.mkdir('tmp', 0o1777)
      root.chmod('tmp', 0o1777)
      const [a, b] = [user(1000), user(1001)]
      a.file('tmp/a')
      b.file('tmp/b')
      b.mkdir('tmp/d')
      b.chmod('tmp/d', 0o777)
      fails('EPERM', () => a.rename('tmp/b', 'tmp/new'))
      fails('EPERM', () => a.rename('tmp/a', 'tmp/b'))
      fails('EPERM', () => a.rename('tmp/a', 'tmp/d'))
      fails('EPERM', () => b.rename('tmp/a', 'tmp/d/new'))
      fails('EEXIST', () => a.rename('tmp/b', 'tmp/a', RENAME_NOREPLACE))
      a.rename('tmp/a', 'tmp/a2')
      root.rename('tmp/b', 'tmp/a2')
    },
    { needs: ['users', 'calls'] },
  ),
  spec(
    'A164 A386 A180 A387 a mount point is busy',
    (root, { mounts }) => {
      for (const path of ['m', 'empty', 'm/covered']) root.mkdir(path)
      root.file('f')
      mounts.tmpfs('/m')
      root.file('m/in')
      fails('EBUSY', () => root.rename('m', 'new'))
      fails('EBUSY', () => root.rename('empty', 'm'))
      fails('EBUSY', () => root.rename('m', 'empty', RENAME_EXCHANGE))
      fails('EISDIR', () => root.rename('f', 'm'))
      fails('EEXIST', () => root.rename('f', 'm', RENAME_NOREPLACE))
      fails('EXDEV', () => root.rename('m/in', 'new'))
      fails('EBUSY', () => root.rename('m/.', 'm/new'))
      root.rename('m', 'm')
      fails('EBUSY', () => root.rmdir('m'))
      fails('EISDIR', () => root.unlink('m'))
    },
    { needs: ['mounts', 'calls'] },
  ),
  spec(
    'A179 A386 A387 A388 A100 A389 names on a read-only mount',
    (root, { mounts, user }) => {
      root.mkdir('m')
      mounts.tmpfs('/m', 'mode=755')
      root.mkdir('m/d')
      root.file('m/d/x')
      root.file('m/f')
      mounts.remount('/m', { readonly: true })
      const u = user(1000)
      for (const who of [root, u]) {
        const read: [string, () => void][] = [
          ['EEXIST', () => who.mkdir('m/d')],
          ['EEXIST', () => who.mkdir('m/.')],
          ['EROFS', () => who.mkdir('m/new')],
          ['EEXIST', () => who.symlink('x', 'm/f')],
          ['ENOENT', () => who.symlink('x', 'm/new/')],
          ['EROFS', () => who.symlink('x', 'm/new')],
          ['EEXIST', () => who.mknod('m/f', 'fifo')],
          ['EROFS', () => who.mknod('m/new', 'fifo')],
          ['EEXIST', () => who.link('m/f', 'm/d')],
          ['EROFS', () => who.link('m/f', 'm/new')],
          ['EROFS', () => who.link('m/d', 'm/new')],
          ['EROFS', () => who.unlink('m/f')],
          ['EROFS', () => who.unlink('m/missing')],
          ['EROFS', () => who.unlink(`m/${LONG}`)],
          ['ENAMETOOLONG', () => who.mkdir(`m/${LONG}`)],
          ['EROFS', () => who.unlink('m/d')],
          ['EROFS', () => who.unlink('m/f/')],
          ['EISDIR', () => who.unlink('m/.')],
          ['EROFS', () => who.rmdir('m/d')],
          ['EROFS', () => who.rmdir('m/f')],
          ['EROFS', () => who.rmdir('m/missing')],
          ['EINVAL', () => who.rmdir('m/.')],
          ['ENOTEMPTY', () => who.rmdir('m/d/..')],
          ['EROFS', () => who.rename('m/missing', 'm/new')],
          ['EROFS', () => who.rename('m/f', 'm/f')],
          ['EBUSY', () => who.rename('m/.', 'm/new')],
          ['EEXIST', () => who.rename('m/f', 'm/.', RENAME_NOREPLACE)],
          ['EROFS', () => who.rename('m/f', 'm/d', RENAME_NOREPLACE)],
          ['EROFS', () => who.chmod('m/f', 0o600)],
          ['EROFS', () => who.chown('m/f', 7)],
          ['EROFS', () => who.utimes('m/f', 1n, 1n)],
          [who === root ? 'EROFS' : 'EACCES', () => who.truncate('m/f', 0)],
          ['EISDIR', () => who.truncate('m/d', 0)],
        ]
        for (const [code, call] of read) fails(code, call)
      }
    },
    { needs: ['mounts', 'users', 'calls', 'nodes'] },
  ),
]
