/**
 * inotify through a task's system calls. The lists of events in the tables were recorded on Linux 6.18 (tmpfs, python3), but
 * for what a title says is ours.
 */

import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  O_CREAT,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  POLLIN,
  RENAME_EXCHANGE,
  UTIME_NOW,
  UTIME_OMIT,
} from '../abi/linux.ts'
import * as linux from '../abi/linux-waiting.ts'
import { decodeUtf8 } from '../abi/utf8.ts'
import { HostCalls } from '../kernel/host-calls.ts'
import { NOTHING_LEFT, World } from '../testing/waiting.ts'
import { MAX_QUEUED } from './inotify.ts'

const { IN_ALL_EVENTS: ALL, LOCK_EX } = linux
const NAMES = ['ACCESS', 'MODIFY', 'ATTRIB', 'CLOSE_WRITE', 'CLOSE_NOWRITE', 'OPEN', 'MOVED_FROM', 'MOVED_TO']
NAMES.push('CREATE', 'DELETE', 'DELETE_SELF', 'MOVE_SELF', 'UNMOUNT', 'Q_OVERFLOW', 'IGNORED', 'ISDIR')
const constants: Record<string, number | bigint> = { ...linux }
const BITS = NAMES.map((name) => [name, Number(constants[`IN_${name}`])] as const)

let world: World
let task: ReturnType<World['process']>['task']
let events: ReturnType<World['process']>['events']

beforeEach(() => {
  world = new World()
  ;({ task, events } = world.process())
})

afterEach(() => {
  world.end()
  expect(world.live).toEqual(NOTHING_LEFT)
})

const touch = (path: string, text = '') => {
  const fd = task.openat(AT_FDCWD, path, O_CREAT | O_WRONLY, 0o644)
  if (text) task.writev(fd, Buffer.from(text), [0, text.length])
  task.close(fd)
}
const open = (path: string, flags: number) => task.openat(AT_FDCWD, path, flags, 0o644)
const unlink = (path: string) => task.unlinkat(AT_FDCWD, path, 0)
const rmdir = (path: string) => task.unlinkat(AT_FDCWD, path, AT_REMOVEDIR)
const mkdir = (path: string) => task.mkdirat(AT_FDCWD, path, 0o755)
const chmod = (path: string, mode = 0o600) => task.fchmodat(AT_FDCWD, path, mode, 0)
const rename = (from: string, to: string, flags = 0) => task.renameat2(AT_FDCWD, from, AT_FDCWD, to, flags)
const outcome = (operation: () => unknown) => world.call(task, operation).outcome

/** All queued events as `wd:NAMES:name`, with `#` and the order of its cookie among those seen. */
function drain(fd: number): string[] {
  const found: string[] = []
  const cookies: number[] = []
  const memory = new Uint8Array(1 << 16)
  const view = new DataView(memory.buffer)
  for (;;) {
    const call = world.call(task, () => task.readv(fd, memory, [0, memory.length]))
    if (call.code === 'EAGAIN') return found
    const length = call.result!
    for (let at = 0; at < length; ) {
      const mask = view.getUint32(at + 4, true)
      const cookie = view.getUint32(at + 8, true)
      const size = view.getUint32(at + 12, true)
      expect(size % 16).toBe(0)
      const name = decodeUtf8(memory.slice(at + 16, at + 16 + size))!.replace(/\0+$/, '')
      if (cookie && !cookies.includes(cookie)) cookies.push(cookie)
      const told = BITS.filter(([, bit]) => mask & bit).map(([each]) => each)
      found.push(
        `${view.getInt32(at, true)}:${told.join('|')}:${name}${cookie ? `#${cookies.indexOf(cookie) + 1}` : ''}`,
      )
      at += 16 + size
    }
  }
}

const init = () => events.inotifyInit1(O_NONBLOCK)
/** Watches paths, does something, and gives what was told. */
function told(paths: readonly string[], act: () => unknown, mask = ALL): string[] {
  const fd = init()
  for (const path of paths) events.inotifyAddWatch(fd, path, mask)
  act()
  const found = drain(fd)
  task.close(fd)
  return found
}

