/**
 * What `npm run bench:store` measures, in a Worker of a page, on its IndexedDB: our volumes, bare puts of the same bytes, and peers.
 * A message says which work with which argument; the answer is what it gave, mostly milliseconds.
 */
import { loadOpfsCapability, OpfsFilesystemAdapter } from '@bytecodealliance/preview2-shim/opfs-filesystem'
import { configureSingle, fs as zenfs } from '@zenfs/core'
import { IndexedDB } from '@zenfs/dom'
import { AT_FDCWD, O_CREAT, O_RDWR } from '../../src/abi/linux.ts'
import { DeviceRegistry } from '../../src/devices/device-registry.ts'
import type { KeyValueStore } from '../../src/fs/tmpfs/key-value-store.ts'
import { tmpfsType } from '../../src/fs/tmpfs/tmpfs.ts'
import { createClock } from '../../src/host/clock.ts'
import { Database, deleteDatabase } from '../../src/host/store.ts'
import { createTimer } from '../../src/host/timer.ts'
import { createVolumeHost } from '../../src/host/volumes.ts'
import { untilDone } from '../../src/kernel/attempts.ts'
import { KeptFiles } from '../../src/testing/kept-files.ts'
import { Vfs } from '../../src/vfs/vfs.ts'

const MiB = 1 << 20
const PAGE = 65_536

const host = createVolumeHost({ awaited: (work) => work })
const clock = createClock()
const timer = createTimer(clock)
let names = 0
const freshName = () => `bench-${Date.now()}-${++names}`

/** The volume's records, and how many bytes of segments were read. */
function recordsOf(id: string): { records: KeyValueStore; bytesRead: () => number } {
  const records = host.open(id)
  let bytesRead = 0
  const read = records.read.bind(records)
  records.read = (value, start, length) => {
    bytesRead += length
    return read(value, start, length)
  }
  return { records, bytesRead: () => bytesRead }
}

function open(id: string, records = recordsOf(id).records): Promise<KeptFiles> {
  const vfs = new Vfs(clock, new DeviceRegistry())
  vfs.types.register(tmpfsType)
  return KeptFiles.open(records, { vfs, timer })
}

/** Bytes that no browser can press. */
function random(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, Math.min(length, at + 65_536)))
  return bytes
}

async function timed(work: () => unknown): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}

/** A fresh volume; it is deleted afterwards, outside of what `use` measures. */
async function onVolume<T>(use: (files: KeptFiles, id: string) => Promise<T>): Promise<T> {
  const id = freshName()
  const files = await open(id)
  try {
    return await use(files, id)
  } finally {
    await files.close()
    await host.remove(id)
  }
}

/** A fresh database, used strictly. */
async function onDatabase<T>(use: (database: Bare) => Promise<T>): Promise<T> {
  const name = freshName()
  const database = new Database(name)
  try {
    return await use(database.store({ durability: 'strict' }))
  } finally {
    await database.close()
    await deleteDatabase(name)
  }
}
type Bare = ReturnType<Database['store']>

function write({ task }: KeptFiles, path: string, bytes: Uint8Array, at = 0): void {
  const fd = task.openat(AT_FDCWD, path, O_CREAT | O_RDWR, 0o644)
  task.pwritev(fd, bytes, [0, bytes.length], at)
  task.close(fd)
}

/** More than the store takes without making its writers wait. */
async function writeMuch(files: KeptFiles, path: string, bytes: Uint8Array, at = 0): Promise<void> {
  for (let done = 0; done < bytes.length; done += MiB) {
    const part = bytes.subarray(done, done + MiB)
    await untilDone(
      { clock, timer },
      () => write(files, path, part, at + done),
      () => files.task.settle(),
    )
  }
}

/** What one record per inode and one per entry would hold. */
const inodeRecord = (ino: number, data: Uint8Array) => ({
  ino,
  mode: 0o100644,
  uid: 0,
  gid: 0,
  nlink: 1,
  size: data.length,
  atime: 1n,
  mtime: 1n,
  ctime: 1n,
  data,
})
function putFiles(records: IDBObjectStore, count: number, data: Uint8Array, first = 0): void {
  for (let i = first; i < first + count; i++) {
    records.put(inodeRecord(i, data.slice()), `inode/${i}`)
    records.put(i, `entry/1/file${i}`)
  }
}

