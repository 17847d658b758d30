import { describe, expect, test } from 'vitest'
import { type FileSpec, tree } from './tree.ts'

const bytes = (text: string) => new TextEncoder().encode(text)

describe('tree', () => {
  const blob = new Blob(['b'])
  test.each<[string, FileSpec, object]>([
    ['text as UTF-8', 'ü', { kind: 'file', content: bytes('ü') }],
    ['bytes', bytes('x'), { kind: 'file', content: bytes('x') }],
    ['a buffer', bytes('x').buffer, { kind: 'file', content: bytes('x') }],
    ['a Blob, unread', blob, { kind: 'file', content: blob }],
    ['a URL', new URL('https://example.org/a'), { kind: 'file', content: { url: 'https://example.org/a' } }],
    [
      'a URL with its size',
      { data: new URL('https://example.org/a'), size: 7 },
      { kind: 'file', content: { url: 'https://example.org/a', size: 7 } },
    ],
    [
      'a file with attributes',
      { data: 'x', mode: 0o755, uid: 1, gid: 2, mtime: new Date(3) },
      { kind: 'file', content: bytes('x'), mode: 0o755, uid: 1, gid: 2, mtime: 3 },
    ],
    ['nanoseconds', { data: '', mtime: 5n }, { kind: 'file', content: bytes(''), mtime: 5n }],
    ['a symlink', { symlink: '../x', mtime: 4 }, { kind: 'symlink', target: '../x', mtime: 4 }],
    ['a directory', { directory: true, mode: 0o700 }, { kind: 'directory', mode: 0o700 }],
  ])('takes %s', (_, file, expected) => {
    expect(tree({ 'a/b': file })).toEqual({ entries: [{ path: 'a/b', ...expected }] })
    expect(tree(new Map([['a/b', file]]))).toEqual({ entries: [{ path: 'a/b', ...expected }] })
  })

  test('takes a list of Files, by the path within the folder that was picked or else by name', () => {
    const picked = Object.assign(new File(['1'], 'a.c'), { webkitRelativePath: 'src/a.c' })
    const dropped = Object.assign(new File(['2'], 'b.c'), { webkitRelativePath: '' })
    expect(tree([picked, dropped]).entries).toEqual([
      { path: 'src/a.c', kind: 'file', content: picked },
      { path: 'b.c', kind: 'file', content: dropped },
    ])
  })

  test('takes entries as they are', () => {
    const entries = [{ path: 'a', kind: 'symlink', target: 'b', mode: 0o777 }] as const
    expect(tree(entries)).toEqual({ entries })
  })

  test('takes a tree as it is', () => {
    const made = tree({ a: 'x' })
    expect(tree(made)).toBe(made)
    expect(tree({ entries: 'a file of this name' }).entries).toMatchObject([{ path: 'entries', kind: 'file' }])
  })

  test("takes the paths of a tar: './' in front, and '/' behind a directory, but not behind a file", () => {
    const paths = tree({ './a/': { directory: true }, './a/b': '', 'c/': '', '..': '' }).entries.map(({ path }) => path)
    expect(paths).toEqual(['a', 'a/b', 'c/', '..'])
  })

  test.each([
    ['a misspelt description', { content: 'x' }],
    ['a number', 5],
  ])('refuses %s, which would otherwise become an empty file', (_, file) => {
    expect(() => tree({ f: file as never })).toThrow("'f' must have data, a symlink, or directory: true")
  })
})