type Case = [title: string, before: () => unknown, paths: string[], act: () => unknown, expected: string[]]
const cases: Case[] = [
  [
    'A333 A135 a file is made, written and closed',
    () => {},
    ['/'],
    () => touch('/a', 'x'),
    ['1:CREATE:a', '1:OPEN:a', '1:MODIFY:a', '1:CLOSE_WRITE:a'],
  ],
  [
    'A135 opening with O_TRUNC tells of the opening first',
    () => touch('/a', 'xy'),
    ['/', '/a'],
    () => task.close(open('/a', O_WRONLY | O_TRUNC)),
    ['1:OPEN:a', '2:OPEN:', '1:MODIFY:a', '2:MODIFY:', '1:CLOSE_WRITE:a', '2:CLOSE_WRITE:'],
  ],
  [
    'A127 A135 a file that O_TRUNC made is not modified',
    () => {},
    ['/'],
    () => task.close(open('/a', O_WRONLY | O_TRUNC | O_CREAT)),
    ['1:CREATE:a', '1:OPEN:a', '1:CLOSE_WRITE:a'],
  ],
  [
    'A186 A327 a file is removed: itself, its end, then its directory',
    () => touch('/a'),
    ['/', '/a'],
    () => unlink('/a'),
    ['2:ATTRIB:', '2:DELETE_SELF:', '2:IGNORED:', '1:DELETE:a'],
  ],
  [
    'A187 A328 a directory is removed',
    () => mkdir('/a'),
    ['/', '/a'],
    () => rmdir('/a'),
    ['2:DELETE_SELF:', '2:IGNORED:', '1:DELETE|ISDIR:a'],
  ],
  [
    'A327 A321 a file gets another name',
    () => touch('/a'),
    ['/', '/a'],
    () => task.linkat(AT_FDCWD, '/a', AT_FDCWD, '/b', 0),
    ['2:ATTRIB:', '1:CREATE:b'],
  ],
  [
    'A168 a rename',
    () => touch('/a'),
    ['/', '/a'],
    () => rename('/a', '/b'),
    ['1:MOVED_FROM:a#1', '1:MOVED_TO:b#1', '2:MOVE_SELF:'],
  ],
  [
    'A168 A186 a rename over another file',
    () => [touch('/a'), touch('/b')],
    ['/', '/a', '/b'],
    () => rename('/a', '/b'),
    ['1:MOVED_FROM:a#1', '1:MOVED_TO:b#1', '3:ATTRIB:', '2:MOVE_SELF:', '3:DELETE_SELF:', '3:IGNORED:'],
  ],
  [
    'A168 A328 a directory moves to another',
    () => [mkdir('/a'), mkdir('/x')],
    ['/', '/a', '/x'],
    () => rename('/a', '/x/b'),
    ['1:MOVED_FROM|ISDIR:a#1', '3:MOVED_TO|ISDIR:b#1', '2:MOVE_SELF:'],
  ],
  [
    'A168 an exchange is two renames',
    () => [touch('/a'), mkdir('/b')],
    ['/', '/a', '/b'],
    () => rename('/a', '/b', RENAME_EXCHANGE),
    [
      '1:MOVED_FROM:a#1',
      '1:MOVED_TO:b#1',
      '2:MOVE_SELF:',
      '1:MOVED_FROM|ISDIR:b#2',
      '1:MOVED_TO|ISDIR:a#2',
      '3:MOVE_SELF:',
    ],
  ],
  ['A212 A327 a mode changes', () => touch('/a'), ['/', '/a'], () => chmod('/a'), ['1:ATTRIB:a', '2:ATTRIB:']],
  ['A212 an owner changes', () => touch('/a'), ['/'], () => task.fchownat(AT_FDCWD, '/a', 1, 1, 0), ['1:ATTRIB:a']],
  ['A212 both times change', () => touch('/a'), ['/'], () => task.utimensat(AT_FDCWD, '/a', 1n, 1n, 0), ['1:ATTRIB:a']],
  [
    'A212 one time changes, which is taken for a read',
    () => touch('/a'),
    ['/'],
    () => task.utimensat(AT_FDCWD, '/a', UTIME_NOW, UTIME_OMIT, 0),
    ['1:ACCESS:a'],
  ],
  [
    'A212 one time changes, which is taken for a write',
    () => touch('/a'),
    ['/'],
    () => task.utimensat(AT_FDCWD, '/a', UTIME_OMIT, 1n, 0),
    ['1:MODIFY:a'],
  ],
  ['A212 a size changes', () => touch('/a', 'x'), ['/'], () => task.truncate('/a', 0), ['1:MODIFY:a']],
  [
    'A221 an extended attribute is set and removed',
    () => touch('/a'),
    ['/'],
    () => [
      new HostCalls(task).setxattr('/a', 'user.x', new Uint8Array(1), 0),
      chmod('/', 0o777),
      new HostCalls(task).removexattr('/a', 'user.x'),
    ],
    ['1:ATTRIB:a', '1:ATTRIB|ISDIR:', '1:ATTRIB:a'],
  ],
  [
    'A303 space is allocated',
    () => touch('/a'),
    ['/'],
    () => {
      const fd = open('/a', O_RDWR)
      task.fallocate(fd, 0, 0, 10)
      task.close(fd)
    },
    ['1:OPEN:a', '1:MODIFY:a', '1:CLOSE_WRITE:a'],
  ],
  [
    'A303 A328 a directory is read, each time, if it is empty too',
    () => mkdir('/a'),
    ['/', '/a'],
    () => {
      const fd = open('/a', O_RDONLY)
      task.getdents(fd, 0, 100)
      task.getdents(fd, 2, 100)
      task.close(fd)
    },
    [
      '1:OPEN|ISDIR:a',
      '2:OPEN|ISDIR:',
      '1:ACCESS|ISDIR:a',
      '2:ACCESS|ISDIR:',
      '1:ACCESS|ISDIR:a',
      '2:ACCESS|ISDIR:',
      '1:CLOSE_NOWRITE|ISDIR:a',
      '2:CLOSE_NOWRITE|ISDIR:',
    ],
  ],
  [
    'A332 nothing is read and nothing written',
    () => touch('/a'),
    ['/'],
    () => {
      const fd = open('/a', O_RDWR)
      task.readv(fd, new Uint8Array(9), [0, 9])
      task.writev(fd, new Uint8Array(9), [0, 0])
      task.close(fd)
    },
    ['1:OPEN:a', '1:CLOSE_WRITE:a'],
  ],
  [
    'A332 what fails tells nothing',
    () => mkdir('/a'),
    ['/', '/a'],
    () => [
      outcome(() => unlink('/a')),
      outcome(() => mkdir('/a')),
      outcome(() => rename('/q', '/r')),
      outcome(() => open('/q', 0)),
    ],
    [],
  ],
  ['A385 O_PATH opens nothing', () => touch('/a'), ['/'], () => task.close(open('/a', O_PATH)), []],
  [
    'A303 a FIFO is opened and closed; what goes through it is silent, as on Linux from 6.14 on',
    () => task.mknodat(AT_FDCWD, '/q', 'fifo', 0o666),
    ['/'],
    () => {
      const fd = open('/q', O_RDWR)
      task.writev(fd, new Uint8Array(3), [0, 3])
      task.readv(fd, new Uint8Array(3), [0, 3])
      task.close(fd)
    },
    ['1:OPEN:q', '1:CLOSE_WRITE:q'],
  ],
  [
    'A326 the same again is told once',
    () => touch('/a'),
    ['/'],
    () => [chmod('/a'), chmod('/a', 0o700)],
    ['1:ATTRIB:a'],
  ],
  [
    'A327 nobody but the parent and the file hears',
    () => [mkdir('/d'), mkdir('/d/e'), touch('/d/e/f')],
    ['/', '/d'],
    () => chmod('/d/e/f'),
    [],
  ],
]
test.each(cases)('%s', (_, before, paths, act, expected) => {
  before()
  expect(told(paths, act)).toEqual(expected)
})

