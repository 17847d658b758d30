import { expect, test } from 'vitest'
import { O_RDONLY } from '../abi/linux.ts'
import { inWorld, outcome } from '../testing/host-world.ts'

test('A213 an endpoint is found by who may write its name; what is no bound socket refuses', () =>
  inWorld({}, (root) => {
    const endpoint = { closed: false }
    root.host.bind('/s', 0o600, endpoint)
    root.task.symlinkat('s', -100, '/l')
    root.write('/f', '', 0o600)
    root.mknod('/unbound', 'socket', 0o600)
    expect(root.host.endpoint('/l')).toBe(endpoint)
    expect(outcome(() => root.host.endpoint('/f'))).toBe('ECONNREFUSED')
    expect(outcome(() => root.host.endpoint('/unbound'))).toBe('ECONNREFUSED')
    expect(outcome(() => root.host.endpoint('/missing'))).toBe('ENOENT')
    const user = root.as(1000)
    for (const path of ['/s', '/f', '/unbound']) expect(outcome(() => user.host.endpoint(path))).toBe('EACCES')
    root.chmod('/s', 0o602)
    expect(user.host.endpoint('/s')).toBe(endpoint)
  }))

test('B065 binding makes a name, mode less umask, that outlives the socket and then refuses', () =>
  inWorld({}, (root) => {
    const endpoint = { closed: false }
    const masked = root.as(0, {}, { umask: 0o027 })
    masked.host.bind('/s', 0o777, endpoint)
    expect(root.inode('/s').kind).toBe('socket')
    expect(root.mode('/s')).toBe(0o750)
    expect(outcome(() => masked.host.bind('/s', 0o777, { closed: false }))).toBe('EADDRINUSE')
    root.write('/f')
    expect(outcome(() => masked.host.bind('/f', 0o777, endpoint))).toBe('EADDRINUSE')
    expect(outcome(() => root.open('/s', O_RDONLY))).toBe('ENXIO')
    root.task.renameat2(-100, '/s', -100, '/moved', 0)
    expect(root.host.endpoint('/moved')).toBe(endpoint)
    endpoint.closed = true
    expect(root.inode('/moved').kind).toBe('socket')
    expect(outcome(() => root.host.endpoint('/moved'))).toBe('ECONNREFUSED')
    expect(outcome(() => masked.host.bind('/moved', 0o777, { closed: false }))).toBe('EADDRINUSE')
    root.task.unlinkat(-100, '/moved', 0)
    expect(outcome(() => masked.host.bind('/moved', 0o777, { closed: false }))).toBe('ok')
  }))
