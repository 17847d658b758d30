import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ErrnoError } from '../../abi/errno.ts'
import type { Clock } from '../../abi/platform.ts'
import type { BlobLike, TreeEntry } from '../../abi/tree.ts'
import { decodeUtf8, encodeUtf8 } from '../../abi/utf8.ts'
import type { DirectoryInode, FileInode, Filesystem, Inode, ListedEntry } from '../../vfs/inode.ts'
import { Attempt } from '../../vfs/waiting.ts'
import { ContentReaders } from './content.ts'
import { createGofer, goferType } from './gofer.ts'

const NOW = 1_700_000_000_000_000_123n
const clock: Clock = { realtime: () => NOW, monotonic: () => 0n, coarse: () => NOW }
const attempt = new Attempt()

const unreachable = (): never => {
  throw new Error('nothing is to be read from outside')
}
const readers = new ContentReaders({ read: unreachable }, { fetch: unreachable })

const gofer = (entries: readonly TreeEntry[]): Filesystem => createGofer({ entries }, { dev: 7, clock, readers })

const file = (path: string, text = ''): TreeEntry => ({ path, kind: 'file', content: encodeUtf8(text) })

function find(fs: Filesystem, path: string): Inode | undefined {
  let inode: Inode | undefined = fs.root
  for (const name of path.split('/')) {
    if (name !== '') inode = inode?.kind === 'directory' ? inode.lookup(name, attempt) : undefined
  }
  return inode
}

function read(inode: Inode | undefined, offset = 0, length = 1 << 16): string {
  const memory = new Uint8Array(length)
  const count = (inode as FileInode).read(memory, 0, length, offset, attempt)
  return decodeUtf8(memory, 0, count)!
}

const list = (inode: Inode, after = 0): readonly ListedEntry[] => [...(inode as DirectoryInode).entries(after, attempt)]

