/** Names on filesystems with a limit of links, and nodes that stand for something else. The rest is in testing/conformance. */

import { expect, test } from 'vitest'
import { AT_EMPTY_PATH, AT_FDCWD, O_RDWR } from '../abi/linux.ts'
import { tmpfsType } from '../fs/tmpfs/tmpfs.ts'
import { inWorld, outcome, type World } from '../testing/host-world.ts'
import { makeDevice } from './kinds.ts'
import { WaitQueue } from './waiting.ts'

const link = (root: World, from: string, to: string) => root.task.linkat(AT_FDCWD, from, AT_FDCWD, to, 0)
const rename = (root: World, from: string, to: string) => root.task.renameat2(AT_FDCWD, from, AT_FDCWD, to, 0)

/** A tmpfs on which a file has at most three names. */
const tmpfs = {
  ...tmpfsType,
  mount: (...args: Parameters<typeof tmpfsType.mount>) => Object.assign(tmpfsType.mount(...args), { linkMax: 3 }),
}

test('A091 A386 a file has as many names as its filesystem lets it, and a directory as many directories', () =>
  inWorld({ tmpfs }, (root) => {
    root.write('/f')
    link(root, '/f', '/g')
    link(root, '/f', '/h')
    expect(outcome(() => link(root, '/f', '/i'))).toBe('EMLINK')
    expect(outcome(() => link(root, '/f', '/h'))).toBe('EEXIST')
    for (const path of ['/d', '/e']) expect(outcome(() => root.mkdir(path))).toBe(path === '/d' ? 'ok' : 'EMLINK')
    rename(root, '/h', '/d/h')
    expect(root.stat('/f').nlink).toBe(3)
  }))

test('A386 a directory is not moved to where there is no room for its dot dot', () =>
  inWorld({ tmpfs }, (root) => {
    root.mkdir('/d')
    root.mkdir('/d/e')
    root.mkdir('/d/e/f')
    expect(root.stat('/d').nlink).toBe(3)
    expect(outcome(() => rename(root, '/d/e/f', '/d/f'))).toBe('EMLINK')
    expect(outcome(() => rename(root, '/d/e/f', '/d/e/g'))).toBe('ok')
  }))

test('A109 B065 nothing is behind a socket that mknod made', () =>
  inWorld({}, (root) => {
    root.mknod('/socket', 'socket', 0o666)
    expect(outcome(() => root.host.endpoint('/socket'))).toBe('ECONNREFUSED')
  }))

test('A313 A014 attributes of an open device are those of its node', () =>
  inWorld({}, (root) => {
    root.devices.register({
      ...{ kind: 'char', major: 1, minor: 3 },
      open: () => ({ poll: () => 0, queue: new WaitQueue() }),
    })
    root.mknod('/null', 'char', 0o600, makeDevice(1, 3))
    const fd = root.open('/null', O_RDWR)
    root.task.fchmodat(fd, '', 0o640, AT_EMPTY_PATH)
    root.host.fchown(fd, 7, 8)
    root.host.fsetxattr(fd, 'trusted.note', new Uint8Array([1]), 0)
    expect(root.task.fstat(fd)).toEqual(root.stat('/null'))
    expect([root.mode('/null'), root.stat('/null').uid]).toEqual([0o640, 7])
    expect(root.host.getxattr('/null', 'trusted.note', new Uint8Array(0))).toBe(1)
    expect(root.host.fstatfs(fd)).toEqual(root.host.statfs('/'))
    root.task.close(fd)
  }))
