import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AT_FDCWD, AT_REMOVEDIR, O_CREAT, O_RDWR, O_WRONLY } from '../../abi/linux.ts'
import { MountCalls } from '../../kernel/mount-calls.ts'
import { inWorld, outcome, type World } from '../../testing/host-world.ts'
import { credentialsOf } from '../../vfs/context.ts'
import { mountInfoText } from '../../vfs/mount-text.ts'
import { statFsOf } from '../../vfs/statfs.ts'
import { cgroupType } from './cgroup.ts'
import { type CgroupProcess, Cgroups } from './hierarchy.ts'

/** A process without a program: its figures are the test's to change. */
class Sample implements CgroupProcess {
  readonly pid: number
  credentials = credentialsOf(0, 0)
  namespace: object
  memory = 0
  userTime = 0
  systemTime = 0
  oomScoreAdj = 0
  ended: string | undefined

  constructor(pid: number, namespace: object = HERE) {
    this.pid = pid
    this.namespace = namespace
  }

  get ending(): boolean {
    return this.ended !== undefined
  }

  end(reason: string): void {
    this.ended = reason
  }
}

const HERE = {}
let cgroups: Cgroups
beforeEach(() => {
  cgroups = new Cgroups({ cpus: 4, memory: 2 ** 32 })
})
/** A hierarchy is there as long as somebody needs it. */
afterEach(() => expect(cgroups.text).not.toMatch(/\t[1-9]\d*\t\d+\t1/))

function mountAt(world: World, path: string, data: string): void {
  world.mkdir(path)
  try {
    new MountCalls(world.vfs, world.task).mount(path, { type: 'cgroup', source: 'cgroup', flags: 0, data })
  } catch (error) {
    world.task.unlinkat(AT_FDCWD, path, AT_REMOVEDIR)
    throw error
  }
}

const umount = (world: World, path: string) => new MountCalls(world.vfs, world.task).umount2(path)

/** With a hierarchy of these controllers at /c. */
function inCgroup(data: string, run: (world: World) => void): void {
  inWorld({ types: [cgroupType(cgroups)] }, (world) => {
    mountAt(world, '/c', data)
    run(world)
    for (const process of [...cgroups.processes]) cgroups.ended(process)
    umount(world, '/c')
  })
}

const names = (world: World, path: string) => {
  const fd = world.open(path)
  const found = world.task.getdents(fd, 2, Number.POSITIVE_INFINITY).map(({ name }) => name)
  world.task.close(fd)
  return found
}
/** Writes without truncating or making, as `echo >` may not. */
const put = (world: Pick<World, 'open' | 'put' | 'task'>, path: string, text: string) => {
  const fd = world.open(path, O_WRONLY)
  try {
    world.put(fd, text)
  } finally {
    world.task.close(fd)
  }
}
const rmdir = (world: World, path: string) => world.task.unlinkat(AT_FDCWD, path, AT_REMOVEDIR)
const began = (process: Sample): Sample => {
  cgroups.began(process, [])
  return process
}