describe('a tree', () => {
  test('gives what it was made of, whatever the order of its entries', () => {
    const fs = gofer([
      file('usr/include/stdio.h', 'int puts(const char *);'),
      { path: 'usr', kind: 'directory', mode: 0o700, uid: 5, gid: 6, mtime: 3n },
      { path: 'usr/lib', kind: 'symlink', target: '../lib64/ü' },
      { path: 'empty', kind: 'file' },
      file('usr/a', 'A'),
    ])
    expect(read(find(fs, 'usr/include/stdio.h'))).toBe('int puts(const char *);')
    expect(read(find(fs, 'empty'))).toBe('')
    expect(find(fs, 'usr')).toMatchObject({ kind: 'directory', mode: 0o040700, uid: 5, gid: 6, mtime: 3n })
    const link = find(fs, 'usr/lib')
    expect(link).toMatchObject({ kind: 'symlink', mode: 0o120777, size: 11, blocks: 0 })
    expect(link?.kind === 'symlink' && link.readlink(attempt)).toBe('../lib64/ü')
    expect(find(fs, 'usr/include/missing')).toBeUndefined()
    expect(find(fs, 'constructor')).toBeUndefined()
  })

  test('B139 has modes, owners and times of its own, or else 0644, 0755, 0777, root and the time of its arrival', () => {
    const fs = gofer([
      file('plain'),
      { path: 'd/s', kind: 'symlink', target: 'x' },
      { path: 'tool', kind: 'file', mode: 0o4755, uid: 1000, gid: 100, mtime: 1_600_000_000_000.5 },
    ])
    const ours = { uid: 0, gid: 0, atime: NOW, mtime: NOW, ctime: NOW, btime: NOW, rdev: 0 }
    expect(fs.root).toMatchObject({ ...ours, mode: 0o040755, kind: 'directory' })
    expect(find(fs, 'plain')).toMatchObject({ ...ours, mode: 0o100644, nlink: 1, filesystem: fs })
    expect(find(fs, 'd')).toMatchObject({ ...ours, mode: 0o040755 })
    expect(find(fs, 'd/s')).toMatchObject({ ...ours, mode: 0o120777, nlink: 1 })
    const time = 1_600_000_000_000_500_000n
    expect(find(fs, 'tool')).toMatchObject({
      mode: 0o104755,
      uid: 1000,
      gid: 100,
      mtime: time,
      atime: time,
      ctime: time,
    })
  })

  test('gives a File the time of its last change, unless the entry says another', () => {
    const content: BlobLike = { size: 5, type: '', lastModified: 12, slice: unreachable }
    const fs = gofer([
      { path: 'a', kind: 'file', content },
      { path: 'b', kind: 'file', content, mtime: 13 },
    ])
    expect(find(fs, 'a')).toMatchObject({ mtime: 12_000_000n, size: 5 })
    expect(find(fs, 'b')).toMatchObject({ mtime: 13_000_000n, size: 5 })
  })

  test('counts links of directories, sizes and blocks', () => {
    const fs = gofer([file('a/b/c/f', 'x'.repeat(513)), { path: 'a/d', kind: 'directory' }, file('a/e', 'y')])
    expect(fs.root.nlink).toBe(3)
    expect(find(fs, 'a')?.nlink).toBe(4)
    expect(find(fs, 'a/d')?.nlink).toBe(2)
    expect(find(fs, 'a/b/c/f')).toMatchObject({ size: 513, blocks: 2 })
    expect(find(fs, 'a/e')).toMatchObject({ size: 1, blocks: 1 })
    expect(fs.usage()).toEqual({ type: 0x01021997, blockSize: 4096, blocks: 1, blocksFree: 0, files: 7, filesFree: 0 })
  })

  test('numbers its inodes by their paths: other entries, and the order of entries, change no number', () => {
    const paths = ['', 'a/b/f', 'a/g', 'a', 'a/b', 'c']
    const numbers = (fs: Filesystem) => paths.map((path) => find(fs, path)?.ino)
    const entries: TreeEntry[] = [
      file('a/b/f'),
      file('a/g'),
      { path: 'a', kind: 'directory' },
      { path: '', kind: 'directory', mode: 0o711 },
      file('c'),
    ]
    const first = numbers(gofer(entries))
    expect(first[0]).toBe(1)
    expect(new Set(first).size).toBe(paths.length)
    for (const ino of first) expect(ino).toBeLessThan(2 ** 40)
    expect(gofer(entries).root.mode).toBe(0o040711)
    expect(numbers(gofer(entries.toReversed()))).toEqual(first)
    expect(numbers(gofer([file('0'), ...entries, file('a/b/z')]))).toEqual(first)
  })

  test('gives no number twice, in a tree of 20,000 files whose names are alike', () => {
    const fs = gofer(Array.from({ length: 20_000 }, (_, i) => file(`f${i}`)))
    expect(new Set(list(fs.root).map(({ ino }) => ino)).size).toBe(20_000)
  })

  test('may be a single file, to be bound over a file', () => {
    const fs = gofer([{ path: '', kind: 'file', content: encodeUtf8('hosts'), mode: 0o600 }])
    expect(fs.root).toMatchObject({ kind: 'file', mode: 0o100600, size: 5, ino: 1 })
    expect(read(fs.root)).toBe('hosts')
    expect(fs.usage()).toMatchObject({ files: 1, blocks: 1 })
  })

  test('may be empty', () => {
    const { root } = gofer([])
    expect(root).toMatchObject({ kind: 'directory', nlink: 2 })
    expect((root as DirectoryInode).isEmpty(attempt)).toBe(true)
    expect(list(root)).toEqual([])
  })

  test('is read-only, and stays as it is when it is read', () => {
    const fs = gofer([file('f', 'text')])
    const inode = find(fs, 'f')!
    expect(fs.readonly).toBe(true)
    inode.touch(7, 99n)
    expect(inode).toMatchObject({ atime: NOW, mtime: NOW, ctime: NOW })
    expect(() => inode.setAttributes({ mode: 0 }, attempt)).toThrow(expect.objectContaining({ code: 'EROFS' }))
    for (const method of ['write', 'truncate', 'allocate']) expect(inode).not.toHaveProperty(method)
    for (const method of ['create', 'unlink', 'rename', 'link']) expect(fs.root).not.toHaveProperty(method)
  })
})

