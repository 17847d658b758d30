/** What no system call can set up: links that only a filesystem type makes. The rest of the walk is in testing/conformance. */

import { describe, expect, test } from 'vitest'
import { AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from '../abi/linux.ts'
import { MNT_DETACH } from '../abi/mount-flags.ts'
import { EventCalls } from '../kernel/event-calls.ts'
import { MountCalls } from '../kernel/mount-calls.ts'
import { inWorld, outcome, type World } from '../testing/host-world.ts'
import { plant } from '../testing/trees.ts'
import { VirtualDentry } from './mount.ts'
import { resolve } from './path-walk.ts'

test('A061 a link without a target leads nowhere', () =>
  inWorld({}, (root) => {
    plant(root.inode('/'), { empty: { kind: 'symlink', target: '' } })
    expect(outcome(() => root.stat('/empty'))).toBe('ENOENT')
    expect(outcome(() => root.stat('/empty/x'))).toBe('ENOENT')
    expect(outcome(() => root.write('/empty'))).toBe('ENOENT')
    expect(root.task.readlinkat(AT_FDCWD, '/empty')).toBe('')
  }))

/** Makes /links/`name` a link that leads to a place itself, as those of proc do. */
function magic(root: World, name: string, place: () => VirtualDentry): void {
  plant(root.inode('/links'), { [name]: { kind: 'symlink', target: 'what readlink says' } })
  const link = resolve(root.task, root.task.root, `/links/${name}`, false).dentry.inode
  Object.assign(link, { jump: place })
}

describe('magic links', () => {
  const magicWorld = (test: (root: World) => void) =>
    inWorld({}, (root) => {
      root.mkdir('/links')
      root.mkdir('/d')
      root.write('/d/f', 'text')
      test(root)
    })

  test('A066 lead to a file itself, whatever its name is by then, and on from a directory', () =>
    magicWorld((root) => {
      const [file, directory] = [root.place('/d/f'), root.place('/d')]
      magic(root, 'file', () => file)
      magic(root, 'directory', () => directory)
      root.task.renameat2(AT_FDCWD, '/d', AT_FDCWD, '/e', 0)
      expect(root.read('/links/file')).toBe('text')
      expect(root.read('/links/directory/f')).toBe('text')
      expect(root.read('/links/directory/../e/f')).toBe('text')
      root.write('/links/file', 'new')
      expect(root.read('/e/f')).toBe('new')
      expect(root.task.readlinkat(AT_FDCWD, '/links/file')).toBe('what readlink says')
      expect(outcome(() => root.stat('/links/file/'))).toBe('ENOTDIR')
      expect(outcome(() => root.stat('/links/file/x'))).toBe('ENOTDIR')
      expect(root.stat('/links/directory/').ino).toBe(root.stat('/e').ino)
      expect(outcome(() => root.open('/links/file', O_RDONLY | O_NOFOLLOW))).toBe('ELOOP')
      const held = root.open('/e/f')
      root.task.unlinkat(AT_FDCWD, '/e/f', 0)
      expect(root.read('/links/file')).toBe('new')
      root.task.close(held)
    }))

  test('A066 lead into a mount that no path leads to any more', () =>
    magicWorld((root) => {
      const mounts = new MountCalls(root.vfs, root.task)
      mounts.mount('/d', { type: 'tmpfs', source: 'none', flags: 0, data: '' })
      root.write('/d/hidden', 'below')
      const place = root.place('/d')
      const held = root.open('/d/hidden')
      magic(root, 'mount', () => place)
      mounts.umount2('/d', MNT_DETACH)
      expect(root.read('/links/mount/hidden')).toBe('below')
      root.task.close(held)
    }))

  test('A066 count as links, each as one', () =>
    magicWorld((root) => {
      const links = root.place('/links')
      magic(root, 'self', () => links)
      expect(root.stat(`/links/${'self/'.repeat(40)}`).ino).toBe(root.stat('/links').ino)
      expect(outcome(() => root.stat(`/links/${'self/'.repeat(41)}`))).toBe('ELOOP')
    }))

  test('A371 lead a guest nowhere but below the directory it starts from', () =>
    magicWorld((root) => {
      const guest = root.as(0, {}, { confined: true })
      const [inside, outside] = [root.place('/links'), root.place('/d/f')]
      magic(root, 'inside', () => inside)
      magic(root, 'outside', () => outside)
      const preopen = root.open('/links', O_RDONLY | O_DIRECTORY)
      const fd = guest.task.descriptors.add(root.task.descriptors.get(preopen).again())
      expect(guest.task.fstatat(fd, 'inside', 0).ino).toBe(root.stat('/links').ino)
      expect(outcome(() => guest.task.fstatat(fd, 'outside', 0))).toBe('ENOTCAPABLE')
      expect(outcome(() => guest.task.openat(fd, 'outside', O_RDONLY, 0))).toBe('ENOTCAPABLE')
      expect(outcome(() => guest.task.openat(fd, 'inside/outside', O_RDONLY, 0))).toBe('ENOTCAPABLE')
      guest.task.close(fd)
      root.task.close(preopen)
    }))

  test('A070 a file without a name is no directory, and is not opened again', () =>
    magicWorld((root) => {
      const epoll = new EventCalls(root.task).epollCreate1()
      const { mount, dentry } = root.task.descriptors.get(epoll)
      magic(root, 'epoll', () => new VirtualDentry(mount, dentry))
      expect(outcome(() => root.task.fstatat(epoll, 'x', 0))).toBe('ENOTDIR')
      expect(outcome(() => root.stat('/links/epoll/x'))).toBe('ENOTDIR')
      expect(outcome(() => root.open('/links/epoll'))).toBe('ENXIO')
      root.task.close(epoll)
    }))
})

test('A041 an empty path names nothing, not even a directory', () =>
  inWorld({}, (root) => {
    for (const call of [
      () => root.stat(''),
      () => root.open(''),
      () => root.mkdir(''),
      () => root.task.unlinkat(AT_FDCWD, '', 0),
      () => root.task.unlinkat(AT_FDCWD, '', AT_REMOVEDIR),
      () => root.task.symlinkat('target', AT_FDCWD, ''),
      () => root.task.renameat2(AT_FDCWD, '', AT_FDCWD, 'x', 0),
    ])
      expect(outcome(call)).toBe('ENOENT')
    expect(root.task.fstatat(AT_FDCWD, '', AT_EMPTY_PATH).ino).toBe(root.stat('/').ino)
  }))
