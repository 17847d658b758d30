/** The bytes of regular files: read(2), write(2), lseek(2), fallocate(2), truncate(2). */

import {
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  O_APPEND,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  SEEK_CUR,
  SEEK_DATA,
  SEEK_END,
  SEEK_HOLE,
  SEEK_SET,
} from '../../abi/linux.ts'
import { encodeUtf8 } from '../../abi/utf8.ts'
import { cases, equal, fails, type Spec, spec } from './spec.ts'
import type { User } from './user.ts'

const KiB = 1024
const MiB = 1024 * KiB
const TiB = 1024 * 1024 * MiB
const PUNCH = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
const ZERO = '\0'

function given(root: User): void {
  root.file('f', '0123456789')
  root.mkdir('d')
}

type WithFile = (u: User, fd: number) => unknown
const rw =
  (use: WithFile, path = 'f', flags = O_RDWR) =>
  (u: User) => {
    u.with(path, flags, (fd) => use(u, fd))
  }
const ro = (use: WithFile, path = 'f') => rw(use, path, O_RDONLY)
const wo = (use: WithFile) => rw(use, 'f', O_WRONLY)

export const data: readonly Spec[] = [
  ...cases(
    [
      ['A301 reading what is open for writing', 'EBADF', wo((u, fd) => u.read(fd))],
      ['A301 reading at a position what is open for writing', 'EBADF', wo((u, fd) => u.pread(fd, 1, 0))],
      ['A301 writing what is open for reading', 'EBADF', ro((u, fd) => u.write(fd, 'x'))],
      ['A301 writing at a position what is open for reading', 'EBADF', ro((u, fd) => u.pwrite(fd, 'x', 0))],
      ['A301 reading nothing of what is open for writing', 'EBADF', wo((u, fd) => u.read(fd, 0))],
      ['A301 writing nothing to what is open for reading', 'EBADF', ro((u, fd) => u.write(fd, ''))],
      ['A304 reading a directory', 'EISDIR', ro((u, fd) => u.read(fd), 'd')],
      ['A304 reading a directory at a position', 'EISDIR', ro((u, fd) => u.pread(fd, 1, 0), 'd')],
      ['A304 writing a directory', 'EBADF', ro((u, fd) => u.write(fd, 'x'), 'd')],
      ['A305 reading a descriptor that is not open', 'EBADF', (u) => u.read(99)],
      ['A305 writing a descriptor that is not open', 'EBADF', (u) => u.write(99, 'x')],
    ],
    { given },
  ),
  ...cases(
    [
      ['A307 reading at a negative position', 'EINVAL', rw((u, fd) => u.pread(fd, 1, -1))],
      ['A307 writing at a negative position', 'EINVAL', rw((u, fd) => u.pwrite(fd, 'x', -1))],
      ['A301 allocating what is open for reading', 'EBADF', ro((u, fd) => u.sys.fallocate(fd, 0, 0, 1))],
      ['A304 allocating a directory', 'EBADF', ro((u, fd) => u.sys.fallocate(fd, 0, 0, 1), 'd')],
      ['B042 allocating from a negative offset', 'EINVAL', rw((u, fd) => u.sys.fallocate(fd, 0, -1, 1))],
      ['B042 allocating nothing', 'EINVAL', rw((u, fd) => u.sys.fallocate(fd, 0, 0, 0))],
      ['B042 allocating a negative length', 'EINVAL', rw((u, fd) => u.sys.fallocate(fd, 0, 0, -1))],
      ['B042 allocating nothing of what is open for reading', 'EINVAL', ro((u, fd) => u.sys.fallocate(fd, 0, 0, 0))],
      [
        'B041 punching without keeping the size',
        'EOPNOTSUPP',
        rw((u, fd) => u.sys.fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1)),
      ],
      ['B041 collapsing', 'EOPNOTSUPP', rw((u, fd) => u.sys.fallocate(fd, 8, 0, 4096))],
      ['B041 zeroing', 'EOPNOTSUPP', rw((u, fd) => u.sys.fallocate(fd, 16, 0, 4096))],
      ['B036 seeking before the start', 'EINVAL', rw((u, fd) => u.seek(fd, -1, SEEK_SET))],
      ['B036 seeking before the start from the end', 'EINVAL', rw((u, fd) => u.seek(fd, -11, SEEK_END))],
      ['B036 seeking before the start from here', 'EINVAL', rw((u, fd) => u.seek(fd, -1, SEEK_CUR))],
      ['B036 seeking in an unknown way', 'EINVAL', rw((u, fd) => u.seek(fd, 0, 9))],
      ['B036 looking for data behind the end', 'ENXIO', rw((u, fd) => u.seek(fd, 10, SEEK_DATA))],
      ['B036 looking for a hole behind the end', 'ENXIO', rw((u, fd) => u.seek(fd, 10, SEEK_HOLE))],
      ['B036 looking for data before the start', 'ENXIO', rw((u, fd) => u.seek(fd, -1, SEEK_DATA))],
      ['B036 seeking a descriptor that is not open', 'EBADF', (u) => u.seek(99, 0, SEEK_SET)],
    ],
    { given, needs: ['calls'] },
  ),
  spec(
    'A305 B042 A302 A224 what a FIFO refuses',
    (root) => {
      root.mknod('fifo', 'fifo')
      root.with('fifo', O_RDWR, (fd) => {
        fails('ESPIPE', () => root.pread(fd, 1, 0))
        fails('ESPIPE', () => root.pwrite(fd, 'x', 0))
        fails('ESPIPE', () => root.seek(fd, 0, SEEK_SET))
        fails('ESPIPE', () => root.sys.fallocate(fd, 0, 0, 1))
        fails('EINVAL', () => root.sys.fsync(fd))
        fails('EINVAL', () => root.sys.ftruncate(fd, 0))
      })
    },
    { needs: ['nodes', 'calls'] },
  ),
  spec(
    'A305 listing a file',
    (root) => {
      root.file('f')
      root.with('f', O_RDONLY, (fd) => fails('ENOTDIR', () => root.entries(fd)))
    },
    { needs: ['calls'] },
  ),
  spec(
    'B032 at and behind the end there is nothing, and less is read before it',
    (root) => {
      root.with('f', O_RDWR, (fd) => {
        equal(
          [root.pread(fd, 4, 8), root.pread(fd, 4, 10), root.pread(fd, 4, 11), root.pread(fd, 4, TiB)],
          ['89', '', '', ''],
        )
        equal([root.read(fd), root.read(fd), root.read(fd, 1)], ['0123456789', '', ''])
      })
    },
    { given },
  ),
  spec(
    'B032 B033 a write behind the end leaves a hole of zeros',
    (root) => {
      root.with('f', O_RDWR, (fd) => {
        equal(root.pwrite(fd, 'x', 14), 1)
        equal([root.pread(fd, 99, 8), root.sys.fstat(fd).size], [`89${ZERO.repeat(4)}x`, 15])
        equal([root.pwrite(fd, '', 100), root.sys.fstat(fd).size], [0, 15])
      })
    },
    { given },
  ),
  spec(
    'B032 B033 a write far behind the end costs nothing between',
    (root) => {
      root.with('f', O_RDWR, (fd) => {
        equal(root.pwrite(fd, 'far', TiB - 1), 3)
        const { size, blocks } = root.sys.fstat(fd)
        equal([size, blocks <= 24], [TiB + 2, true])
        equal([root.pread(fd, 5, TiB - 3), root.pread(fd, 3, TiB / 2)], [`${ZERO}${ZERO}far`, ZERO.repeat(3)])
      })
    },
    { given },
  ),
  spec(
    'many ranges are one read or write',
    (root) => {
      const memory = encodeUtf8('abcdefghij')
      root.with('f', O_RDWR, (fd) => {
        equal(root.sys.writev(fd, memory, [0, 2, 5, 0, 8, 2]), 4)
        equal(root.pread(fd, 99, 0), 'abij456789')
        const into = new Uint8Array(8)
        equal(root.sys.preadv(fd, into, [0, 3, 4, 4], 1), 7)
        equal([...into], [98, 105, 106, 0, 52, 53, 54, 55])
        equal(root.sys.pwritev(fd, memory, [0, 1, 9, 1], 8), 2)
        equal(root.sys.readv(fd, into, []), 0)
        equal(root.read(fd), '4567aj')
      })
    },
    { given, needs: ['calls'] },
  ),
  spec(
    'B034 O_APPEND writes at the end, wherever the position is',
    (root) => {
      root.with('f', O_RDWR | O_APPEND, (fd) => {
        equal([root.read(fd, 3), root.write(fd, 'ab'), root.read(fd)], ['012', 2, ''])
        equal([root.pwrite(fd, 'cd', 0), root.text('f')], [2, '0123456789abcd'])
        equal(root.read(fd), 'cd')
        root.file('f', 'new')
        equal([root.write(fd, '!'), root.text('f')], [1, 'new!'])
      })
    },
    { given },
  ),
  spec(
    'B034 O_APPEND is for each write, and for who set it',
    (root) => {
      root.with('f', O_WRONLY | O_APPEND, (a) =>
        root.with('f', O_RDWR, (b) => {
          root.write(a, 'a')
          root.write(b, 'b')
          root.sys.setfl(a, 0)
          root.write(a, 'c')
          root.sys.setfl(b, O_APPEND)
          root.write(b, 'd')
          equal(root.text('f'), 'b123456789acd')
        }),
      )
    },
    { given, needs: ['calls'] },
  ),
  spec(
    'B036 B037 seeking from the start, from here, from the end, and behind it',
    (root) => {
      root.with('f', O_RDWR, (fd) => {
        equal([root.seek(fd, 3, SEEK_SET), root.read(fd, 2)], [3, '34'])
        equal([root.seek(fd, -1, SEEK_CUR), root.read(fd, 2)], [4, '45'])
        equal([root.seek(fd, -2, SEEK_END), root.read(fd)], [8, '89'])
        equal([root.seek(fd, 100, SEEK_SET), root.read(fd), root.sys.fstat(fd).size], [100, '', 10])
        equal([root.seek(fd, 5, SEEK_END), root.write(fd, 'x')], [15, 1])
        equal([root.pread(fd, 9, 8), root.seek(fd, 0, SEEK_CUR)], [`89${ZERO.repeat(5)}x`, 16])
        fails('EINVAL', () => root.seek(fd, -1, SEEK_SET))
        equal(root.seek(fd, 0, SEEK_CUR), 16)
      })
    },
    { given, needs: ['calls'] },
  ),
  spec(
    'B036 looking for data and holes',
    (root) => {
      const fd = root.open('f', O_RDWR | O_CREAT)
      const find = (from: number, whence: number) => {
        try {
          return root.seek(fd, from, whence)
        } catch (error) {
          return (error as { code: string }).code
        }
      }
      root.pwrite(fd, 'x', 1 * MiB + 5)
      root.sys.ftruncate(fd, 4 * MiB)
      const at = MiB
      equal([find(0, SEEK_DATA), find(0, SEEK_HOLE)], [at, 0])
      equal([find(at + 1, SEEK_DATA), find(at + 1, SEEK_HOLE)], [at + 1, at + 4096])
      equal([find(at + 4096, SEEK_DATA), find(at + 4096, SEEK_HOLE)], ['ENXIO', at + 4096])
      equal([find(4 * MiB - 1, SEEK_HOLE), find(4 * MiB, SEEK_HOLE)], [4 * MiB - 1, 'ENXIO'])
      root.sys.ftruncate(fd, at + 6)
      equal([find(at, SEEK_HOLE), find(at + 5, SEEK_HOLE)], [at + 6, at + 6])
      root.close(fd)
    },
    { needs: ['calls', 'tmpfs'] },
  ),
  spec(
    'B039 a duplicate shares its position, a second opening does not',
    (root) => {
      const fd = root.open('f', O_RDWR)
      const [same, other] = [root.sys.dup(fd), root.open('f', O_RDWR)]
      equal([root.read(fd, 2), root.read(same, 2), root.read(other, 2)], ['01', '23', '01'])
      root.sys.setfl(same, O_APPEND)
      equal([root.sys.getfl(fd) & O_APPEND, root.sys.getfl(other) & O_APPEND], [O_APPEND, 0])
      root.close(fd)
      equal(root.read(same, 2), '45')
      for (const each of [same, other]) root.close(each)
    },
    { given, needs: ['calls'] },
  ),
  spec(
    'B209 allocating what a file has already changes its times and nothing else',
    (root) => {
      root.utimes('f', 5n, 5n)
      root.with('f', O_RDWR, (fd) => {
        const before = root.sys.fstat(fd)
        root.sys.fallocate(fd, 0, 0, 4)
        const { size, blocks, atime, mtime } = root.sys.fstat(fd)
        equal([size, blocks, atime, root.text('f')], [before.size, before.blocks, 5n, '0123456789'])
        equal(mtime > 5n, true, 'mtime has moved')
      })
    },
    { given, needs: ['calls'] },
  ),
  spec(
    'B038 what is cut off comes back as zeros',
    (root) => {
      root.with('f', O_RDWR, (fd) => {
        root.sys.ftruncate(fd, 3)
        root.sys.ftruncate(fd, 6)
        equal([root.text('f'), root.sys.fstat(fd).size], [`012${ZERO.repeat(3)}`, 6])
        root.sys.ftruncate(fd, 0)
        root.pwrite(fd, 'x', 2)
        equal(root.text('f'), `${ZERO}${ZERO}x`)
      })
    },
    { given },
  ),
  spec(
    'B038 a grown file takes no space, a cut one gives it back',
    (root) => {
      root.with('f', O_RDWR, (fd) => {
        const blocks = () => root.sys.fstat(fd).blocks
        root.sys.ftruncate(fd, 10 * MiB)
        equal([blocks(), root.sys.fstat(fd).size], [8, 10 * MiB])
        for (const page of [0, 1, 16, 17, 40]) root.pwrite(fd, 'x', page * 4096)
        equal(blocks(), 5 * 8)
        root.sys.ftruncate(fd, 16 * 4096 + 1)
        equal(blocks(), 3 * 8)
        root.sys.ftruncate(fd, 20 * MiB)
        equal([root.pread(fd, 2, 16 * 4096), blocks()], [`x${ZERO}`, 3 * 8])
        root.sys.ftruncate(fd, 0)
        equal(blocks(), 0)
      })
    },
    { given, needs: ['tmpfs', 'calls'] },
  ),
  spec(
    'B038 B032 pages and parts of them are cut and filled at every border',
    (root) => {
      const sizes = [1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 131_072, 200_000]
      const fd = root.open('f', O_RDWR)
      for (const size of sizes) {
        root.sys.ftruncate(fd, 0)
        root.pwrite(fd, 'ab'.repeat(101_000), 0)
        root.sys.ftruncate(fd, size)
        root.pwrite(fd, '!', size + 70_000)
        equal(root.pread(fd, 2, Math.max(0, size - 1)), size % 2 ? `a${ZERO}` : `b${ZERO}`, `around ${size}`)
        const rest = root.pread(fd, 65_536, size)
        equal([rest.length, rest.replaceAll(ZERO, '')], [65_536, ''], `behind ${size}`)
      }
      root.close(fd)
    },
    { given },
  ),
  spec(
    'B041 B043 allocating grows the file, or does not, and keeps what is there',
    (root) => {
      root.with('f', O_RDWR, (fd) => {
        const state = () => [root.sys.fstat(fd).size, root.sys.fstat(fd).blocks]
        root.sys.fallocate(fd, 0, 0, 5)
        equal(state(), [10, 8])
        root.sys.fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 20_000)
        equal(state(), [10, 40])
        root.sys.fallocate(fd, 0, 20_000, 100)
        equal(state(), [20_100, 40])
        equal([root.pread(fd, 12, 0), root.pread(fd, 2, 20_000)], [`0123456789${ZERO}${ZERO}`, ZERO.repeat(2)])
      })
    },
    { given, needs: ['tmpfs', 'calls'] },
  ),
  spec(
    'B041 a punched hole reads as zeros, gives space back and keeps the size',
    (root) => {
      const fd = root.open('g', O_RDWR | O_CREAT)
      root.pwrite(fd, 'x'.repeat(5 * 4096), 0)
      root.sys.fallocate(fd, PUNCH, 4000, 4096 + 200)
      equal([root.sys.fstat(fd).size, root.sys.fstat(fd).blocks], [5 * 4096, 4 * 8])
      equal([root.pread(fd, 2, 3999), root.pread(fd, 2, 4000 + 4296 - 1)], [`x${ZERO}`, `${ZERO}x`])
      equal(root.pread(fd, 4296, 4000).replaceAll(ZERO, ''), '')
      root.sys.fallocate(fd, PUNCH, 3 * 4096, 10 * MiB)
      equal([root.sys.fstat(fd).size, root.sys.fstat(fd).blocks], [5 * 4096, 2 * 8])
      root.sys.fallocate(fd, PUNCH, 100 * MiB, 1)
      equal(root.sys.fstat(fd).size, 5 * 4096)
      root.close(fd)
    },
    { needs: ['tmpfs', 'calls'] },
  ),
  spec(
    'B022 B023 B021 a file tells its size and the blocks in use',
    (root) => {
      root.file('g', 'x'.repeat(5000))
      const { size, blocks, blksize } = root.stat('g')
      equal([size, blocks, blksize], [5000, 16, 4096])
    },
    { needs: ['tmpfs'] },
  ),
]