test('A186 A187 A331 A037 the end of a file or directory that is open comes when it is closed', () => {
  touch('/a')
  mkdir('/d')
  const fd = init()
  for (const path of ['/', '/a', '/d']) events.inotifyAddWatch(fd, path, ALL & ~linux.IN_OPEN)
  const file = open('/a', O_RDONLY)
  const dir = open('/d', O_RDONLY)
  unlink('/a')
  rmdir('/d')
  expect(drain(fd)).toEqual(['2:ATTRIB:', '1:DELETE:a', '1:DELETE|ISDIR:d'])
  task.close(file)
  expect(drain(fd)).toEqual(['1:CLOSE_NOWRITE:a', '2:CLOSE_NOWRITE:', '2:DELETE_SELF:', '2:IGNORED:'])
  task.close(dir)
  expect(drain(fd)).toEqual(['1:CLOSE_NOWRITE|ISDIR:d', '3:CLOSE_NOWRITE|ISDIR:', '3:DELETE_SELF:', '3:IGNORED:'])
})

test('A187 a working directory that was removed ends when it is left', () => {
  mkdir('/d')
  const fd = init()
  events.inotifyAddWatch(fd, '/d', linux.IN_DELETE_SELF)
  task.chdir('/d')
  rmdir('/d')
  expect(drain(fd)).toEqual([])
  task.chdir('/')
  expect(drain(fd)).toEqual(['1:DELETE_SELF:', '1:IGNORED:'])
})