describe('mounting', () => {
  test.each([
    ['cpu', 'cpu'],
    ['memory,cpu', 'cpu,memory'],
    ['all', 'cpuset,cpu,cpuacct,memory,devices,pids,job'],
    ['', 'cpuset,cpu,cpuacct,memory,devices,pids,job'],
    ['none,name=mine', 'name=mine'],
    ['pids,name=some.x-1_', 'pids,name=some.x-1_'],
  ])('B178 options name controllers, all of them by all or by none, and a name: "%s"', (data, shown) => {
    inCgroup(data, (world) => {
      const info = mountInfoText(world.task.namespace!, world.task.root)
      expect(info).toMatch(new RegExp(` / /c rw,relatime - cgroup cgroup rw,${shown}\n$`))
      expect(statFsOf(world.place('/c').mount, world.task.attempt).type).toBe(0x27e0eb)
    })
  })

  test.each([
    'bogus',
    'all,cpu',
    'cpu,all',
    'none',
    'none,cpu,name=x',
    'none,all,name=x',
    'none,name=',
    'none,name=a/b',
    `none,name=${'x'.repeat(64)}`,
    'none,name=a,name=b',
    'name=unknown',
    'cpu=1',
  ])('B178 "%s" is EINVAL, as on Linux', (data) => {
    inWorld({ types: [cgroupType(cgroups)] }, (world) => {
      expect(outcome(() => mountAt(world, '/c', data))).toBe('EINVAL')
    })
  })

  test('B179 the same controllers are the same hierarchy; a controller of another is EBUSY; a name alone finds its own', () => {
    inCgroup('cpu,memory,name=n', (world) => {
      mountAt(world, '/d', 'memory,cpu,name=n')
      mountAt(world, '/e', 'name=n')
      mountAt(world, '/f', 'memory,cpu')
      world.mkdir('/c/group')
      for (const path of ['/d', '/e', '/f']) {
        expect(world.stat(`${path}/group`)).toEqual(world.stat('/c/group'))
        umount(world, path)
      }
      for (const data of ['cpu', 'all', '', 'memory,pids', 'pids,name=n']) {
        expect(
          outcome(() => mountAt(world, '/x', data)),
          data,
        ).toBe('EBUSY')
      }
      mountAt(world, '/pids', 'pids')
      expect(cgroups.text).toBe(
        `#subsys_name\thierarchy\tnum_cgroups\tenabled\n${[
          ['cpuset', 0, 1],
          ['cpu', 1, 2],
          ['cpuacct', 0, 1],
          ['memory', 1, 2],
          ['devices', 0, 1],
          ['pids', 2, 1],
          ['job', 0, 1],
        ]
          .map((row) => `${row.join('\t')}\t1\n`)
          .join('')}`,
      )
      umount(world, '/pids')
      rmdir(world, '/c/group')
    })
  })

  test('B179 a hierarchy that has groups outlives its last mount, as on Linux', () => {
    inCgroup('pids', (world) => {
      world.mkdir('/c/kept')
      umount(world, '/c')
      mountAt(world, '/d', 'pids')
      expect(names(world, '/d')).toContain('kept')
      rmdir(world, '/d/kept')
      umount(world, '/d')
      new MountCalls(world.vfs, world.task).mount('/c', { type: 'cgroup', source: 'x', flags: 0, data: 'pids' })
    })
  })
})

