/** Making names: mkdir(2), mknod(2), symlink(2), readlink(2), link(2). */

import {
  AT_EMPTY_PATH,
  AT_SYMLINK_FOLLOW,
  CAP_DAC_READ_SEARCH,
  CAP_MKNOD,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  O_CREAT,
  O_DIRECTORY,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  O_WRONLY,
  S_ISGID,
  SEEK_SET,
} from '../../abi/linux.ts'
import { utf8Length } from '../../abi/utf8.ts'
import { given } from './paths.ts'
import { type Case, cases, equal, fails, type Spec, spec } from './spec.ts'
import type { User } from './user.ts'

/** What all calls that make a name have in common, by call. */
const makers: readonly (readonly [
  rows: Record<string, string>,
  call: string,
  make: (u: User, path: string) => void,
])[] = [
  [{ root: 'A096', dots: 'A099', exists: 'A099', slash: '' }, 'mkdir', (u, path) => u.mkdir(path)],
  [{ root: 'A140', dots: 'A140', exists: 'A140', slash: 'A140' }, 'symlink', (u, path) => u.symlink('x', path)],
  [{ root: 'A081', dots: 'A083', exists: 'A084', slash: 'A085' }, 'link', (u, path) => u.link('f', path)],
]
const nodeMaker = [
  { root: 'A104', dots: 'A104', exists: 'A104', slash: 'A107' },
  'mknod',
  (u: User, path: string) => u.mknod(path, 'fifo'),
] as const

const common = ([rows, call, make]: (typeof makers)[number]): Case[] => [
  [`${rows.root} ${call} of an empty path`, 'ENOENT', (u) => make(u, '')],
  [`${rows.dots} A388 ${call} of a dot`, 'EEXIST', (u) => make(u, '.')],
  [`${rows.dots} A388 ${call} of a dot in a directory`, 'EEXIST', (u) => make(u, 'd/.')],
  [`${rows.dots} A388 ${call} of dot dot`, 'EEXIST', (u) => make(u, 'd/..')],
  [`${rows.dots} A388 ${call} of a dot below what is missing`, 'ENOENT', (u) => make(u, 'missing/.')],
  [`${rows.exists} ${call} of a file's name`, 'EEXIST', (u) => make(u, 'f')],
  [`${rows.exists} ${call} of a directory's name`, 'EEXIST', (u) => make(u, 'd')],
  [`${rows.exists} ${call} of a dangling link's name`, 'EEXIST', (u) => make(u, 'dangling')],
  [`${rows.exists} ${call} of a link to itself`, 'EEXIST', (u) => make(u, 'loop')],
  [
    `${rows.exists} A388 ${call} of a file's name with a slash`,
    call === 'mkdir' ? 'EEXIST' : 'EEXIST',
    (u) => make(u, 'f/'),
  ],
  [`${rows.exists} A388 ${call} of a directory's name with a slash`, 'EEXIST', (u) => make(u, 'd/')],
  [`A050 ${call} below a file`, 'ENOTDIR', (u) => make(u, 'f/new')],
  [`A050 ${call} below what is missing`, 'ENOENT', (u) => make(u, 'missing/new')],
  [`A048 ${call} of a long name`, 'ENAMETOOLONG', (u) => make(u, 'n'.repeat(256))],
  ...(rows.slash
    ? ([[`${rows.slash} A388 ${call} of a new name with a slash`, 'ENOENT', (u) => make(u, 'new/')]] satisfies Case[])
    : []),
]
const ofRoot = ([rows, call, make]: (typeof makers)[number]): Case[] => [
  [`${rows.root} A388 ${call} of slashes only`, 'EEXIST', (u) => make(u, '/')],
]

