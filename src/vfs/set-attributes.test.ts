import { describe, expect, test } from 'vitest'
import {
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_FOWNER,
  CAP_FSETID,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  R_OK,
  UTIME_NOW,
  UTIME_OMIT,
  W_OK,
  X_OK,
} from '../abi/linux.ts'
import { type Actor, inWorld, outcome } from '../testing/host-world.ts'
import type { AttributesToSet } from './set-attributes.ts'

const AT_EACCESS = 0x200

describe('access(2)', () => {
  test('A076 permission is asked before the mount, which then refuses to be written', () =>
    inWorld({}, (root) => {
      root.write('/f', '', 0o444)
      root.write('/g', '', 0o666)
      root.mknod('/p', 'fifo', 0o666)
      const user = root.as(1000)
      const may = (path: string) => outcome(() => user.task.faccessat(-100, path, W_OK, 0))
      expect([may('/f'), may('/g')]).toEqual(['EACCES', 'ok'])
      const { mount } = root.task.root
      mount.setFlags({ readonly: true })
      expect([may('/f'), may('/g'), may('/p')]).toEqual(['EACCES', 'EROFS', 'ok'])
      mount.setFlags({})
    }))

  test('A077 it asks for the real ids, with the capabilities of a real root or none; other bits and flags are EINVAL', () =>
    inWorld({}, (root) => {
      root.write('/f', '', 0o600)
      const setUid = root.as(0, { realUid: 1000, realGid: 1000 })
      const may = (by: Actor, flags = 0) => outcome(() => by.task.faccessat(-100, '/f', R_OK, flags))
      expect(may(setUid)).toBe('EACCES')
      expect(may(setUid, AT_EACCESS)).toBe('ok')
      // A capability that is not root's counts only for what is really done.
      const able = root.as(1000, { capabilities: CAP_DAC_OVERRIDE })
      expect(may(able)).toBe('EACCES')
      expect(may(able, AT_EACCESS)).toBe('ok')
      expect(able.read('/f')).toBe('')
      // Real root acting as another has its permitted set back.
      const dropped = root.as(1000, { realUid: 0, realGid: 0, permitted: -1 })
      root.chown('/f', 500, 500)
      expect(may(dropped)).toBe('ok')
      expect(may(dropped, AT_EACCESS)).toBe('EACCES')
      expect(outcome(() => root.task.faccessat(-100, '/f', 8, 0))).toBe('EINVAL')
      expect(outcome(() => root.task.faccessat(-100, '/f', X_OK, 0x4000))).toBe('EINVAL')
    }))
})

describe('several attributes at once', () => {
  test('A192 nothing asked for is nothing checked', () =>
    inWorld({}, (root) => {
      root.write('/f')
      const before = root.stat('/f')
      root.clock.now += 5n
      const { mount } = root.task.root
      mount.setFlags({ readonly: true })
      expect(outcome(() => root.as(1000).host.setAttributes('/f', {}))).toBe('ok')
      mount.setFlags({})
      expect(root.stat('/f')).toEqual(before)
    }))

  test('A193 an attribute that no tmpfs can set is EPERM', () =>
    inWorld({}, (root) => {
      root.write('/f')
      const before = root.stat('/f')
      const odd = { mode: 0o600, btime: 5n } as AttributesToSet
      expect(outcome(() => root.host.setAttributes('/f', odd))).toBe('EPERM')
      expect(root.stat('/f')).toEqual(before)
    }))

  test('A208 times that are given with a size stand', () =>
    inWorld({}, (root) => {
      root.write('/f', 'text')
      root.clock.now = 100n
      root.host.setAttributes('/f', { size: 2, mtime: 7n })
      expect(root.stat('/f')).toMatchObject({ size: 2, mtime: 7n, ctime: 100n })
      root.host.setAttributes('/f', { size: 1, ctime: 8n })
      expect(root.stat('/f')).toMatchObject({ size: 1, mtime: 100n, ctime: 8n })
    }))

  test('all is checked before anything changes', () =>
    inWorld({}, (root) => {
      root.write('/f', 'text', 0o666)
      root.mkdir('/d')
      const user = root.as(1000)
      const { mtime } = root.stat('/f')
      root.clock.now += 5n
      for (const more of [{ mode: 0o600 }, { uid: 1000 }, { gid: 1000 }, { mtime: 1n }]) {
        expect(outcome(() => user.host.setAttributes('/f', { size: 0, ...more }))).toBe('EPERM')
      }
      expect(root.stat('/f')).toMatchObject({ size: 4, mtime, mode: 0o100666 })
      expect(outcome(() => root.host.setAttributes('/d', { size: 0 }))).toBe('EISDIR')
      root.host.setAttributes('/f', { size: 1, mode: 0o640, uid: 1000, gid: 1001, atime: 3n })
      expect(root.stat('/f')).toMatchObject({ size: 1, mode: 0o100640, uid: 1000, gid: 1001, atime: 3n })
    }))
})

