/** Filesystems that a page serves, over a real kernel. */

import { afterAll, describe, expect, test } from 'vitest'
import { kernels } from '../../../e2e/kernels.ts'
import type { FuseOperations } from './operations.ts'

const { boot, close } = kernels()
afterAll(close)

const failure = (code: string) => Object.assign(new Error(code), { code })

/** A JSON document as files: what docs/guide/fuse.md shows. */
function jsonFiles(document: Record<string, unknown>): FuseOperations {
  const find = (path: string) =>
    path.split('/').reduce<unknown>((at, name) => {
      if (name === '') return at
      return typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[name] : undefined
    }, document)
  const holder = (path: string) => {
    const at = find(path.slice(0, path.lastIndexOf('/')))
    if (typeof at !== 'object' || at === null) throw failure('ENOENT')
    return [at as Record<string, unknown>, path.slice(path.lastIndexOf('/') + 1)] as const
  }
  const set = (path: string, value: unknown) => {
    const [parent, name] = holder(path)
    parent[name] = value
  }
  const remove = (path: string) => {
    const [parent, name] = holder(path)
    delete parent[name]
  }
  return {
    readdir: (path) => {
      const at = find(path)
      return typeof at === 'object' && at !== null ? Object.keys(at) : undefined
    },
    readFile: (path) => {
      const at = find(path)
      return at === undefined ? undefined : typeof at === 'string' ? at : JSON.stringify(at)
    },
    writeFile: (path, content) => set(path, new TextDecoder().decode(content)),
    mkdir: (path) => set(path, {}),
    unlink: remove,
    rmdir: remove,
    rename: (from, to) => {
      const value = find(from)
      remove(from)
      set(to, value)
    },
  }
}

const MOUNT = (name: string, destination = '/doc') => ({ type: 'fuse', source: `fuse:${name}`, destination })

test('B192 B194 a live document is read and written, in two containers', async () => {
  const sandbox = await boot()
  const document: Record<string, unknown> = { title: 'Notes', deep: { list: ['a', 'b'] } }
  const { source } = await sandbox.fuse('doc', jsonFiles(document))
  expect(source).toBe('fuse:doc')
  const [one, two] = [
    await sandbox.create('one', { mounts: [MOUNT('doc')] }),
    await sandbox.create('two', { mounts: [MOUNT('doc', '/elsewhere')] }),
  ]
  expect(await one.fs.readdir('/doc')).toEqual(['title', 'deep'])
  expect(await one.fs.readdir('/doc', { recursive: true })).toEqual([
    'title',
    'deep',
    'deep/list',
    'deep/list/0',
    'deep/list/1',
  ])
  expect(await one.fs.readFile('/doc/title', 'utf8')).toBe('Notes')
  document.title = 'Live notes'
  expect(await two.fs.readFile('/elsewhere/title', 'utf8')).toBe('Live notes')
  await one.fs.writeFile('/doc/title', 'by a container')
  await one.fs.mkdir('/doc/more/deeper', { recursive: true })
  await one.fs.writeFile('/doc/more/deeper/f', 'x'.repeat(300_000))
  await one.fs.appendFile('/doc/more/deeper/f', 'end')
  await one.fs.rename('/doc/more/deeper', '/doc/moved')
  await one.fs.unlink('/doc/deep/list/0')
  expect(document).toEqual({
    ...{ title: 'by a container', deep: { list: [undefined, 'b'] }, more: {} },
    moved: { f: `${'x'.repeat(300_000)}end` },
  })
  expect((await two.fs.stat('/elsewhere/moved/f')).size).toBe(300_003)
  await expect(one.fs.readFile('/doc/none')).rejects.toMatchObject({ code: 'ENOENT' })
  await expect(one.fs.chmod('/doc/title', 0o600)).rejects.toMatchObject({ code: 'EOPNOTSUPP' })
  const mounts = await one.mounts()
  expect(mounts.find(({ destination }) => destination === '/doc')).toMatchObject({ type: 'fuse', source: 'fuse:doc' })
})

test('without an operation that changes something it is read-only', async () => {
  const sandbox = await boot()
  await sandbox.fuse('ro', {
    readdir: (path) => (path === '/' ? ['f'] : undefined),
    readFile: (path) => (path === '/f' ? 'text' : undefined),
  })
  const { fs } = await sandbox.create('c', { mounts: [MOUNT('ro')] })
  for (const change of [
    () => fs.writeFile('/doc/f', ''),
    () => fs.mkdir('/doc/d'),
    () => fs.unlink('/doc/f'),
    () => fs.rename('/doc/f', '/doc/g'),
    () => fs.truncate('/doc/f', 1),
  ])
    await expect(change()).rejects.toMatchObject({ code: 'EROFS' })
  expect(await fs.readFile('/doc/f', 'utf8')).toBe('text')
})

