/** The root of a container: what it is, and what annotations say of it. */

import { describe, expect, test, vi } from 'vitest'
import { AT_FDCWD, O_RDONLY } from '../../abi/linux.ts'
import { MNT_DETACH } from '../../abi/mount-flags.ts'
import { encodeUtf8 } from '../../abi/utf8.ts'
import { Task } from '../../kernel/task.ts'
import { credentialsOf } from '../../vfs/context.ts'
import type { DirectoryInode } from '../../vfs/inode.ts'
import { Mount, VirtualDentry } from '../../vfs/mount.ts'
import { resolve } from '../../vfs/path-walk.ts'
import { Attempt } from '../../vfs/waiting.ts'
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

const NONE = new Uint8Array(0)

eachInAWorld()

describe('the root', () => {
  test('C013 C015 C018 C019 C023 C026 C034 a writable one is an overlay of one tree, a read-only one the tree itself', async () => {
    const ro = [tmpfs('/m', 'ro')]
    const writable = await create({ root: IMAGE, mounts: ro }, undefined, 'rw')
    expect(writable.at('/')).toMatchObject([
      { type: 'overlay', source: 'image', options: expect.arrayContaining(['rw']) },
    ])
    // The layers are in no tree.
    expect(writable.mounts.map(({ type }) => type)).not.toContain('gofer')
    await writable.write('/etc/name')
    for (const [id, spec, overlay] of [
      ['ro', { root: READONLY }, undefined],
      ['all', { root: READONLY }, 'all:memory'],
      ['none', { root: IMAGE }, 'none'],
    ] as const) {
      const { at, write, read } = await create(spec, overlay, id)
      expect(at('/')).toMatchObject([{ type: 'gofer', source: 'image' }])
      expect((await failure(write('/etc/name'))).code).toBe('EROFS')
      expect(await read('/etc/name')).toBe('image')
    }
  })

  test('C003 C002 is set up as the superuser, whoever the guest is: the guest has no way into what is closed to it', async () => {
    provide('closed', {
      entries: [
        { path: 'd', kind: 'directory', mode: 0o700 },
        { path: 'd/in', kind: 'directory', mode: 0o700 },
      ],
    })
    const process = { args: ['/in/f'], cwd: '/in', user: { uid: 1000, gid: 1000, umask: 0o077 } }
    for (const readonly of [true, false]) {
      const id = `readonly-${readonly}`
      const root = { path: 'closed/d', readonly }
      const { at, files, namespace } = await create({ root, mounts: [tmpfs('/in/a/side')], process }, undefined, id)
      expect(at('/in/a/side')).toHaveLength(1)
      for (const path of ['/in/a', '/in/a/side']) expect(await files.stat(path)).toMatchObject({ uid: 0, gid: 0 })
      expect((await files.stat('/in/a')).mode & 0o777).toBe(0o755)
      const guest = new Task({ vfs, credentials: credentialsOf(1000, 1000), root: namespace.rootPlace })
      expect(() => guest.openat(AT_FDCWD, '/in', O_RDONLY, 0)).toThrow('EACCES')
      guest.release()
      expect((await failure(world.start(id))).code).toBe('EACCES')
    }
  })

  test('C001 is there before the mounts are, /tmp is the last of them, and only then is there a container, and a program looked for', async () => {
    const log: string[] = []
    const note = (text: string) => {
      log.push(text)
      expect(world.runtime.containers()).toEqual([])
    }
    const { newNamespace, attach, newFilesystem } = vfs
    vfs.newNamespace = (...args) => {
      note('namespace')
      return newNamespace.apply(vfs, args)
    }
    vfs.newFilesystem = (request) => {
      note(`make ${request.source}`)
      return newFilesystem.call(vfs, request)
    }
    vfs.attach = (mount, at) => {
      note(`attach ${mount.source}`)
      attach.call(vfs, mount, at)
    }
    const setFlags = vi.spyOn(Mount.prototype, 'setFlags').mockImplementation(function (this: Mount, flags) {
      note(`${flags.readonly ? 'tighten' : 'loosen'} ${this.source}`)
      this.flags = flags
    })
    const mounts = [{ ...tmpfs('/outer', 'ro'), source: 'outer' }, bind('/outer/f', 'file/f')]
    const { at } = await create({ root: READONLY, mounts, process: { args: ['missing'] } })
    setFlags.mockRestore()
    const own = log.filter((entry) => / (rootfs|image|outer|file\/f|tmpfs)$|^namespace$/.test(entry))
    expect(own).toEqual([
      'make rootfs',
      'namespace',
      'attach image',
      'make outer',
      // Ours: not for the whole set-up, but for each place that is made.
      'loosen image',
      'tighten image',
      'attach outer',
      'loosen outer',
      'tighten outer',
      'attach file/f',
      'make tmpfs',
      'attach tmpfs',
    ])
    expect((await failure(world.start('c'))).code).toBe('ENOENT')
    expect(at('/outer/f')).toHaveLength(1)
  })

  test('C016 is mounted by the kernel, also as a type that nobody else may mount', async () => {
    const { at, namespace } = await create({ root: READONLY })
    expect(at('/')).toMatchObject([{ type: 'gofer' }])
    const mounting = () => asRoot(namespace.rootPlace, (_, calls) => calls.mount('/empty', { type: 'gofer', flags: 0 }))
    expect(mounting).toThrow('ENODEV')
  })

  test('C020 has a parent, an empty tmpfs that is read-only and never seen, so pivot_root works', async () => {
    const { namespace, mounts, files } = await create({ root: IMAGE, mounts: [tmpfs('/new')] })
    const bottom = namespace.root
    expect(bottom).toMatchObject({ source: 'rootfs', readonly: true })
    expect(bottom.superblock.filesystem.type).toBe('tmpfs')
    expect([...(bottom.root.inode as DirectoryInode).entries(0, new Attempt())]).toEqual([])
    expect(mounts.map(({ id }) => id)).not.toContain(bottom.id)
    expect(mounts[0]).toMatchObject({ destination: '/', parent: bottom.id })
    expect((await files.readdir('/..', false)).map(({ name }) => name)).toContain('etc')
    asRoot(namespace.rootPlace, (task, calls) => {
      for (const flags of [0, MNT_DETACH]) expect(() => calls.umount2('/', flags)).toThrow('EINVAL')
      task.mkdirat(AT_FDCWD, '/new/old', 0o755)
      calls.pivotRoot('/new', '/new/old')
      expect(calls.mounts).toMatch(/^image \/old overlay .*\n/m)
      calls.umount2('/old', MNT_DETACH)
      expect(calls.mounts).toBe('tmpfs / tmpfs rw,relatime 0 0\n')
      for (const flags of [0, MNT_DETACH]) expect(() => calls.umount2('/', flags)).toThrow('EINVAL')
    })
    expect(await files.readdir('/', false)).toMatchObject([{ name: 'old' }])
  })

  const OWNED = { path: 'owned/d' }
  const owned = () =>
    provide('owned', {
      entries: [
        { path: 'd', kind: 'directory', mode: 0o2750, uid: 5, gid: 6, mtime: 7_000_000_000n },
        { path: 'd/f', kind: 'file', content: encodeUtf8('') },
      ],
    })

  test('C031 C027 C029 C033 its layer has owner and mode of the tree. C033 ours: so it is not a fresh one of mode 1777', async () => {
    owned()
    for (const overlay of ['root:memory', 'root:volume:kept']) {
      const { files } = await create({ root: OWNED }, overlay)
      expect(await files.stat('/')).toMatchObject({ mode: 0o42750, uid: 5, gid: 6 })
      await world.runtime.delete('c', false)
    }
  })

  test('C032 its layer has none of the attributes of the tree. C032 ours: but its time, until something in it changes', async () => {
    owned()
    const timeOf = async (spec: SpecInput) => {
      const { files } = await create({ root: OWNED, ...spec })
      const { mtime } = await files.stat('/')
      await world.runtime.delete('c', false)
      return mtime
    }
    expect(await timeOf({})).toBe(7_000_000_000n)
    const made = await timeOf({ mounts: [tmpfs('/made')] })
    expect(Math.abs(Date.now() - Number(made / 1_000_000n))).toBeLessThan(60_000)
    const { namespace } = await create({ mounts: [tmpfs('/lower')] })
    const attributes = (path: string) => asRoot(namespace.rootPlace, (_, __, host) => host.listxattr(path, NONE))
    asRoot(namespace.rootPlace, (_, __, host) => host.setxattr('/lower', 'trusted.x', encodeUtf8('x'), 0))
    await world.runtime.mount('c', over('/merged', '/lower'))
    expect([attributes('/lower'), attributes('/merged')]).toEqual(['trusted.x'.length + 1, 0])
  })

  test('C025 its tree is there before its layer, which is made of the kind that the tree is', async () => {
    const made: string[] = []
    const { newFilesystem } = vfs
    vfs.newFilesystem = (request) => {
      made.push(`${request.type} ${request.source}`)
      return newFilesystem.call(vfs, request)
    }
    await failure(create({ root: { path: 'nothing' } }))
    expect(made).toEqual(['tmpfs rootfs'])
    const { files } = await create({ root: IMAGE, mounts: [bind('/f', 'file/f')] }, 'all:memory')
    expect([(await files.stat('/')).mode, (await files.stat('/f')).mode]).toEqual([0o40755, 0o100644])
  })

  test('C024 C206 C207 every lower layer is read-only by a mount of its own; the overlay has the flags that were asked for', async () => {
    const binds = [bind('/b', 'image', 'noexec', 'noatime'), bind('/f', 'file/f')]
    const spec = { root: IMAGE, mounts: [...binds, tmpfs('/lower'), over('/merged', '/lower')] }
    const { at, namespace, write } = await create(spec, 'all:memory')
    const layers = [...vfs.superblocks].flatMap(({ views }) => [...views].filter((mount) => !mount.namespace))
    const lowers = layers.filter(({ flags }) => flags.readonly)
    const kinds = lowers.map(({ root, superblock }) => `${superblock.filesystem.type} ${root.kind}`)
    expect(kinds.sort()).toEqual(['gofer directory', 'gofer directory', 'gofer file', 'tmpfs directory'])
    const mkdir = (root: VirtualDentry) => asRoot(root, (task) => task.mkdirat(AT_FDCWD, '/x', 0o755))
    for (const lower of lowers.filter(({ root }) => root.kind === 'directory')) {
      expect(() => mkdir(new VirtualDentry(lower, lower.root))).toThrow('EROFS')
    }
    mkdir(asRoot(namespace.rootPlace, (task) => resolve(task, task.root, '/lower', true)))
    const flags = ({ options }: { options: readonly string[] }) =>
      options.filter((option) => /^(rw|ro|no.*)$/.test(option))
    expect(['/', '/b', '/f', '/merged'].map((place) => flags(at(place)[0]!))).toEqual([
      ['rw'],
      ['rw', 'noexec', 'noatime'],
      ['rw'],
      ['rw'],
    ])
    for (const path of ['/y', '/b/y', '/f', '/merged/y']) await write(path)
  })

  test('C021 C022 C004 C028 that is no directory is refused at once, by the name of the root', async () => {
    for (const readonly of [true, false]) {
      const error = await failure(create({ root: { path: 'file/f', readonly } }))
      expect(error).toMatchObject({ code: 'ENOTDIR', syscall: 'mount', path: '/' })
      expect(error.message).toMatch(/root: root.path "file\/f" is no directory/)
    }
    const missing = await failure(create({ root: { path: 'nothing' } }))
    expect(missing).toMatchObject({ code: 'ENOENT', path: '/' })
  })

  test('C008 C009 C010 C011 what is read-only is writable only for mount points, and a writer left over makes the set-up throw', async () => {
    const mounts = [tmpfs('/a', 'ro'), tmpfs('/a/b'), tmpfs('/a/b/c', 'ro')]
    const { files, write, at } = await create({ mounts })
    expect((await files.stat('/a/b')).mode & 0o777).toBe(0o777)
    for (const place of ['/a', '/a/b/c']) expect(at(place)[0]!.options).toContain('ro')
    expect((await failure(write('/a/x'))).code).toBe('EROFS')
    await write('/a/b/x')
    await world.runtime.delete('c', false)

    const tmpfsType = vfs.types.lookup('tmpfs')!
    const mount: typeof tmpfsType.mount = (request) => {
      const made = tmpfsType.mount(request)
      const { root } = made
      if (root.kind !== 'directory' || request.source !== 'held') return made
      const create = root.create!.bind(root)
      root.create = (...args) => {
        // As if somebody had opened a file for writing in the meantime.
        for (const { views } of vfs.superblocks)
          for (const view of views) if (view.superblock.filesystem === made) view.writers = 1
        return create(...args)
      }
      return made
    }
    vfs.types.lookup = (name) => (name === 'tmpfs' ? { ...tmpfsType, mount } : undefined) as typeof tmpfsType
    const held: MountSpec = { ...tmpfs('/a', 'ro'), source: 'held' }
    const error = await failure(create({ mounts: [held, tmpfs('/a/b')] }))
    expect(error).toMatchObject({ code: 'EBUSY', path: '/a/b' })
  })

  test('C072 ours: a mount on / is the root of what comes later, and of the container', async () => {
    const { names, mounts, write } = await create({ root: IMAGE, mounts: [tmpfs('/later'), tmpfs('/')] })
    expect(await names('/')).toEqual(expect.arrayContaining(['later']))
    expect(await names('/')).not.toContain('etc')
    await write('/x')
    expect(mounts[0]).toMatchObject({ destination: '/', type: 'tmpfs' })
  })
})