describe('chmod and chown', () => {
  test('A194 chmod is for the owner and CAP_FOWNER', () =>
    inWorld({}, (root) => {
      root.write('/f')
      root.chown('/f', 1000, 1000)
      expect(outcome(() => root.as(1000).chmod('/f', 0o600))).toBe('ok')
      expect(outcome(() => root.as(1001).chmod('/f', 0o601))).toBe('EPERM')
      expect(outcome(() => root.as(1001, { capabilities: CAP_FOWNER }).chmod('/f', 0o602))).toBe('ok')
      expect(root.mode('/f')).toBe(0o602)
    }))

  test('A195 an owner who is not in the group loses set-group-id silently, but for CAP_FSETID', () =>
    inWorld({}, (root) => {
      root.write('/f')
      root.chown('/f', 1000, 500)
      root.as(1000).chmod('/f', 0o6755)
      expect(root.mode('/f')).toBe(0o4755)
      root.as(1000, { groups: [500] }).chmod('/f', 0o2755)
      expect(root.mode('/f')).toBe(0o2755)
      root.as(1000, { capabilities: CAP_FSETID }).chmod('/f', 0o2711)
      expect(root.mode('/f')).toBe(0o2711)
    }))

  test('A196 the owner may give a file to itself and to its own groups, CAP_CHOWN to anybody', () =>
    inWorld({}, (root) => {
      root.write('/f')
      root.chown('/f', 1000, 1000)
      const owner = root.as(1000, { groups: [500] })
      expect(outcome(() => owner.chown('/f', 1000, -1))).toBe('ok')
      expect(outcome(() => owner.chown('/f', -1, 500))).toBe('ok')
      expect(outcome(() => owner.chown('/f', 1001, -1))).toBe('EPERM')
      expect(outcome(() => owner.chown('/f', -1, 501))).toBe('EPERM')
      expect(outcome(() => root.as(1001, { groups: [500] }).chown('/f', -1, 500))).toBe('EPERM')
      expect(outcome(() => root.as(1001, { capabilities: CAP_CHOWN }).chown('/f', 7, 8))).toBe('ok')
      expect(root.stat('/f')).toMatchObject({ uid: 7, gid: 8 })
    }))

  test('A197 chown takes set-user-id away, and set-group-id where the group may execute, not from directories', () =>
    inWorld({}, (root) => {
      root.write('/f')
      root.mkdir('/d')
      const modeAfter = (path: string, mode: number, uid: number, gid: number) => {
        root.chmod(path, mode)
        root.chown(path, uid, gid)
        return root.mode(path)
      }
      expect(modeAfter('/f', 0o6755, 1, 1)).toBe(0o755)
      expect(modeAfter('/f', 0o6745, 2, -1)).toBe(0o2745)
      expect(modeAfter('/f', 0o6755, -1, -1)).toBe(0o755)
      expect(modeAfter('/d', 0o6755, 1, 1)).toBe(0o6755)
    }))

  test('A198 what is no id is EINVAL', () =>
    inWorld({}, (root) => {
      root.write('/f')
      for (const id of [-2, 2 ** 32, 2 ** 32 - 1, 1.5, Number.NaN]) {
        expect(outcome(() => root.chown('/f', id, -1))).toBe('EINVAL')
        expect(outcome(() => root.chown('/f', -1, id))).toBe('EINVAL')
      }
      expect(outcome(() => root.chown('/f', 2 ** 32 - 2, -1))).toBe('ok')
    }))

  test('A389 A263 a read-only mount is asked before ownership; a size asks for permission before the mount', () =>
    inWorld({}, (root) => {
      root.write('/f', 'text', 0o644)
      const user = root.as(1000)
      const { mount } = root.task.root
      mount.setFlags({ readonly: true })
      expect(outcome(() => user.chmod('/f', 0o600))).toBe('EROFS')
      expect(outcome(() => user.chown('/f', 1, 1))).toBe('EROFS')
      expect(outcome(() => user.task.utimensat(-100, '/f', 1n, 1n, 0))).toBe('EROFS')
      expect(outcome(() => user.task.truncate('/f', 0))).toBe('EACCES')
      expect(outcome(() => root.task.truncate('/f', 0))).toBe('EROFS')
      mount.setFlags({})
    }))
})

