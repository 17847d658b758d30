/** Which of a file's times move, and when: inode(7), utimensat(2), mount(8) on relatime. */

import {
  AT_FDCWD,
  FALLOC_FL_KEEP_SIZE,
  O_CREAT,
  O_NOATIME,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  UTIME_NOW,
  UTIME_OMIT,
} from '../../abi/linux.ts'
import { cases, equal, fails, holds, type Run, type Spec, type SpecOptions, spec, type Trial } from './spec.ts'
import type { User } from './user.ts'

/** A row of the table: what is done, and which times of which files move, such as `f: mc`. */
type Move = readonly [name: string, moves: Readonly<Record<string, string>>, run: Run, options?: SpecOptions]

/** Reads which of atime, mtime, ctime of each file moved: `a`, `m`, `c`. */
function moved(
  root: User,
  { tick }: Pick<Trial, 'tick'>,
  paths: readonly string[],
  act: () => void,
): Record<string, string> {
  const times = () =>
    paths.map((path) => {
      const { atime, mtime, ctime } = root.lstat(path)
      return [atime, mtime, ctime] as const
    })
  const before = times()
  tick()
  act()
  const after = times()
  return Object.fromEntries(
    paths.map((path, i) => [path, ['a', 'm', 'c'].filter((_, k) => after[i]![k] !== before[i]![k]).join('')]),
  )
}

const given = (root: User) => {
  root.mkdir('d')
  root.mkdir('e')
  root.file('d/f', 'text')
  root.file('d/g', 'more')
  root.symlink('f', 'd/l')
  root.mkdir('d/sub')
}

/** Atime is behind mtime first, so that relatime lets it move. */
const moves: readonly Move[] = [
  ['B024 B025 reading', { 'd/f': 'a', d: '' }, (u) => u.text('d/f')],
  ['B024 reading nothing', { 'd/f': '' }, (u) => u.with('d/f', O_RDONLY, (fd) => u.read(fd, 0))],
  [
    'B024 reading at the end',
    { 'd/f': 'a' },
    (u) => u.with('d/f', O_RDONLY, (fd) => u.pread(fd, 1, 100)),
    { needs: ['times'] },
  ],
  ['B024 reading with O_NOATIME', { 'd/f': '' }, (u) => u.with('d/f', O_RDONLY | O_NOATIME, (fd) => u.read(fd))],
  ['B024 listing', { d: 'a', 'd/f': '' }, (u) => u.list('d')],
  ['A067 B024 reading a link', { 'd/l': 'a', 'd/f': '' }, (u) => u.readlink('d/l')],
  ['A067 B024 following a link', { 'd/l': 'a', 'd/f': '' }, (u) => u.stat('d/l')],
  ['B024 looking', { d: '', 'd/f': '' }, (u) => u.stat('d/f')],
  ['B024 opening and closing', { d: '', 'd/f': '' }, (u) => u.touch('d/f', O_RDWR)],
  ['B026 A209 writing', { 'd/f': 'mc' }, (u) => u.with('d/f', O_WRONLY, (fd) => u.write(fd, 'x'))],
  ['B026 writing nothing', { 'd/f': '' }, (u) => u.with('d/f', O_WRONLY, (fd) => u.write(fd, ''))],
  ['A207 B026 cutting to the same size', { 'd/f': 'mc' }, (u) => u.truncate('d/f', 4)],
  ['A207 B026 cutting to another size', { 'd/f': 'mc' }, (u) => u.truncate('d/f', 2)],
  [
    'A207 B026 cutting by descriptor to the same size',
    { 'd/f': 'mc' },
    (u) => u.with('d/f', O_RDWR, (fd) => u.sys.ftruncate(fd, 4)),
  ],
  ['A207 B026 opening with O_TRUNC', { 'd/f': 'mc' }, (u) => u.touch('d/f', O_WRONLY | O_TRUNC)],
  ['B026 opening with O_CREAT what is there', { 'd/f': '', d: '' }, (u) => u.touch('d/f', O_WRONLY | O_CREAT)],
  ['B026 A102 making a file', { d: 'mc', 'd/f': '' }, (u) => u.file('d/new')],
  ['B026 A102 making a directory', { d: 'mc' }, (u) => u.mkdir('d/new')],
  ['B026 making a link', { d: 'mc' }, (u) => u.symlink('x', 'd/new')],
  ['B026 A093 B028 making another name', { e: 'mc', 'd/f': 'c' }, (u) => u.link('d/f', 'e/new')],
  ['B026 A167 B029 moving', { d: 'mc', e: 'mc', 'd/g': '' }, (u) => u.rename('d/f', 'e/f')],
  ['B026 A167 moving within a directory', { d: 'mc', e: '' }, (u) => u.rename('d/f', 'd/h')],
  ['A209 chmod', { 'd/f': 'c' }, (u) => u.chmod('d/f', 0o600)],
  ['A209 chmod to the same mode', { 'd/f': 'c' }, (u) => u.chmod('d/f', 0o644)],
  ['A209 chown', { 'd/f': 'c' }, (u) => u.chown('d/f', 7)],
  ['A209 setting atime', { 'd/f': 'ac' }, (u) => u.utimes('d/f', 5n, UTIME_OMIT)],
  ['A209 setting mtime', { 'd/f': 'mc' }, (u) => u.utimes('d/f', UTIME_OMIT, 5n)],
  ['A200 setting neither', { 'd/f': '' }, (u) => u.utimes('d/f', UTIME_OMIT, UTIME_OMIT)],
  ['B030 A209 setting both to now', { 'd/f': 'amc' }, (u) => u.utimes('d/f', UTIME_NOW, UTIME_NOW)],
  ['B026 a call that fails', { d: '', 'd/f': '' }, (u) => fails('EEXIST', () => u.mkdir('d/f'))],
  ['A156 B026 moving a file onto itself', { d: '', 'd/f': '' }, (u) => u.rename('d/f', 'd/f')],
]

