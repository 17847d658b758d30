/** The texts of proc beside those of a Linux, read by the same parsers: what a program that cuts them up finds. */

import { existsSync, readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildGuest } from '../../e2e/guests/build.mjs'
import { AT_FDCWD, O_APPEND, O_CREAT, O_DIRECTORY, O_PATH, O_RDONLY, O_RDWR, O_WRONLY, SEEK_SET } from '../abi/linux.ts'
import { FSCONFIG_CMD_CREATE, FSCONFIG_SET_STRING, MNT_DETACH, MOVE_MOUNT_F_EMPTY_PATH } from '../abi/mount-flags.ts'
import { bootWorld, treeOf, type World } from '../host/world.ts'
import { MountCalls } from '../kernel/mount-calls.ts'
import type { Process } from '../kernel/process.ts'
import { Task } from '../kernel/task.ts'
import { Actor, outcome } from '../testing/host-world.ts'
import { credentialsOf } from '../vfs/context.ts'
import { endClean } from './test-world.ts'

let world: World
let process: Process
/** The superuser in the container, who is no process of it, and its one process. */
let actor: Actor
let own: Actor

/** One process that is there for all tests; on platform inline it runs when they are over. */
beforeAll(async () => {
  world = bootWorld()
  const cat = new Uint8Array(readFileSync(await buildGuest('cat.c')))
  world.runtime.provide('app', treeOf({ cat, note: 'a note' }))
  const mounts = [{ destination: '/sys/fs/cgroup', type: 'cgroup' }]
  await world.runtime.create('c', { root: { path: 'app' }, mounts })
  await world.start('c')
  process = await world.runtime.exec(
    'c',
    { args: ['/cat', '/note'], env: ['A=1'], cwd: '/tmp', user: { uid: 7, gid: 8 } },
    { stdin: { initial: new Uint8Array(), more: false }, stdout() {}, stderr() {}, progress() {} },
  )
  const { root } = process.task
  actor = new Actor(new Task({ vfs: world.runtime.vfs, credentials: credentialsOf(0, 0), root }))
  own = new Actor(process.task)
}, 60_000)

afterAll(async () => {
  actor.task.release()
  await process.exited
  await endClean(world)
})

const ours = (name: string) => read(`/proc/${name.replace('self', String(process.pid))}`)
const read = (path: string) => {
  const fd = actor.open(path)
  let text = ''
  for (let more = actor.get(fd, 4096); more !== ''; more = actor.get(fd, 4096)) text += more
  actor.task.close(fd)
  return text
}

const names = (who: Actor, path: string) => {
  const fd = who.open(path, O_RDONLY | O_DIRECTORY)
  const found = who.task.getdents(fd, 2, Number.POSITIVE_INFINITY).map(({ name }) => name)
  who.task.close(fd)
  return found
}

const lines = (text: string) => text.split('\n').slice(0, -1)
/** Names before a colon, with what is behind it. */
const fields = (text: string) =>
  Object.fromEntries(
    lines(text).map((line) => {
      const [, name, value] = /^([^:]+?)\s*:\s?(.*)$/.exec(line) ?? expect.unreachable(`no field: ${line}`)
      return [name!, value!]
    }),
  )
const matching = (pattern: RegExp) => (text: string) => {
  for (const line of lines(text)) expect(line).toMatch(pattern)
  return {}
}
const columns = (text: string) =>
  Object.fromEntries(
    lines(text).map((line) => [
      line.slice(0, 26).trim(),
      line
        .slice(26)
        .trim()
        .split(/\s{2,}/).length,
    ]),
  )

