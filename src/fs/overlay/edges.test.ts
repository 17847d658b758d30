/** Where an overlay meets the rest: quotas, mounts, pipes, ids, layers that change. */

import { describe, expect, test } from 'vitest'
import { AT_FDCWD, O_APPEND, O_DIRECTORY, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, W_OK } from '../../abi/linux.ts'
import { overlayOf, testVfs, tmpfsOf } from '../../testing/overlays.ts'
import { dir, find, none, picture, type Tree, whiteout } from '../../testing/trees.ts'
import type { DirectoryInode, FileInode } from '../../vfs/inode.ts'
import { Attempt, WouldBlock } from '../../vfs/waiting.ts'

const GIB = 1 << 30

describe('space', () => {
  test('B113 a file that does not fit is not copied up: who opens it for writing is told, and it can be read on', () => {
    const text = 'x'.repeat(200_000)
    for (const without of [[], ['createUnnamed']]) {
      const overlay = overlayOf({ lowers: [{ 'd/f': text }], upperData: 'size=64k', upperVeil: { without } })
      const before = overlay.upperFilesystem.usage().blocksFree
      for (const flags of [O_WRONLY, O_RDWR | O_APPEND]) {
        expect(() => overlay.shell.open('d/f', flags)).toThrow('ENOSPC')
      }
      expect(() => overlay.shell.chmod('d/f', 0o600)).toThrow('ENOSPC')
      expect(Object.keys(picture(overlay.upper))).not.toContain('d/f')
      expect(overlay.upperFilesystem.usage().blocksFree).toBe(before)
      expect(overlay.shell.read('d/f')).toBe(text)
      // What is cut on the way needs no space.
      overlay.shell.truncate('d/f', 10)
      expect(overlay.shell.read('d/f')).toBe('x'.repeat(10))
    }
  })

  test('a file of 1 GiB that is referred to costs nothing to open, a page to write, and ENOSPC comes with the write that needs one more', () => {
    const overlay = overlayOf({ lowers: [{ f: '' }], upperData: 'size=128k', lowerVeil: { immutable: true } })
    const lower = find(overlay.lowers[0]!, 'f') as FileInode
    lower.truncate!(GIB, none)
    lower.write!(new Uint8Array([7]), 0, 1, GIB - 1, none)
    const { shell, upperFilesystem } = overlay
    const used = () => {
      const { blocks, blocksFree } = upperFilesystem.usage()
      return blocks - blocksFree
    }
    const byte = (fd: number, offset: number) => {
      const bytes = new Uint8Array(1)
      expect(shell.call((task) => task.preadv(fd, bytes, [0, 1], offset))).toBe(1)
      return bytes[0]
    }
    const reader = shell.open('f', O_RDONLY)
    const fd = shell.open('f', O_RDWR)
    shell.chmod('f', 0o600)
    expect([used(), shell.stat('f').size, shell.stat('f').blocks]).toEqual([0, GIB, GIB / 512])
    shell.pwrite(fd, 'a', 5)
    expect(used()).toBe(16)
    shell.pwrite(fd, 'b', 900_000_000)
    expect(used()).toBe(32)
    expect(() => shell.pwrite(fd, 'c', 500_000_000)).toThrow('ENOSPC')
    // One file, whoever reads it: also who had it open before it was copied up.
    for (const each of [fd, reader]) {
      expect([5, 900_000_000, 500_000_000, 6, GIB - 1].map((at) => byte(each, at))).toEqual([97, 98, 0, 0, 7])
    }
    shell.call((task) => task.fallocate(fd, 3, 0, 1 << 16))
    expect([used(), byte(fd, 5)]).toEqual([16, 0])
    shell.pwrite(fd, 'c', 500_000_000)
    expect(used()).toBe(32)
    // Cut and grown again, nothing of it comes back; and an append goes behind what there is.
    shell.call((task) => task.ftruncate(fd, 600_000_000))
    shell.call((task) => task.ftruncate(fd, GIB))
    expect([500_000_000, GIB - 1].map((at) => byte(fd, at))).toEqual([99, 0])
    expect(used()).toBe(16)
    const end = shell.open('f', O_WRONLY | O_APPEND)
    shell.pwrite(end, 'z', 0)
    expect([shell.stat('f').size, byte(fd, GIB)]).toEqual([GIB + 1, 122])
    for (const each of [reader, fd, end]) shell.close(each)
    expect(lower.size).toBe(GIB)
    shell.unlink('f')
    expect(used()).toBe(0)
  })
})

