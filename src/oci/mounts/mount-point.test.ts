/** The places that mounts go to: what is there, and what is made there. */

import { beforeEach, describe, expect, test, vi } from 'vitest'
import { ErrnoError } from '../../abi/errno.ts'
import { Mount } from '../../vfs/mount.ts'
import { resolve } from '../../vfs/path-walk.ts'
import type { MountSpec, SpecInput } from '../spec.ts'
import {
  asRoot,
  bind,
  create,
  eachInAWorld,
  failure,
  IMAGE,
  over,
  provide,
  READONLY,
  tmpfs,
  vfs,
  world,
} from './test-world.ts'

eachInAWorld()

describe('places to mount on', () => {
  test.each([
    ['C166 C174 missing ones are made', '/some/very/deep/path', '/some/very/deep/path'],
    ['C062 C164 a link at the end is followed', '/to/dir', '/empty'],
    ['C173 a dangling one has its target made', '/to/nothing', '/made/behind/link'],
    ['C063 C064 so has one in the middle, from the container’s root', '/to/nothing/more', '/made/behind/link/more'],
    ['C063 .. does not leave the root', '/to/outside', '/out'],
    ['C065 what is a mount already', '/empty/../empty', '/empty'],
  ])('%s', async (_, destination, place) => {
    for (const [id, root] of [
      ['writable', IMAGE],
      ['readonly', READONLY],
    ] as const) {
      const { at, write, names } = await create(
        { root, mounts: [tmpfs(destination), tmpfs(destination)] },
        undefined,
        id,
      )
      expect(at(place)).toHaveLength(2)
      await write(`${place}/x`)
      expect(await names(destination)).toEqual(['x'])
    }
  })

  test('C169 C168 C170 A103 are 0755 and 0644; in a read-only tree they are seen, by this container alone, and never stored', async () => {
    const mounts = [tmpfs('/made/dir'), bind('/made/file', 'file/f')]
    const first = await create({ root: READONLY, mounts }, undefined, 'first')
    const second = await create({ root: READONLY }, undefined, 'second')
    expect(await first.names('/made')).toEqual(['dir', 'file'])
    expect((await first.files.stat('/made')).mode).toBe(0o40755)
    expect(await first.read('/made/file')).toBe('content of f')
    expect(await second.names('/')).not.toContain('made')
    const numbers = await Promise.all(['/', '/made', '/etc'].map(async (path) => (await first.files.stat(path)).ino))
    expect(new Set(numbers).size).toBe(3)
    await world.runtime.delete('first', false)
    const third = await create({ root: READONLY }, undefined, 'third')
    expect(await third.names('/')).not.toContain('made')
  })

  test('C172 C066 C171 a file is made for a file, and what is there must be of the same kind', async () => {
    const { read, files } = await create({
      root: IMAGE,
      mounts: [bind('/new/f', 'file/f'), bind('/etc/name', 'file/f')],
    })
    expect(await read('/new/f')).toBe('content of f')
    expect(await read('/etc/name')).toBe('content of f')
    await world.runtime.delete('c', false)
    expect(files).toBeDefined()
    for (const [mount, rule] of [
      [tmpfs('/etc/name'), 'a directory cannot be mounted on a file'],
      [bind('/empty', 'file/f'), 'a file cannot be mounted on a directory'],
    ] as const) {
      const error = await failure(create({ root: IMAGE, mounts: [mount] }))
      expect(error).toMatchObject({ code: 'ENOTDIR', path: mount.destination, message: expect.stringContaining(rule) })
    }
  })

  test.each([
    ['C167 a file on the way', 'ENOTDIR', '/etc/name/x'],
    ['C063 C167 links without end', 'ELOOP', '/to/loop/x'],
    ['C177 too long a name', 'ENAMETOOLONG', `/${'n'.repeat(256)}`],
  ])('C213 C272 %s is told with the destination', async (_, code, destination) => {
    for (const root of [IMAGE, READONLY]) {
      const error = await failure(create({ root, mounts: [tmpfs(destination)] }))
      expect(error).toMatchObject({ code, path: destination, syscall: 'mount' })
      expect(error.message).toContain('mounts[0]')
    }
  })

  describe.each<[what: string, failing: MountSpec, code: string]>([
    ['its layers', over('/made/for/it', 'no/such'), 'ENOENT'],
    ['its place, half of which was made', tmpfs(`/made/for/${'n'.repeat(256)}`), 'ENAMETOOLONG'],
    ['its attaching', { ...tmpfs('/made/for/it'), source: 'unlucky' }, 'ENOSPC'],
  ])('C274 C067 what was made for a mount is taken back when it fails by %s', (_, failing, code) => {
    beforeEach(() => {
      const { attach } = vfs
      vfs.attach = (mount, at) => {
        if (mount.source !== 'unlucky') return attach.call(vfs, mount, at)
        vfs.discard(mount)
        throw new ErrnoError('ENOSPC', undefined, 'injected')
      }
    })

    test.each<[what: string, spec: SpecInput]>([
      ['a volume', {}],
      ['a layer', { root: IMAGE }],
    ])('in %s that is kept', async (_, spec) => {
      const overlay = 'root:volume:kept'
      const error = await failure(create({ ...spec, mounts: [failing] }, overlay))
      expect(error).toMatchObject({ code, path: failing.destination })
      expect(error.message).toContain('mounts[0]')
      const { names } = await create(spec, overlay)
      expect(await names('/')).not.toContain('made')
    })

    test.each(['rw', 'ro'])('in a mount that is %s', async (option) => {
      const { names, mounts } = await create({ mounts: [tmpfs('/outer', option)] })
      const inside = { ...failing, destination: `/outer${failing.destination}` }
      expect(await failure(world.runtime.mount('c', inside))).toMatchObject({ code, path: inside.destination })
      expect(await names('/outer')).toEqual([])
      expect(world.runtime.mounts('c')).toEqual(mounts)
    })
  })

  test('C271 a mount that cannot be made writable is an ordinary error, which names what was to go there', async () => {
    const setFlags = vi.spyOn(Mount.prototype, 'setFlags').mockImplementation(() => {
      throw new ErrnoError('EBUSY', undefined, 'injected')
    })
    const inRoot = await failure(create({ root: READONLY, mounts: [tmpfs('/made')] }, undefined, 'root'))
    expect(inRoot).toMatchObject({ code: 'EBUSY', path: '/made', syscall: 'mount' })
    const inMount = await failure(create({ mounts: [tmpfs('/a', 'ro'), tmpfs('/a/b')] }, undefined, 'mount'))
    expect(inMount).toMatchObject({ code: 'EBUSY', path: '/a/b', syscall: 'mount' })
    expect(inMount.message).toContain('mounts[1]: injected')
    setFlags.mockRestore()
    expect(world.runtime.containers()).toEqual([])
  })

  test('C165 B149 what is there is found first: a read-only tree is not even asked to make it', async () => {
    const setFlags = vi.spyOn(Mount.prototype, 'setFlags')
    const { at, namespace, write } = await create({
      root: READONLY,
      mounts: [tmpfs('/empty'), bind('/etc/name', 'file/f')],
    })
    const own = (setFlags.mock.contexts as Mount[]).filter(({ source }) => source === 'image').length
    setFlags.mockRestore()
    // For what the tree lacks and every container has: /proc, /sys, /dev and so on are never made in it.
    expect(own).toBe(0)
    expect([at('/empty').length, at('/etc/name').length]).toEqual([1, 1])
    const { mount } = namespace.rootPlace
    expect(mount.synthetic?.child(mount.root, 'empty')).toBeUndefined()
    await write('/empty/x')
  })

  test('C203 a read-only tree has places of its own for what goes into it, seen through this mount alone', async () => {
    const mounts = [bind('/b', 'image', 'ro'), tmpfs('/b/x/y'), tmpfs('/b/empty/z'), bind('/c', 'image', 'ro')]
    const { names, files } = await create({ root: IMAGE, mounts })
    expect(await names('/b')).toEqual(['empty', 'etc', 'to', 'x'])
    expect(await names('/b/empty')).toEqual(['z'])
    expect(await names('/c')).toEqual(['empty', 'etc', 'to'])
    expect(await names('/c/empty')).toEqual([])
    expect((await failure(files.stat('/c/x'))).code).toBe('ENOENT')
  })

  test('C204 what lies inside goes by components, not by the text', async () => {
    const { names } = await create({ mounts: [tmpfs('/foo-bar'), tmpfs('/foo'), tmpfs('/foo/bar'), tmpfs('/foobar')] })
    expect(await names('/')).toEqual(expect.arrayContaining(['foo', 'foo-bar', 'foobar']))
    expect(await names('/foo')).toEqual(['bar'])
    for (const place of ['/foo-bar', '/foobar', '/foo/bar']) expect(await names(place)).toEqual([])
  })

  test('C205 under a layer for changes there is none for places: they are made in that layer, and are kept with it', async () => {
    const overlay = 'root:volume:kept'
    const { namespace } = await create(
      { root: IMAGE, mounts: [tmpfs('/made/dir'), bind('/made/f', 'file/f')] },
      overlay,
    )
    const { mount } = namespace.rootPlace
    expect(mount.superblock.filesystem.type).toBe('overlay')
    expect(mount.synthetic?.child(mount.root, 'made')).toBeUndefined()
    await world.runtime.delete('c', false)
    const { names, read } = await create({ root: IMAGE }, overlay)
    expect(await names('/made')).toEqual(['dir', 'f'])
    expect(await read('/made/f')).toBe('')
  })

  test('C215 ours: links in a destination are followed, up to 40 of them, as in any path', async () => {
    const links = Array.from({ length: 41 }, (_, i) => ({
      path: `l${i}`,
      kind: 'symlink' as const,
      target: i === 0 ? 'real' : `l${i - 1}`,
    }))
    provide('links', { entries: [...links, { path: 'real', kind: 'directory' }] })
    for (const readonly of [true, false]) {
      const root = { path: 'links', readonly }
      expect(
        (await create({ root, mounts: [tmpfs('/l39/in')] }, undefined, `${readonly}`)).at('/real/in'),
      ).toHaveLength(1)
      const error = await failure(create({ root, mounts: [tmpfs('/l40/in')] }))
      expect(error).toMatchObject({ code: 'ELOOP', path: '/l40/in' })
    }
  })

  describe('C175 C176 where the filesystem refuses, places are made in memory', () => {
    test('A103 in a tree of the bundle, in which nothing else is made', async () => {
      for (const root of [READONLY, IMAGE]) {
        const { files, names, write } = await create({ root, mounts: [tmpfs('/a/b/c')] }, 'none')
        expect(await names('/a/b')).toEqual(['c'])
        for (const change of [write('/a/x'), files.mkdir('/a/b/y', 0o755, false), files.rmdir('/a/b/c')]) {
          expect((await failure(change)).code).toBe('EROFS')
        }
        await world.runtime.delete('c', false)
      }
    })

    test.each(['/proc', '/sys'])('B147 B148 in %s, in whose own directories nothing is made either', async (at) => {
      const { files, names, write } = await create({ mounts: [tmpfs(`${at}/a/b`), bind(`${at}/f`, 'file/f')] })
      expect(await names(at)).toEqual(expect.arrayContaining(['a', 'f']))
      expect(await names(`${at}/a`)).toEqual(['b'])
      expect((await files.stat(`${at}/a`)).mode).toBe(0o40755)
      const ordinary = await failure(files.mkdir(`${at}/new`, 0o755, false))
      expect(ordinary.code).toBe(at === '/proc' ? 'ENOENT' : 'EPERM')
      expect((await failure(files.mkdir(`${at}/a/y`, 0o755, false))).code).toBe('EPERM')
      expect((await failure(files.mkdir(`${at}/a`, 0o755, false))).code).toBe('EEXIST')
      // Of a directory that makes no files: vfs_create().
      expect((await failure(write(`${at}/a/x`))).code).toBe('EACCES')
      await write(`${at}/a/b/x`)
      // What goes below it is made the same way.
      await world.runtime.mount('c', tmpfs(`${at}/a/c/d`))
      expect(await names(`${at}/a`)).toEqual(['b', 'c'])
      // Another container's knows nothing of it.
      expect(await (await create({}, undefined, 'other')).names(at)).not.toContain('a')
    })

    test('but /dev takes them: they are directories like any', async () => {
      const { files, names, namespace } = await create({
        mounts: [{ destination: '/dev', type: 'devtmpfs' }, tmpfs('/dev/foo/bar')],
      })
      const { mount } = asRoot(namespace.rootPlace, (task) => resolve(task, task.root, '/dev', true))
      expect([mount.superblock.filesystem.type, mount.synthetic]).toEqual(['devtmpfs', undefined])
      await files.mkdir('/dev/foo/other', 0o755, false)
      asRoot(namespace.rootPlace, (_, calls) => calls.umount2('/dev/foo/bar'))
      await files.rmdir('/dev/foo/bar')
      expect(await names('/dev/foo')).toEqual(['other'])
    })
  })
})
