/**
 * container.fs against node:fs/promises: each case runs on both, ours on a task's tmpfs, node's in a directory of this
 * machine, and what they give or how they fail must be the same. Paths in a case start at that directory.
 */

import * as nodeFs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { FileCall, FileCalls } from '../abi/wire.ts'
import { DeviceRegistry } from '../devices/device-registry.ts'
import { tmpfsType } from '../fs/tmpfs/tmpfs.ts'
import { createClock } from '../host/clock.ts'
import { Files } from '../kernel/files.ts'
import { Task } from '../kernel/task.ts'
import { credentialsOf } from '../vfs/context.ts'
import { VirtualDentry } from '../vfs/mount.ts'
import { Vfs } from '../vfs/vfs.ts'
import { type FileSystem, fileSystem } from './file-system.ts'
import { statsOf } from './stats.ts'

let task: Task
let ours: FileSystem
let directory: string

beforeEach(async () => {
  const clock = createClock()
  const vfs = new Vfs(clock, new DeviceRegistry())
  vfs.types.register(tmpfsType)
  const mount = vfs.newMount(vfs.newFilesystem({ type: 'tmpfs' }))
  vfs.newNamespace(mount)
  task = new Task({ vfs, credentials: credentialsOf(0, 0), root: new VirtualDentry(mount, mount.root) })
  const files = new Files(async (operation) => {
    try {
      return operation(task)
    } finally {
      task.settle()
    }
  })
  ours = fileSystem(async <C extends FileCall>(call: C, args: Parameters<FileCalls[C]>) => {
    // As they arrive: cloned, so that nothing is shared with the caller.
    const method = files[call] as unknown as (...args: unknown[]) => Promise<ReturnType<FileCalls[C]>>
    return structuredClone(await method.apply(files, structuredClone(args)))
  })
  directory = await nodeFs.mkdtemp(join(tmpdir(), 'files-'))
})

afterEach(async () => {
  await nodeFs.rm(directory, { recursive: true })
  // Of the root mount's users, only the task's working directory is left: no case leaves a file open.
  expect(task.root.mount.users).toBe(2)
  task.release()
})

type Case = (fs: FileSystem, at: (path: string) => string) => Promise<unknown>

/** What a case gives or throws, told without the directory that it ran in. */
async function outcome(run: Case, fs: FileSystem, root: string): Promise<unknown> {
  const plain = (value: unknown): unknown => {
    if (typeof value === 'string') return root === '' ? value : value.replaceAll(root, '')
    if (value instanceof Uint8Array) return [...value]
    if (Array.isArray(value)) return value.map(plain)
    if (value !== null && typeof value === 'object')
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
    return value
  }
  try {
    return { value: plain(await run(fs, (path) => root + path)) }
  } catch (error) {
    const { code, errno, syscall, path, dest, message } = error as NodeJS.ErrnoException & { dest?: string }
    return { error: plain({ code, errno, syscall, path, dest, message }) }
  }
}

/** A small world, made alike on both sides: a file, directories, links. */
const world: Case = async (fs, at) => {
  await fs.mkdir(at('/dir/sub'), { recursive: true })
  await fs.writeFile(at('/file'), 'some text\n', { mode: 0o640 })
  await fs.writeFile(at('/dir/inner'), 'inner')
  await fs.symlink('file', at('/link'))
  await fs.symlink('dir', at('/linkdir'))
  await fs.symlink('nowhere', at('/dangling'))
  await fs.symlink('loop', at('/loop'))
}

const exists = async (fs: FileSystem, path: string) =>
  fs.lstat(path).then(
    () => true,
    () => false,
  )