test('pieces: reads, writes, handles, links, times and a full disk', async () => {
  const sandbox = await boot()
  const content = new Uint8Array(300_000).map((_, i) => i % 251)
  const calls: unknown[] = []
  await sandbox.fuse('pieces', {
    getattr: (path) => {
      if (path === '/') return { kind: 'directory' }
      if (path === '/link') return { kind: 'symlink', size: 4 }
      return path === '/file' ? { size: content.length, mode: 0o600, uid: 7, mtime: 5, nlink: 1 } : undefined
    },
    readdir: () => [
      { name: 'file', kind: 'file' },
      { name: 'link', kind: 'symlink' },
    ],
    readlink: () => 'file',
    open: (path, flags) => `${path} ${flags & 3}`,
    read: (_, offset, length, handle) => {
      calls.push(['read', handle, offset])
      return content.subarray(offset, offset + length)
    },
    write: (_, bytes, offset, handle) => {
      calls.push(['write', handle, offset, bytes.length])
      if (offset > 1000) throw failure('ENOSPC')
      return bytes.length
    },
    utimens: (path, atime, mtime) => void calls.push([path, atime, mtime]),
    statfs: () => ({ blocks: 10, blocksFree: 4 }),
    release: (path, handle) => void calls.push(['release', path, handle]),
  })
  const { fs } = await sandbox.create('c', { mounts: [MOUNT('pieces')] })
  expect(await fs.stat('/doc/link')).toMatchObject({ size: content.length, uid: 7, mtimeMs: 5 })
  expect(await fs.readlink('/doc/link')).toBe('file')
  expect(Buffer.compare(await fs.readFile('/doc/link'), content)).toBe(0)
  const file = await fs.open('/doc/file', 'r+')
  expect(await file.write(new Uint8Array(100), 0, 100, 50)).toMatchObject({ bytesWritten: 100 })
  await expect(file.write(new Uint8Array(1), 0, 1, 2000)).rejects.toMatchObject({ code: 'ENOSPC' })
  await file.close()
  await fs.utimes('/doc/file', 1, 2)
  expect(calls).toContainEqual(['read', '/file 0', 0])
  expect(calls).toContainEqual(['write', '/file 2', 50, 100])
  expect(calls).toContainEqual(['/file', 1_000_000_000n, 2_000_000_000n])
  await expect.poll(() => calls).toContainEqual(['release', '/file', '/file 2'])
})

describe('a server', () => {
  test('B194 that ends answers ENOTCONN, and its name is free', async () => {
    const sandbox = await boot()
    const hangs = new Promise<never>(() => {})
    const server = await sandbox.fuse('gone', {
      readdir: (path) => (path === '/' ? [] : undefined),
      readFile: () => hangs,
    })
    const { fs } = await sandbox.create('c', { mounts: [MOUNT('gone')] })
    expect(await fs.readdir('/doc')).toEqual([])
    const waiting = expect(fs.readFile('/doc/f')).rejects.toMatchObject({ code: 'ECONNABORTED' })
    await new Promise((resolve) => setTimeout(resolve, 10))
    server.end()
    await waiting
    await expect(fs.readdir('/doc')).rejects.toMatchObject({ code: 'ENOTCONN' })
    await sandbox.fuse('gone', { readdir: () => ['new'] })
    const { fs: again } = await sandbox.create('d', { mounts: [MOUNT('gone')] })
    expect(await again.readdir('/doc')).toEqual(['new'])
  })

  test('that is slow delays only who asks it; deleted callers are aborted', async () => {
    const sandbox = await boot()
    const signals: AbortSignal[] = []
    await sandbox.fuse('slow', {
      readdir: () => [],
      getattr: (path, { signal }) => {
        if (path === '/') return { kind: 'directory' }
        signals.push(signal)
        return new Promise(() => {})
      },
    })
    const container = await sandbox.create('c', { mounts: [MOUNT('slow')] })
    const waiting = expect(container.fs.stat('/doc/f')).rejects.toMatchObject({ code: 'ECANCELED' })
    await container.fs.writeFile('/f', 'at once')
    expect(await container.fs.readFile('/f', 'utf8')).toBe('at once')
    await expect.poll(() => signals.length).toBe(1)
    await container.delete({ force: true })
    await waiting
    await expect.poll(() => signals[0]!.aborted).toBe(true)
  })

  test('whose operation fails in a way of its own is EIO', async () => {
    const sandbox = await boot()
    await sandbox.fuse('bad', {
      getattr: () => {
        throw new TypeError('a bug of the page')
      },
    })
    const { fs } = await sandbox.create('c', { mounts: [MOUNT('bad')] })
    await expect(fs.stat('/doc/f')).rejects.toMatchObject({ code: 'EIO' })
  })

  test('B192 of a name that is taken, bad, or nobody, is told', async () => {
    const sandbox = await boot()
    await sandbox.fuse('a', {})
    await expect(sandbox.fuse('a', {})).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(sandbox.fuse('a/b', {})).rejects.toMatchObject({ code: 'EINVAL' })
    await expect(sandbox.create('c', { mounts: [MOUNT('nobody')] })).rejects.toThrow(/nobody serves "fuse:nobody"/)
    await expect(
      sandbox.create('d', { mounts: [{ type: 'fuse', source: 'x', destination: '/x', options: ['fd=3'] }] }),
    ).rejects.toMatchObject({ code: 'EINVAL' })
  })
})

test('container.mount mounts what was not there before', async () => {
  const sandbox = await boot()
  const container = await sandbox.create('c')
  await sandbox.fuse('late', { readdir: (path) => (path === '/' ? ['f'] : undefined), readFile: () => 'late' })
  expect(await container.mount(MOUNT('late', '/late'))).toEqual([])
  await container.mount({ type: 'tmpfs', destination: '/scratch', options: ['size=4k'] })
  expect(await container.fs.readFile('/late/f', 'utf8')).toBe('late')
  await expect(container.mount({ type: 'nofs', destination: '/x' })).rejects.toMatchObject({ code: 'ENODEV' })
  await expect(
    container.mount({
      type: 'fuse',
      source: 'x',
      destination: '/x',
      options: ['fd=3', 'user_id=0', 'group_id=0', 'rootmode=40755'],
    }),
  ).rejects.toMatchObject({ code: 'EINVAL' })
})
