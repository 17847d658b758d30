import { expect, test } from 'vitest'
import { O_APPEND, O_RDWR, O_WRONLY } from '../abi/linux.ts'
import { encodeUtf8 } from '../abi/utf8.ts'
import { inWorld, outcome } from '../testing/host-world.ts'

test('A363 a write across the limit goes up to it, one at or past it is EFBIG and signalled', () =>
  inWorld({}, (root) => {
    root.write('/f')
    const by = root.as(0, {}, { fileSize: 10 })
    let signals = 0
    by.task.fileSizeExceeded = () => signals++
    const fd = by.open('/f', O_RDWR)
    expect(by.put(fd, 'twelve bytes')).toBe(10)
    expect(signals).toBe(0)
    expect(outcome(() => by.put(fd, 'x'))).toBe('EFBIG')
    expect(outcome(() => by.task.pwritev(fd, encodeUtf8('x'), [0, 1], 11))).toBe('EFBIG')
    expect(signals).toBe(2)
    // Of several ranges the first that does not fit ends the call.
    expect(by.task.pwritev(fd, encodeUtf8('abcdef'), [0, 2, 2, 4], 8)).toBe(2)
    expect(by.put(fd, '')).toBe(0)
    expect(by.task.pwritev(fd, encodeUtf8('in'), [0, 2], 0)).toBe(2)
    expect(signals).toBe(2)
    by.task.close(fd)
    const end = by.open('/f', O_WRONLY | O_APPEND)
    expect(outcome(() => by.put(end, 'x'))).toBe('EFBIG')
    by.task.close(end)
    expect(root.read('/f')).toBe('inelve bab')
  }))

test('A205 a size above the limit is EFBIG and signalled, unless the file is that long already', () =>
  inWorld({}, (root) => {
    root.write('/f')
    root.write('/long', 'twenty bytes or some')
    const by = root.as(0, {}, { fileSize: 10 })
    let signals = 0
    by.task.fileSizeExceeded = () => signals++
    expect(outcome(() => by.task.truncate('/f', 11))).toBe('EFBIG')
    const fd = by.open('/f', O_RDWR)
    expect(outcome(() => by.task.ftruncate(fd, 11))).toBe('EFBIG')
    expect(outcome(() => by.task.fallocate(fd, 0, 5, 6))).toBe('EFBIG')
    expect(outcome(() => by.host.setAttributes('/f', { size: 11 }))).toBe('EFBIG')
    expect(signals).toBe(4)
    expect(root.stat('/f').size).toBe(0)
    by.task.ftruncate(fd, 10)
    by.task.close(fd)
    by.task.truncate('/long', 15)
    expect(root.stat('/long').size).toBe(15)
    expect(signals).toBe(4)
  }))
