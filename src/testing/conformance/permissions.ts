/** Who may do what: path_resolution(7), capabilities(7). */

import {
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_FSETID,
  O_CREAT,
  O_RDONLY,
  O_RDWR,
  O_WRONLY,
  R_OK,
  W_OK,
  X_OK,
} from '../../abi/linux.ts'
import { type Credentials, equal, fails, outcomeOf, type Spec, spec } from './spec.ts'
import type { User } from './user.ts'

const OWNER: Credentials = { uid: 1000, gid: 1000 }
const MEMBER: Credentials = { uid: 1001, gid: 50 }
const FURTHER: Credentials = { uid: 1001, gid: 1001, groups: [7, 50] }
const OTHER: Credentials = { uid: 1002, gid: 1002 }

/** Which of reading and writing the file may be opened for. */
const opens = (u: User, path: string) =>
  (
    [
      ['r', O_RDONLY],
      ['w', O_WRONLY],
    ] as const
  )
    .map(([name, flags]) => (outcomeOf(() => u.touch(path, flags)) === undefined ? name : '-'))
    .join('')

const classes: readonly (readonly [mode: number, owner: string, member: string, other: string])[] = [
  [0o000, '--', '--', '--'],
  [0o400, 'r-', '--', '--'],
  [0o040, '--', 'r-', '--'],
  [0o004, '--', '--', 'r-'],
  [0o066, '--', 'rw', 'rw'],
  [0o606, 'rw', '--', 'rw'],
  [0o660, 'rw', 'rw', '--'],
  [0o246, '-w', 'r-', 'rw'],
]

const able = (capabilities: number): Credentials => ({ uid: 2000, gid: 2000, capabilities })

