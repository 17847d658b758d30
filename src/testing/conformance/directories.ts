/** Listing directories: getdents(2), with cookies that stay with their entries. */

import { AT_FDCWD, O_CREAT, O_RDONLY, O_WRONLY, SEEK_CUR, SEEK_END, SEEK_SET } from '../../abi/linux.ts'
import { equal, fails, holds, type Spec, spec } from './spec.ts'
import type { User } from './user.ts'

/** Reads an open directory to its end, a few entries at a time, calling in between. */
function readSlowly(u: User, fd: number, between: (names: readonly string[]) => void): string[] {
  const names: string[] = []
  for (let cookie = 0; ; ) {
    const entries = u.entries(fd, cookie, 1)
    const last = entries.at(-1)
    if (!last) return names
    cookie = last.cookie
    names.push(...entries.map(({ name }) => name))
    holds(names.length < 1000, 'the listing ends')
    between(names)
  }
}

const numbered = (root: User, count: number) => {
  root.mkdir('d')
  for (let i = 0; i < count; i++) root.touch(`d/${i}`, O_WRONLY | O_CREAT)
}

export const directories: readonly Spec[] = [
  spec(
    'A311 B053 entries tell name, kind and number, dot and dot dot first',
    (root) => {
      root.mkdir('d')
      root.file('d/file')
      root.mkdir('d/dir')
      root.symlink('x', 'd/link')
      root.mknod('d/fifo', 'fifo')
      root.mknod('d/socket', 'socket')
      root.mknod('d/char', 'char', 0o600, 5)
      root.with('d', O_RDONLY, (fd) => {
        const entries = root.entries(fd)
        equal(
          entries.slice(0, 2).map(({ name, kind, ino }) => [name, kind, ino]),
          [
            ['.', 'directory', root.stat('d').ino],
            ['..', 'directory', root.stat('.').ino],
          ],
        )
        const rest = entries.slice(2).map(({ name, kind, ino }) => [name, kind, ino === root.lstat(`d/${name}`).ino])
        equal(rest.sort(), [
          ['char', 'char', true],
          ['dir', 'directory', true],
          ['fifo', 'fifo', true],
          ['file', 'file', true],
          ['link', 'symlink', true],
          ['socket', 'socket', true],
        ])
      })
    },
    { needs: ['calls', 'nodes'] },
  ),
  spec(
    'A311 B053 the cookies of dot and dot dot are 1 and 2',
    (root) => {
      root.touch('f', O_CREAT)
      root.with('.', O_RDONLY, (fd) =>
        equal(
          root.entries(fd).map(({ cookie }) => cookie > 2 || cookie),
          [1, 2, true],
        ),
      )
    },
    { needs: ['own-way', 'calls'] },
  ),
  spec(
    'A311 B055 a listing goes on behind any cookie',
    (root) => {
      numbered(root, 10)
      root.with('d', O_RDONLY, (fd) => {
        const all = root.entries(fd)
        equal(new Set(all.map(({ cookie }) => cookie)).size, 12)
        for (const [i, { cookie }] of all.entries()) {
          equal(
            root.entries(fd, cookie).map(({ name }) => name),
            all.slice(i + 1).map(({ name }) => name),
          )
        }
        equal(
          readSlowly(root, fd, () => {}),
          all.map(({ name }) => name),
        )
        equal(root.entries(fd, all.at(-1)!.cookie), [])
      })
    },
    { needs: ['calls'] },
  ),
  spec(
    'A311 B054 a listing meets each name once, whatever is removed meanwhile',
    (root) => {
      numbered(root, 20)
      root.with('d', O_RDONLY, (fd) => {
        const seen = readSlowly(root, fd, (names) => {
          const last = names.at(-1)!
          if (last !== '.' && last !== '..') root.unlink(`d/${last}`)
        })
        equal(seen.length, 22)
        equal(new Set(seen).size, 22)
        equal(
          root.entries(fd).map(({ name }) => name),
          ['.', '..'],
        )
      })
    },
    { needs: ['calls'] },
  ),
  spec(
    'B054 what stays in a directory while others come and go is listed once',
    (root) => {
      numbered(root, 20)
      root.mkdir('e')
      root.with('d', O_RDONLY, (fd) => {
        let made = 0
        const seen = readSlowly(root, fd, () => {
          if (made >= 150) return
          root.touch(`d/new${made}`, O_WRONLY | O_CREAT)
          if (made >= 5) root.unlink(`d/new${made - 5}`)
          made++
        })
        for (let i = 0; i < 20; i++) equal(seen.filter((name) => name === `${i}`).length, 1, `${i}`)
        equal(new Set(seen).size, seen.length)
      })
    },
    { needs: ['calls'] },
  ),
  spec(
    'A311 B054 a directory of which much was removed and made again is listed piece by piece',
    (root) => {
      numbered(root, 40)
      for (let i = 0; i < 30; i++) root.unlink(`d/${i}`)
      for (let i = 100; i < 130; i++) root.touch(`d/${i}`, O_WRONLY | O_CREAT)
      root.with('d', O_RDONLY, (fd) => {
        const names = readSlowly(root, fd, () => {}).slice(2)
        equal(names.sort(), root.list('d'))
        equal(names.length, 40)
      })
    },
    { needs: ['calls'] },
  ),
  spec(
    'B054 a name that moves within its directory is not lost to a listing that has yet to meet it',
    (root) => {
      numbered(root, 5)
      root.with('d', O_RDONLY, (fd) => {
        const [, , first, second] = root.entries(fd)
        root.rename(`d/${second!.name}`, 'd/moved')
        const rest = root.entries(fd, first!.cookie).map(({ name }) => name)
        holds(!rest.includes(second!.name), 'the old name is gone')
        equal(root.list('d').length, 5)
      })
    },
    { needs: ['calls'] },
  ),
  spec(
    'B055 a directory is sought from the start and from here, not from the end',
    (root) => {
      root.mkdir('d')
      root.with('d', O_RDONLY, (fd) => {
        equal([root.seek(fd, 2, SEEK_SET), root.seek(fd, 0, SEEK_CUR), root.seek(fd, 0, SEEK_SET)], [2, 2, 0])
        fails('EINVAL', () => root.seek(fd, -1, SEEK_SET))
        fails('EINVAL', () => root.seek(fd, 0, SEEK_END))
      })
    },
    { needs: ['calls'] },
  ),
  spec(
    'B056 the root lists itself as its parent',
    (root) => {
      root.with('/', O_RDONLY, (fd) => {
        const [dot, dots] = root.entries(fd)
        equal([dot!.name, dots!.name, dots!.ino], ['.', '..', root.stat('/').ino])
      })
    },
    { needs: ['calls', 'root'] },
  ),
  spec(
    "B056 A053 dot dot of a mount's root is listed as that root, and walked to the parent",
    (root, { mounts }) => {
      root.mkdir('m')
      mounts.tmpfs('/m')
      root.with('m', O_RDONLY, (fd) => {
        equal(root.entries(fd)[1]!.ino, root.stat('m').ino)
        equal(root.sys.fstatat(fd, '..', 0).ino, root.stat('.').ino)
      })
    },
    { needs: ['calls', 'mounts'] },
  ),
  spec(
    "B019 B020 a directory's size is 20 for each entry, dots included",
    (root) => {
      root.mkdir('d')
      const size = () => [root.stat('d').size, root.stat('d').nlink, root.stat('d').blocks]
      equal(size(), [40, 2, 0])
      root.touch('d/a', O_CREAT)
      root.mkdir('d/b')
      equal(size(), [80, 3, 0])
      root.rename('d/a', 'd/c')
      equal(size(), [80, 3, 0])
      root.unlink('d/c')
      root.rmdir('d/b')
      equal(size(), [40, 2, 0])
    },
    { needs: ['tmpfs'] },
  ),
  spec(
    'B017 A183 numbers grow and are not used again',
    (root) => {
      let last = 0
      for (let i = 0; i < 5; i++) {
        root.touch('f', O_CREAT)
        const { ino } = root.stat('f')
        holds(ino > last, 'a larger number')
        last = ino
        root.unlink('f')
      }
    },
    { needs: ['tmpfs'] },
  ),
  spec('B017 the root of a tmpfs has the number 1', (root) => equal(root.stat('/').ino, 1), {
    needs: ['tmpfs', 'root'],
  }),
  spec(
    'A050 A354 listing takes read permission, looking up search permission',
    (root, { user }) => {
      root.mkdir('read', 0o744)
      root.mkdir('search', 0o711)
      for (const path of ['read', 'search']) root.file(`${path}/f`)
      const u = user(1000)
      equal(u.list('read'), ['f'])
      fails('EACCES', () => u.stat('read/f'))
      fails('EACCES', () => u.touch('search'))
      equal(u.stat('search/f').size, 4)
      u.with('read', O_RDONLY, (fd) => {
        root.chmod('read', 0)
        equal(u.names(fd), ['f'])
        fails('EACCES', () => u.sys.fstatat(fd, 'f', 0))
      })
      u.sys.fstatat(AT_FDCWD, 'search/f', 0)
    },
    { needs: ['users'] },
  ),
]