const createFiles = (files: KeptFiles, count: number, data: Uint8Array, directory: (i: number) => string) => {
  for (let i = 0; i < count; i++) write(files, `${directory(i)}file${i}`, data)
}

/** Closes a volume after it, and the disk, had time for what is to be done when nobody waits. */
async function restOf(files: KeptFiles, ms: number): Promise<void> {
  await files.sync()
  await new Promise((resolve) => setTimeout(resolve, ms))
  await files.close()
}

/** 64 KiB anywhere in a volume of files of a MiB. */
function rewrite(files: KeptFiles, bytes: number): void {
  const file = Math.floor((Math.random() * bytes) / MiB)
  write(files, `file${file}`, random(PAGE), PAGE * Math.floor((Math.random() * MiB) / PAGE))
}

const works = {
  async large(bytes: number) {
    const data = random(bytes)
    return onVolume((files) =>
      timed(async () => {
        await writeMuch(files, 'large', data)
        await files.sync()
      }),
    )
  },
  /** One MiB a record, one strict transaction per 8 MiB. */
  async barePuts(bytes: number) {
    const data = random(bytes)
    return onDatabase(async (use) => {
      await use('readonly', (records) => done(records.count()))
      return timed(async () => {
        for (let at = 0; at < bytes; at += 8 * MiB)
          await use('readwrite', (records) => {
            for (let part = at; part < Math.min(bytes, at + 8 * MiB); part += MiB)
              records.put(data.slice(part, part + MiB), part)
          })
      })
    })
  },

  manyFiles: (count: number) =>
    onVolume((files) =>
      timed(() => {
        createFiles(files, count, random(100), () => '')
        return files.sync()
      }),
    ),
  bareFiles: (count: number) =>
    onDatabase(async (use) => {
      await use('readonly', (records) => done(records.count()))
      return timed(() => use('readwrite', (records) => putFiles(records, count, random(100))))
    }),

  syncEach: (count: number) =>
    onVolume((files) =>
      timed(async () => {
        const data = random(100)
        for (let i = 0; i < count; i++) {
          write(files, `file${i}`, data)
          await files.sync()
        }
      }),
    ),
  bareEach: (count: number) =>
    onDatabase(async (use) => {
      await use('readonly', (records) => done(records.count()))
      const data = random(100)
      return timed(async () => {
        for (let i = 0; i < count; i++) await use('readwrite', (records) => putFiles(records, 1, data, i))
      })
    }),

  /** The least of `passes` mounts of a volume of so many files, and of as many records read. */
  async mount({ count, passes }: { count: number; passes: number }) {
    const ours: number[] = []
    const bare: number[] = []
    const id = freshName()
    const first = await open(id)
    for (let i = 0; i < count; i += 1000) first.actor.mkdir(`d${i / 1000}`)
    createFiles(first, count, random(20), (i) => `d${Math.floor(i / 1000)}/`)
    await first.close()
    await onDatabase(async (use) => {
      await use('readwrite', (records) => putFiles(records, count, random(20)))
      for (let pass = 0; pass < passes; pass++) {
        bare.push(await timed(() => use('readonly', (records) => done(records.getAll()))))
        let files: KeptFiles | undefined
        ours.push(
          await timed(async () => {
            files = await open(id)
          }),
        )
        if (files!.actor.stat(`d0/file${Math.min(999, count - 1)}`).size !== 20)
          throw new Error('the files are not there')
        await files!.close()
      }
    })
    await host.remove(id)
    return { ours: Math.min(...ours), bare: Math.min(...bare) }
  },

  /** The first byte of a large file, after its volume was opened again. */
  async firstByte(bytes: number) {
    const id = freshName()
    const files = await open(id)
    for (let at = 0; at < bytes; at += 64 * MiB) {
      await writeMuch(files, 'huge', random(Math.min(64 * MiB, bytes - at)), at)
      await files.sync()
    }
    await files.close()
    const { records, bytesRead } = recordsOf(id)
    const again = await open(id, records)
    const { task } = again
    const before = bytesRead()
    const ms = await timed(() => {
      const fd = task.openat(AT_FDCWD, 'huge', O_RDWR, 0)
      if (task.preadv(fd, new Uint8Array(1), [0, 1], 0) !== 1) throw new Error('nothing was read')
      task.close(fd)
    })
    const read = bytesRead() - before
    await again.close()
    await host.remove(id)
    return { ms, read, bytes }
  },

  /** A volume of so many bytes, in files of a MiB, that had a rest before it was closed. */
  async filled({ bytes, rest }: { bytes: number; rest: number }) {
    const id = freshName()
    const files = await open(id)
    for (let i = 0; i < bytes / MiB; i++) await writeMuch(files, `file${i}`, random(MiB))
    await restOf(files, rest)
    return id
  },
  async mountOf(id: string) {
    let files: KeptFiles | undefined
    const ms = await timed(async () => {
      files = await open(id)
    })
    await files!.close()
    return ms
  },
  /** The median of some, each of 64 KiB. */
  async syncOf({ id, bytes }: { id: string; bytes: number }) {
    const files = await open(id)
    const syncs: number[] = []
    for (let i = 0; i < 21; i++) {
      rewrite(files, bytes)
      syncs.push(await timed(() => files.sync()))
    }
    await files.close()
    return syncs.sort((a, b) => a - b)[10]!
  },
  /** The whole size `times` times, 64 KiB at random places, synced every 4 MiB. */
  async rewritten({ id, bytes, times, rest }: { id: string; bytes: number; times: number; rest: number }) {
    const files = await open(id)
    let longestStep = 0
    for (let done = 0; done < times * bytes; done += 4 * MiB) {
      for (let part = 0; part < 4 * MiB; part += PAGE) rewrite(files, bytes)
      await files.sync()
      longestStep = Math.max(longestStep, files.store.usage.longestStep)
    }
    const { stored, live } = files.store.usage
    await restOf(files, rest)
    return { stored, live, longestStep }
  },
  remove: (id: string) => host.remove(id),

  // ---- the same work on ours and on peers: so many files of 1000 bytes, a sync every hundred

  ours: (count: number) =>
    onVolume((files) =>
      timed(async () => {
        const data = random(1000)
        for (let i = 0; i < count; i++) {
          write(files, `file${i}`, data)
          if (i % 100 === 99) await files.sync()
        }
      }),
    ),
  async zenfs(count: number) {
    const storeName = freshName()
    await configureSingle({ backend: IndexedDB, storeName })
    const ms = await timed(async () => {
      const data = random(1000)
      for (let i = 0; i < count; i++) {
        const file = await zenfs.promises.open(`/file${i}`, 'w')
        await file.writeFile(data)
        if (i % 100 === 99) await file.sync()
        await file.close()
      }
    })
    if ((await zenfs.promises.readdir('/')).length < count) throw new Error('ZenFS has not kept the files')
    zenfs.umount('/')
    return ms
  },
  async jco(count: number) {
    const root = await navigator.storage.getDirectory()
    const name = freshName()
    const handle = await root.getDirectoryHandle(name, { create: true })
    // By itself it flushes after each change, too, and then finds its own temporary files: it is asked for what it is to do.
    const adapter = new OpfsFilesystemAdapter()
    adapter.dispose()
    const directory = adapter.getRoot(await loadOpfsCapability(handle))
    const ms = await timed(async () => {
      const data = random(1000)
      for (let i = 0; i < count; i++) {
        const file = directory.openAt({}, `file${i}`, { create: true }, { write: true })
        file.write(data, 0n)
        if (i % 100 === 99) await adapter.flush()
      }
    })
    const found = await handle.getFileHandle(`file${count - 1}`).then((file) => file.getFile())
    if (found.size !== 1000) throw new Error('jco has not kept the files')
    await root.removeEntry(name, { recursive: true }).catch(() => {})
    return ms
  },
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

addEventListener('message', async ({ data: { work, argument } }) => {
  try {
    postMessage({ value: await (works[work as keyof typeof works] as (argument: unknown) => unknown)(argument) })
  } catch (error) {
    postMessage({ error: String((error as Error).stack ?? error) })
  }
})