const cases: Record<string, Case> = {
  'a text is read as it was written': async (fs, at) => {
    await fs.writeFile(at('/t'), 'häß\u{1f600}')
    return [
      await fs.readFile(at('/t'), 'utf8'),
      await fs.readFile(at('/t'), { encoding: 'utf-8' }),
      await fs.readFile(at('/t')),
    ]
  },
  'a byte order mark stays': async (fs, at) => {
    await fs.writeFile(at('/t'), '\ufeffx')
    return fs.readFile(at('/t'), 'utf8')
  },
  'half a surrogate pair in a name is U+FFFD': async (fs, at) => {
    await fs.writeFile(at('/a\ud800'), '')
    return (await fs.readdir(at('/'))).filter((name) => name.startsWith('a'))
  },
  'views of memory are written as their bytes': async (fs, at) => {
    await fs.writeFile(at('/t'), new Uint16Array([0x4142, 0x4344]).subarray(1))
    await fs.appendFile(at('/t'), new DataView(new Uint8Array([1, 2, 3]).buffer, 1))
    return fs.readFile(at('/t'))
  },
  'data may come in pieces': async (fs, at) => {
    await fs.writeFile(at('/t'), ['one ', new TextEncoder().encode('two '), 'three'])
    await fs.appendFile(
      at('/t'),
      (async function* () {
        yield ' four'
        yield ' five'
      })(),
    )
    await fs.appendFile(at('/t'), new Blob([' six']).stream())
    return fs.readFile(at('/t'), 'utf8')
  },
  'writing with wx refuses what is there': (fs, at) => fs.writeFile(at('/file'), 'x', { flag: 'wx' }),
  'writing with a appends': async (fs, at) => {
    await fs.writeFile(at('/file'), 'more', { flag: 'a' })
    return fs.readFile(at('/file'), 'utf8')
  },
  'writing a directory': (fs, at) => fs.writeFile(at('/dir'), ''),
  'writing where no directory is': (fs, at) => fs.writeFile(at('/no/file'), ''),
  'writing through a dangling link makes its target': async (fs, at) => {
    await fs.writeFile(at('/dangling'), 'x')
    return fs.readFile(at('/nowhere'), 'utf8')
  },
  'reading a missing file': (fs, at) => fs.readFile(at('/no')),
  'reading a directory': (fs, at) => fs.readFile(at('/dir')),
  'reading below a file': (fs, at) => fs.readFile(at('/file/x')),
  'reading a loop of links': (fs, at) => fs.readFile(at('/loop')),
  'reading a name that is too long': (fs, at) => fs.readFile(at(`/${'x'.repeat(256)}`)),
  'an empty path': (fs) => fs.readFile(''),

  'mkdir gives nothing': (fs, at) => fs.mkdir(at('/new')),
  'mkdir of what is there': (fs, at) => fs.mkdir(at('/dir')),
  'mkdir where no directory is': (fs, at) => fs.mkdir(at('/no/new')),
  'mkdir takes a mode': async (fs, at) => {
    await fs.mkdir(at('/a'), 0o700)
    await fs.mkdir(at('/b'), { mode: '500' })
    return [(await fs.stat(at('/a'))).mode, (await fs.stat(at('/b'))).mode]
  },
  'recursive mkdir gives the first that it made': (fs, at) => fs.mkdir(at('/q/r/s/'), { recursive: true }),
  'recursive mkdir continues what is there': (fs, at) => fs.mkdir(at('/dir/a/b'), { recursive: true }),
  'recursive mkdir of what is there': (fs, at) => fs.mkdir(at('/dir/sub'), { recursive: true }),
  'recursive mkdir of a link to a directory': (fs, at) => fs.mkdir(at('/linkdir'), { recursive: true }),
  'recursive mkdir of the root': (fs) => fs.mkdir('/', { recursive: true }),
  'recursive mkdir through ..': async (fs, at) => [
    await fs.mkdir(at('/q2/../r2'), { recursive: true }),
    await exists(fs, at('/q2')),
  ],
  'recursive mkdir over a file': (fs, at) => fs.mkdir(at('/file'), { recursive: true }),
  'recursive mkdir below a file': (fs, at) => fs.mkdir(at('/file/a/b'), { recursive: true }),
  'recursive mkdir of a dangling link': (fs, at) => fs.mkdir(at('/dangling'), { recursive: true }),
  'recursive mkdir below a dangling link': (fs, at) => fs.mkdir(at('/dangling/a'), { recursive: true }),
  'recursive mkdir of nothing': (fs) => fs.mkdir('', { recursive: true }),

  'readdir lists names': async (fs, at) => (await fs.readdir(at('/'))).sort(),
  'readdir follows a link': async (fs, at) => (await fs.readdir(at('/linkdir'), 'utf8')).sort(),
  'recursive readdir lists what is below': async (fs, at) => {
    await fs.unlink(at('/linkdir')) // node 20 follows it, see below
    return (await fs.readdir(at('/'), { recursive: true })).sort()
  },
  'readdir with types': async (fs, at) =>
    (await fs.readdir(at('/'), { withFileTypes: true }))
      .map((entry) => [entry.name, entry.parentPath, entry.isFile(), entry.isDirectory(), entry.isSymbolicLink()])
      .sort(),
  'recursive readdir with types': async (fs, at) =>
    (await fs.readdir(at('/dir'), { withFileTypes: true, recursive: true }))
      .map((entry) => [entry.name, entry.parentPath, entry.isFile()])
      .sort(),
  'readdir of a file': (fs, at) => fs.readdir(at('/file')),
  'readdir of what is missing': (fs, at) => fs.readdir(at('/no'), { recursive: true }),

  'stat follows a link, lstat does not': async (fs, at) => [
    (await fs.stat(at('/link'))).isFile(),
    (await fs.lstat(at('/link'))).isSymbolicLink(),
    (await fs.lstat(at('/link'))).size,
    (await fs.stat(at('/file'))).size,
    (await fs.stat(at('/file'), { bigint: true })).size,
    (await fs.stat(at('/file'))).mode,
    (await fs.stat(at('/dir'))).nlink,
    typeof (await fs.stat(at('/file'))).ino,
    typeof (await fs.stat(at('/file'), { bigint: true })).mtimeNs,
  ],
  'stat of what is missing': (fs, at) => fs.stat(at('/no')),
  'lstat of what is missing': (fs, at) => fs.lstat(at('/no')),
  'stat of a dangling link': (fs, at) => fs.stat(at('/dangling')),

  'rename replaces a file': async (fs, at) => {
    await fs.rename(at('/file'), at('/dir/inner'))
    return [await fs.readFile(at('/dir/inner'), 'utf8'), await exists(fs, at('/file'))]
  },
  'rename of what is missing': (fs, at) => fs.rename(at('/no'), at('/new')),
  'rename of a directory over a full one': async (fs, at) => {
    await fs.mkdir(at('/other'))
    await fs.rename(at('/other'), at('/dir'))
  },
  'rename of a directory into itself': (fs, at) => fs.rename(at('/dir'), at('/dir/sub/x')),
  'rename of a file over a directory': (fs, at) => fs.rename(at('/file'), at('/dir')),

  'rm of a file': async (fs, at) => [await fs.rm(at('/file')), await exists(fs, at('/file'))],
  'rm of a link leaves its target': async (fs, at) => {
    await fs.rm(at('/linkdir'), { recursive: true })
    return [await exists(fs, at('/linkdir')), await exists(fs, at('/dir/inner'))]
  },
  'rm of what is missing': (fs, at) => fs.rm(at('/no')),
  'rm of what is missing, with force': (fs, at) => fs.rm(at('/no'), { force: true }),
  'rm below a file, with force': (fs, at) => fs.rm(at('/file/x'), { force: true, recursive: true }),
  'rm of a directory': (fs, at) => fs.rm(at('/dir')),
  'rm of a directory, with force': (fs, at) => fs.rm(at('/dir'), { force: true }),
  'recursive rm of a directory': async (fs, at) => {
    await fs.symlink('../file', at('/dir/sub/out'))
    await fs.rm(at('/dir/'), { recursive: true })
    return [await exists(fs, at('/dir')), await exists(fs, at('/file'))]
  },
  'rmdir of a full directory': (fs, at) => fs.rmdir(at('/dir')),
  'rmdir of a file': (fs, at) => fs.rmdir(at('/file')),
  'rmdir of an empty directory': async (fs, at) => [await fs.rmdir(at('/dir/sub')), await exists(fs, at('/dir/sub'))],
  'unlink of a directory': (fs, at) => fs.unlink(at('/dir')),
  'unlink of what is missing': (fs, at) => fs.unlink(at('/no')),

  'readlink gives the text of a link': (fs, at) => fs.readlink(at('/dangling')),
  'readlink of a file': (fs, at) => fs.readlink(at('/file')),
  'symlink over a file': (fs, at) => fs.symlink('target', at('/file')),
  'a link is the same file': async (fs, at) => {
    await fs.link(at('/file'), at('/hard'))
    const [one, two] = [await fs.stat(at('/file')), await fs.stat(at('/hard'))]
    return [one.ino === two.ino, two.nlink]
  },
  'link of what is missing': (fs, at) => fs.link(at('/no'), at('/hard')),
  'link over a file': (fs, at) => fs.link(at('/file'), at('/dir/inner')),
  'link of a directory': (fs, at) => fs.link(at('/dir'), at('/hard')),

  'realpath of a file': (fs, at) => fs.realpath(at('/dir/../file')),
  'realpath through links': async (fs, at) => {
    await fs.symlink(at('/linkdir/sub/..'), at('/deep'))
    return [await fs.realpath(at('/deep/inner')), await fs.realpath(at('//linkdir/./sub/'))]
  },
  'realpath of what is missing': (fs, at) => fs.realpath(at('/dir/no')),
  'realpath of a dangling link': (fs, at) => fs.realpath(at('/dangling')),
  'realpath of a loop': (fs, at) => fs.realpath(at('/loop')),
  'realpath of a file as a directory': (fs, at) => fs.realpath(at('/file/')),
  'realpath through a file': (fs, at) => fs.realpath(at('/file/..')),
  'realpath of nothing': (fs) => fs.realpath(''),

  'copyFile copies bytes and mode': async (fs, at) => {
    await fs.copyFile(at('/file'), at('/copy'))
    return [await fs.readFile(at('/copy'), 'utf8'), (await fs.stat(at('/copy'))).mode]
  },
  'copyFile over a longer file': async (fs, at) => {
    await fs.writeFile(at('/copy'), 'x'.repeat(100))
    await fs.copyFile(at('/file'), at('/copy'))
    return fs.readFile(at('/copy'), 'utf8')
  },
  'copyFile of a file to itself': async (fs, at) => {
    await fs.copyFile(at('/file'), at('/link'))
    return fs.readFile(at('/file'), 'utf8')
  },
  'copyFile, exclusive': (fs, at) => fs.copyFile(at('/file'), at('/dir/inner'), fs.constants.COPYFILE_EXCL),
  'copyFile of a directory': (fs, at) => fs.copyFile(at('/dir'), at('/copy')),
  'copyFile to a directory': (fs, at) => fs.copyFile(at('/file'), at('/dir')),
  'copyFile of what is missing': (fs, at) => fs.copyFile(at('/no'), at('/copy')),

  'truncate cuts and fills up': async (fs, at) => {
    await fs.truncate(at('/file'), 4)
    const short = await fs.readFile(at('/file'), 'utf8')
    await fs.truncate(at('/file'), 6)
    const long = await fs.readFile(at('/file'))
    await fs.truncate(at('/file'), -1)
    return [short, long, (await fs.stat(at('/file'))).size]
  },
  'truncate of what is missing': (fs, at) => fs.truncate(at('/no')),
  'truncate of a directory': (fs, at) => fs.truncate(at('/dir')),

  'utimes takes seconds and Dates': async (fs, at) => {
    await fs.utimes(at('/file'), 1.5, new Date('2001-02-03T04:05:06.789Z'))
    const { atimeMs, mtimeMs, atime, mtime } = await fs.stat(at('/file'))
    await fs.utimes(at('/file'), '12', 1e9 + 0.25)
    const early = await fs.stat(at('/file'), { bigint: true })
    return [
      atimeMs,
      mtimeMs,
      atime.toISOString(),
      mtime.toISOString(),
      early.atimeNs,
      early.mtimeMs,
      early.mtime.toISOString(),
    ]
  },
  'lutimes leaves the target alone': async (fs, at) => {
    await fs.utimes(at('/file'), 7, 7)
    await fs.lutimes(at('/link'), 5, 5)
    return [(await fs.lstat(at('/link'))).mtimeMs, (await fs.stat(at('/link'))).mtimeMs]
  },
  'utimes of what is missing': (fs, at) => fs.utimes(at('/no'), 1, 1),
  'lutimes of what is missing': (fs, at) => fs.lutimes(at('/no'), 1, 1),
  'chmod sets permissions': async (fs, at) => {
    await fs.chmod(at('/file'), 0o4711)
    const first = (await fs.stat(at('/file'))).mode
    await fs.chmod(at('/file'), '600')
    return [first, (await fs.stat(at('/file'))).mode]
  },
  'chmod of what is missing': (fs, at) => fs.chmod(at('/no'), 0o600),
  'chown of what is missing': (fs, at) => fs.chown(at('/no'), 1, 1),
  'lchown of what is missing': (fs, at) => fs.lchown(at('/no'), 1, 1),
  'access of a file': (fs, at) => fs.access(at('/file'), fs.constants.R_OK | fs.constants.W_OK),
  'access of what is missing': (fs, at) => fs.access(at('/no')),
  'access of a file that nobody may execute': (fs, at) => fs.access(at('/file'), fs.constants.X_OK),

  'mkdtemp makes a directory with a new name': async (fs, at) => {
    const path = await fs.mkdtemp(at('/new-'))
    return [path.startsWith(at('/new-')), path.length - at('/new-').length, (await fs.stat(path)).mode]
  },

  'a handle reads and writes where it stands, or at a position': async (fs, at) => {
    const handle = await fs.open(at('/file'), 'r+')
    const buffer = new Uint8Array(12)
    const results = [
      (await handle.read(buffer, 0, 4)).bytesRead,
      (await handle.read(buffer, 4, 3, 0)).bytesRead,
      (await handle.read(buffer, { offset: 7, length: 2 })).bytesRead,
      (await handle.write('XY', 1)).bytesWritten,
      (await handle.write(new Uint8Array([65, 66, 67]), 1, 2, 7)).bytesWritten,
      (await handle.write(new Uint8Array([68]))).bytesWritten,
      (await handle.read(new Uint8Array(100), null, null, null)).bytesRead,
      (await handle.read({ buffer: new Uint8Array(3), position: 1 })).buffer,
      (await handle.read(new Uint8Array(3), { position: 100n })).bytesRead,
    ]
    await handle.close()
    return [results, buffer, await fs.readFile(at('/file'), 'utf8')]
  },
  'readFile of a handle goes on from where it stands': async (fs, at) => {
    const handle = await fs.open(at('/file'))
    await handle.read(new Uint8Array(5))
    const rest = [await handle.readFile('utf8'), await handle.readFile(), await fs.readFile(handle, 'utf8')]
    await handle.close()
    return rest
  },
  'writeFile of a handle writes from where it stands': async (fs, at) => {
    const handle = await fs.open(at('/file'), 'r+')
    await handle.writeFile('AB')
    await handle.writeFile(['C', 'D'])
    await fs.writeFile(handle, 'E')
    await handle.close()
    return fs.readFile(at('/file'), 'utf8')
  },
  'a handle that appends writes at the end': async (fs, at) => {
    const handle = await fs.open(at('/file'), 'a+')
    await handle.write('1')
    await handle.appendFile('2')
    await handle.close()
    return fs.readFile(at('/file'), 'utf8')
  },
  'a handle changes attributes': async (fs, at) => {
    const handle = await fs.open(at('/file'), 'r+')
    await handle.truncate(3)
    await handle.chmod(0o600)
    await handle.utimes(1, 2)
    await handle.sync()
    await handle.datasync()
    const { size, mode, mtimeMs } = await handle.stat()
    const { size: exact } = await handle.stat({ bigint: true })
    await handle.close()
    return [size, mode, mtimeMs, exact]
  },
  'a handle stays on a removed file': async (fs, at) => {
    const handle = await fs.open(at('/file'))
    await fs.unlink(at('/file'))
    const text = await handle.readFile('utf8')
    await handle.close()
    return text
  },
  'a handle that only reads': async (fs, at) => {
    const handle = await fs.open(at('/file'))
    try {
      await handle.write('x')
    } finally {
      await handle.close()
    }
  },
  'a handle that only writes': async (fs, at) => {
    const handle = await fs.open(at('/file'), 'w')
    try {
      await handle.read(new Uint8Array(1))
    } finally {
      await handle.close()
    }
  },
  'closing twice is no error': async (fs, at) => {
    const handle = await fs.open(at('/file'))
    await handle.close()
    await handle.close()
    return handle.fd
  },
  'a range past the end of the buffer': async (fs, at) => {
    const handle = await fs.open(at('/file'))
    try {
      await handle.read(new Uint8Array(5), 0, 9)
    } finally {
      await handle.close()
    }
  },
  'no flags that exist': (fs, at) => fs.open(at('/file'), 'q'),
  'open r of what is missing': (fs, at) => fs.open(at('/no')),
  'no mode that exists': (fs, at) => fs.chmod(at('/file'), 'abc'),
  'a path with a NUL byte': async (fs) => {
    const error = await fs.readFile('a\0b').catch((error) => error)
    return [error instanceof TypeError, error.code]
  },
}

