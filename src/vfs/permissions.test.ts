import { describe, expect, test } from 'vitest'
import { CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, O_RDONLY, O_RDWR, O_WRONLY } from '../abi/linux.ts'
import { inWorld, outcome, type World } from '../testing/host-world.ts'
import { requireExecutable } from './open.ts'

test('A354 the class that matches decides, even if it grants less than the next', () =>
  inWorld({}, (root) => {
    root.write('/f', '', 0o057)
    root.chown('/f', 1000, 500)
    const opens = (uid: number, gid: number, groups: number[], flags: number) => {
      const by = root.as(uid, { gid, groups })
      return outcome(() => by.task.close(by.open('/f', flags)))
    }
    expect(opens(1000, 500, [], O_RDONLY)).toBe('EACCES')
    expect(opens(1001, 500, [], O_RDONLY)).toBe('ok')
    expect(opens(1001, 1001, [7, 500], O_RDONLY)).toBe('ok')
    expect(opens(1001, 500, [], O_WRONLY)).toBe('EACCES')
    expect(opens(1001, 1001, [7, 500], O_RDWR)).toBe('EACCES')
    expect(opens(1001, 1001, [7], O_RDWR)).toBe('ok')
  }))

test('A355 CAP_DAC_READ_SEARCH lets all directories be searched and listed, and all files be read', () =>
  inWorld({}, (root) => {
    root.mkdir('/d', 0)
    root.write('/d/f', 'text', 0)
    const reader = root.as(1000, { capabilities: CAP_DAC_READ_SEARCH })
    expect(reader.read('/d/f')).toBe('text')
    expect(outcome(() => reader.task.close(reader.open('/d')))).toBe('ok')
    expect(outcome(() => reader.open('/d/f', O_RDWR))).toBe('EACCES')
    expect(outcome(() => reader.write('/d/g'))).toBe('EACCES')
    expect(outcome(() => requireExecutable(reader.task, root.place('/d/f')))).toBe('EACCES')
    expect(outcome(() => root.as(1000).read('/d/f'))).toBe('EACCES')
  }))

test('A356 CAP_DAC_OVERRIDE lets through all but running a file that nobody may run', () =>
  inWorld({}, (root) => {
    root.mkdir('/d', 0)
    root.write('/d/f', 'text', 0)
    const able = root.as(1000, { capabilities: CAP_DAC_OVERRIDE })
    expect(outcome(() => able.write('/d/f', 'more'))).toBe('ok')
    expect(outcome(() => able.write('/d/g'))).toBe('ok')
    const runs = () => outcome(() => requireExecutable(able.task, root.place('/d/f')))
    expect(runs()).toBe('EACCES')
    root.chmod('/d/f', 0o001)
    expect(runs()).toBe('ok')
  }))

describe('A359 in a sticky directory', () => {
  const cases: [who: string, uid: number, capabilities: number, expected: string][] = [
    ['the owner of the file', 1000, 0, 'ok'],
    ['the owner of the directory', 1001, 0, 'ok'],
    ['CAP_FOWNER', 1002, CAP_FOWNER, 'ok'],
    ['another', 1002, 0, 'EPERM'],
  ]
  test.each(cases)('A359 D097 %s removes, moves and replaces a file: %s', (_, uid, capabilities, expected) =>
    inWorld({}, (root) => {
      root.mkdir('/d', 0o1777)
      root.chown('/d', 1001, 1001)
      root.chmod('/d', 0o1777)
      const by = root.as(uid, { capabilities })
      for (const name of ['a', 'b', 'c']) {
        root.write(`/d/${name}`)
        root.chown(`/d/${name}`, 1000, 1000)
      }
      expect(outcome(() => by.task.unlinkat(-100, '/d/a', 0))).toBe(expected)
      expect(outcome(() => by.task.renameat2(-100, '/d/b', -100, '/d/moved', 0))).toBe(expected)
      by.write('/d/mine')
      expect(outcome(() => by.task.renameat2(-100, '/d/mine', -100, '/d/c', 0))).toBe(expected)
    }),
  )
})