test('A321 B057 a watch belongs to the inode: it hears through every name, and ends with the last', () => {
  touch('/a')
  task.linkat(AT_FDCWD, '/a', AT_FDCWD, '/b', 0)
  const fd = init()
  expect([events.inotifyAddWatch(fd, '/a', ALL), events.inotifyAddWatch(fd, '/b', ALL)]).toEqual([1, 1])
  unlink('/a')
  chmod('/b')
  unlink('/b')
  // The three ATTRIBs are one: each is the same as the last.
  expect(drain(fd)).toEqual(['1:ATTRIB:', '1:DELETE_SELF:', '1:IGNORED:'])
})

test('A316 A317 A318 A319 what is refused: the mask of flags only is, though Linux takes it', () => {
  touch('/f')
  task.symlinkat('f', AT_FDCWD, '/l')
  expect(outcome(() => events.inotifyInit1(1))).toBe('EINVAL')
  const fd = init()
  const add = (path: string, mask: number, to = fd) => outcome(() => events.inotifyAddWatch(to, path, mask))
  expect(add('/', 0)).toBe('EINVAL')
  expect(add('/', linux.IN_ONLYDIR)).toBe('EINVAL')
  expect(add('/', ALL | 0x100000)).toBe('EINVAL')
  expect(add('/', ALL | linux.IN_MASK_ADD | linux.IN_MASK_CREATE)).toBe('EINVAL')
  expect(add('/', ALL, 99)).toBe('EBADF')
  expect(add('/', ALL, open('/f', O_RDONLY))).toBe('EINVAL')
  expect(add('/f', ALL | linux.IN_ONLYDIR)).toBe('ENOTDIR')
  expect(add('/missing', ALL)).toBe('ENOENT')
  expect(add('/l', ALL | linux.IN_DONT_FOLLOW)).toBe(1)
  expect(add('/l', ALL)).toBe(2)
  expect(add('/f', ALL | linux.IN_MASK_CREATE)).toBe('EEXIST')
  const memory = new Uint8Array(64)
  expect(outcome(() => task.preadv(fd, memory, [0, 64], 0))).toBe('ESPIPE')
  expect(outcome(() => task.pwritev(fd, memory, [0, 64], 0))).toBe('ESPIPE')
  expect(outcome(() => task.writev(fd, memory, [0, 64]))).toBe('EBADF')
  // Linux locks anything; nobody needs it here.
  expect(outcome(() => events.flock(fd, LOCK_EX))).toBe('ENOLCK')
})

test('a watch takes read permission', () => {
  touch('/f')
  chmod('/f', 0o200)
  const stranger = world.process(7)
  const fd = stranger.events.inotifyInit1()
  expect(world.call(stranger.task, () => stranger.events.inotifyAddWatch(fd, '/f', ALL)).outcome).toBe('EACCES')
})

test('A320 a mask is replaced, or with IN_MASK_ADD added to', () => {
  touch('/f')
  const fd = init()
  events.inotifyAddWatch(fd, '/f', linux.IN_OPEN)
  events.inotifyAddWatch(fd, '/f', linux.IN_ATTRIB)
  const act = () => [task.close(open('/f', O_RDONLY)), chmod('/f')]
  act()
  expect(drain(fd)).toEqual(['1:ATTRIB:'])
  events.inotifyAddWatch(fd, '/f', linux.IN_OPEN | linux.IN_MASK_ADD)
  act()
  expect(drain(fd)).toEqual(['1:OPEN:', '1:ATTRIB:'])
})

