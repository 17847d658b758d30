/**
 * Ours for the verity rows: a file of a tmpfs read as it is, through verity, and through a verity whose hash costs nothing, by system
 * calls of a task of root's. The last shows what the checking costs but for hashing.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { AT_FDCWD, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR } from '../../src/abi/linux.ts'
import { DeviceRegistry } from '../../src/devices/device-registry.ts'
import { tmpfsType } from '../../src/fs/tmpfs/tmpfs.ts'
import { verityOf } from '../../src/fs/verity/verity.ts'
import { createClock } from '../../src/host/clock.ts'
import { Task } from '../../src/kernel/task.ts'
import { credentialsOf } from '../../src/vfs/context.ts'
import { type Superblock, VirtualDentry } from '../../src/vfs/mount.ts'
import { Vfs } from '../../src/vfs/vfs.ts'
import type { Work } from './overlay-ours.ts'

const SIZE = 4 << 20
const SIZES = { '4k': 4096, '64k': 65_536, '1m': 1 << 20, 16: 16 }
/** Always the same. */
const NO_HASH = new Uint8Array(32)

export function verityBench(): Readonly<Record<string, Work>> {
  const vfs = new Vfs(createClock(), new DeviceRegistry())
  vfs.types.register(tmpfsType)
  vfs.types.register(verityOf(sha256))
  vfs.types.register({ ...verityOf(() => NO_HASH), name: 'unhashed' })
  const taskOn = (superblock: Superblock): Task => {
    const mount = vfs.newMount(superblock)
    vfs.newNamespace(mount)
    return new Task({ vfs, credentials: credentialsOf(0, 0), root: new VirtualDentry(mount, mount.root) })
  }
  const filled = () => {
    const superblock = vfs.newFilesystem({ type: 'tmpfs' })
    const task = taskOn(superblock)
    const fd = task.openat(AT_FDCWD, 'data', O_CREAT | O_RDWR, 0o644)
    const piece = Uint8Array.from({ length: 1 << 20 }, (_, i) => i * 7 + (i >> 8))
    for (let at = 0; at < SIZE; at += piece.length) task.pwritev(fd, piece, [0, piece.length], at)
    task.close(fd)
    task.release()
    return superblock
  }
  /** A mount with the hash of what is there. */
  const checked = (type: string) => {
    const internal = { lower: filled().root.inode }
    const task = taskOn(vfs.newFilesystem({ type, internal }))
    const fd = task.openat(AT_FDCWD, '.', O_RDONLY | O_DIRECTORY, 0)
    task.enableVerity(fd)
    const digest = new Uint8Array(32)
    task.measureVerity(fd, digest)
    const hash = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
    return vfs.newFilesystem({ type, data: `root_hash=${hash}`, internal })
  }
  const reads = (superblock: Superblock, size: number): Work => {
    const task = taskOn(superblock)
    const fd = task.openat(AT_FDCWD, 'data', O_RDONLY, 0)
    const memory = new Uint8Array(size)
    const range = [0, size]
    const operations = Math.min(SIZE / size, 1024)
    return {
      operations,
      run() {
        for (let i = 0; i < operations; i++) task.preadv(fd, memory, range, i * size)
      },
    }
  }
  const sides = { tmpfs: filled(), unhashed: checked('unhashed'), verity: checked('verity') }
  return Object.fromEntries(
    Object.entries(SIZES).flatMap(([name, size]) =>
      Object.entries(sides).map(([side, superblock]) => [`${name} ${side}`, reads(superblock, size)]),
    ),
  )
}