describe('annotations of a root', () => {
  const annotations = (fields: Record<string, string>) =>
    Object.fromEntries(Object.entries(fields).map(([field, value]) => [`dev.gvisor.spec.rootfs.${field}`, value]))

  test('D018 D023 go before root.path, and say what takes the changes', async () => {
    const given = annotations({ source: 'image', type: 'bind', overlay: 'none', directfs: 'off' })
    const { at, read } = await create({ root: { path: 'file' }, annotations: given })
    expect(at('/')).toMatchObject([{ type: 'gofer' }])
    expect(await read('/etc/name')).toBe('image')
    const sized = annotations({ source: 'image', type: 'bind', options: 'size=8k' })
    const small = await create({ annotations: sized }, undefined, 'small')
    const big = small.files.writeFile('/big', new Uint8Array(20_000), 0o1101, 0o644)
    expect((await failure(big)).code).toBe('ENOSPC')
    expect((await create({ annotations: { other: 'x' } }, undefined, 'off')).at('/')).toMatchObject([{ type: 'tmpfs' }])
  })

  test.each<[fields: Record<string, string>, field: string, rule: RegExp]>([
    [{ source: 'image' }, 'type', /is required/],
    [{ type: 'bind' }, 'source', /is required/],
    [{ overlay: 'memory' }, 'source', /is required/],
    [{ source: '/image', type: 'bind' }, 'source', /name of a tree/],
    [{ source: 'image', type: 'ext4' }, 'type', /"ext4"/],
    [{ source: 'image', type: 'bind', overlay: 'self' }, 'overlay', /"self"/],
    [{ source: 'image', type: 'bind', options: '' }, 'options', /size=/],
    [{ source: 'image', type: 'bind', options: 'size' }, 'options', /"size"/],
    [{ source: 'image', type: 'bind', options: 'size=1,mode=1' }, 'options', /"mode=1"/],
    [{ source: 'image', type: 'bind', directfs: 'on' }, 'directfs', /default/],
    [{ source: 'image', type: 'bind', lifecycle: 'x' }, 'lifecycle', /no annotation/],
  ])('D018 D019 D020 D021 D022 %j is a fault', async (fields, field, rule) => {
    const error = await failure(create({ annotations: annotations(fields) }))
    const faults = (error as unknown as { faults: { path: string; rule: string }[] }).faults
    expect(faults).toContainEqual({
      path: `annotations["dev.gvisor.spec.rootfs.${field}"]`,
      rule: expect.stringMatching(rule) as string,
    })
  })
})