test('A320 A322 removing a watch tells of its end; its number is not used again', () => {
  const fd = init()
  expect(events.inotifyAddWatch(fd, '/', ALL)).toBe(1)
  expect(outcome(() => events.inotifyRmWatch(fd, 7))).toBe('EINVAL')
  events.inotifyRmWatch(fd, 1)
  expect(outcome(() => events.inotifyRmWatch(fd, 1))).toBe('EINVAL')
  expect(world.live).toMatchObject({ watches: 0, watchedSuperblocks: 0 })
  expect(events.inotifyAddWatch(fd, '/', ALL)).toBe(2)
  expect(drain(fd)).toEqual(['1:IGNORED:'])
})

test('A317 A323 A324 A325 records are 16 bytes and a padded name, given whole, as many as fit', () => {
  const fd = init()
  events.inotifyAddWatch(fd, '/', linux.IN_CREATE)
  const memory = new Uint8Array(200)
  const read = (length: number) => outcome(() => task.readv(fd, memory, [0, length]))
  expect(read(4)).toBe('EAGAIN')
  expect(task.poll([{ fd, events: POLLIN }], 0n)).toEqual([0])
  for (const name of ['x'.repeat(15), 'y'.repeat(16), 'ü'.repeat(8)]) touch(`/${name}`)
  expect(task.poll([{ fd, events: POLLIN }], 0n)).toEqual([POLLIN])
  expect(events.available(fd)).toBe(32 + 48 + 48)
  expect([read(15), read(31)]).toEqual(['EINVAL', 'EINVAL'])
  expect(read(79)).toBe(32)
  expect(read(200)).toBe(96)
  expect(memory.slice(16 + 16, 48)).toEqual(new Uint8Array(16))
  expect(events.available(fd)).toBe(0)
})

test('A325 a read waits for an event', () => {
  const fd = events.inotifyInit1()
  events.inotifyAddWatch(fd, '/', linux.IN_CREATE)
  const reading = world.call(task, () => task.readv(fd, new Uint8Array(99), [0, 99]))
  expect(reading.outcome).toBe('waiting')
  mkdir('/d')
  world.run()
  expect(reading.outcome).toBe(32)
})

test('A329 with IN_EXCL_UNLINK a file without a name is silent when used, not when changed', () => {
  touch('/a')
  const fd = init()
  for (const path of ['/', '/a']) events.inotifyAddWatch(fd, path, ALL | linux.IN_EXCL_UNLINK)
  const file = open('/a', O_RDWR)
  unlink('/a')
  drain(fd)
  task.writev(file, new Uint8Array(1), [0, 1])
  new HostCalls(task).fchmod(file, 0o600)
  task.close(file)
  expect(drain(fd)).toEqual(['1:ATTRIB:a', '2:ATTRIB:', '2:DELETE_SELF:', '2:IGNORED:'])
})

test('A330 a one-shot watch ends with its first event', () => {
  touch('/a')
  const expected = ['1:ATTRIB:a', '1:IGNORED:']
  expect(told(['/'], () => [chmod('/a'), touch('/b')], ALL | linux.IN_ONESHOT)).toEqual(expected)
})

test('A036 A333 the close is told of once, when the last descriptor goes', () => {
  touch('/a')
  const fd = init()
  events.inotifyAddWatch(fd, '/', ALL)
  const file = open('/a', O_RDWR)
  const copy = events.dup(file)
  task.close(file)
  expect(drain(fd)).toEqual(['1:OPEN:a'])
  task.close(copy)
  expect(drain(fd)).toEqual(['1:CLOSE_WRITE:a'])
})

test('a queue that is full says so once, and goes on when it was read', () => {
  touch('/a')
  const fd = init()
  events.inotifyAddWatch(fd, '/', linux.IN_ATTRIB | linux.IN_CLOSE_NOWRITE)
  for (let i = 0; i < MAX_QUEUED; i++) {
    chmod('/a')
    task.close(open('/a', O_RDONLY))
  }
  const found = drain(fd)
  expect(found).toHaveLength(MAX_QUEUED + 1)
  expect(found.at(-1)).toBe('-1:Q_OVERFLOW:')
  chmod('/a')
  expect(drain(fd)).toEqual(['1:ATTRIB:a'])
})