describe('reading', () => {
  test.each([
    ['from within', 2, 3, 'llo'],
    ['past the end', 3, 100, 'lo world, this is more than a few bytes'],
    ['at the end', 42, 10, ''],
    ['behind the end', 1000, 10, ''],
    ['nothing', 0, 0, ''],
  ])('%s', (_, offset, length, expected) => {
    expect(read(find(gofer([file('f', 'hello world, this is more than a few bytes')]), 'f'), offset, length)).toBe(
      expected,
    )
  })

  test('goes to the place asked for and touches nothing beside it', () => {
    const inode = find(gofer([file('f', 'abc')]), 'f') as FileInode
    const memory = new Uint8Array(8).fill(0x2e)
    expect(inode.read(memory, 2, 5, 1, attempt)).toBe(2)
    expect(decodeUtf8(memory)).toBe('..bc....')
  })

  test('a file offers its content as a source, which an overlay can refer to', () => {
    const source = (find(gofer([file('f', 'lower')]), 'f') as FileInode).immutableSource?.(attempt)
    const memory = new Uint8Array(3)
    source?.read(memory, 0, 3, 2, attempt)
    expect(source?.size).toBe(5)
    expect(decodeUtf8(memory)).toBe('wer')
  })
})

describe('listing', () => {
  const names = ['zeta', '2', 'alpha', '1', 'dir']
  const fs = gofer(names.map((path) => (path === 'dir' ? { path, kind: 'directory' } : file(path))))

  test('gives each name once in the order of entries, with the number and kind that lookup gives', () => {
    const entries = list(fs.root)
    expect(entries.map((entry) => entry.name)).toEqual(names)
    for (const { name, ino, kind } of entries) expect(find(fs, name)).toMatchObject({ ino, kind })
  })

  test('goes on behind any cookie', () => {
    const entries = list(fs.root)
    expect(entries[0]!.cookie).toBeGreaterThanOrEqual(3)
    for (const [index, { cookie }] of entries.entries()) {
      expect(list(fs.root, cookie).map((entry) => entry.name)).toEqual(names.slice(index + 1))
      if (index > 0) expect(cookie).toBeGreaterThan(entries[index - 1]!.cookie)
    }
    expect(list(fs.root, 2)).toHaveLength(names.length)
    expect(list(fs.root, 1e9)).toEqual([])
  })
})