const allocating: readonly Move[] = [
  ['B027 allocating more', { 'd/f': 'mc' }, (u) => u.with('d/f', O_RDWR, (fd) => u.sys.fallocate(fd, 0, 0, 10))],
  [
    'B027 allocating what is there',
    { 'd/f': 'mc' },
    (u) => u.with('d/f', O_RDWR, (fd) => u.sys.fallocate(fd, 0, 0, 2)),
  ],
  [
    'B027 allocating past the end',
    { 'd/f': 'mc' },
    (u) => u.with('d/f', O_RDWR, (fd) => u.sys.fallocate(fd, FALLOC_FL_KEEP_SIZE, 9, 9)),
  ],
  ['B027 punching', { 'd/f': 'mc' }, (u) => u.with('d/f', O_RDWR, (fd) => u.sys.fallocate(fd, 3, 0, 9))],
]

const table = (rows: readonly Move[], options: SpecOptions) =>
  rows.map(([name, expected, run, more]) =>
    spec(
      `${name} moves ${Object.entries(expected)
        .map(([path, which]) => `${which || 'nothing'} of ${path}`)
        .join(', ')}`,
      (root, trial) =>
        equal(
          moved(root, trial, Object.keys(expected), () => run(root, trial)),
          expected,
        ),
      { ...options, ...more },
    ),
  )

