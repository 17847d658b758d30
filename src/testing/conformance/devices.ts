/** The memory devices: null(4), full(4), random(4). */

import { O_APPEND, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, SEEK_CUR, SEEK_END, SEEK_SET } from '../../abi/linux.ts'
import { type Case, cases, equal, fails, type Spec, spec } from './spec.ts'
import type { User } from './user.ts'

const DEVICES = { null: 3, zero: 5, full: 7, random: 8, urandom: 9 }
const NAMES = Object.keys(DEVICES)
const MEMORY_MAJOR = 0x100000

function given(root: User): void {
  for (const [name, minor] of Object.entries(DEVICES)) root.mknod(name, 'char', 0o666, MEMORY_MAJOR + minor)
  root.mknod('nothing', 'char', 0o666, 60 * MEMORY_MAJOR + 1)
}

/** How many bytes a read gives, and whether all of them are zero. */
function readFrom(u: User, fd: number, length: number, offset?: number): readonly [number, boolean] {
  const memory = new Uint8Array(length)
  const ranges = [0, length]
  const count = offset === undefined ? u.sys.readv(fd, memory, ranges) : u.sys.preadv(fd, memory, ranges, offset)
  return [count, memory.subarray(0, count).every((byte) => byte === 0)]
}

const each = (name: string, outcome: string | undefined, run: (u: User, fd: number) => unknown): Case[] =>
  NAMES.map((device) => [`${name} of ${device}`, outcome, (u) => u.with(device, O_RDWR, (fd) => run(u, fd))])

export const devices: readonly Spec[] = [
  spec(
    'B160 null has no bytes, zero and full have zeros, the others random ones',
    (root) => {
      const found = NAMES.map((name) => root.with(name, O_RDONLY, (fd) => readFrom(root, fd, 100_000)))
      const none = [0, true]
      const zeros = [100_000, true]
      const random = [100_000, false]
      equal(found, [none, zeros, zeros, random, random])
    },
    { given, needs: ['nodes'] },
  ),
  spec(
    'B160 all of them take what is written, but full',
    (root) => {
      for (const name of NAMES) {
        root.with(name, O_WRONLY | O_APPEND, (fd) => {
          if (name === 'full') fails('ENOSPC', () => root.write(fd, 'text'))
          else equal(root.write(fd, 'text'), 4, name)
          equal(root.write(fd, ''), 0, `nothing to ${name}`)
        })
        equal([root.stat(name).size, root.stat(name).rdev], [0, MEMORY_MAJOR + DEVICES[name as 'null']])
      }
    },
    { given, needs: ['nodes'] },
  ),
  spec(
    'B161 a position is 0 wherever it is sent, and reading does not move it',
    (root) => {
      for (const name of NAMES) {
        root.with(name, O_RDWR, (fd) => {
          const places = [
            [5, SEEK_SET],
            [5, SEEK_CUR],
            [-5, SEEK_END],
          ] as const
          readFrom(root, fd, 10)
          equal(
            places.map(([offset, whence]) => root.seek(fd, offset, whence)),
            [0, 0, 0],
            name,
          )
        })
      }
    },
    { given, needs: ['nodes', 'calls'] },
  ),
  spec(
    'B162 they are read and written at a position as anywhere, and truncated by opening them',
    (root) => {
      for (const name of NAMES) {
        root.with(name, O_RDWR | O_TRUNC, (fd) => {
          equal(readFrom(root, fd, 100, 1 << 20)[0], name === 'null' ? 0 : 100, name)
          if (name === 'full') fails('ENOSPC', () => root.pwrite(fd, 'text', 99))
          else equal(root.pwrite(fd, 'text', 99), 4, name)
        })
      }
    },
    { given, needs: ['nodes'] },
  ),
  ...cases(
    [
      ...each('B162 setting the size', 'EINVAL', (u, fd) => u.sys.ftruncate(fd, 0)),
      ...each('B162 seeking in no known way', 'EINVAL', (u, fd) => u.seek(fd, 0, 9)),
      ...each('B162 allocating', 'ENODEV', (u, fd) => u.sys.fallocate(fd, 0, 0, 10)),
      ['A013 opening a node without a device', 'ENXIO', (u) => u.touch('nothing')],
    ],
    { given, needs: ['nodes', 'calls'] },
  ),
]