describe('a faulty tree is refused, with the entry and the rule', () => {
  const at = (path: string): TreeEntry => ({ path, kind: 'file' })
  const odd = (fields: object): TreeEntry => ({ path: 'odd', kind: 'file', ...fields })
  const long = 'ä'.repeat(128)
  const cases: [string, TreeEntry[], string | undefined, string][] = [
    ['an absolute path', [at('a'), at('/etc/passwd')], '/etc/passwd', 'tree entry 1: the path must be relative'],
    ['.. in a path', [at('a/../b')], 'a/../b', "tree entry 0: a name must not be '..'"],
    ['.. as a last name', [at('..')], '..', "a name must not be '..'"],
    ['. in a path', [at('./a')], './a', "a name must not be '.'"],
    ['an empty name', [at('a//b')], 'a//b', 'a name must not be empty'],
    ['an empty last name', [{ path: 'a/', kind: 'directory' }], 'a/', 'a name must not be empty'],
    ['NUL in a path', [at('a\0b')], 'a\0b', 'the path must not hold NUL'],
    ['half a character', [at('a\ud800')], 'a\ud800', 'the path must not hold half a surrogate pair'],
    ['a name of 256 bytes', [at(`d/${long}`)], `d/${long}`, 'a name must not be longer than 255 bytes'],
    ['a directory name of 256 bytes', [at(`${long}/f`)], `${long}/f`, 'a name must not be longer than 255 bytes'],
    ['a path of 4096 bytes', [at('a/'.repeat(2048))], 'a/'.repeat(2048), 'the path must be shorter than 4096 bytes'],
    ['a file below a file', [at('a'), at('a/b')], 'a/b', "'a' is a file, so nothing can be below it"],
    [
      'a file far below a link',
      [{ path: 'l', kind: 'symlink', target: 'x' }, at('l/m/n')],
      'l/m/n',
      "'l' is a symlink, so",
    ],
    ['a file where a directory is', [at('a/b'), at('a')], 'a', 'tree entry 1: the name is there already'],
    ['a directory where a file is', [at('a'), { path: 'a', kind: 'directory' }], 'a', 'the name is there already'],
    ['a file twice', [at('a'), at('b'), at('a')], 'a', 'tree entry 2: the name is there already'],
    ['a directory twice', [odd({ kind: 'directory' }), odd({ kind: 'directory' })], 'odd', 'the name is there already'],
    [
      'a root twice',
      [odd({ path: '', kind: 'directory' }), odd({ path: '', kind: 'directory' })],
      '',
      'the root is there already',
    ],
    ['a file root beside others', [at(''), at('a')], '', 'the root must be a directory, or the only entry'],
    [
      'a link as the root',
      [odd({ path: '', kind: 'symlink', target: 'x' })],
      '',
      'the root must be a directory or a file',
    ],
    ['no object', [undefined as never], undefined, 'tree entry 0: must be an object'],
    ['a path that is no string', [odd({ path: 3 })], undefined, 'path must be a string'],
    ['an unknown kind', [odd({ kind: 'fifo' })], 'odd', "kind must be 'file', 'directory' or 'symlink'"],
    [
      'a directory with content',
      [odd({ kind: 'directory', content: encodeUtf8('') })],
      'odd',
      'a directory has no content',
    ],
    ['content that is text', [odd({ content: 'text' })], 'odd', 'content must be a Uint8Array'],
    ['content that is nothing', [odd({ content: null })], 'odd', 'content must be a Uint8Array'],
    ['a relative URL', [odd({ content: { url: 'a/b' } })], 'odd', 'the URL absolute'],
    ['a URL of half a byte', [odd({ content: { url: 'http://x/', size: 0.5 } })], 'odd', 'content must be'],
    ['a link without target', [odd({ kind: 'symlink' })], 'odd', 'a symlink must have a target'],
    ['a link to nothing', [odd({ kind: 'symlink', target: '' })], 'odd', 'a symlink must have a target'],
    ['NUL in a target', [odd({ kind: 'symlink', target: 'a\0' })], 'odd', 'the target must not hold NUL'],
    ['a file with a target', [odd({ target: 'a' })], 'odd', 'a file has no target'],
    ['a mode with a type', [odd({ mode: 0o100644 })], 'odd', 'mode must be an integer from 0 to 07777'],
    ['a negative uid', [odd({ uid: -1 })], 'odd', 'uid must be an integer'],
    ['a gid too large', [odd({ gid: 2 ** 32 - 1 })], 'odd', 'gid must be an integer'],
    ['a time that is none', [odd({ mtime: Number.NaN })], 'odd', 'mtime must be'],
  ]
  test.each(cases)('%s', (_, entries, path, rule) => {
    let error: unknown
    try {
      gofer(entries)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(ErrnoError)
    expect(error).toMatchObject({ code: 'EINVAL', path, detail: expect.stringContaining(rule) })
  })

  test('names of 255 bytes, any other character and depth are fine', () => {
    const names = ['ä'.repeat(127), 'a b', '\\', '\n', '..a', '...', '__proto__', '😀', 'a'.repeat(255)]
    const fs = gofer([...names.map((name) => file(name, name)), file(`${'d/'.repeat(2000)}f`, 'deep')])
    for (const name of names) expect(read(find(fs, name))).toBe(name)
    expect(read(find(fs, `${'d/'.repeat(2000)}f`))).toBe('deep')
  })
})

describe('the type gofer', () => {
  const request = { source: 'sysroot', uid: 0, gid: 0, clock, dev: 9 }

  test('mounts the tree that the kernel hands over, and only the kernel may ask', () => {
    const type = goferType(readers)
    const fs = type.mount({ ...request, data: '', internal: { entries: [file('f', 'x')] } })
    expect(type).toMatchObject({ name: 'gofer', userMountable: false, userListable: true })
    expect(fs).toMatchObject({ type: 'gofer', dev: 9 })
    expect(read(find(fs, 'f'))).toBe('x')
  })

  test.each([
    'trans=fd,rfdno=3,wfdno=3',
    'trans=fd',
    'rfdno=3,wfdno=4',
    'cache=fscache',
    'cache=remote_revalidating',
    'aname=/data',
    'dfltuid=x',
    'nonsense',
  ])('B136 B137 ours: there is no connection that options could describe, so %s is EINVAL', (data) => {
    const mount = () => goferType(readers).mount({ ...request, data, internal: { entries: [] } })
    expect(mount).toThrow(expect.objectContaining({ code: 'EINVAL', detail: `gofer takes no options: "${data}"` }))
  })

  test.each([
    ['an option', 'cache=none', { entries: [] }, 'gofer takes no options: "cache=none"'],
    ['no tree', '', undefined, 'a tree must be'],
    ['another thing', '', { entries: 'a' }, 'a tree must be'],
  ])('refuses %s', (_, data, internal, detail) => {
    const mount = () => goferType(readers).mount({ ...request, data, internal })
    expect(mount).toThrow(expect.objectContaining({ code: 'EINVAL', detail: expect.stringContaining(detail) }))
  })
})

/** Trees as a model: what is at each path. */
const name = fc.oneof(fc.constantFrom('a', 'b', 'c', '1', '0'), fc.stringMatching(/^[a-zé_]{1,4}$/))
type Model = Map<string, { entry: TreeEntry; text: string }>
const model = fc
  .array(
    fc.record({
      path: fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/')),
      kind: fc.constantFrom<TreeEntry['kind'][]>('file', 'directory', 'symlink'),
      text: fc.string({ minLength: 1, maxLength: 40, unit: 'binary' }).filter((text) => !text.includes('\0')),
      mode: fc.nat(0o7777),
    }),
    { maxLength: 60 },
  )
  .map((entries) => {
    const kept: Model = new Map()
    const parents = (path: string) => path.split('/').map((_, i, names) => names.slice(0, i).join('/'))
    for (const { path, kind, text, mode } of entries) {
      if (kept.has(path)) continue
      if (parents(path).some((above) => (kept.get(above)?.entry.kind ?? 'directory') !== 'directory')) continue
      if (kind !== 'directory' && [...kept.keys()].some((other) => other.startsWith(`${path}/`))) continue
      const what = kind === 'file' ? { content: encodeUtf8(text) } : kind === 'symlink' ? { target: text } : {}
      kept.set(path, { entry: { path, kind, mode, ...what }, text })
    }
    return kept
  })

test('any tree lists and reads as it was handed in', () => {
  fc.assert(
    fc.property(model, (kept) => {
      const fs = gofer([...kept.values()].map(({ entry }) => entry))
      const below = new Map<string, Set<string>>([['', new Set()]])
      for (const { entry } of kept.values()) {
        const names = entry.path.split('/')
        for (let i = 0; i < names.length; i++) {
          const above = names.slice(0, i).join('/')
          if (!below.has(above)) below.set(above, new Set())
          below.get(above)!.add(names[i]!)
        }
        if (entry.kind === 'directory' && !below.has(entry.path)) below.set(entry.path, new Set())
      }
      const seen = new Set<number>()
      for (const [path, names] of below) {
        const directory = find(fs, path) as DirectoryInode
        const entries = list(directory)
        expect(new Set(entries.map((entry) => entry.name))).toEqual(names)
        expect(entries).toHaveLength(names.size)
        expect(directory.isEmpty(attempt)).toBe(names.size === 0)
        expect(directory.nlink).toBe(2 + entries.filter((entry) => entry.kind === 'directory').length)
        for (const { ino } of entries) seen.add(ino)
      }
      for (const [path, { entry, text }] of kept) {
        const inode = find(fs, path)
        expect(inode).toMatchObject({ kind: entry.kind })
        expect(inode!.mode & 0o7777).toBe(entry.mode)
        if (inode?.kind === 'file') expect(read(inode)).toBe(text)
        if (inode?.kind === 'symlink') expect(inode.readlink(attempt)).toBe(text)
      }
      expect(fs.usage().files).toBe(seen.size + 1)
      expect(seen.has(1)).toBe(false)
    }),
  )
})