describe('D098 a stranger', () => {
  const file = (mode: number) => (root: World) => {
    root.write('/d/f')
    root.chmod('/d/f', mode)
  }
  test.each<[what: string, prepare: (root: World) => void, expected: string]>([
    ['a file that it may read and write', file(0o666), 'ok'],
    ['one that it may only read', file(0o644), 'EPERM'],
    ['one that is set-user-id', file(0o4777), 'EPERM'],
    ['one that is set-group-id', file(0o2777), 'EPERM'],
    ['a FIFO', (root) => root.mknod('/d/f', 'fifo', 0o666), 'EPERM'],
    ['a link', (root) => root.task.symlinkat('x', -100, '/d/f'), 'EPERM'],
  ])('D098 as fs.protected_hardlinks has it, links %s: %s', (_, prepare, expected) =>
    inWorld({}, (root) => {
      root.mkdir('/d')
      root.chmod('/d', 0o1777)
      prepare(root)
      const by = root.as(1000)
      expect(outcome(() => by.task.linkat(-100, '/d/f', -100, '/d/g', 0))).toBe(expected)
      expect(outcome(() => root.task.linkat(-100, '/d/f', -100, '/d/h', 0))).toBe('ok')
    }),
  )

  test('D098 follows links of others, also in a sticky directory: there is no fs.protected_symlinks', () =>
    inWorld({}, (root) => {
      root.mkdir('/d')
      root.chmod('/d', 0o1777)
      root.write('/f', 'text', 0o644)
      root.task.symlinkat('/f', -100, '/d/l')
      root.task.fchownat(-100, '/d/l', 1001, 1001, 0x100)
      const by = root.as(1000)
      expect(outcome(() => by.task.close(by.open('/d/l', O_RDONLY)))).toBe('ok')
    }))
})

test('A360 the umask is taken from files, directories and nodes, not from symlinks', () =>
  inWorld({}, (root) => {
    const by = root.as(0, {}, { umask: 0o027 })
    by.write('/f', '', 0o666)
    by.mkdir('/d', 0o777)
    by.mknod('/p', 'fifo', 0o666)
    by.task.symlinkat('f', -100, '/l')
    expect(['/f', '/d', '/p'].map((path) => root.mode(path))).toEqual([0o640, 0o750, 0o640])
    expect(root.task.fstatat(-100, '/l', 0x100).mode).toBe(0o120777)
    by.chmod('/f', 0o666)
    expect(root.mode('/f')).toBe(0o666)
  }))

test('A361 a write takes set-user-id, and set-group-id where the group may execute, from root, too', () =>
  inWorld({}, (root) => {
    const modes = [0o6755, 0o6745, 0o2711, 0o4644]
    const after = modes.map((mode) => {
      root.write('/f', 'text')
      root.chmod('/f', mode)
      const fd = root.open('/f', O_WRONLY)
      root.put(fd, 'x')
      root.task.close(fd)
      return root.mode('/f')
    })
    expect(after).toEqual([0o755, 0o2745, 0o711, 0o644])
    root.chmod('/f', 0o6755)
    const fd = root.open('/f', O_WRONLY)
    root.put(fd, '')
    expect(root.mode('/f')).toBe(0o6755)
    root.task.close(fd)
  }))

test('A362 what is made in a set-group-id directory has its group; a directory the bit as well', () =>
  inWorld({}, (root) => {
    root.mkdir('/d')
    root.chown('/d', 0, 500)
    root.chmod('/d', 0o2777)
    const user = root.as(1000)
    user.write('/d/f', '', 0o2755)
    user.mkdir('/d/sub', 0o755)
    user.task.symlinkat('x', -100, '/d/l')
    expect(root.stat('/d/f')).toMatchObject({ uid: 1000, gid: 500, mode: 0o100755 })
    expect(root.stat('/d/sub')).toMatchObject({ uid: 1000, gid: 500, mode: 0o042755 })
    expect(root.task.fstatat(-100, '/d/l', 0x100).gid).toBe(500)
    root.chmod('/d', 0o777)
    user.write('/d/g')
    expect(root.stat('/d/g').gid).toBe(1000)
  }))