export const permissions: readonly Spec[] = [
  ...classes.map(([mode, ...expected]) =>
    spec(
      `A354 the class that matches decides on mode ${mode.toString(8).padStart(3, '0')}, even if it grants less`,
      (root, { user }) => {
        root.file('f')
        root.chown('f', 1000, 50)
        root.chmod('f', mode)
        const [owner, member, other] = expected
        equal(opens(user(OWNER), 'f'), owner, 'the owner')
        equal(opens(user({ ...OWNER, gid: 50 }), 'f'), owner, 'the owner in the group')
        equal(opens(user(MEMBER), 'f'), member, 'the group')
        equal(opens(user(FURTHER), 'f'), member, 'a further group')
        equal(opens(user(OTHER), 'f'), other, 'others')
        equal(opens(root, 'f'), 'rw', 'root')
      },
      { needs: ['users'] },
    ),
  ),
  spec(
    'A355 CAP_DAC_READ_SEARCH reads everything and searches directories',
    (root, { user }) => {
      root.mkdir('d', 0)
      root.file('d/f', 'text', 0)
      root.chmod('d/f', 0)
      root.chmod('d', 0)
      const u = user(able(CAP_DAC_READ_SEARCH))
      equal([u.text('d/f'), u.list('d')], ['text', ['f']])
      fails('EACCES', () => u.touch('d/f', O_WRONLY))
      fails('EACCES', () => u.touch('d/f', O_RDWR))
      fails('EACCES', () => u.touch('d/new', O_CREAT))
      fails('EACCES', () => u.unlink('d/f'))
      fails('EACCES', () => user(able(0)).stat('d/f'))
    },
    { needs: ['users'] },
  ),
  spec(
    'A356 CAP_DAC_OVERRIDE does all but run a file that nobody may run',
    (root, { user }) => {
      root.mkdir('d', 0)
      root.file('d/f', 'text', 0)
      root.chmod('d/f', 0)
      const u = user(able(CAP_DAC_OVERRIDE))
      u.touch('d/f', O_RDWR)
      u.touch('d/new', O_CREAT)
      u.unlink('d/new')
      equal(u.list('d'), ['f'])
      const AT_EACCESS = 0x200
      fails('EACCES', () => root.access('d/f', X_OK))
      fails('EACCES', () => u.access('d/f', X_OK, AT_EACCESS))
      root.access('d/f', R_OK | W_OK)
      root.access('d', X_OK)
      root.chmod('d/f', 0o001)
      root.access('d/f', X_OK)
      u.access('d/f', X_OK, AT_EACCESS)
    },
    { needs: ['users', 'calls'] },
  ),
  spec(
    'A359 A194 A199 CAP_FOWNER stands for the owner',
    (root, { user }) => {
      root.mkdir('tmp')
      root.chmod('tmp', 0o1777)
      root.file('tmp/f', 'text', 0o600)
      const u = user(able(CAP_FOWNER))
      u.chmod('tmp/f', 0o640)
      u.utimes('tmp/f', 1n, 2n)
      fails('EPERM', () => u.chown('tmp/f', 2000))
      fails('EACCES', () => u.text('tmp/f'))
      u.link('tmp/f', 'tmp/g')
      u.unlink('tmp/f')
      u.rename('tmp/g', 'tmp/h')
    },
    { needs: ['users'] },
  ),
  spec(
    'A196 CAP_CHOWN gives files away',
    (root, { user }) => {
      root.file('f')
      const u = user(able(CAP_CHOWN))
      u.chown('f', 5, 6)
      equal([root.stat('f').uid, root.stat('f').gid], [5, 6])
      fails('EPERM', () => u.chmod('f', 0o777))
    },
    { needs: ['users'] },
  ),
  spec(
    'A361 A195 CAP_FSETID keeps setgid in chmod',
    (root, { user }) => {
      root.file('f')
      root.chown('f', 2000, 50)
      user(able(CAP_FSETID)).chmod('f', 0o2770)
      equal(root.mode('f'), 0o2770)
      user(able(0)).chmod('f', 0o2770)
      equal(root.mode('f'), 0o770)
    },
    { needs: ['users'] },
  ),
  spec(
    "A360 the umask is the task's own",
    (root, { user }) => {
      root.chmod('.', 0o777)
      const [a, b] = [user(1000), user(1001)]
      a.sys.umask(0o077)
      b.sys.umask(0)
      a.mkdir('a', 0o777)
      b.mkdir('b', 0o777)
      a.touch('fa', O_CREAT, 0o666)
      b.touch('fb', O_CREAT, 0o666)
      equal(
        ['a', 'b', 'fa', 'fb'].map((path) => root.mode(path)),
        [0o700, 0o777, 0o600, 0o666],
      )
    },
    { needs: ['users'] },
  ),
  spec(
    'A129 A388 making a name takes write and search permission on the directory',
    (root, { user }) => {
      root.mkdir('d')
      root.file('f')
      root.chown('f', 1000)
      root.chown('d', 1000)
      const u = user(1000)
      for (const mode of [0o500, 0o600, 0o400]) {
        root.chmod('d', mode)
        fails('EACCES', () => u.touch('d/new', O_CREAT))
        fails('EACCES', () => u.mkdir('d/new'))
        fails('EACCES', () => u.symlink('x', 'd/new'))
        fails('EACCES', () => u.link('f', 'd/new'))
        fails('EACCES', () => u.mknod('d/new', 'fifo'))
      }
      root.chmod('d', 0o300)
      u.touch('d/new', O_CREAT)
      fails('EEXIST', () => u.mkdir('d/new'))
    },
    { needs: ['users', 'nodes'] },
  ),
  spec(
    'A354 what is made belongs to who made it',
    (root, { user }) => {
      root.chmod('.', 0o777)
      const u = user({ uid: 1000, gid: 1001, groups: [50] })
      u.touch('f', O_CREAT)
      u.mkdir('d')
      u.symlink('x', 'l')
      equal(
        ['f', 'd', 'l'].map((path) => [u.lstat(path).uid, u.lstat(path).gid]),
        [
          [1000, 1001],
          [1000, 1001],
          [1000, 1001],
        ],
      )
    },
    { needs: ['users'] },
  ),
  spec(
    'A389 permission to write is asked before the mount, ownership after it',
    (root, { mounts, user }) => {
      root.mkdir('m')
      mounts.tmpfs('/m')
      root.file('m/f', 'text', 0o644)
      mounts.remount('/m', { readonly: true })
      const u = user(1000)
      fails('EACCES', () => u.touch('m/f', O_WRONLY))
      fails('EACCES', () => u.truncate('m/f', 0))
      fails('EROFS', () => u.chmod('m/f', 0))
      fails('EROFS', () => u.chown('m/f', 1))
      fails('EROFS', () => u.utimes('m/f', 1n, 1n))
      fails('EROFS', () => root.truncate('m/f', 0))
    },
    { needs: ['users', 'mounts'] },
  ),
]