describe('layers that change underneath', () => {
  test('a file that changes while it is copied up is copied from its start: no copy is of two moments', () => {
    const overlay = overlayOf({ lowers: [{ f: '' }], lowerVeil: { cold: true } })
    const lower = find(overlay.lowers[0]!, 'f') as FileInode
    const fill = (byte: number) => lower.write!(new Uint8Array(600_000).fill(byte), 0, 600_000, 0, none)
    fill(1)
    const node = overlay.root.lookup('f', none) as FileInode
    const attempt = new Attempt()
    let waits = 0
    for (;;) {
      try {
        node.setAttributes({ mode: 0o600 }, attempt)
        break
      } catch (failure) {
        if (!(failure instanceof WouldBlock)) throw failure
        if (++waits !== 3) continue
        fill(2)
        lower.touch(7, 99n)
      }
    }
    attempt.end()
    expect(waits).toBeGreaterThan(3)
    const bytes = new Uint8Array(600_000)
    ;(find(overlay.upper, 'f') as FileInode).read(bytes, 0, bytes.length, 0, none)
    expect(bytes.every((byte) => byte === 2)).toBe(true)
  })

  test('a lower file that is removed there while it is open can be read on, and copied up', () => {
    const overlay = overlayOf({ lowers: [{ 'd/f': 'text' }] })
    const { shell } = overlay
    const fd = shell.open('d/f', O_RDONLY)
    const d = find(overlay.lowers[0]!, 'd') as DirectoryInode
    d.unlink!('f', d.lookup('f', none)!, none)
    expect(shell.pread(fd)).toBe('text')
    shell.write('d/f', 'T', 0)
    expect([shell.pread(fd), shell.read('d/f')]).toEqual(['Text', 'Text'])
    shell.close(fd)
  })
})