describe('times', () => {
  test('A199 given times want ownership, both "now" want ownership or write permission', () =>
    inWorld({}, (root) => {
      root.write('/open', '', 0o666)
      root.write('/closed', '', 0o644)
      const { task } = root.as(1000)
      const times = (path: string, atime: bigint, mtime: bigint) =>
        outcome(() => task.utimensat(-100, path, atime, mtime, 0))
      expect(times('/open', 1n, 1n)).toBe('EPERM')
      expect(times('/open', UTIME_NOW, UTIME_OMIT)).toBe('EPERM')
      expect(times('/open', UTIME_NOW, UTIME_NOW)).toBe('ok')
      expect(times('/closed', UTIME_NOW, UTIME_NOW)).toBe('EACCES')
      expect(
        outcome(() => root.as(1000, { capabilities: CAP_FOWNER }).task.utimensat(-100, '/closed', 1n, 2n, 0)),
      ).toBe('ok')
      expect(root.stat('/closed')).toMatchObject({ atime: 1n, mtime: 2n })
    }))

  test('A200 to leave both times is done before the path is looked at', () =>
    inWorld({}, (root) => {
      expect(outcome(() => root.task.utimensat(-100, '/missing', UTIME_OMIT, UTIME_OMIT, 0))).toBe('ok')
      root.write('/f')
      const before = root.stat('/f')
      root.clock.now += 5n
      expect(outcome(() => root.as(1000).task.utimensat(-100, '/f', UTIME_OMIT, UTIME_OMIT, 0))).toBe('ok')
      expect(root.stat('/f')).toEqual(before)
    }))

  test('A209 each change of metadata moves ctime', () =>
    inWorld({}, (root) => {
      root.write('/f')
      const changes = [
        () => root.chmod('/f', 0o600),
        () => root.chown('/f', 1, 1),
        () => root.task.utimensat(-100, '/f', 1n, UTIME_OMIT, 0),
        () => root.task.utimensat(-100, '/f', UTIME_OMIT, 1n, 0),
        () => root.task.linkat(-100, '/f', -100, '/g', 0),
        () => root.host.setAttributes('/f', { atime: 2n }),
      ]
      for (const change of changes) {
        root.clock.now += 10n
        change()
        expect(root.stat('/f').ctime).toBe(root.clock.now)
      }
    }))
})

describe('sizes', () => {
  test('A202 A203 truncate wants write permission, ftruncate a descriptor that may write; below 0 is EINVAL', () =>
    inWorld({}, (root) => {
      root.write('/f', 'text', 0o644)
      const user = root.as(1000)
      expect(outcome(() => user.task.truncate('/f', 0))).toBe('EACCES')
      const reading = user.open('/f')
      expect(outcome(() => user.task.ftruncate(reading, 0))).toBe('EINVAL')
      user.task.close(reading)
      const writing = root.open('/f', O_WRONLY)
      root.chmod('/f', 0)
      expect(outcome(() => root.task.ftruncate(writing, 2))).toBe('ok')
      expect(outcome(() => root.task.ftruncate(writing, -1))).toBe('EINVAL')
      expect(outcome(() => root.task.truncate('/f', -1))).toBe('EINVAL')
      root.task.close(writing)
      expect(root.stat('/f').size).toBe(2)
    }))

  test('A204 a directory has no size to set, nor has a FIFO, device or socket', () =>
    inWorld({}, (root) => {
      root.mkdir('/d')
      expect(outcome(() => root.task.truncate('/d', 0))).toBe('EISDIR')
      for (const kind of ['fifo', 'char', 'socket'] as const) {
        root.mknod(`/${kind}`, kind)
        expect(outcome(() => root.task.truncate(`/${kind}`, 0))).toBe('EINVAL')
      }
    }))

  test('A206 A207 a size that is set, the same or another, by path, descriptor or open, moves times and takes set-id away', () =>
    inWorld({}, (root) => {
      root.write('/f', 'text')
      const ways = [
        () => root.task.truncate('/f', 4),
        () => {
          const fd = root.open('/f', O_RDWR)
          root.task.ftruncate(fd, 4)
          root.task.close(fd)
        },
        () => root.host.setAttributes('/f', { size: 4 }),
        () => root.task.close(root.open('/f', O_WRONLY | O_TRUNC)),
        () => root.task.close(root.open('/f', O_WRONLY | O_TRUNC)),
      ]
      for (const set of ways) {
        root.chmod('/f', 0o6755)
        root.clock.now += 10n
        set()
        expect(root.stat('/f')).toMatchObject({ mtime: root.clock.now, ctime: root.clock.now, mode: 0o100755 })
      }
      root.chmod('/f', 0o6745)
      root.task.truncate('/f', 1)
      expect(root.mode('/f')).toBe(0o2745)
    }))
})