/** A text's parser, which gives what must be there under the same names on Linux, too. */
const TEXTS: readonly (readonly [string, (text: string) => Record<string, unknown>])[] = [
  ['self/stat', matching(/^\d+ \(.*\) [RSDZTtWXxKPI]( -?\d+){49}$/)],
  ['self/statm', matching(/^\d+( \d+){6}$/)],
  ['self/status', fields],
  ['self/io', fields],
  ['self/limits', columns],
  ['self/maps', matching(/^[\da-f]{8,}-[\da-f]{8,} [r-][w-][x-][ps] [\da-f]{8} [\da-f]+:[\da-f]+ \d+( +\S.*)?\s*$/)],
  ['self/mounts', matching(/^\S+ \/\S* \S+ (ro|rw)(,\S+)? 0 0$/)],
  ['self/mountinfo', matching(/^\d+ \d+ \d+:\d+ \/\S* \/\S* (ro|rw)(,\S+)?( \w+:\d+)* - \S+ \S+ (ro|rw)(,\S+)?$/)],
  ['self/mountstats', matching(/^device \S+ mounted on \S+ with fstype \S+( statvers=.*)?$|^\s|^$/)],
  ['self/cgroup', matching(/^\d+:[\w,]*(name=\w+)?:\/.*$/)],
  ['self/uid_map', matching(/^ *\d+ +\d+ +\d+$/)],
  ['self/gid_map', matching(/^ *\d+ +\d+ +\d+$/)],
  ['self/setgroups', matching(/^allow|deny$/)],
  ['self/oom_score', matching(/^\d+$/)],
  ['self/oom_score_adj', matching(/^-?\d+$/)],
  ['self/comm', matching(/^.{1,15}$/)],
  [
    'self/fdinfo/0',
    (text) => {
      const { pos, flags, mnt_id, ino } = fields(text)
      expect(flags).toMatch(/^0\d+$/)
      return { pos, flags, mnt_id, ino }
    },
  ],
  ['cgroups', matching(/^#subsys_name\thierarchy\tnum_cgroups\tenabled$|^\w+\t\d+\t\d+\t[01]$/)],
  ['loadavg', matching(/^\d+\.\d\d \d+\.\d\d \d+\.\d\d \d+\/\d+ \d+$/)],
  ['uptime', matching(/^\d+\.\d\d \d+\.\d\d$/)],
  ['meminfo', fields],
  ['filesystems', matching(/^(nodev)?\t\w[\w.]*$/)],
  ['devices', matching(/^(Character|Block) devices:$|^ *\d+ \S+$|^$/)],
  ['version', matching(/^Linux version \d+\.\d+\.\d+\S* \(.+\) .*#\d+ .*$/)],
  ['swaps', matching(/^Filename\s+Type\s+Size\s+Used\s+Priority$|^\/\S+\s/)],
  ['partitions', matching(/^major minor {2}#blocks {2}name$|^$|^ *\d+ +\d+ +\d+ \S+$/)],
  ['sys/kernel/osrelease', matching(/^\d+\.\d+\.\d+\S*$/)],
  ['sys/kernel/random/uuid', matching(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/)],
  ['sys/fs/file-nr', matching(/^\d+\t\d+\t\d+$/)],
  ['sys/kernel/pid_max', matching(/^\d+$/)],
  ['self/net/dev', matching(/^Inter-\||^ face \||^ *\w+: +\d+( +\d+){15}$/)],
]

describe('B171 B172 a parser of Linux’s texts reads ours', () => {
  test.each(TEXTS)('/proc/%s', (name, parse) => {
    const text = ours(name)
    if (name !== 'self/maps') expect(text).not.toBe('')
    const found = parse(text)
    const path = `/proc/${name}`
    if (!existsSync(path)) return
    const theirs = parse(readFileSync(path, 'utf8'))
    expect(Object.keys(theirs)).toEqual(expect.arrayContaining(Object.keys(found)))
  })

  test('of the files of a process, none is unknown to Linux', () => {
    const unknown = names(actor, `/proc/${process.pid}`).filter((name) => !existsSync(`/proc/self/${name}`))
    if (existsSync('/proc/self')) expect(unknown).toEqual([])
    expect(names(actor, `/proc/${process.pid}/task`)).toEqual([String(process.pid)])
    expect(names(actor, `/proc/${process.pid}/ns`).sort()).toEqual([
      'cgroup',
      'ipc',
      'mnt',
      'net',
      'pid',
      'time',
      'user',
      'uts',
    ])
  })
})

describe('a process in proc', () => {
  test('B172 its links lead to what it runs, where it is and what its root is; its thread is in task', () => {
    const link = (name: string) => actor.task.readlinkat(AT_FDCWD, `/proc/${process.pid}/${name}`)
    expect([link('exe'), link('cwd'), link('root')]).toEqual(['/cat', '/tmp', '/'])
    expect(link('ns/pid')).toMatch(/^pid:\[\d+\]$/)
    expect(actor.stat(`/proc/${process.pid}/exe`)).toEqual(actor.stat('/cat'))
    expect(actor.read(`/proc/${process.pid}/cwd/../note`)).toBe('a note')
    expect(ours(`self/task/${process.pid}/comm`)).toBe('cat\n')
    expect(actor.stat(`/proc/${process.pid}/task/${process.pid}/stat`)).toMatchObject({ uid: 7, gid: 8 })
    expect(outcome(() => actor.stat(`/proc/${process.pid}/task/${process.pid}/task`))).toBe('ENOENT')
  })

  test('B172 nobody of its container began it, so its parent is 0, as that of what docker exec starts is', () => {
    expect(ours('self/stat').split(' ')[3]).toBe('0')
    expect(fields(ours('self/status')).PPid).toBe('0')
  })

  test('B172 fdinfo tells position, flags, mount and inode of an open file, and goes when it is closed', () => {
    const task = process.task
    const fd = task.unconfined(() => task.openat(AT_FDCWD, '/tmp/f', O_CREAT | O_RDWR | O_APPEND, 0o600))
    own.put(fd, 'some text')
    const { dev: _, ino } = task.fstat(fd)
    const about = fields(ours(`self/fdinfo/${fd}`))
    const tmp = lines(ours('self/mountinfo'))
      .find((line) => line.split(' ')[4] === '/tmp')!
      .split(' ')[0]
    expect(about).toEqual({ pos: '9', flags: `0${(O_RDWR | O_APPEND).toString(8)}`, mnt_id: tmp, ino: String(ino) })
    task.lseek(fd, 4, SEEK_SET)
    expect(fields(ours(`self/fdinfo/${fd}`)).pos).toBe('4')
    task.close(fd)
    expect(outcome(() => ours(`self/fdinfo/${fd}`))).toBe('ENOENT')
  })

  test('B175 a link to a descriptor opens the file whatever is mounted over it, and after its mount has gone', () => {
    const calls = new MountCalls(world.runtime.vfs, actor.task)
    const tmpfs = { type: 'tmpfs', source: 'x', flags: 0, data: '' }
    actor.mkdir('/tmp/m')
    calls.mount('/tmp/m', tmpfs)
    actor.write('/tmp/m/f', 'inside')
    actor.chmod('/tmp/m/f', 0o644)
    const { task } = process
    const fd = task.unconfined(() => task.openat(AT_FDCWD, '/tmp/m/f', O_RDONLY, 0))
    const link = `/proc/${process.pid}/fd/${fd}`
    calls.mount('/tmp/m', tmpfs)
    expect(outcome(() => actor.stat('/tmp/m/f'))).toBe('ENOENT')
    expect(actor.read(link)).toBe('inside')
    calls.umount2('/tmp/m')
    calls.umount2('/tmp/m', MNT_DETACH)
    expect(actor.read(link)).toBe('inside')
    expect(actor.stat(link).ino).toBe(task.fstat(fd).ino)
    task.close(fd)
    expect(outcome(() => actor.open(link))).toBe('ENOENT')
    expect(outcome(() => actor.open(link, O_PATH))).toBe('ENOENT')
  })

  test('B172 maps are one range, the memory, of which there is none before it runs; io counts its calls', () => {
    expect(ours('self/maps')).toBe('')
    expect(fields(ours('self/io'))).toMatchObject({ rchar: '0', wchar: '0', syscr: '0', syscw: '0' })
  })

  test('B172 its name and its weight for who is ended first can be set, by its user or the superuser', () => {
    const put = (who: Actor, path: string, text: string) => {
      const fd = who.open(path, O_WRONLY)
      try {
        who.put(fd, text)
      } finally {
        who.task.close(fd)
      }
    }
    put(actor, `/proc/${process.pid}/comm`, 'a name that is too long\n')
    expect(ours('self/comm')).toBe('a name that is \n')
    put(actor, `/proc/${process.pid}/comm`, 'cat')
    put(actor, `/proc/${process.pid}/oom_score_adj`, '-1000\n')
    expect(ours('self/oom_score')).toBe('0\n')
    expect(outcome(() => put(actor, `/proc/${process.pid}/oom_score_adj`, '1001'))).toBe('EINVAL')
    put(actor, `/proc/${process.pid}/oom_score_adj`, '0')
    const other = new Actor(
      new Task({ vfs: world.runtime.vfs, credentials: credentialsOf(9, 9), root: process.task.root }),
    )
    expect(outcome(() => put(other, `/proc/${process.pid}/comm`, 'x'))).toBe('EACCES')
    other.task.release()
  })
})

describe('a proc that is mounted', () => {
  const entries = (path: string) => process.task.unconfined(() => names(own, path))

  test('B170 shows the processes among which its mounter is: by mount(2) and by fsmount(2)', () => {
    // The page's hand in the container is none of its processes, yet among them.
    const page = [...world.runtime.vfs.tasks].find(
      (task) => task !== process.task && task.root.equals(process.task.root),
    ) as Task
    const calls = new MountCalls(world.runtime.vfs, page)
    actor.mkdir('/tmp/p')
    calls.mount('/tmp/p', { type: 'proc', source: 'proc', flags: 0, data: 'hidepid=0,gid=5' })
    expect(entries('/tmp/p')).toEqual(entries('/proc'))
    expect(actor.stat('/tmp/p').ino).toBe(1)
    expect(own.task.unconfined(() => own.task.readlinkat(AT_FDCWD, '/tmp/p/self'))).toBe(String(process.pid))
    calls.umount2('/tmp/p')
    const fd = calls.fsopen('proc', 0)
    calls.fsconfig(fd, FSCONFIG_SET_STRING, 'source', 'proc')
    calls.fsconfig(fd, FSCONFIG_CMD_CREATE)
    const mount = calls.fsmount(fd, 0, 0)
    calls.moveMount(mount, '', AT_FDCWD, '/tmp/p', MOVE_MOUNT_F_EMPTY_PATH)
    for (const each of [fd, mount]) page.close(each)
    expect(entries('/tmp/p')).toContain(String(process.pid))
    calls.umount2('/tmp/p')
  })

  test.each([
    ['hidepid=2', 'proc does not know the option "hidepid=2"'],
    ['dentry_cache_limit=x', 'proc does not know the option "dentry_cache_limit=x"'],
    ['size=1m', 'proc does not know the option "size=1m"'],
    ['', 'proc shows the processes of who mounts it, who is among none'],
  ])('B170 is EINVAL with "%s" and by who is among no processes, as on Linux', (data, message) => {
    expect(() =>
      new MountCalls(world.runtime.vfs, actor.task).mount('/tmp', { type: 'proc', source: 'proc', flags: 0, data }),
    ).toThrow(message)
  })
})