describe('names', () => {
  test('B090 a name is looked up in the layers once, and found again as the same file', () => {
    const vfs = testVfs()
    let asked = 0
    const lower = tmpfsOf(vfs, { f: '' }).root as DirectoryInode
    const counting = new Proxy(lower, {
      get(target, key) {
        if (key === 'lookup') asked++
        const value = Reflect.get(target, key, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const internal = { upper: tmpfsOf(vfs, {}).root, lowers: [counting] }
    const { root } = vfs.newFilesystem({ type: 'overlay', internal }).filesystem
    const found = find(root, 'f')
    for (let i = 0; i < 10; i++) expect(find(root, 'f')).toBe(found)
    expect(asked).toBe(1)
  })

  test('B092 a device is listed where its layer has it, as on Linux (gVisor lists devices behind all others)', () => {
    const { shell } = overlayOf({
      upper: { a: '', c: { kind: 'char', rdev: 7 }, gone: whiteout, b: '' },
      lowers: [{ gone: '', x: { kind: 'char', rdev: 8 }, w: '' }],
    })
    expect(shell.list('.')).toEqual(['a', 'c', 'b', 'x', 'w'])
  })

  test('B120 an unlink that fails copies nothing up, as on Linux (gVisor copies the directory)', () => {
    const overlay = overlayOf({ lowers: [{ 'd/f': '', 'd/e/x': '' }] })
    for (const fails of [
      () => overlay.shell.unlink('d/none'),
      () => overlay.shell.rmdir('d/none'),
      () => overlay.shell.unlink('d/e'),
      () => overlay.shell.rmdir('d/e'),
      () => overlay.shell.rmdir('d/f'),
      () => overlay.shell.rename('d/none', 'd/other'),
      () => overlay.shell.rename('d/f', 'd/e'),
      () => overlay.shell.link('d/e', 'd/other'),
    ]) {
      expect(fails).toThrow()
    }
    expect(picture(overlay.upper)).toEqual({})
  })
})

describe('other mounts', () => {
  test('B125 EXDEV is for another mount only: within the overlay everything can be renamed and linked', () => {
    const overlay = overlayOf({ upper: { 'u/x': '' }, lowers: [{ f: '', 'd/x': '', m: dir }] })
    const { shell, vfs } = overlay
    const mount = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs', data: 'mode=777' }))
    vfs.attach(mount, shell.place('m'))
    for (const path of ['f', 'd', 'u']) expect(() => shell.rename(path, 'm/there')).toThrow('EXDEV')
    expect(() => shell.link('f', 'm/there')).toThrow('EXDEV')
    shell.rename('d', 'u/d')
    shell.link('f', 'u/f')
    expect(shell.list('u').sort()).toEqual(['d', 'f', 'x'])
  })

  test('B129 a directory of an overlay that is mounted on cannot be removed or moved; nothing is changed by trying', () => {
    const overlay = overlayOf({ lowers: [{ low: dir, other: dir }] })
    const { shell, vfs } = overlay
    shell.mkdir('up')
    const raw = picture(overlay.upper)
    for (const path of ['low', 'up']) {
      vfs.attach(vfs.newMount(vfs.newFilesystem({ type: 'tmpfs' })), shell.place(path))
      expect(() => shell.rmdir(path)).toThrow('EBUSY')
      expect(() => shell.rename(path, 'elsewhere')).toThrow('EBUSY')
      expect(() => shell.rename('other', path)).toThrow('EBUSY')
    }
    expect(picture(overlay.upper)).toEqual(raw)
  })
})

describe('other kinds and ids', () => {
  const fifos: Tree = { p: { kind: 'fifo', mode: 0o666 }, s: { kind: 'socket', mode: 0o666 } }

  test('B103 a lower pipe is opened for writing without being copied up, a socket cannot be opened, as on Linux (gVisor refuses both)', () => {
    const overlay = overlayOf({ lowers: [fifos] })
    const { shell } = overlay
    for (const path of ['p', 's']) shell.call((task) => task.faccessat(AT_FDCWD, path, W_OK, 0))
    const reader = shell.open('p', O_RDONLY | O_NONBLOCK)
    const writer = shell.open('p', O_WRONLY | O_NONBLOCK)
    const bytes = new Uint8Array(4)
    shell.call((task) => task.writev(writer, new TextEncoder().encode('text'), [0, 4]))
    expect(shell.call((task) => task.readv(reader, bytes, [0, 4]))).toBe(4)
    expect(() => shell.open('s', O_WRONLY)).toThrow('ENXIO')
    expect(picture(overlay.upper)).toEqual({})
    // Copied up while it is open it is the same pipe.
    shell.chmod('p', 0o600)
    expect(picture(overlay.upper)).toEqual({ p: 'fifo' })
    shell.call((task) => task.writev(writer, bytes, [0, 4]))
    expect(shell.call((task) => task.readv(reader, bytes, [0, 4]))).toBe(4)
    const more = shell.open('p', O_WRONLY | O_NONBLOCK)
    for (const fd of [reader, writer, more]) shell.close(fd)
  })

  test('B112 a write takes the set-id bits, and the mode that is shown is without them', () => {
    const overlay = overlayOf({ lowers: [{ f: { kind: 'file', text: 'x', mode: 0o6777, uid: 5 } }] })
    const user = overlay.shellOf(1)
    const fd = user.open('f', O_WRONLY)
    expect(user.stat('f').mode & 0o7777).toBe(0o6777)
    user.pwrite(fd, 'y', 0)
    expect(user.call((task) => task.fstat(fd)).mode & 0o7777).toBe(0o777)
    expect(user.stat('f').mode & 0o7777).toBe(0o777)
    expect(find(overlay.upper, 'f')!.mode & 0o7777).toBe(0o777)
    user.close(fd)
  })

  test('B135 B151 a descriptor from before a copy-up tells the same file, with its content, size and times of now', () => {
    const overlay = overlayOf({ lowers: [{ f: { kind: 'file', text: 'text', mode: 0o640, uid: 5, gid: 6 } }] })
    const { shell, clock } = overlay
    const fd = shell.open('f', O_RDONLY)
    const before = shell.call((task) => task.fstat(fd))
    expect(before).toEqual(shell.stat('f'))
    clock.now += 1_000_000_000n
    shell.write('f', 'more text', 0)
    const after = shell.call((task) => task.fstat(fd))
    expect(after).toMatchObject({ ino: before.ino, dev: before.dev, mode: 0o100640, uid: 5, gid: 6, nlink: 1 })
    expect(after).toMatchObject({ size: 9, mtime: clock.now, ctime: clock.now })
    expect(after).toEqual(shell.stat('f'))
    expect(shell.pread(fd)).toBe('more text')
    shell.close(fd)
    expect(() => shell.open('f', O_DIRECTORY)).toThrow('ENOTDIR')
  })
})