describe('groups', () => {
  test('B180 mkdir makes one with the files of its controllers, owned by who made it; no name has a newline', () => {
    inCgroup('pids,memory,cpuacct', (world) => {
      world.chmod('/c', 0o777)
      world.as(7).mkdir('/c/a', 0o750)
      expect(names(world, '/c/a').sort()).toEqual(
        [
          ...['cgroup.procs', 'tasks', 'pids.current', 'pids.events', 'pids.max'],
          ...['cpuacct.stat', 'cpuacct.usage', 'cpuacct.usage_sys', 'cpuacct.usage_user'],
          ...['failcnt', 'limit_in_bytes', 'max_usage_in_bytes', 'oom_control'].map((name) => `memory.${name}`),
          ...['stat', 'usage_in_bytes', 'use_hierarchy'].map((name) => `memory.${name}`),
        ].sort(),
      )
      expect(names(world, '/c')).toContain('a')
      expect(names(world, '/c')).not.toContain('pids.max')
      expect(world.stat('/c/a')).toMatchObject({ mode: 0o40750, uid: 7, gid: 7, nlink: 2 })
      expect(world.stat('/c/a/cgroup.procs')).toMatchObject({ mode: 0o100644, uid: 7 })
      expect(world.stat('/c').nlink).toBe(3)
      world.chown('/c/a/tasks', 8, 9)
      expect(world.stat('/c/a/tasks')).toMatchObject({ uid: 8, gid: 9 })
      expect(outcome(() => world.mkdir('/c/x\ny'))).toBe('EINVAL')
      expect(outcome(() => world.mkdir('/c/tasks'))).toBe('EEXIST')
      expect(outcome(() => world.open('/c/new', O_CREAT | O_RDWR))).toBe('EACCES')
      rmdir(world, '/c/a')
    })
  })

  test('B181 rmdir wants neither processes nor groups in it; files stay; a rename is of a directory, in its parent', () => {
    inCgroup('pids', (world) => {
      const process = began(new Sample(5))
      world.mkdir('/c/a')
      world.mkdir('/c/a/b')
      expect(outcome(() => rmdir(world, '/c/a'))).toBe('EBUSY')
      put(world, '/c/a/b/tasks', '5')
      expect(outcome(() => rmdir(world, '/c/a/b'))).toBe('EBUSY')
      expect(outcome(() => world.task.unlinkat(AT_FDCWD, '/c/a/tasks', 0))).toBe('EPERM')
      const rename = (from: string, to: string) => outcome(() => world.task.renameat2(AT_FDCWD, from, AT_FDCWD, to, 0))
      expect(rename('/c/a/tasks', '/c/a/t')).toBe('ENOTDIR')
      expect(rename('/c/a/b', '/c/b')).toBe('EIO')
      expect(rename('/c/a/b', '/c/a/x\ny')).toBe('EINVAL')
      expect(rename('/c/a/b', '/c/a/tasks')).toBe('ENOTDIR')
      expect(rename('/c/a/b', '/c/a/d')).toBe('ok')
      expect(cgroups.pathsOf(process)).toBe('1:pids:/a/d\n')
      const open = world.open('/c/a/d/pids.max', O_RDWR)
      cgroups.ended(process)
      rmdir(world, '/c/a/d')
      expect(outcome(() => world.get(open))).toBe('ENODEV')
      expect(outcome(() => world.put(open, '3'))).toBe('ENODEV')
      world.task.close(open)
      rmdir(world, '/c/a')
      expect(names(world, '/c')).not.toContain('a')
    })
  })

  test('B182 a pid that is written moves its process, which a writer must see, and own or be the superuser', () => {
    inCgroup('pids', (world) => {
      const processes = [3, 12].map((pid) => began(new Sample(pid)))
      const elsewhere = began(new Sample(4, {}))
      world.mkdir('/c/a')
      expect(world.read('/c/cgroup.procs')).toBe('3\n4\n12\n')
      put(world, '/c/a/cgroup.procs', '12\n')
      put(world, '/c/a/tasks', ' 3 ')
      expect(world.read('/c/a/tasks')).toBe('3\n12\n')
      expect(world.read('/c/tasks')).toBe('4\n')
      for (const [text, code] of [
        ['', 'ok'],
        ['x', 'EINVAL'],
        ['-1', 'EINVAL'],
        ['3 12', 'EINVAL'],
        ['99', 'ESRCH'],
        // Nobody's 0 but a process's.
        ['0', 'ESRCH'],
      ] as const) {
        expect(
          outcome(() => put(world, '/c/tasks', text)),
          text,
        ).toBe(code)
      }
      const actor = world.as(0)
      actor.task.descriptors.pid = 3
      put(actor, '/c/tasks', '0')
      expect(world.read('/c/tasks')).toBe('3\n4\n')
      expect(outcome(() => put(actor, '/c/a/tasks', '4'))).toBe('ESRCH')
      const user = world.as(7)
      user.task.descriptors.pid = 12
      world.chmod('/c/tasks', 0o666)
      expect(outcome(() => put(user, '/c/tasks', '12'))).toBe('EACCES')
      processes[1]!.credentials = credentialsOf(7, 7)
      expect(outcome(() => put(user, '/c/tasks', '12'))).toBe('ok')
      expect(world.read('/c/tasks')).toBe('3\n4\n12\n')
      elsewhere.ended = 'x'
      rmdir(world, '/c/a')
    })
  })
})

