/** Paths: parsing and walking (path_resolution(7)). */

import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CREAT,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_WRONLY,
} from '../../abi/linux.ts'
import { cases, equal, fails, type Spec, spec } from './spec.ts'
import type { User } from './user.ts'

/** Files, directories and every sort of link between them. */
export function given(root: User): void {
  root.file('f')
  root.mkdir('d')
  root.file('d/x', 'inside')
  root.mkdir('d/e')
  root.symlink('f', 'to-f')
  root.symlink('d', 'to-d')
  root.symlink('d/', 'to-d-slash')
  root.symlink('f/', 'to-f-slash')
  root.symlink('missing', 'dangling')
  root.symlink('loop', 'loop')
  root.symlink('/d/x', 'absolute')
  root.symlink('../f', 'd/up')
  root.symlink('x', 'd/to-x')
}

const A255 = 'a'.repeat(255)
/** `…/f` of 4,095 and of 4,096 bytes. */
const longPath = (bytes: number) => `${'./'.repeat((bytes - 2) / 2)}${bytes % 2 ? '' : '/'}f`.slice(-bytes)

const chain = (root: User, length: number) => {
  root.symlink('f', 'link1')
  for (let i = 2; i <= length; i++) root.symlink(`link${i - 1}`, `link${i}`)
}