export const names: readonly Spec[] = [
  spec(
    'A095 bad flags, offsets and path texts go before a descriptor that is not open',
    (root) => {
      const { sys } = root
      root.file('f')
      const bytes = new Uint8Array(1)
      fails('EINVAL', () => sys.preadv(99, bytes, [0, 1], -1))
      fails('EINVAL', () => sys.ftruncate(99, -1))
      fails('EINVAL', () => sys.fchownat(99, 'f', 1, 1, 1))
      fails('EINVAL', () => sys.fchmodat(99, 'f', 0, 1))
      fails('EINVAL', () => sys.utimensat(99, 'f', 1n, 1n, 1))
      fails('EINVAL', () => sys.fstatat(99, 'f', 1))
      fails('EINVAL', () => sys.linkat(99, 'f', -100, 'g', 1))
      fails('ENOENT', () => sys.mkdirat(99, '', 0))
      fails('ENOENT', () => sys.symlinkat('', 99, 'l'))
      fails('ENAMETOOLONG', () => sys.renameat2(-100, './'.repeat(2048), 99, 'g', 0))
      fails('ENOENT', () => sys.renameat2(-100, 'none/x', 99, 'g', 0))
      fails('EINVAL', () => sys.renameat2(99, 'f', 99, 'g', 3))
      fails('EBADF', () => sys.renameat2(-100, 'f', 99, 'g', 0))
    },
    { needs: ['calls'] },
  ),
  spec(
    'A095 B041 B042 B036 what is wrong with a range or a way goes before what the file is',
    (root) => {
      const { sys } = root
      root.mknod('fifo', 'fifo')
      root.with('fifo', O_RDWR, (fd) => {
        fails('EINVAL', () => sys.lseek(fd, 0, 9))
        fails('ESPIPE', () => sys.lseek(fd, -1, SEEK_SET))
        fails('EINVAL', () => sys.fallocate(fd, 4, -1, 1))
        fails('EINVAL', () => sys.fallocate(fd, 4, 0, 0))
        fails('EOPNOTSUPP', () => sys.fallocate(fd, 4, 0, 1))
        fails('EOPNOTSUPP', () => sys.fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1))
        fails('ESPIPE', () => sys.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1))
      })
      root.with('fifo', O_RDONLY | O_NONBLOCK, (fd) => {
        fails('EOPNOTSUPP', () => sys.fallocate(fd, 4, 0, 1))
        fails('EBADF', () => sys.fallocate(fd, 0, 0, 1))
      })
      fails('EBADF', () => sys.fallocate(99, 4, -1, 0))
      fails('EBADF', () => sys.lseek(99, 0, 9))
    },
    { needs: ['calls', 'nodes'] },
  ),
  spec(
    'A095 an empty path with AT_EMPTY_PATH is the descriptor itself, of whatever kind, and nothing if it is not open',
    (root) => {
      const { sys } = root
      root.file('f', 'text')
      fails('EBADF', () => sys.fstatat(99, '', AT_EMPTY_PATH))
      fails('EBADF', () => sys.fchownat(99, '', 1, 1, AT_EMPTY_PATH))
      fails('EBADF', () => sys.linkat(99, '', -100, 'g', AT_EMPTY_PATH))
      equal(sys.fstatat(-100, '', AT_EMPTY_PATH).ino, root.stat('.').ino)
      for (const flags of [O_RDONLY, O_WRONLY, O_PATH])
        root.with('f', flags, (fd) => {
          equal(sys.fstatat(fd, '', AT_EMPTY_PATH).ino, root.stat('f').ino)
          fails('ENOTDIR', () => sys.fstatat(fd, 'x', AT_EMPTY_PATH))
          fails('ENOENT', () => sys.fstatat(fd, '', 0))
        })
    },
    { needs: ['calls'] },
  ),
  spec(
    'A095 an unknown way to open goes before a descriptor that is not open',
    (root) => {
      const { sys } = root
      fails('EINVAL', () => sys.openat(99, 'f', O_CREAT | O_DIRECTORY, 0o644))
      fails('EINVAL', () => sys.openat(99, 'f', O_TMPFILE | O_RDONLY, 0o644))
      fails('EINVAL', () => sys.openat(99, '', O_CREAT | O_DIRECTORY, 0o644))
      fails('ENOENT', () => sys.openat(99, '', O_RDONLY, 0))
      fails('EBADF', () => sys.openat(99, 'f', O_RDONLY, 0))
    },
    { needs: ['calls'] },
  ),
  ...cases(makers.flatMap(common), { given }),
  ...cases(makers.flatMap(ofRoot), { given, needs: ['root'] }),
  ...cases(common(nodeMaker), { given, needs: ['nodes'] }),
  ...cases(ofRoot(nodeMaker), { given, needs: ['nodes', 'root'] }),
  spec('A098 mkdir takes slashes behind the name', (root) => {
    root.mkdir('a/')
    root.mkdir('a/b//')
    equal([root.kind('a'), root.kind('a/b')], ['directory', 'directory'])
  }),
  spec(
    'A097 A360 mkdir keeps permission bits and the sticky bit, without the umask',
    (root) => {
      root.sys.umask(0o027)
      root.mkdir('d', 0o7777)
      equal(root.mode('d'), 0o1750)
      root.sys.umask(0)
      root.mkdir('e', 0o777)
      equal(root.mode('e'), 0o777)
    },
    { needs: ['calls'] },
  ),
  spec(
    'A101 A362 what is made in a setgid directory is of its group, directories with the bit',
    (root, { user }) => {
      root.mkdir('d')
      root.chown('d', 0, 50)
      root.chmod('d', 0o2777)
      const u = user({ uid: 1000, gid: 1000 })
      u.mkdir('d/sub')
      u.file('d/file')
      u.symlink('x', 'd/link')
      equal(
        ['d/sub', 'd/file', 'd/link'].map((path) => u.lstat(path).gid),
        [50, 50, 50],
      )
      equal([u.mode('d/sub') & S_ISGID, u.mode('d/file') & S_ISGID], [S_ISGID, 0])
      u.chmod('d/sub', 0o777)
      equal(u.mode('d/sub'), 0o777)
      u.mkdir('d/sub/below')
      equal([u.lstat('d/sub/below').gid, u.mode('d/sub/below')], [1000, 0o755])
    },
    { needs: ['users'] },
  ),
  spec(
    'A362 A195 a setgid file for strangers is not made in a setgid directory of another group',
    (root, { user }) => {
      root.mkdir('d')
      root.chown('d', 0, 50)
      root.chmod('d', 0o2777)
      const [stranger, member] = [user(1000), user({ uid: 1001, gid: 1001, groups: [50] })]
      stranger.touch('d/a', 0o100, 0o2755)
      member.touch('d/b', 0o100, 0o2755)
      root.touch('d/c', 0o100, 0o2755)
      equal([root.mode('d/a'), root.mode('d/b'), root.mode('d/c')], [0o755, 0o2755, 0o2755])
    },
    { needs: ['users'] },
  ),
  spec(
    'A102 B020 a directory has two names, and one more for each directory in it',
    (root) => {
      root.mkdir('d')
      equal(root.stat('d').nlink, 2)
      root.mkdir('d/e')
      root.mkdir('d/f')
      root.file('d/g')
      equal([root.stat('d').nlink, root.stat('d/e').nlink], [4, 2])
      root.rmdir('d/e')
      equal(root.stat('d').nlink, 3)
    },
    { needs: ['tmpfs'] },
  ),
  spec(
    'A105 A106 A108 mknod makes what its kind says',
    (root, { user }) => {
      for (const kind of ['file', 'fifo', 'socket'] as const) {
        root.mknod(kind, kind, 0o640)
        equal([root.kind(kind), root.mode(kind), root.lstat(kind).size], [kind, 0o640, 0])
      }
      root.mknod('char', 'char', 0o600, 7 * 0x100000 + 9)
      root.mknod('block', 'block', 0o600, 8 * 0x100000 + 300)
      equal([root.kind('char'), root.lstat('char').rdev], ['char', 7 * 0x100000 + 9])
      equal([root.kind('block'), root.lstat('block').rdev], ['block', 8 * 0x100000 + 300])
      root.chmod('.', 0o777)
      const u = user(1000)
      u.mknod('u-file', 'file')
      u.mknod('u-fifo', 'fifo')
      u.mknod('u-socket', 'socket')
      fails('EPERM', () => u.mknod('u-char', 'char', 0o600, 1))
      fails('EPERM', () => u.mknod('u-block', 'block', 0o600, 1))
      fails('EPERM', () => u.mknod('u-block', 'block', 0o600, 0))
      fails('EEXIST', () => u.mknod('u-fifo', 'char', 0o600, 1))
      user({ uid: 1000, capabilities: CAP_MKNOD }).mknod('u-char', 'char', 0o600, 1)
    },
    { needs: ['nodes', 'users'] },
  ),
  spec(
    'A106 anyone may make a whiteout',
    (root, { user }) => {
      root.chmod('.', 0o777)
      user(1000).mknod('whiteout', 'char', 0, 0)
      equal([root.kind('whiteout'), root.lstat('whiteout').rdev], ['char', 0])
    },
    { needs: ['nodes', 'users', 'tmpfs'] },
  ),
  spec(
    'A105 mknod makes no directory, link or unknown kind',
    (root) => {
      fails('EPERM', () => root.mknod('d', 'directory'))
      fails('EINVAL', () => root.mknod('d', 'symlink'))
      equal(root.list('.'), [])
    },
    { needs: ['nodes'] },
  ),
  spec(
    'A360 A116 mknod leaves out the umask',
    (root) => {
      root.sys.umask(0o022)
      root.mknod('f', 'fifo', 0o666)
      equal(root.mode('f'), 0o644)
    },
    { needs: ['nodes', 'calls'] },
  ),
  ...cases([
    ['A139 symlink to nothing', 'ENOENT', (u) => u.symlink('', 'link')],
    ['A142 symlink of 4,095 bytes', undefined, (u) => u.symlink('t'.repeat(4095), 'link')],
    ['A142 symlink of 4,096 bytes', 'ENAMETOOLONG', (u) => u.symlink('t'.repeat(4096), 'link')],
    ['A142 symlink of 4,096 bytes in 2,048 characters', 'ENAMETOOLONG', (u) => u.symlink('ä'.repeat(2048), 'link')],
  ]),
  ...cases(
    [
      ['A137 readlink of a file', 'EINVAL', (u) => u.readlink('f')],
      ['A137 readlink of a directory', 'EINVAL', (u) => u.readlink('d')],
      ['A137 readlink of a link to a directory with a slash', 'EINVAL', (u) => u.readlink('to-d/')],
      ['A137 readlink of a link to a file with a slash', 'ENOTDIR', (u) => u.readlink('to-f/')],
      ['A137 readlink of nothing', 'ENOENT', (u) => u.readlink('missing')],
      ['A046 readlink of an empty path', 'ENOENT', (u) => u.readlink('')],
    ],
    { given },
  ),
  spec('A141 A142 A360 B021 a link keeps its target as it is, its size is that of the target', (root) => {
    for (const [i, target] of ['/a//b/../c/', 'ünicode', 'n'.repeat(300), '.', '\n'].entries()) {
      root.symlink(target, `l${i}`)
      equal(root.readlink(`l${i}`), target)
      const { mode, size } = root.lstat(`l${i}`)
      equal([mode, size], [0o120777, utf8Length(target)])
    }
  }),
  ...cases(
    [
      ['A080 link of nothing', 'ENOENT', (u) => u.link('missing', 'new')],
      ['A080 link of nothing onto a file', 'ENOENT', (u) => u.link('missing', 'f')],
      ['A080 link of a file with a slash', 'ENOTDIR', (u) => u.link('f/', 'new')],
      ['A088 link of a directory', 'EPERM', (u) => u.link('d', 'new')],
      ['A088 A388 link of a directory onto a file', 'EEXIST', (u) => u.link('d', 'f')],
      ['A088 A388 link of a directory to a name with a slash', 'ENOENT', (u) => u.link('d', 'new/')],
      ['A080 link of an empty source', 'ENOENT', (u) => u.link('', 'new')],
      ['A080 link of a dangling link, itself', undefined, (u) => u.link('dangling', 'new')],
      ['A084 link onto itself', 'EEXIST', (u) => u.link('f', 'f')],
    ],
    { given },
  ),
  ...cases(
    [
      ['A080 link of a dangling link, followed', 'ENOENT', (u) => u.link('dangling', 'new', AT_SYMLINK_FOLLOW)],
      ['A080 link of a link to a directory, followed', 'EPERM', (u) => u.link('to-d', 'new', AT_SYMLINK_FOLLOW)],
      ['A095 link with unknown flags', 'EINVAL', (u) => u.link('f', 'new', 0x1)],
      ['A095 link with AT_SYMLINK_NOFOLLOW', 'EINVAL', (u) => u.link('f', 'new', 0x100)],
      ['A095 link of nothing with unknown flags', 'EINVAL', (u) => u.link('missing', 'new', 0x8000)],
    ],
    { given, needs: ['calls'] },
  ),
  spec(
    'A080 a link is linked itself, or followed if asked',
    (root) => {
      root.file('f')
      root.symlink('f', 'l')
      root.link('l', 'a')
      root.link('l', 'b', AT_SYMLINK_FOLLOW)
      equal([root.kind('a'), root.kind('b')], ['symlink', 'file'])
      equal(root.lstat('a').ino, root.lstat('l').ino)
      equal(root.lstat('b').ino, root.lstat('f').ino)
    },
    { needs: ['calls'] },
  ),
  spec('A093 B057 names of one file share its data, attributes and count', (root) => {
    root.mkdir('d')
    root.file('f', 'one')
    root.link('f', 'd/g')
    root.file('d/g', 'two!')
    root.chmod('f', 0o600)
    const [f, g] = [root.stat('f'), root.stat('d/g')]
    equal([root.text('f'), f.nlink, f.ino === g.ino, g.mode & 0o777], ['two!', 2, true, 0o600])
    root.unlink('f')
    equal([root.text('d/g'), root.stat('d/g').nlink], ['two!', 1])
  }),
  spec(
    'A089 a stranger links only a file that it may read and write and that is not set-id',
    (root, { user }) => {
      root.mkdir('d')
      root.chmod('d', 0o777)
      const u = user(1000)
      const modes: [mode: number, outcome: string | undefined][] = [
        [0o666, undefined],
        [0o644, 'EPERM'],
        [0o622, 'EPERM'],
        [0o4666, 'EPERM'],
        [0o2676, 'EPERM'],
        [0o2666, undefined],
      ]
      for (const [mode, outcome] of modes) {
        const name = `f${mode.toString(8)}`
        root.file(name)
        root.chmod(name, mode)
        if (outcome) fails(outcome, () => u.link(name, `d/${name}`))
        else u.link(name, `d/${name}`)
      }
      root.mknod('fifo', 'fifo', 0o666)
      root.chmod('fifo', 0o666)
      fails('EPERM', () => u.link('fifo', 'd/fifo'))
      root.chown('fifo', 1000)
      u.link('fifo', 'd/fifo')
    },
    { needs: ['users', 'nodes'] },
  ),
  spec(
    'A090 a file that lost its last name gets no new one',
    (root) => {
      root.file('f')
      root.with('f', O_RDONLY, (fd) => {
        root.unlink('f')
        fails('ENOENT', () => root.sys.linkat(fd, '', -100, 'g', AT_EMPTY_PATH))
      })
    },
    { needs: ['calls'] },
  ),
  spec(
    'A094 linking a descriptor takes the opener itself, or CAP_DAC_READ_SEARCH',
    (root, { user }) => {
      root.chmod('.', 0o777)
      const [u, reader] = [user(1000), user({ uid: 1000, capabilities: CAP_DAC_READ_SEARCH })]
      for (const [i, who] of [u, reader, root].entries()) {
        who.file(`f${i}`)
        const fd = who.open(`f${i}`, O_PATH)
        who.sys.linkat(fd, '', -100, `g${i}`, AT_EMPTY_PATH)
        who.close(fd)
      }
      equal(root.stat('g0').nlink, 2)
    },
    { needs: ['calls', 'users'] },
  ),
  spec(
    'A087 A092 A388 A150 a link or a rename from one mount to another',
    (root, { mounts, user }) => {
      root.mkdir('m')
      root.mkdir('n')
      root.mkdir('n/d')
      root.file('f')
      root.file('n/there')
      mounts.bind('/n', '/m')
      root.link('f', 'n/same')
      fails('EXDEV', () => root.link('f', 'm/new'))
      fails('EXDEV', () => root.link('n/d', 'm/new'))
      fails('EEXIST', () => root.link('f', 'm/there'))
      fails('ENOENT', () => root.link('f', 'm/new/'))
      fails('EXDEV', () => root.rename('f', 'm/new'))
      fails('EXDEV', () => root.rename('m/there', 'm/../n/there'))
      fails('EXDEV', () => root.rename('missing', 'm/new'))
      fails('EXDEV', () => root.rename('n/.', 'm/new'))
      fails('EXDEV', () => root.rename('f', 'm/.'))
      fails('EXDEV', () => user(1000).link('f', 'm/new'))
      fails('EXDEV', () => user(1000).rename('f', 'm/new'))
      mounts.remount('/m', { readonly: true })
      fails('EROFS', () => root.link('f', 'm/new'))
      fails('EXDEV', () => root.rename('f', 'm/new'))
    },
    { needs: ['mounts', 'users'] },
  ),
]