describe('controllers', () => {
  test('pids counts a group with those below it, and refuses what is too many, with EAGAIN', () => {
    inCgroup('pids', (world) => {
      world.mkdir('/c/a')
      world.mkdir('/c/a/b')
      const below = cgroups.hierarchyOf('pids')!.root.groups.get('a')!.groups.get('b')!
      cgroups.began(new Sample(1), [below])
      expect(world.read('/c/a/pids.current')).toBe('1\n')
      expect(world.read('/c/a/pids.max')).toBe('max\n')
      put(world, '/c/a/pids.max', '2\n')
      cgroups.requireRoom([below])
      cgroups.began(new Sample(2), [below])
      expect(() => cgroups.requireRoom([below])).toThrow(
        'the cgroup /a may have 2 processes (pids.max), and has as many',
      )
      expect(world.read('/c/a/pids.events')).toBe('max 1\n')
      expect(world.read('/c/a/b/pids.events')).toBe('max 0\n')
      for (const bad of ['-1', '4194305', 'x', '1k', '']) {
        expect(
          outcome(() => put(world, '/c/a/pids.max', bad)),
          bad,
        ).toBe(bad === '' ? 'ok' : 'EINVAL')
      }
      put(world, '/c/a/pids.max', 'max')
      cgroups.requireRoom([below])
      for (const process of [...cgroups.processes]) cgroups.ended(process)
      rmdir(world, '/c/a/b')
      rmdir(world, '/c/a')
    })
  })

  test('memory is that of all processes; what passes the limit ends the one with the most, unless it must not be', () => {
    inCgroup('memory', (world) => {
      world.mkdir('/c/a')
      const [small, large, spared] = [1, 2, 3].map((pid) => began(new Sample(pid))) as [Sample, Sample, Sample]
      for (const pid of ['1', '2', '3']) put(world, '/c/a/tasks', pid)
      Object.assign(small, { memory: 65536 })
      Object.assign(large, { memory: 131072 })
      Object.assign(spared, { memory: 262144, oomScoreAdj: -1000 })
      cgroups.grown(spared)
      expect(world.read('/c/a/memory.usage_in_bytes')).toBe('458752\n')
      expect(world.read('/c/memory.usage_in_bytes')).toBe('458752\n')
      expect(world.read('/c/a/memory.limit_in_bytes')).toBe('9223372036854771712\n')
      expect(outcome(() => put(world, '/c/a/memory.limit_in_bytes', '64k'))).toBe('EBUSY')
      expect(outcome(() => put(world, '/c/memory.limit_in_bytes', '1g'))).toBe('EINVAL')
      for (const bad of ['x', '1.5', '-2', '1q']) {
        expect(outcome(() => put(world, '/c/a/memory.limit_in_bytes', bad))).toBe('EINVAL')
      }
      // Whole pages of 4096 bytes.
      put(world, '/c/a/memory.limit_in_bytes', '460000')
      expect(world.read('/c/a/memory.limit_in_bytes')).toBe('458752\n')
      small.memory = 98304
      cgroups.grown(small)
      expect(large.ended).toContain('the cgroup /a had more than 458752 bytes of memory (memory.limit_in_bytes)')
      expect([small.ended, spared.ended]).toEqual([undefined, undefined])
      expect(world.read('/c/a/memory.oom_control')).toContain('oom_kill 1\n')
      expect(world.read('/c/a/memory.failcnt')).toBe('1\n')
      // What is about to go counts as gone.
      cgroups.grown(small)
      expect(world.read('/c/a/memory.failcnt')).toBe('1\n')
      put(world, '/c/a/memory.failcnt', '0')
      expect(world.read('/c/a/memory.failcnt')).toBe('0\n')
      cgroups.ended(large)
      expect(world.read('/c/a/memory.usage_in_bytes')).toBe('360448\n')
      expect(world.read('/c/a/memory.max_usage_in_bytes')).toBe('491520\n')
      expect(world.read('/c/a/memory.stat')).toContain('hierarchical_memory_limit 458752\n')
      for (const process of [small, spared]) cgroups.ended(process)
      rmdir(world, '/c/a')
    })
  })

  test('cpuacct counts what ran while it was there, also of those that have gone', () => {
    inCgroup('cpuacct', (world) => {
      world.mkdir('/c/a')
      world.mkdir('/c/a/b')
      const process = began(new Sample(1))
      Object.assign(process, { userTime: 1000, systemTime: 500 })
      put(world, '/c/a/b/tasks', '1')
      Object.assign(process, { userTime: 1100, systemTime: 520 })
      expect(world.read('/c/a/cpuacct.usage')).toBe('120000000\n')
      expect(world.read('/c/a/cpuacct.usage_user')).toBe('100000000\n')
      expect(world.read('/c/a/cpuacct.usage_sys')).toBe('20000000\n')
      expect(world.read('/c/cpuacct.stat')).toBe('user 110\nsystem 52\n')
      cgroups.ended(process)
      rmdir(world, '/c/a/b')
      expect(world.read('/c/a/cpuacct.usage')).toBe('120000000\n')
      rmdir(world, '/c/a')
      expect(world.read('/c/cpuacct.usage')).toBe('1620000000\n')
    })
  })

  test('cpu, cpuset and devices tell what is so, and cannot be set; a job has the number that it was given', () => {
    inCgroup('cpu,cpuset,devices,job', (world) => {
      expect(world.read('/c/cpuset.cpus')).toBe('0-3\n')
      expect(world.read('/c/cpu.cfs_quota_us')).toBe('-1\n')
      expect(world.read('/c/devices.list')).toBe('a *:* rwm\n')
      for (const file of ['cpuset.cpus', 'cpu.shares', 'cpu.cfs_quota_us', 'devices.list']) {
        expect(outcome(() => put(world, `/c/${file}`, '1'))).toBe('EACCES')
      }
      put(world, '/c/job.id', '-77')
      world.mkdir('/c/a')
      expect(world.read('/c/a/job.id')).toBe('-77\n')
      expect(outcome(() => put(world, '/c/job.id', 'x'))).toBe('EINVAL')
      rmdir(world, '/c/a')
    })
  })
})