export const paths: readonly Spec[] = [
  ...cases(
    [
      ['A046 stat of an empty path', 'ENOENT', (u) => u.stat('')],
      ['A046 opening an empty path', 'ENOENT', (u) => u.touch('')],
      ['A043 slashes may be repeated', undefined, (u) => u.stat('d//e///')],
      ['A043 A065 a slash behind a file', 'ENOTDIR', (u) => u.stat('f/')],
      ['A043 A065 slashes behind a file', 'ENOTDIR', (u) => u.stat('f//')],
      ['A190 A065 lstat of a file with a slash', 'ENOTDIR', (u) => u.lstat('f/')],
      ['A044 A050 dot behind a file', 'ENOTDIR', (u) => u.stat('f/.')],
      ['A044 A050 dot dot behind a file', 'ENOTDIR', (u) => u.stat('f/..')],
      ['A044 a dot is the directory itself', undefined, (u) => u.stat('./d/./x')],
      ['A044 dot dot is looked up, not cut off', 'ENOENT', (u) => u.stat('missing/../f')],
      ['A044 dot dot goes up', undefined, (u) => u.stat('d/e/../../f')],
      ['A050 a name below a file', 'ENOTDIR', (u) => u.stat('f/x')],
      ['A050 a name below a missing one', 'ENOENT', (u) => u.stat('missing/x')],
      ['A058 a dangling link', 'ENOENT', (u) => u.stat('dangling')],
      ['A058 a dangling link is there itself', undefined, (u) => u.lstat('dangling')],
      ['A058 a slash follows a last link', 'ENOENT', (u) => u.lstat('dangling/')],
      ['A060 a link to itself', 'ELOOP', (u) => u.stat('loop')],
      ['A060 a link to itself with a name behind', 'ELOOP', (u) => u.stat('loop/x')],
      ['A064 a link whose target has a slash, to a file', 'ENOTDIR', (u) => u.stat('to-f-slash')],
      ['A064 a link whose target has a slash, to a directory', undefined, (u) => u.stat('to-d-slash')],
      ['A064 it does not have to be followed', undefined, (u) => u.lstat('to-f-slash')],
      ['A062 a name behind a link to a directory', undefined, (u) => u.stat('to-d/x')],
      ['A064 a name behind a link whose target has a slash', undefined, (u) => u.stat('to-d-slash/x')],
      ['A058 a name behind a link to a file', 'ENOTDIR', (u) => u.stat('to-f/x')],
      ['A048 a name of 255 bytes', undefined, (u) => u.mkdir(A255)],
      ['A048 a name of 256 bytes', 'ENAMETOOLONG', (u) => u.mkdir(`${A255}a`)],
      ['A048 looking up a name of 256 bytes', 'ENAMETOOLONG', (u) => u.stat(`${A255}a`)],
      ['A048 a name of 256 bytes on the way', 'ENAMETOOLONG', (u) => u.stat(`${A255}a/x`)],
      ['A048 a name of 256 bytes in 128 characters', 'ENAMETOOLONG', (u) => u.mkdir('ä'.repeat(128))],
      ['A048 a name of 254 bytes in 127 characters', undefined, (u) => u.mkdir('ä'.repeat(127))],
      ['A048 a name of 256 bytes below what is missing', 'ENOENT', (u) => u.stat(`missing/${A255}a`)],
      ['A048 a path of 4,095 bytes', undefined, (u) => u.stat(longPath(4095))],
      ['A048 a path of 4,096 bytes', 'ENAMETOOLONG', (u) => u.stat(longPath(4096))],
      ['A047 a descriptor that is not open', 'EBADF', (u) => u.sys.fstatat(99, 'f', 0)],
      ['A047 an absolute path does not look at the descriptor', undefined, (u) => u.sys.fstatat(99, '/', 0)],
    ],
    { given },
  ),
  ...cases(
    [
      ['A042 A051 slashes only', undefined, (u) => u.stat('///')],
      ['A049 an absolute path', undefined, (u) => u.stat('/d/x')],
      ['A051 dot dot at the root stays', undefined, (u) => u.stat('/../../d/x')],
      ['A051 dot dot at the root, from below', undefined, (u) => u.stat('d/../../../f')],
      ['A063 an absolute target starts at the root', undefined, (u) => u.stat('d/../absolute')],
    ],
    { needs: ['root'], given },
  ),
  spec(
    'A043 A044 A062 A063 a path leads where it says',
    (root) => {
      const inos = new Map(['f', 'd', 'd/x', 'd/e', '.'].map((path) => [path, root.lstat(path).ino]))
      const same = (path: string, to: string) => equal(root.stat(path).ino, inos.get(to), path)
      same('./f', 'f')
      same('d/../f', 'f')
      same('d/e/../x', 'd/x')
      same('to-d/../f', 'f')
      same('to-d/up', 'f')
      same('d/to-x', 'd/x')
      same('to-d/e/..', 'd')
      same('d/.', 'd')
      same('to-d/', 'd')
      same('d/e/../..', '.')
    },
    { given },
  ),
  spec(
    'A042 A051 A063 the root is its own parent, and where absolute targets begin',
    (root) => {
      equal(root.stat('/..').ino, root.stat('/').ino, '/..')
      equal(root.stat('//').ino, root.stat('.').ino, '//')
      equal(root.stat('absolute').ino, root.stat('d/x').ino, 'absolute')
    },
    { needs: ['root'], given },
  ),
  spec(
    'A058 a last link is followed only if asked, or if a slash comes behind it',
    (root) => {
      equal(root.kind('to-d'), 'symlink')
      equal(root.kind('to-d/'), 'directory')
      equal(root.stat('to-d').ino, root.stat('d').ino)
    },
    { given },
  ),
  spec('A060 40 links are followed, 41 are not', (root) => {
    root.file('f')
    chain(root, 41)
    root.stat('link40')
    fails('ELOOP', () => root.stat('link41'))
    root.lstat('link41')
  }),
  spec('A060 links of all components count together', (root) => {
    root.mkdir('d')
    root.symlink('.', 'd/here')
    root.file('d/f')
    root.stat(`d/${'here/'.repeat(40)}f`)
    fails('ELOOP', () => root.stat(`d/${'here/'.repeat(41)}f`))
    root.lstat(`d/${'here/'.repeat(40)}here`)
  }),
  spec('A060 links of both paths of a call count apart', (root) => {
    root.mkdir('d')
    root.symlink('.', 'd/here')
    root.file('d/f')
    const deep = `d/${'here/'.repeat(40)}`
    root.rename(`${deep}f`, `${deep}g`)
    equal(root.kind('d/g'), 'file')
    fails('ELOOP', () => root.rename(`${deep}here/g`, 'f'))
  }),
  spec(
    'A047 a relative path starts at its descriptor',
    (root) => {
      root.with('d', O_RDONLY | O_DIRECTORY, (fd) => {
        equal(root.sys.fstatat(fd, 'x', 0).ino, root.stat('d/x').ino)
        fails('ENOENT', () => root.sys.fstatat(fd, 'f', 0))
        equal(root.sys.fstatat(fd, '../f', 0).ino, root.stat('f').ino)
      })
      root.with('f', O_RDONLY, (fd) => {
        fails('ENOTDIR', () => root.sys.fstatat(fd, 'x', 0))
        fails('ENOTDIR', () => root.sys.mkdirat(fd, 'x', 0o755))
      })
    },
    { given },
  ),
  spec(
    'A047 a path that needs no step may start at a file',
    (root) => {
      root.with('f', O_RDONLY, (fd) => {
        fails('ENOTDIR', () => root.sys.fstatat(fd, '.', 0))
        fails('ENOENT', () => root.sys.fstatat(fd, '', 0))
      })
    },
    { given },
  ),
  spec(
    'A046 A210 A315 an empty path stands for the descriptor where the call allows it',
    (root) => {
      const { sys } = root
      const AT_EMPTY_PATH = 0x1000
      root.with('d/x', O_PATH, (fd) => {
        equal(sys.fstatat(fd, '', AT_EMPTY_PATH).ino, root.stat('d/x').ino)
        sys.fchownat(fd, '', 7, 8, AT_EMPTY_PATH)
        equal(root.stat('d/x').uid, 7)
        equal(sys.fstatat(AT_FDCWD, '', AT_EMPTY_PATH).ino, root.stat('.').ino)
      })
      root.with('to-f', O_PATH | O_NOFOLLOW, (fd) => {
        equal(sys.fstatat(fd, '', AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW).ino, root.lstat('to-f').ino)
        equal(sys.readlinkat(fd, ''), 'f')
      })
    },
    { needs: ['calls'], given },
  ),
  spec(
    'A050 every directory on the way must be searchable, also for dot and dot dot',
    (root, { user }) => {
      root.mkdir('locked', 0o666)
      root.mkdir('locked/in')
      root.chmod('locked', 0o666)
      root.mkdir('open')
      const u = user(1000)
      for (const path of ['locked/in', 'locked/.', 'locked/..', 'locked/../f', 'locked/missing', 'open/../locked/in']) {
        fails('EACCES', () => u.stat(path))
      }
      u.stat('locked')
      u.stat('locked/')
      fails('EACCES', () => u.mkdir('locked/new'))
      fails('EACCES', () => u.touch('locked/in', O_RDONLY))
      fails('EACCES', () => u.touch('locked/new', O_WRONLY | O_CREAT))
      fails('EACCES', () => u.stat(`locked/${A255}a`))
    },
    { needs: ['users'], given },
  ),
]