export const times: readonly Spec[] = [
  ...table(moves, { given }),
  ...table(allocating, { given, needs: ['calls'] }),
  ...cases(
    [
      ['A200 both times left, of nothing', undefined, (u) => u.utimes('missing', UTIME_OMIT, UTIME_OMIT)],
      ['A200 times of nothing', 'ENOENT', (u) => u.utimes('missing', 1n, 1n)],
      ['A046 times of an empty path', 'ENOENT', (u) => u.utimes('', 1n, 1n)],
    ],
    { needs: ['calls'] },
  ),
  spec('B018 a new file has one time for all', (root, { tick }) => {
    root.file('before')
    tick()
    for (const [path, make] of [
      ['f', () => root.touch('f', O_CREAT)],
      ['d', () => root.mkdir('d')],
      ['l', () => root.symlink('x', 'l')],
    ] as const) {
      make()
      const { atime, mtime, ctime } = root.lstat(path)
      equal([atime === mtime, mtime === ctime, mtime > root.stat('before').mtime], [true, true, true], path)
    }
  }),
  spec('B018 a file keeps the time of its birth', (root, { tick }) => {
    root.file('f')
    const { btime, ctime } = root.stat('f')
    tick()
    root.chmod('f', 0o600)
    root.utimes('f', 1n, 1n)
    equal([root.stat('f').btime === btime, btime <= ctime, root.stat('f').ctime > btime], [true, true, true])
  }),
  spec("A207 B018 a file that O_TRUNC makes has its directory's new time", (root, { tick }) => {
    root.mkdir('d')
    tick()
    root.touch('d/f', O_CREAT | O_TRUNC | O_WRONLY)
    equal(root.stat('d/f').mtime, root.stat('d').mtime)
  }),
  spec('B026 removing a name moves the times of its directory, and ctime of the file', (root, trial) => {
    root.mkdir('d')
    root.file('d/f')
    root.link('d/f', 'g')
    root.mkdir('d/e')
    equal(
      moved(root, trial, ['d', 'g'], () => root.unlink('d/f')),
      { d: 'mc', g: 'c' },
    )
    equal(
      moved(root, trial, ['d'], () => root.rmdir('d/e')),
      { d: 'mc' },
    )
  }),
  spec('A167 B029 moving a file moves its ctime only', (root, { tick }) => {
    root.file('f')
    root.mkdir('d')
    for (const path of ['f', 'd']) {
      const before = root.stat(path)
      tick()
      root.rename(path, `${path}2`)
      const after = root.stat(`${path}2`)
      equal(
        [after.atime === before.atime, after.mtime === before.mtime, after.ctime > before.ctime],
        [true, true, true],
        path,
      )
    }
  }),
  spec(
    'B026 A209 a change of a file leaves the times of its directory',
    (root, trial) => {
      const act = () => {
        root.with('d/f', O_WRONLY, (fd) => root.write(fd, 'x'))
        root.truncate('d/f', 0)
        root.chmod('d/f', 0o600)
        root.chown('d/f', 7)
        root.utimes('d/f', 1n, 2n)
      }
      equal(moved(root, trial, ['d'], act), { d: '' })
    },
    { given },
  ),
  spec(
    'B026 A167 an exchange moves ctime of both files',
    (root, { tick }) => {
      root.file('f')
      root.mkdir('d')
      const [f, d] = [root.stat('f'), root.stat('d')]
      tick()
      root.rename('f', 'd', 2)
      for (const [before, after] of [
        [f, root.stat('d')],
        [d, root.stat('f')],
      ] as const) {
        equal([after.ctime > before.ctime, after.mtime === before.mtime, after.ino === before.ino], [true, true, true])
      }
    },
    { needs: ['calls'] },
  ),
  spec('B030 "now" is one time for all three', (root, { tick }) => {
    root.file('f')
    tick()
    root.utimes('f', UTIME_NOW, UTIME_NOW)
    const { atime, mtime, ctime } = root.stat('f')
    equal([atime === mtime, mtime === ctime], [true, true])
  }),
  spec(
    'B031 A201 times have nanoseconds, and may lie before 1970',
    (root) => {
      root.file('f')
      for (const time of [
        0n,
        1n,
        -1n,
        -1_500_000_000n,
        999_999_999n,
        1_700_000_000_123_456_789n,
        4_294_967_296_000_000_001n,
      ]) {
        root.utimes('f', time, time + 1n)
        equal([root.stat('f').atime, root.stat('f').mtime], [time, time + 1n])
      }
    },
    { needs: ['calls'] },
  ),
  spec(
    'B025 B024 relatime: atime moves once after a change, then stays',
    (root, trial) => {
      root.file('f')
      trial.tick()
      const read = () => moved(root, trial, ['f'], () => root.text('f')).f
      equal([read(), read()], ['a', ''])
      trial.tick()
      root.with('f', O_WRONLY, (fd) => root.write(fd, 'x'))
      equal([read(), read()], ['a', ''])
      root.chmod('f', 0o600)
      equal([read(), read()], ['a', ''])
    },
    { needs: ['times'] },
  ),
  spec(
    'B025 relatime: atime moves once a day without a change',
    (root, { tick }) => {
      root.file('f')
      tick()
      const read = () => {
        root.text('f')
        return root.stat('f').atime
      }
      const first = read()
      tick(23 * 3_600_000)
      equal(read() - first, 0n)
      tick(3_600_000)
      equal(read() - first, 86_400_000_000_000n)
    },
    { needs: ['own-way'] },
  ),
  spec(
    'B024 B025 noatime, strictatime and a read-only mount',
    (root, trial) => {
      root.mkdir('m')
      trial.mounts.tmpfs('/m')
      root.file('m/f')
      root.symlink('f', 'm/l')
      const read = () =>
        moved(root, trial, ['m/f', 'm', 'm/l'], () => [root.text('m/f'), root.list('m'), root.readlink('m/l')])
      const all = { 'm/f': 'a', m: 'a', 'm/l': 'a' }
      const none = { 'm/f': '', m: '', 'm/l': '' }
      trial.mounts.remount('/m', { noatime: true })
      equal(read(), none)
      trial.mounts.remount('/m', { readonly: true })
      equal(read(), none)
      trial.mounts.remount('/m', { strictatime: true })
      equal([read(), read(), read()], [all, all, all])
      trial.mounts.remount('/m', {})
      equal(read(), none)
    },
    { needs: ['times', 'mounts'] },
  ),
  spec(
    'A199 A194 explicit times are for the owner, "now" also for who may write',
    (root, { user }) => {
      root.file('f', 'text', 0o666)
      root.file('g', 'text', 0o644)
      const u = user(1000)
      fails('EPERM', () => u.utimes('f', 1n, 1n))
      fails('EPERM', () => u.utimes('f', UTIME_NOW, UTIME_OMIT))
      fails('EPERM', () => u.utimes('f', UTIME_OMIT, UTIME_NOW))
      u.utimes('f', UTIME_NOW, UTIME_NOW)
      u.utimes('g', UTIME_OMIT, UTIME_OMIT)
      fails('EACCES', () => u.utimes('g', UTIME_NOW, UTIME_NOW))
      root.chown('g', 1000)
      root.chmod('g', 0)
      u.utimes('g', 1n, 2n)
      u.utimes('g', UTIME_NOW, UTIME_NOW)
    },
    { needs: ['users', 'calls'] },
  ),
  spec('A199 times of a link, and of what it leads to', (root) => {
    root.file('f')
    root.symlink('f', 'l')
    root.utimes('l', 1n, 2n)
    equal([root.lstat('l').mtime, root.stat('f').mtime > 100n], [2n, true])
    root.sys.utimensat(AT_FDCWD, 'l', 3n, 4n, 0)
    holds(root.lstat('l').mtime === 2n && root.stat('f').mtime === 4n, 'the target has them')
  }),
]
