/** What random sequences, run on Linux and on ours side by side (e2e/fuzz), have found: each divergence, as a spec. */

import {
  AT_FDCWD,
  CAP_CHOWN,
  FALLOC_FL_KEEP_SIZE,
  O_APPEND,
  O_CREAT,
  O_NOFOLLOW,
  O_RDONLY,
  O_RDWR,
  SEEK_CUR,
} from '../../abi/linux.ts'
import { equal, fails, type Spec, spec } from './spec.ts'

export const fuzzed: readonly Spec[] = [
  spec(
    'A362 who is not of a setgid directory’s group makes no set-group-id program there, though the umask takes its x bit',
    (root, { user }) => {
      root.mkdir('d')
      root.chown('d', 0, 50)
      root.chmod('d', 0o2777)
      const stranger = user({ uid: 1000, gid: 1000 })
      stranger.sys.umask(0o077)
      stranger.touch('d/program', O_RDONLY | O_CREAT, 0o2755)
      equal(root.mode('d/program'), 0o700)
      stranger.touch('d/data', O_RDONLY | O_CREAT, 0o2745)
      equal(root.mode('d/data'), 0o2700, 'without an x bit for the group it is no program')
    },
    { needs: ['users', 'calls'] },
  ),
  spec('A304 readv of no bytes at all gives 0 on a directory, too; of one byte it is EISDIR', (root) => {
    root.mkdir('d')
    root.with('d', O_RDONLY, (fd) => {
      equal(root.sys.readv(fd, new Uint8Array(1), [0, 0, 0, 0]), 0)
      fails('EISDIR', () => root.sys.readv(fd, new Uint8Array(1), [0, 0, 0, 1]))
    })
  }),
  spec(
    'A117 A110 O_CREAT in a sticky directory for all opens no link of a stranger: EACCES before ELOOP, but EISDIR before it',
    (root, { user }) => {
      root.mkdir('d')
      root.chmod('d', 0o1777)
      user({ uid: 1000 }).symlink('target', 'd/l')
      user({ uid: 1000 }).mkdir('d/dir')
      const flags = O_RDWR | O_CREAT | O_NOFOLLOW
      fails('EACCES', () => root.open('d/l', flags))
      fails('ELOOP', () => user({ uid: 1000 }).open('d/l', flags))
      fails('ELOOP', () => root.open('d/l', O_RDWR | O_NOFOLLOW))
      fails('EISDIR', () => root.open('d/dir', flags))
      root.chmod('d', 0o777)
      fails('ELOOP', () => root.open('d/l', flags))
    },
    { needs: ['users'] },
  ),
  spec(
    'A196 A197 a chown that changes nothing is anybody’s, unless set-id bits would go with it',
    (root, { user }) => {
      root.file('f')
      const stranger = user({ uid: 1000 })
      stranger.chown('f', -1, -1)
      root.chmod('f', 0o4755)
      fails('EPERM', () => stranger.chown('f', -1, -1))
      fails('EPERM', () => user({ uid: 1000, capabilities: CAP_CHOWN }).chown('f', 1000, -1))
      root.chmod('f', 0o2644)
      fails('EPERM', () => stranger.chown('f', -1, -1))
      equal(root.mode('f'), 0o2644)
    },
    { needs: ['users', 'calls'] },
  ),
  spec(
    'B045 a removed working directory keeps its inode until it is left, and gives it back once',
    (root) => {
      const free = () => root.sys.statfs('/').filesFree
      const before = free()
      root.mkdir('/d')
      root.sys.chdir('/d')
      root.rmdir('/d')
      equal(free(), before - 1, 'while it is the working directory')
      root.touch('.')
      equal(free(), before - 1, 'after it was opened and closed')
      root.sys.chdir('/')
      equal(free(), before, 'after it was left')
    },
    { data: 'mode=755,nr_inodes=10', needs: ['quota', 'calls', 'tmpfs', 'root'] },
  ),
  spec(
    'B034 a write of nothing does not take an appending descriptor to the end',
    (root) => {
      const fd = root.open('f', O_RDWR | O_CREAT | O_APPEND)
      equal(root.pwrite(fd, 'text', 0), 4)
      equal(root.sys.writev(fd, new Uint8Array(0), [0, 0, 0, 0]), 0)
      equal(root.seek(fd, 0, SEEK_CUR), 0)
      equal(root.read(fd), 'text')
      root.close(fd)
    },
    { needs: ['calls'] },
  ),
  spec(
    'A048 in a removed directory every name is missing, also one that is too long',
    (root) => {
      root.mkdir('d')
      root.sys.chdir('d')
      root.rmdir('../d')
      const long = 'n'.repeat(256)
      fails('ENOENT', () => root.lstat(long))
      fails('ENOENT', () => root.mkdir(long))
      fails('ENOENT', () => root.open(long, O_RDWR | O_CREAT))
      root.sys.chdir('/')
    },
    { needs: ['calls', 'root'] },
  ),
  spec(
    'A207 a size that is set to what it was gives back what lies allocated behind it',
    (root) => {
      const fd = root.open('f', O_RDWR | O_CREAT)
      root.write(fd, 'text')
      root.sys.fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 16)
      equal(root.sys.fstat(fd).blocks, 128)
      root.sys.ftruncate(fd, 4)
      equal(root.sys.fstat(fd).blocks, 8)
      root.close(fd)
    },
    { needs: ['calls', 'tmpfs'] },
  ),
  spec(
    'A388 a new name in a removed directory is ENOENT before anything is said of the file to be linked',
    (root, { user }) => {
      root.mkdir('d')
      root.chmod('d', 0o777)
      root.mkdir('other')
      const stranger = user({ uid: 1000 })
      stranger.sys.chdir('d')
      root.rmdir('d')
      fails('ENOENT', () => stranger.sys.linkat(AT_FDCWD, '..', AT_FDCWD, 'a', 0))
      fails('ENOENT', () => stranger.sys.linkat(AT_FDCWD, '../other', AT_FDCWD, 'a', 0))
      stranger.sys.chdir('..')
      fails('EPERM', () => stranger.sys.linkat(AT_FDCWD, 'other', AT_FDCWD, 'a', 0))
    },
    { needs: ['users', 'calls'] },
  ),
]