for (const flags of 'r rs sr r+ rs+ sr+ w wx xw w+ wx+ xw+ a ax xa as sa a+ ax+ xa+ as+ sa+'.split(' ')) {
  for (const path of ['/file', '/new']) {
    cases[`open ${flags} of ${path === '/new' ? 'what is missing' : 'a file'}`] = async (fs, at) => {
      const handle = await fs.open(at(path), flags)
      const wrote = await handle.write('W').then(
        () => 'wrote',
        (error) => error.code,
      )
      const read = await handle.read(new Uint8Array(4), 0, 4, 0).then(
        ({ bytesRead }) => bytesRead,
        (error) => error.code,
      )
      await handle.close()
      return [wrote, read, await fs.readFile(at(path), 'utf8')]
    }
  }
}

describe('container.fs gives what node:fs/promises gives', () => {
  test.each(Object.entries(cases))('%s', async (_, run) => {
    const node = nodeFs as unknown as FileSystem
    await world(ours, (path) => path)
    await world(node, (path) => directory + path)
    const mask = process.umask(0o022)
    const expected = await outcome(run, node, directory)
    process.umask(mask)
    expect(await outcome(run, ours, '')).toEqual(expected)
  })
})

describe('container.fs, where it is not node 20', () => {
  beforeEach(() => world(ours, (path) => path))

  test('a recursive listing of names does not follow links to directories, as one with types does not', async () => {
    expect((await ours.readdir('/', { recursive: true })).sort()).toEqual(
      ['dangling', 'dir', 'dir/inner', 'dir/sub', 'file', 'link', 'linkdir', 'loop'].sort(),
    )
  })

  test('a time before 1970 is taken as it is, where node 20 takes the present instead', async () => {
    await ours.utimes('/file', -3, -0.25)
    const { atimeNs, mtimeNs, mtime } = await ours.stat('/file', { bigint: true })
    expect([atimeNs, mtimeNs, mtime.toISOString()]).toEqual([
      -3_000_000_000n,
      -250_000_000n,
      '1969-12-31T23:59:59.750Z',
    ])
  })

  test('paths may be relative to the root', async () => {
    expect(await ours.readFile('dir/inner', 'utf8')).toBe('inner')
    expect(await ours.realpath('.')).toBe('/')
  })

  test('times of stat are as exact as those of node for the same nanoseconds', async () => {
    const path = join(directory, 'timed')
    await nodeFs.writeFile(path, '')
    const exact = await nodeFs.stat(path, { bigint: true })
    const rough = await nodeFs.stat(path)
    const numbers = Object.fromEntries(
      Object.entries(rough).filter(([name, value]) => typeof value === 'number' && !name.endsWith('Ms')),
    )
    const { atimeNs: atime, mtimeNs: mtime, ctimeNs: ctime, birthtimeNs: btime } = exact
    const stat = { ...numbers, atime, mtime, ctime, btime } as Parameters<typeof statsOf>[0]
    expect({ ...statsOf(stat) }).toEqual({ ...rough })
    expect({ ...statsOf(stat, { bigint: true }) }).toEqual({ ...exact })
  })

  test('await using closes a handle', async () => {
    const handle = await ours.open('/file')
    await handle[Symbol.asyncDispose]()
    expect(handle.fd).toBe(-1)
  })

  test('close waits for the calls before it', async () => {
    const handle = await ours.open('/file', 'w')
    const writes = [
      handle.write('a'),
      handle.write('b'),
      handle.close(),
      handle.write('c').catch((error) => error.message),
    ]
    expect(await Promise.all(writes)).toContain('EBADF: bad file descriptor, write')
    expect(await ours.readFile('/file', 'utf8')).toBe('ab')
  })

  test('functions may be taken off the object', async () => {
    const { readFile, writeFile } = ours
    await writeFile('/x', 'y')
    expect(await readFile('/x', 'utf8')).toBe('y')
  })

  test('a failing write in pieces closes the file', async () => {
    async function* broken() {
      yield 'half'
      throw new Error('no more')
    }
    await expect(ours.writeFile('/x', broken())).rejects.toThrow('no more')
    expect(await ours.readFile('/x', 'utf8')).toBe('half')
  })

  test("the caller's bytes stay usable, and only the part that a view shows is sent", async () => {
    const bytes = new Uint8Array([1, 2, 3, 4])
    await ours.writeFile('/x', bytes.subarray(1, 3))
    expect(bytes).toEqual(new Uint8Array([1, 2, 3, 4]))
    await ours.writeFile('/x', new Uint8Array(new SharedArrayBuffer(2)))
    expect(await ours.readFile('/x')).toEqual(new Uint8Array(2))
  })

  test.each([
    ['path', 'of type string', undefined, 'undefined', () => ours.readFile(undefined as never)],
    ['path', 'of type string', 5, 'type number (5)', () => ours.open(5 as never)],
    ['newPath', 'of type string', {}, 'an instance of Object', () => ours.rename('/file', {} as never)],
    ['target', 'of type string', null, 'null', () => ours.symlink(null as never, '/x')],
    ['prefix', 'of type string', undefined, 'undefined', () => ours.mkdtemp(undefined as never)],
    [
      'data',
      'of type string or an instance of ArrayBuffer, TypedArray, or DataView',
      {},
      'an instance of Object',
      () => ours.writeFile('/x', {} as never),
    ],
    [
      'time',
      'an instance of Date or of type number (seconds)',
      {},
      'an instance of Object',
      () => ours.utimes('/file', {} as never, 1),
    ],
  ])('the wrong type of "%s" is told as node tells it', async (name, expected, _, received, call) => {
    const error = await (call as () => Promise<unknown>)().catch((error: TypeError & { code: string }) => error)
    if (!(error instanceof TypeError)) expect.fail(`gave ${error}`)
    expect([(error as NodeJS.ErrnoException).code, error.message]).toEqual([
      'ERR_INVALID_ARG_TYPE',
      `The "${name}" argument must be ${expected}. Received ${received}`,
    ])
  })

  test('an encoding other than UTF-8 is refused', async () => {
    await expect(ours.readFile('/file', 'latin1' as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    await expect(ours.writeFile('/file', '', 'hex' as never)).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' })
    expect(await ours.readFile('/file', 'utf8')).toBe('some text\n')
  })
})

describe('web streams of files', () => {
  beforeEach(() => ours.writeFile('/file', 'abcdefghij'))
  const text = (stream: ReadableStream<Uint8Array>) =>
    new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).text()

  test.each([
    [{}, 'abcdefghij'],
    [{ start: 2 }, 'cdefghij'],
    [{ start: 2, end: 4 }, 'cde'],
    [{ end: 0 }, 'a'],
    [{ start: 10 }, ''],
    [{ start: 1, highWaterMark: 2, end: 5 }, 'bcdef'],
  ])('createReadStream with %o gives %j, and closes the file', async (options, expected) => {
    expect(await text(ours.createReadStream('/file', options))).toBe(expected)
  })

  test('a file that cannot be opened is the error of the stream', async () => {
    await expect(text(ours.createReadStream('/no'))).rejects.toThrow("ENOENT: no such file or directory, open '/no'")
    const writer = ours.createWriteStream('/no/file').getWriter()
    await expect(writer.write('x')).rejects.toMatchObject({ code: 'ENOENT' })
    await writer.closed.catch(() => {})
  })

  test('a stream that is cancelled closes the file', async () => {
    const reader = ours.createReadStream('/file', { highWaterMark: 1 }).getReader()
    await reader.read()
    await reader.cancel()
  })

  test('createWriteStream writes what is piped into it', async () => {
    await ours.createReadStream('/file', { highWaterMark: 3 }).pipeTo(ours.createWriteStream('/copy'))
    expect(await ours.readFile('/copy', 'utf8')).toBe('abcdefghij')
    const writer = ours.createWriteStream('/copy', { flags: 'r+', start: 4 }).getWriter()
    await writer.write('XY')
    await writer.write(new TextEncoder().encode('Z'))
    await writer.close()
    expect(await ours.readFile('/copy', 'utf8')).toBe('abcdXYZhij')
    await ours.createWriteStream('/copy', { flags: 'a' }).abort()
  })

  test("a handle's stream leaves it open, createReadStream closes it", async () => {
    const handle = await ours.open('/file')
    expect(await text(handle.readableWebStream())).toBe('abcdefghij')
    expect(handle.fd).toBeGreaterThanOrEqual(0)
    expect(await text(handle.createReadStream({ start: 8 }))).toBe('ij')
    expect(handle.fd).toBe(-1)
  })
})
