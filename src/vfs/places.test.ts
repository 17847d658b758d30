import { expect, test } from 'vitest'
import { inWorld, outcome } from '../testing/host-world.ts'
import { makeDirectories, makeMountPoint, makeParents, parentAt, searchableAt } from './places.ts'

test('A078 a place to work in is a directory that may be searched', () =>
  inWorld({}, (root) => {
    root.mkdir('/open', 0o711)
    root.mkdir('/closed', 0o766)
    root.write('/f', '', 0o600)
    root.task.symlinkat('open', -100, '/l')
    const { task } = root.as(1000)
    expect(searchableAt(task, task.root, '/l').equals(root.place('/open'))).toBe(true)
    expect(outcome(() => searchableAt(task, task.root, '/closed'))).toBe('EACCES')
    expect(outcome(() => searchableAt(task, task.root, '/f'))).toBe('ENOTDIR')
    expect(outcome(() => task.chdir('/f'))).toBe('ENOTDIR')
    expect(outcome(() => task.chdir('/closed'))).toBe('EACCES')
    expect(outcome(() => task.chdir('/open'))).toBe('ok')
  }))

test('A079 the parent of a path is the directory of its last component, even if that is a dot or it cannot be searched', () =>
  inWorld({}, (root) => {
    root.mkdir('/d', 0o600)
    root.write('/f')
    const { task } = root.as(1000)
    const parent = (path: string) => parentAt(task, task.root, path).dentry.name
    expect(parent('/d/x')).toBe('d')
    expect(parent('/d/.')).toBe('d')
    expect(parent('d/../')).toBe('d')
    expect(parent('d')).toBe('')
    expect(outcome(() => parent('/f/x'))).toBe('ENOTDIR')
    // Directories before it are walked, and asked.
    expect(outcome(() => parent('/d/x/y'))).toBe('EACCES')
    expect(outcome(() => parent('/'))).toBe('ENOENT')
  }))

test('A225 what is there already is fine if it is a directory', () =>
  inWorld({}, (root) => {
    root.mkdir('/a')
    root.write('/f')
    const make = (path: string) => makeDirectories(root.task, root.task.root, path, 0o700)
    expect(outcome(() => make('/a'))).toBe('ok')
    expect(outcome(() => make('/'))).toBe('ok')
    expect(outcome(() => make('/f'))).toBe('ENOTDIR')
    expect(outcome(() => make('/f/x/y'))).toBe('ENOTDIR')
    expect(root.mode('/a')).toBe(0o755)
  }))

test('A226 what is missing is made from the first to the last, all with the mode', () =>
  inWorld({}, (root) => {
    root.mkdir('/a')
    root.host.mkdirAll('/a//b/c/./d/', 0o750)
    expect(['/a', '/a/b', '/a/b/c', '/a/b/c/d'].map((path) => root.mode(path))).toEqual([0o755, 0o750, 0o750, 0o750])
  }))

test('A227 a link to a directory is followed, a link to nothing is not made up for', () =>
  inWorld({}, (root) => {
    root.mkdir('/a')
    root.task.symlinkat('a', -100, '/to-a')
    root.task.symlinkat('nowhere', -100, '/dangling')
    const make = (path: string) => outcome(() => makeDirectories(root.task, root.task.root, path, 0o755))
    expect(make('/to-a')).toBe('ok')
    expect(make('/to-a/b')).toBe('ok')
    expect(root.inode('/a/b').kind).toBe('directory')
    expect(make('/dangling')).toBe('EEXIST')
    expect(make('/dangling/x')).toBe('EEXIST')
    expect(outcome(() => root.stat('/nowhere'))).toBe('ENOENT')
  }))

test('A228 another error stops it, and says where', () =>
  inWorld({}, (root) => {
    root.mkdir('/d', 0o755)
    const { task } = root.as(1000)
    try {
      makeDirectories(task, task.root, '/d/x/y', 0o755)
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ code: 'EACCES', path: '/d/x' })
    }
    expect(outcome(() => makeDirectories(task, task.root, `/d/${'x'.repeat(256)}/y`, 0o755))).toBe('ENAMETOOLONG')
  }))

test('A390 the path is walked, not cleaned: what comes behind link/.. is made where the link leads', () =>
  inWorld({}, (root) => {
    root.host.mkdirAll('/far/away', 0o755)
    root.task.symlinkat('/far/away', -100, '/link')
    root.host.mkdirAll('/link/../x/y', 0o755)
    root.host.mkdirAll('/missing/../z', 0o755)
    expect(root.inode('/far/x/y').kind).toBe('directory')
    expect(root.inode('/missing').kind).toBe('directory')
    expect(root.inode('/z').kind).toBe('directory')
    expect(outcome(() => root.stat('/x'))).toBe('ENOENT')
  }))

test('A229 a mount point is made with its parents, 0777, unless something has the name', () =>
  inWorld({}, (root) => {
    const make = (path: string) => outcome(() => makeMountPoint(root.task, root.task.root, path))
    expect(make('/a/b/c')).toBe('ok')
    expect(['/a', '/a/b', '/a/b/c'].map((path) => root.mode(path))).toEqual([0o777, 0o777, 0o777])
    root.write('/f', 'text')
    root.task.symlinkat('nowhere', -100, '/dangling')
    expect(['/a/b/c', '/f', '/dangling'].map(make)).toEqual(['ok', 'ok', 'ok'])
    expect(root.read('/f')).toBe('text')
    expect(make('/f/x')).toBe('ENOTDIR')
    makeParents(root.task, root.task.root, '/top', 0o777)
    expect(outcome(() => root.stat('/top'))).toBe('ENOENT')
  }))
