/** The places that mounts go to: what is there, and what is made there. */

import { describe, expect, test } from 'vitest'
import { bind, create, eachInAWorld, failure, IMAGE, READONLY, tmpfs, world } from './test-world.ts'

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

  test('C274 C067 what was made for a mount that then failed is taken back', async () => {
    const volume = 'root:volume:kept'
    const error = await failure(create({ mounts: [bind('/made/for/it', 'file/f'), tmpfs('/made/for/it/x')] }, volume))
    expect(error).toMatchObject({ code: 'ENOTDIR', path: '/made/for/it/x' })
    expect(error.message).toMatch(/mounts\[1\]/)
  })

  test('C175 C176 A103 where the filesystem refuses, there are directories in memory, in which nothing else can be made', async () => {
    const { files, names } = await create({ root: READONLY, mounts: [tmpfs('/a/b/c')] }, 'none')
    expect(await names('/a/b')).toEqual(['c'])
    expect((await failure(files.rmdir('/a/b/c'))).code).toBe('EROFS')
    await world.runtime.delete('c', false)
    // The tree may not be written; what is in memory over it may be, but for this.
    const loose = await create({ root: IMAGE, mounts: [tmpfs('/a/b/c')] }, 'none')
    for (const made of [loose.write('/a/x'), loose.files.mkdir('/a/b/y', 0o755, false)]) {
      expect(['EPERM', 'EROFS']).toContain((await failure(made)).code)
    }
  })
})