test('a filesystem that goes tells its watchers', () => {
  const other = world.vfs.newFilesystem({ type: 'tmpfs' })
  mkdir('/mnt')
  const mount = world.vfs.newMount(other)
  const fd = init()
  const watcher = world.vfs.anonymousFiles
  expect(watcher.users).toBe(1)
  const stream = task.descriptors.get(fd).stream as import('./inotify.ts').Inotify
  stream.add(other, other.root.inode, ALL)
  world.vfs.discard(mount)
  expect(drain(fd)).toEqual(['1:UNMOUNT:', '1:IGNORED:'])
})

test('what random operations tell is what a model says', () => {
  const name = fc.constantFrom('a', 'b', 'c')
  const step = fc.record({
    what: fc.constantFrom('touch', 'mkdir', 'unlink', 'rmdir', 'rename', 'chmod', 'link', 'open', 'close'),
    dir: fc.constantFrom('/p', '/q'),
    to: fc.constantFrom('/p', '/q'),
    name,
    other: name,
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const local = new World()
      const { task: own, events: calls } = local.process()
      ;[task, events, world] = [own, calls, local]
      mkdir('/p')
      mkdir('/q')
      const fd = init()
      events.inotifyAddWatch(fd, '/p', ALL)
      events.inotifyAddWatch(fd, '/q', ALL)
      const wd: Record<string, number> = { '/p': 1, '/q': 2 }
      /** The model: what each name is; a file may have several. */
      const tree = new Map<string, { directory: boolean }>()
      const opened: { fd: number; dir: string; name: string; key: string; node: { directory: boolean } }[] = []
      const expected: string[] = []
      let cookie = 0
      const tell = (dir: string, what: string, directory: boolean, who: string) => {
        const event = `${wd[dir]}:${what}${directory ? '|ISDIR' : ''}:${who}`
        if (expected.at(-1) !== event) expected.push(event)
      }
      for (const { what, dir, to, name: one, other } of steps) {
        const path = `${dir}/${one}`
        const target = `${to}/${other}`
        const node = tree.get(path)
        const worked = (operation: () => unknown) => world.call(task, operation).state === 'done'
        if (what === 'touch') {
          if (!worked(() => touch(path))) continue
          if (!node) tell(dir, 'CREATE', false, one)
          if (!node) tree.set(path, { directory: false })
          tell(dir, 'OPEN', false, one)
          tell(dir, 'CLOSE_WRITE', false, one)
        } else if (what === 'mkdir') {
          if (!worked(() => mkdir(path))) continue
          tree.set(path, { directory: true })
          tell(dir, 'CREATE', true, one)
        } else if (what === 'unlink' || what === 'rmdir') {
          if (!worked(() => (what === 'unlink' ? unlink(path) : rmdir(path)))) continue
          tree.delete(path)
          tell(dir, 'DELETE', what === 'rmdir', one)
        } else if (what === 'chmod') {
          if (worked(() => chmod(path))) tell(dir, 'ATTRIB', node!.directory, one)
        } else if (what === 'link') {
          if (!worked(() => task.linkat(AT_FDCWD, path, AT_FDCWD, target, 0))) continue
          tree.set(target, node!)
          tell(to, 'CREATE', false, other)
        } else if (what === 'rename') {
          const same = node !== undefined && tree.get(target) === node
          if (!worked(() => rename(path, target)) || same) continue
          tree.delete(path)
          tree.set(target, node!)
          cookie++
          tell(dir, 'MOVED_FROM', node!.directory, `${one}#${cookie}`)
          tell(to, 'MOVED_TO', node!.directory, `${other}#${cookie}`)
          for (const each of opened) {
            // A description follows its own name, and keeps it when that is removed.
            if (each.key === target && each.node !== node) each.key = ''
            if (each.key === path) Object.assign(each, { dir: to, name: other, key: target })
          }
        } else if (what === 'open') {
          let file = -1
          if (!worked(() => (file = open(path, O_RDONLY)))) continue
          opened.push({ fd: file, dir, name: one, key: path, node: node! })
          tell(dir, 'OPEN', node!.directory, one)
        } else {
          const file = opened.shift()
          if (!file) continue
          task.close(file.fd)
          tell(file.dir, 'CLOSE_NOWRITE', file.node.directory, file.name)
        }
        if (what === 'unlink' || what === 'rmdir') for (const each of opened) if (each.key === path) each.key = ''
      }
      expect(drain(fd)).toEqual(expected)
      world.end()
      expect(world.live).toEqual(NOTHING_LEFT)
    }),
    { numRuns: 300 },
  )
})
