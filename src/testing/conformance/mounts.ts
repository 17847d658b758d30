/** What a walk meets where something is mounted: path_resolution(7). */

import { O_RDONLY, O_RDWR, O_WRONLY } from '../../abi/linux.ts'
import { equal, fails, holds, type Spec, spec } from './spec.ts'

export const mounts: readonly Spec[] = [
  spec(
    'A057 A056 A053 A055 B056 mounts are stepped into and out of',
    (root, { mounts }) => {
      for (const path of ['a', 'a/m', 'a/other', 'b']) root.mkdir(path)
      root.file('a/m/covered')
      mounts.bind('/a', '/b')
      mounts.tmpfs('/a/m')
      root.file('a/m/one')
      equal([root.list('a/m'), root.list('b/m')], [['one'], ['covered']])
      mounts.tmpfs('/a/m')
      root.file('a/m/two')
      equal(root.list('a/m'), ['two'])
      equal(root.stat('a/m/..').ino, root.stat('a').ino)
      equal(root.stat('a/m/../other').ino, root.stat('a/other').ino)
      equal(root.stat('a/m/../m/two').size, 4)
      equal(root.stat('b/m/..').ino, root.stat('b').ino)
      equal(root.stat('b/..').ino, root.stat('.').ino)
      holds(root.stat('a/m').dev !== root.stat('a').dev, 'another device')
      root.with('a/m', O_RDONLY, (fd) => {
        equal(root.sys.fstatat(fd, '..', 0).ino, root.stat('a').ino)
        equal(root.entries(fd).find(({ name }) => name === '..')?.ino, root.stat('a/m').ino)
      })
    },
    { needs: ['mounts', 'calls'] },
  ),
  spec(
    'A055 A053 dot dot comes to what is mounted on the parent',
    (root, { mounts }) => {
      root.mkdir('p')
      root.mkdir('p/d')
      root.with('p/d', O_RDONLY, (fd) => {
        mounts.tmpfs('/p')
        root.file('p/over')
        equal(root.sys.fstatat(fd, '../over', 0).size, 4)
        fails('ENOENT', () => root.stat('p/d'))
      })
    },
    { needs: ['mounts', 'calls'] },
  ),
  spec(
    'A049 A051 A063 A052 a root is a mount and a place in it: seen through another mount dot dot climbs out',
    (root, { mounts }) => {
      for (const path of ['a', 'a/in', 'b']) root.mkdir(path)
      root.file('outside')
      root.file('a/inside')
      root.symlink('/inside', 'a/in/link')
      mounts.bind('/a', '/b')
      const { sys } = root
      const through = root.open('b/in')
      sys.chroot('a')
      equal([root.stat('/inside').size, sys.fstatat(through, '../inside', 0).size], [4, 4])
      equal(sys.fstatat(through, '../../outside', 0).size, 4)
      equal(sys.fstatat(through, 'link', 0).size, 4)
      sys.chdir('/in')
      fails('ENOENT', () => root.stat('../../outside'))
      equal(root.stat('../../inside').size, 4)
      root.close(through)
    },
    { needs: ['mounts', 'calls', 'root'] },
  ),
  spec(
    'A054 dot dot at the root of a mount that was taken away stays there',
    (root, { mounts }) => {
      root.mkdir('m')
      mounts.tmpfs('/m')
      root.mkdir('m/d')
      const fd = root.open('m/d')
      const top = root.stat('m').ino
      mounts.unmount('/m', { lazily: true })
      equal(root.list('m'), [])
      const { sys } = root
      equal([sys.fstatat(fd, '..', 0).ino, sys.fstatat(fd, '../..', 0).ino], [top, top])
      sys.mkdirat(fd, '../new', 0o755)
      equal(sys.fstatat(fd, '../../../new', 0).nlink, 2)
      root.close(fd)
    },
    { needs: ['mounts', 'calls', 'tmpfs'] },
  ),
  spec(
    'A392 a directory is mounted on a directory, a file on a file',
    (root, { mounts }) => {
      root.file('f', 'below')
      root.file('g', 'above')
      root.mkdir('d')
      fails('ENOTDIR', () => mounts.tmpfs('/f'))
      fails('ENOTDIR', () => mounts.bind('/d', '/f'))
      fails('ENOTDIR', () => mounts.bind('/f', '/d'))
      mounts.bind('/g', '/f')
      equal([root.text('f'), root.list('.')], ['above', ['d', 'f', 'g']])
      fails('EBUSY', () => root.unlink('f'))
      fails('EBUSY', () => root.rename('g', 'f'))
      mounts.unmount('/f')
      equal(root.text('f'), 'below')
    },
    { needs: ['mounts'] },
  ),
  spec(
    'A032 A033 A259 files open for writing keep a mount writable, FIFOs do not and are opened on any mount',
    (root, { mounts }) => {
      root.mkdir('m')
      mounts.tmpfs('/m')
      root.file('m/f')
      root.mknod('m/fifo', 'fifo')
      const [file, fifo, reader] = [root.open('m/f', O_WRONLY), root.open('m/fifo', O_RDWR), root.open('m/f')]
      fails('EBUSY', () => mounts.remount('/m', { readonly: true }))
      root.close(file)
      mounts.remount('/m', { readonly: true })
      fails('EROFS', () => root.touch('m/f', O_WRONLY))
      root.touch('m/fifo', O_RDWR)
      for (const fd of [fifo, reader]) root.close(fd)
      mounts.remount('/m', {})
      root.touch('m/f', O_WRONLY)
    },
    { needs: ['mounts', 'nodes', 'calls'] },
  ),
]
