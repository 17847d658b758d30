/** Limits of a tmpfs: tmpfs(5), `size=` and `nr_inodes=`. */

import { FALLOC_FL_KEEP_SIZE, O_CREAT, O_RDWR, O_WRONLY } from '../../abi/linux.ts'
import { equal, fails, type Spec, spec } from './spec.ts'
import type { User } from './user.ts'

const PAGE = 4096

/** Blocks and inodes that are free. */
const free = (u: User) => {
  const { blocksFree, filesFree } = u.sys.statfs('.')
  return [blocksFree, filesFree]
}

const small = { data: 'mode=755,size=64k,nr_inodes=10', needs: ['quota', 'calls', 'tmpfs'] } as const

export const quota: readonly Spec[] = [
  spec(
    'B040 a write over the limit is short, the next one fails',
    (root) => {
      const fd = root.open('f', O_RDWR | O_CREAT)
      equal(root.write(fd, 'x'.repeat(60 * 1024)), 60 * 1024)
      equal(root.write(fd, 'y'.repeat(10 * 1024)), 4 * 1024)
      fails('ENOSPC', () => root.write(fd, 'z'))
      equal([root.sys.fstat(fd).size, free(root)[0]], [64 * 1024, 0])
      equal(root.pwrite(fd, 'over', 100), 4)
      fails('ENOSPC', () => root.pwrite(fd, 'x', 1 << 20))
      equal(root.sys.fstat(fd).size, 64 * 1024)
      root.sys.ftruncate(fd, 1 << 20)
      root.sys.ftruncate(fd, PAGE)
      equal(free(root)[0], 15)
      root.close(fd)
    },
    small,
  ),
  spec(
    'B040 a write of many ranges ends short where space does',
    (root) => {
      const fd = root.open('f', O_RDWR | O_CREAT)
      root.write(fd, 'x'.repeat(15 * PAGE))
      const memory = new Uint8Array(2 * PAGE).fill(65)
      equal(root.sys.writev(fd, memory, [0, PAGE, PAGE, PAGE]), PAGE)
      fails('ENOSPC', () => root.sys.writev(fd, memory, [0, 1]))
      equal(root.sys.fstat(fd).size, 16 * PAGE)
      root.close(fd)
    },
    small,
  ),
  spec(
    'B043 allocating takes all or nothing',
    (root) => {
      const fd = root.open('f', O_RDWR | O_CREAT)
      root.sys.fallocate(fd, 0, 0, 10 * PAGE)
      fails('ENOSPC', () => root.sys.fallocate(fd, 0, 0, 17 * PAGE))
      equal([root.sys.fstat(fd).size, root.sys.fstat(fd).blocks, free(root)[0]], [10 * PAGE, 80, 6])
      fails('ENOSPC', () => root.sys.fallocate(fd, FALLOC_FL_KEEP_SIZE, 20 * PAGE, 7 * PAGE))
      equal(free(root)[0], 6)
      root.sys.fallocate(fd, FALLOC_FL_KEEP_SIZE, 20 * PAGE, 6 * PAGE)
      equal([root.sys.fstat(fd).size, free(root)[0]], [10 * PAGE, 0])
      root.sys.fallocate(fd, 3, 0, 5 * PAGE)
      equal(free(root)[0], 5)
      root.close(fd)
    },
    small,
  ),
  spec(
    "B044 a link's target takes a page from 128 bytes on",
    (root) => {
      const before = free(root)[0]!
      root.symlink('t'.repeat(127), 'short')
      equal([free(root)[0], root.lstat('short').blocks], [before, 0])
      root.symlink('t'.repeat(128), 'long')
      equal(free(root)[0], before - 1)
      root.mkdir('d')
      root.link('short', 'other')
      equal(free(root)[0], before - 1)
      root.unlink('long')
      equal(free(root)[0], before)
    },
    small,
  ),
  spec(
    'B044 where no page is left a long target fails, a short one does not',
    (root) => {
      root.file('f', 'x'.repeat(16 * PAGE))
      fails('ENOSPC', () => root.symlink('t'.repeat(128), 'long'))
      root.symlink('t'.repeat(127), 'short')
      equal(root.list('.'), ['f', 'short'])
      equal(free(root)[1], 7)
    },
    small,
  ),
  spec(
    'B009 A129 where no inode is left nothing is made',
    (root) => {
      for (let i = 0; i < 9; i++) root.touch(`f${i}`, O_CREAT)
      equal(free(root)[1], 0)
      fails('ENOSPC', () => root.touch('new', O_CREAT))
      fails('ENOSPC', () => root.mkdir('new'))
      fails('ENOSPC', () => root.symlink('x', 'new'))
      fails('ENOSPC', () => root.mknod('new', 'fifo'))
      fails('EEXIST', () => root.mkdir('f0'))
      root.rename('f0', 'moved')
      root.unlink('moved')
      root.mkdir('new')
      equal(free(root)[1], 0)
    },
    small,
  ),
  spec(
    'B045 a file that is open keeps its space without a name',
    (root) => {
      const before = free(root)
      const fd = root.open('f', O_RDWR | O_CREAT)
      root.write(fd, 'x'.repeat(3 * PAGE))
      root.unlink('f')
      equal(free(root), [before[0]! - 3, before[1]! - 1])
      root.write(fd, 'x'.repeat(PAGE))
      equal(free(root)[0], before[0]! - 4)
      root.close(fd)
      equal(free(root), before)
    },
    small,
  ),
  spec(
    'B045 A160 a replaced file gives its space back when it is closed',
    (root) => {
      const before = free(root)
      root.file('a', 'x')
      root.file('b', 'x'.repeat(5 * PAGE))
      root.with('b', O_WRONLY, () => {
        root.rename('a', 'b')
        equal(free(root), [before[0]! - 6, before[1]! - 2])
      })
      equal(free(root), [before[0]! - 1, before[1]! - 1])
      root.with('.', 0, () => root.unlink('b'))
      equal(free(root), before)
    },
    small,
  ),
  spec(
    'B045 a removed directory gives its inode back when it is closed',
    (root) => {
      const before = free(root)
      root.mkdir('d')
      root.with('d', 0, () => {
        root.rmdir('d')
        equal(free(root)[1], before[1]! - 1)
      })
      equal(free(root), before)
    },
    small,
  ),
]
