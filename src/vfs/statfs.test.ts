import { expect, test } from 'vitest'
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_PATH } from '../abi/linux.ts'
import { inWorld, outcome } from '../testing/host-world.ts'
import type { MountFlags } from './mount.ts'
import { ST_NOATIME, ST_NODEV, ST_NOEXEC, ST_NOSUID, ST_RDONLY, ST_RELATIME, ST_VALID } from './statfs.ts'

test.each<[MountFlags, number]>([
  [{}, ST_RELATIME],
  [{ strictatime: true }, 0],
  [{ readonly: true }, ST_RDONLY | ST_RELATIME],
  [{ noexec: true, nosuid: true }, ST_NOEXEC | ST_NOSUID | ST_RELATIME],
  [{ nodev: true, noatime: true }, ST_NODEV | ST_NOATIME],
])('A211 D047 the flags of a mount %o show as %i and the bit that they are valid', (flags, bits) =>
  inWorld({}, (root) => {
    root.mkdir('/d')
    root.task.symlinkat('/d', -100, '/l')
    root.vfs.attach(root.vfs.newMount(root.vfs.newFilesystem({ type: 'tmpfs' }), { flags }), root.place('/d'))
    // The path is followed to its end.
    expect(root.host.statfs('/l').flags).toBe(bits | ST_VALID)
    expect(root.host.statfs('/').flags).toBe(ST_RELATIME | ST_VALID)
    expect(outcome(() => root.host.statfs('/missing'))).toBe('ENOENT')
  }),
)

test('B067 a tmpfs tells its type, block size, name length, and what its limits leave', () =>
  inWorld({ data: 'size=40k,nr_inodes=10' }, (root) => {
    root.write('/f', 'x')
    root.write('/g')
    const statfs = root.host.statfs('/')
    expect(statfs).toMatchObject({ type: 0x01021994, blockSize: 4096, fragmentSize: 4096, nameLength: 255 })
    expect(statfs).toMatchObject({ blocks: 10, blocksFree: 9, blocksAvailable: 9, files: 10, filesFree: 7 })
    expect(statfs.fsid[0]).toBe(root.stat('/').dev)
  }))

test('B008 B067 a tmpfs without limits tells a disk that is huge and finite, and no number of inodes', () =>
  inWorld({ data: 'size=0,nr_inodes=0' }, (root) => {
    root.write('/f', 'x')
    const { blocks, blocksFree, files, filesFree } = root.host.statfs('/')
    expect(blocks).toBe(2 ** 38)
    expect(blocksFree).toBe(2 ** 38 - 1)
    expect([files, filesFree]).toEqual([0, 0])
  }))

test('A191 D045 statx tells the mount, which differs for two views of one inode', () =>
  inWorld({}, (root) => {
    root.mkdir('/d')
    root.mkdir('/bound')
    root.write('/d/f')
    root.vfs.attach(root.vfs.bind(root.place('/d'), { recursive: false }), root.place('/bound'))
    const one = root.host.statx(AT_FDCWD, '/d/f', 0)
    const two = root.host.statx(AT_FDCWD, '/bound/f', 0)
    expect([two.dev, two.ino]).toEqual([one.dev, one.ino])
    expect(two.mountId).not.toBe(one.mountId)
    expect(one.mountId).toBe(root.host.statx(AT_FDCWD, '/', 0).mountId)
  }))

test('A189 statx says which fields hold, and they are those of stat', () =>
  inWorld({}, (root) => {
    root.write('/f', 'text')
    root.task.symlinkat('f', -100, '/l')
    const { mask, mountId, ...stat } = root.host.statx(AT_FDCWD, '/l', 0)
    expect(stat).toEqual(root.stat('/f'))
    expect(mask).toBe(0x1fff)
    expect(mountId).toBeGreaterThan(0)
    expect(root.host.statx(AT_FDCWD, '/l', AT_SYMLINK_NOFOLLOW).ino).not.toBe(stat.ino)
    const fd = root.open('/f', O_PATH)
    expect(root.host.statx(fd, '', AT_EMPTY_PATH).ino).toBe(stat.ino)
    root.task.close(fd)
  }))
