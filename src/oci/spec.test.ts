import { readFileSync } from 'node:fs'
import { posix } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { cleanPath, isBind, parseProcess, parseSpec, SpecError, type SpecInput } from './spec.ts'

/** The lines `path: rule` of the SpecError that `run` throws; none if it does not throw. Anything else thrown goes on. */
function faultsOf(run: () => unknown): string[] {
  try {
    run()
  } catch (error) {
    if (error instanceof SpecError) return error.message.split('\n').slice(1)
    throw error
  }
  return []
}

const specFaults = (value: unknown) => faultsOf(() => parseSpec(value))
const processFaults = (value: unknown) => faultsOf(() => parseProcess(value))
const mountFaults = (...mounts: unknown[]) => specFaults({ mounts })

/** A fresh spec that uses every field we know and deserves no warning. */
function fullSpec() {
  return {
    ociVersion: '1.2.0-rc.1+dev',
    root: { path: 'sysroot/usr', readonly: true },
    mounts: [
      { destination: '/tmp', type: 'tmpfs', source: 'tmpfs', options: ['size=64m', 'ro'] },
      { destination: '/include', type: 'bind', source: 'sysroot/usr/include', options: ['ro'] },
      { destination: '/data', type: 'none', source: '/database', options: ['rbind'] },
    ],
    process: {
      terminal: true,
      consoleSize: { height: 25, width: 80 },
      user: { uid: 1000, gid: 2 ** 32 - 1, umask: 0o7777, additionalGids: [0, 5] },
      args: ['rg', ''],
      env: ['A=', 'B=x=y'],
      cwd: '/tmp',
      capabilities: {
        bounding: ['CAP_KILL'],
        effective: ['CAP_CHECKPOINT_RESTORE'],
        inheritable: [],
        permitted: ['CAP_CHOWN'],
        ambient: [],
      },
      rlimits: [
        { type: 'RLIMIT_NOFILE', soft: 64, hard: 64 },
        { type: 'RLIMIT_CORE', soft: 0, hard: 2 ** 64 },
      ],
      noNewPrivileges: true,
      limits: { outputBytes: 1e9, openFiles: 0 },
      preopens: { '.': '/tmp', constructor: '/' },
    },
    hostname: 'h'.repeat(64),
    domainname: 'example.org',
    annotations: { 'org.example.key': '', constructor: 'kept' },
    hooks: { prestart: [] },
    linux: {
      namespaces: [{ type: 'mount' }],
      devices: [
        { path: '/dev/fuse', type: 'c', major: 10, minor: 229, fileMode: 0o666, uid: 0, gid: 0 },
        { path: '/dev/pipe', type: 'p' },
      ],
      maskedPaths: ['/proc/kcore'],
      readonlyPaths: ['/proc/sys'],
      rootfsPropagation: 'rslave',
      resources: {},
    },
    windows: {},
    solaris: {},
    vm: {},
    zos: {},
    freebsd: {},
  } satisfies SpecInput
}

describe('a valid spec', () => {
  it('comes back as it was written, without a warning', () => {
    expect(parseSpec(fullSpec())).toEqual({ spec: fullSpec(), warnings: [] })
  })

  it('needs nothing', () => {
    expect(parseSpec({})).toEqual({ spec: {}, warnings: [] })
  })

  it('takes an undefined field as a missing one', () => {
    expect(parseSpec({ root: undefined, process: { args: ['a'], env: undefined, typo: undefined } }).warnings).toEqual(
      [],
    )
  })

  it('gets the defaults: cwd is "/", uid and gid are 0', () => {
    const { spec } = parseSpec({ process: { args: ['a'], user: {} } })
    expect(spec.process).toEqual({ args: ['a'], cwd: '/', user: { uid: 0, gid: 0 } })
  })

  it('is not tied to the value it was read from', () => {
    const value = fullSpec()
    const { spec } = parseSpec(value)
    value.mounts[0]!.options.push('rw')
    value.annotations.constructor = 'changed'
    value.process.preopens['.'] = 'changed'
    expect(spec).toEqual(fullSpec())
  })

  it('keeps destinations as they were written, also when two are the same', () => {
    const mounts = [{ destination: '/a//b/' }, { destination: '/a/b' }, { destination: '/a/b' }]
    expect(parseSpec({ mounts }).spec.mounts).toEqual(mounts)
  })

  it('is what the guide shows', () => {
    const guide = readFileSync(new URL('../../docs/guide/spec.md', import.meta.url), 'utf8')
    const example = guide.match(/```json\n(.*?)```/s)![1]!
    expect(parseSpec(JSON.parse(example)).warnings).toEqual([])
  })
})

describe('a faulty spec', () => {
  it('throws one SpecError with code EINVAL that lists every fault with its path', () => {
    const value = {
      mounts: [{ destination: '/a' }, { destination: '/data', type: 'bind', source: '/data/x' }, { destination: 'b' }],
      process: { args: ['a', 1] },
    }
    let error: unknown
    try {
      parseSpec(value)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(SpecError)
    expect(error).toMatchObject({
      name: 'SpecError',
      code: 'EINVAL',
      message: [
        'invalid container spec: 3 faults',
        `mounts[1].source: "/data/x" lies inside the mount's own destination "/data"`,
        'mounts[2].destination: must be absolute',
        'process.args[1]: must be a string, is a number',
      ].join('\n'),
      faults: [
        { path: 'mounts[1].source', rule: `"/data/x" lies inside the mount's own destination "/data"` },
        { path: 'mounts[2].destination', rule: 'must be absolute' },
        { path: 'process.args[1]', rule: 'must be a string, is a number' },
      ],
    })
  })

  it('says "1 fault" of a single one, and calls a process of exec a process', () => {
    expect(() => parseProcess({})).toThrow(/^invalid process: 1 fault\nargs: is required$/)
  })

  test.each<[string, unknown, string[]]>([
    ['a spec', undefined, ['must be an object, is undefined']],
    ['a spec', null, ['must be an object, is null']],
    ['a spec', 'x', ['must be an object, is a string']],
    ['a spec', [], ['must be an object, is an array']],
    ['a spec', new Map(), ['must be an object, is a Map']],
    ['a root', { root: [] }, ['root: must be an object, is an array']],
    ['a root without a path', { root: {} }, ['root.path: is required']],
    ['a root path', { root: { path: '' } }, ['root.path: must not be empty']],
    [
      'a root path',
      { root: { path: '/x' } },
      ['root.path: must be the name of a tree in the bundle, is an absolute path'],
    ],
    ['a root path', { root: { path: 'a\0' } }, ['root.path: must not contain a NUL byte']],
    ['readonly', { root: { path: 'r', readonly: 'yes' } }, ['root.readonly: must be a boolean, is a string']],
    ['mounts', { mounts: {} }, ['mounts: must be an array, is an object']],
    ['a hostname', { hostname: 'a/b' }, ['hostname: must not contain a slash']],
    ['a hostname', { hostname: 'a\0b' }, ['hostname: must not contain a NUL byte']],
    ['a hostname counted in bytes', { hostname: 'é'.repeat(33) }, ['hostname: must be at most 64 bytes']],
    ['a hostname', { hostname: 1 }, ['hostname: must be a string, is a number']],
    ['a domainname', { domainname: 'd'.repeat(65) }, ['domainname: must be at most 64 bytes']],
    ['annotations', { annotations: [1] }, ['annotations: must be an object, is an array']],
    ['annotations', { annotations: 'a' }, ['annotations: must be an object, is a string']],
    ['annotations', { annotations: null }, ['annotations: must be an object, is null']],
    ['an annotation', { annotations: { 'a b': 1 } }, ['annotations["a b"]: must be a string, is a number']],
    ['an annotation', { annotations: { constructor: 1 } }, ['annotations.constructor: must be a string, is a number']],
    ['an annotation', { annotations: { '': 'x' } }, ['annotations[""]: must not have an empty name']],
    ['linux', { linux: [] }, ['linux: must be an object, is an array']],
    [
      'a device',
      {
        linux: {
          devices: [
            { path: 'x', type: 'd' },
            { path: '/dev/x', type: 'u', major: 5000, fileMode: 8192 },
          ],
        },
      },
      [
        'linux.devices[0].type: must be one of c, b, u, p',
        'linux.devices[0].path: must be absolute',
        'linux.devices[1].major: must be an integer from 0 to 4095, is 5000',
        'linux.devices[1].fileMode: must be an integer from 0 to 4095 (octal 7777), is 8192',
        'linux.devices[1].minor: is required for the type "u"',
      ],
    ],
    [
      'a path',
      { linux: { maskedPaths: ['a'], readonlyPaths: '/x' } },
      ['linux.maskedPaths[0]: must be absolute', 'linux.readonlyPaths: must be an array, is a string'],
    ],
    ['windows', { windows: 1 }, ['windows: must be an object, is a number']],
    ['solaris', { solaris: null }, ['solaris: must be an object, is null']],
    ['vm', { vm: 'x' }, ['vm: must be an object, is a string']],
    ['hooks', { hooks: [] }, ['hooks: must be an object, is an array']],
    ['a list of hooks', { hooks: { poststop: {} } }, ['hooks.poststop: must be an array, is an object']],
    [
      'a hook',
      { hooks: { prestart: [{ path: 'x', args: [1], env: ['E'], timeout: 0 }, {}] } },
      [
        'hooks.prestart[0].path: must be absolute',
        'hooks.prestart[0].args[0]: must be a string, is a number',
        'hooks.prestart[0].env[0]: must be NAME=value',
        'hooks.prestart[0].timeout: must be an integer above 0',
        'hooks.prestart[1].path: is required',
      ],
    ],
  ])('%s is checked: %j', (_what, value, faults) => {
    expect(specFaults(value)).toEqual(faults)
  })

  test.each(['0.1.0', '1.2.3-rc.1', '1.0.0+build.5', '1.0.2-dev', '1.0.0--', '10.20.30-0a'])(
    'ociVersion may be %s',
    (ociVersion) => {
      expect(specFaults({ ociVersion })).toEqual([])
    },
  )

  test.each(['', '1', '1.0', 'v1.0.0', '01.0.0', '1.0.0-', '1.0.0-01', '1.0.0+', '1.0.0 ', '1.0.0\n', '1.0.0.0'])(
    'ociVersion may not be %j',
    (ociVersion) => {
      expect(specFaults({ ociVersion })).toEqual(['ociVersion: must be a semantic version, such as "1.2.0"'])
    },
  )
})

describe('a mount', () => {
  test.each<[unknown, string[]]>([
    [{}, ['mounts[0].destination: is required']],
    [{ destination: 'tmp' }, ['mounts[0].destination: must be absolute']],
    [{ destination: './tmp' }, ['mounts[0].destination: must be absolute']],
    [{ destination: '' }, ['mounts[0].destination: must be absolute']],
    [{ destination: null }, ['mounts[0].destination: must be a string, is null']],
  ])('C259 needs an absolute destination: %j', (mount, faults) => {
    expect(mountFaults(mount)).toEqual(faults)
  })

  test.each<[unknown, string[]]>([
    [{ destination: '/a\0b' }, ['mounts[0].destination: must not contain a NUL byte']],
    [
      { destination: 'a\0' },
      ['mounts[0].destination: must not contain a NUL byte', 'mounts[0].destination: must be absolute'],
    ],
    [{ destination: '/a', type: 3 }, ['mounts[0].type: must be a string, is a number']],
    [{ destination: '/a', source: ['x'] }, ['mounts[0].source: must be a string, is an array']],
    [{ destination: '/a', source: 'x\0' }, ['mounts[0].source: must not contain a NUL byte']],
    [{ destination: '/a', options: 'ro' }, ['mounts[0].options: must be an array, is a string']],
    [{ destination: '/a', options: ['ro', true] }, ['mounts[0].options[1]: must be a string, is a boolean']],
    [{ destination: '/a', options: [undefined] }, ['mounts[0].options[0]: must be a string, is undefined']],
    [
      { destination: '/a', uidMappings: [{ containerID: -1, hostID: 0 }] },
      [
        'mounts[0].uidMappings[0].containerID: must be an integer from 0 to 4294967295, is -1',
        'mounts[0].uidMappings[0].size: is required',
      ],
    ],
    ['/a', ['mounts[0]: must be an object, is a string']],
    [null, ['mounts[0]: must be an object, is null']],
    [['bind'], ['mounts[0]: must be an object, is an array']],
  ])('has its fields checked: %j', (mount, faults) => {
    expect(mountFaults(mount)).toEqual(faults)
  })

  it('may have a destination of 4096 bytes, and not of 4097', () => {
    expect(mountFaults({ destination: `/${'a'.repeat(4095)}` })).toEqual([])
    expect(mountFaults({ destination: `/${'é'.repeat(2047)}a` })).toEqual([])
    expect(mountFaults({ destination: `/${'é'.repeat(2048)}` })).toEqual([
      'mounts[0].destination: must be at most 4096 bytes',
    ])
  })

  test.each<[boolean, { type?: string; options?: string[] }]>([
    [true, { type: 'bind' }],
    [true, { type: 'none', options: ['ro', 'rbind'] }],
    [true, { type: 'tmpfs', options: ['bind'] }],
    [true, { options: ['bind'] }],
    [false, {}],
    [false, { type: 'tmpfs', options: ['ro'] }],
    [false, { type: 'Bind', options: ['BIND', ' bind'] }],
  ])('is a bind by its type or an option: %s for %j', (bind, mount) => {
    expect(isBind(mount)).toBe(bind)
  })

  test.each([
    ['/data/x', '/data'],
    ['/data', '/data'],
    ['/data/', '/data'],
    ['//data/./y/../x', '/data/'],
    ['/data/x', '/a/../data'],
    ['/x', '/'],
    ['/', '/'],
  ])('may not bind %j to %j, which holds it', (source, destination) => {
    const fault = `mounts[0].source: "${source}" lies inside the mount's own destination "${destination}"`
    expect(mountFaults({ type: 'bind', source, destination })).toEqual([fault])
    expect(mountFaults({ type: 'none', options: ['rbind'], source, destination })).toEqual([fault])
    expect(mountFaults({ type: 'tmpfs', source, destination })).toEqual([])
  })

  test.each([
    ['/database', '/data'],
    ['/data', '/data/x'],
    ['/data/../x', '/data'],
    ['/', '/data'],
    ['data/x', '/data'],
    ['data', '/'],
  ])('may bind %j to %j', (source, destination) => {
    expect(mountFaults({ type: 'bind', source, destination })).toEqual([])
  })

  test.each([{}, { source: '' }])('that is a bind needs a source: %j', (mount) => {
    expect(mountFaults({ type: 'bind', destination: '/a', ...mount })).toEqual([
      'mounts[0].source: is required for a bind mount',
    ])
    expect(mountFaults({ type: 'tmpfs', destination: '/a', ...mount })).toEqual([])
  })

  it('is checked for a bind into itself even if other fields are faulty', () => {
    expect(mountFaults({ destination: '/a', source: '/a/b', type: 1, options: [2, 'bind'] })).toEqual([
      'mounts[0].type: must be a string, is a number',
      'mounts[0].options[0]: must be a string, is a number',
      `mounts[0].source: "/a/b" lies inside the mount's own destination "/a"`,
    ])
  })
})

describe('a process', () => {
  const range = 'must be an integer from 0 to 4294967295, is'
  const safe = 'must be an integer from 0 to 9007199254740991, is'

  test.each<[unknown, string[]]>([
    [{ args: [] }, ['args: must have at least one entry']],
    [{ args: 'ls -l' }, ['args: must be an array, is a string']],
    [{ args: undefined }, ['args: is required']],
    [{ args: ['a\0'] }, ['args[0]: must not contain a NUL byte']],
    [{ args: [null, {}] }, ['args[0]: must be a string, is null', 'args[1]: must be a string, is an object']],
    [{ env: { A: 'x' } }, ['env: must be an array, is an object']],
    [{ env: ['A'] }, ['env[0]: must be NAME=value']],
    [{ env: ['A=1', '=x', ''] }, ['env[1]: must be NAME=value', 'env[2]: must be NAME=value']],
    [{ env: ['A=\0'] }, ['env[0]: must not contain a NUL byte']],
    [{ cwd: 'tmp' }, ['cwd: must be absolute']],
    [{ cwd: '/\0' }, ['cwd: must not contain a NUL byte']],
    [{ user: 'me' }, ['user: must be an object, is a string']],
    [{ user: { uid: -1, gid: 2 ** 32 } }, [`user.uid: ${range} -1`, `user.gid: ${range} 4294967296`]],
    [{ user: { uid: 1.5, gid: '0' } }, [`user.uid: ${range} 1.5`, 'user.gid: must be a number, is a string']],
    [{ user: { uid: Number.NaN } }, ['user.uid: must be a number, is NaN']],
    [{ user: { umask: 0o10000 } }, ['user.umask: must be an integer from 0 to 4095 (octal 7777), is 4096']],
    [{ user: { additionalGids: [1, -2] } }, [`user.additionalGids[1]: ${range} -2`]],
    [{ terminal: 1 }, ['terminal: must be a boolean, is a number']],
    [{ consoleSize: { width: -1 } }, ['consoleSize.height: is required', `consoleSize.width: ${range} -1`]],
    [{ noNewPrivileges: 'true' }, ['noNewPrivileges: must be a boolean, is a string']],
    [{ capabilities: ['CAP_KILL'] }, ['capabilities: must be an object, is an array']],
    [{ capabilities: { ambient: 'CAP_KILL' } }, ['capabilities.ambient: must be an array, is a string']],
    [{ capabilities: { effective: [1] } }, ['capabilities.effective[0]: must be a string, is a number']],
    [
      { rlimits: [{ soft: -1, hard: 0.5 }] },
      [
        'rlimits[0].type: is required',
        'rlimits[0].soft: must be an integer from 0 to 18446744073709551615, is -1',
        'rlimits[0].hard: must be an integer from 0 to 18446744073709551615, is 0.5',
      ],
    ],
    [
      { rlimits: [{ type: 'NOFILE', soft: 1, hard: 1 }] },
      ['rlimits[0].type: must be a limit of getrlimit(2), such as "RLIMIT_NOFILE"'],
    ],
    [{ rlimits: [{ type: 'RLIMIT_CPU', soft: 2, hard: 1 }] }, ['rlimits[0].soft: must not exceed hard']],
    [
      {
        rlimits: [
          { type: 'RLIMIT_CPU', soft: 1, hard: 1 },
          { type: 'RLIMIT_CPU', soft: 1, hard: 2 },
        ],
      },
      ['rlimits[1].type: "RLIMIT_CPU" is set twice'],
    ],
    [{ rlimits: null }, ['rlimits: must be an array, is null']],
    [{ rlimits: 'CPU' }, ['rlimits: must be an array, is a string']],
    [{ rlimits: [3] }, ['rlimits[0]: must be an object, is a number']],
    [{ limits: { outputBytes: -1 } }, [`limits.outputBytes: ${safe} -1`]],
    [{ limits: { openFiles: Number.POSITIVE_INFINITY } }, [`limits.openFiles: ${safe} Infinity`]],
    [{ preopens: { 'a\0': '/' } }, ['preopens["a\\u0000"]: must not have a NUL byte in its name']],
    [{ preopens: { '': '/' } }, ['preopens[""]: must not have an empty name']],
    [
      { preopens: { '.': 'tmp', b: 1 } },
      ['preopens["."]: must be absolute', 'preopens.b: must be a string, is a number'],
    ],
    [{ oomScoreAdj: '1' }, ['oomScoreAdj: must be a number, is a string']],
  ])('has its fields checked, in a spec as in exec: %j', (fields, faults) => {
    const process = { args: ['a'], ...(fields as object) }
    expect(processFaults(process)).toEqual(faults)
    expect(specFaults({ process })).toEqual(faults.map((fault) => `process.${fault}`))
  })

  it('C245 with an empty cwd has "/", and a relative one is an error', () => {
    expect(parseProcess({ args: ['a'], cwd: '' }).process.cwd).toBe('/')
    expect(processFaults({ args: ['a'], cwd: 'tmp' })).toEqual(['cwd: must be absolute'])
  })

  it('may have a cwd of 4096 bytes, and not of 4097', () => {
    expect(processFaults({ args: ['a'], cwd: `/${'a'.repeat(4095)}` })).toEqual([])
    expect(processFaults({ args: ['a'], cwd: `/${'a'.repeat(4096)}` })).toEqual(['cwd: must be at most 4096 bytes'])
  })

  it('has its fields checked also for what JSON cannot hold', () => {
    const process = { args: [Symbol('a')], terminal: () => true, user: { uid: 1n }, cwd: new Date(0) }
    expect(processFaults(process)).toEqual([
      'terminal: must be a boolean, is a function',
      'user.uid: must be a number, is a bigint',
      'args[0]: must be a string, is a symbol',
      'cwd: must be a string, is a Date',
    ])
  })

  it('of exec must be an object', () => {
    expect(processFaults('ls')).toEqual(['must be an object, is a string'])
  })

  it('of exec comes back with the default cwd and with what there is to warn about', () => {
    expect(parseProcess({ args: ['a'], stdin: 'x', arg: [] })).toEqual({
      process: { args: ['a'], cwd: '/' },
      warnings: ['stdin: unknown field, ignored', 'arg: unknown field, ignored (did you mean "args"?)'],
    })
  })

  it('may have the unlimited rlimit of Linux, 2^64-1, which no JavaScript number holds exactly', () => {
    const limits = JSON.parse('[{"type":"RLIMIT_AS","soft":18446744073709551615,"hard":18446744073709551615}]')
    expect(processFaults({ args: ['a'], rlimits: limits })).toEqual([])
  })
})

describe('a warning', () => {
  const hint = (name: string) => `unknown field, ignored (did you mean "${name}"?)`

  test.each<[unknown, string[]]>([
    [{ extra: 1 }, ['extra: unknown field, ignored']],
    [{ Hostname: 'x', mount: [] }, [`Hostname: ${hint('hostname')}`, `mount: ${hint('mounts')}`]],
    [{ root: { path: 'r', readOnly: true } }, [`root.readOnly: ${hint('readonly')}`]],
    [{ mounts: [{ destination: '/a', sourc: 'x' }] }, [`mounts[0].sourc: ${hint('source')}`]],
    [{ process: { args: ['a'], user: { udi: 1, 'a b': 1 } } }, ['udi', '["a b"]'].map(unknownUser)],
    [{ process: { args: ['a'], limits: { openfiles: 3 } } }, [`process.limits.openfiles: ${hint('openFiles')}`]],
    [
      JSON.parse('{"__proto__": {}, "toString": 1}'),
      ['__proto__', 'toString'].map((k) => `${k}: unknown field, ignored`),
    ],
  ])('names each unknown field of a known object, and the field that was probably meant: %j', (value, warnings) => {
    expect(parseSpec(value).warnings).toEqual(warnings)
  })

  function unknownUser(key: string) {
    return `process.user${key.startsWith('[') ? '' : '.'}${key}: unknown field, ignored`
  }

  it('comes with a spec from which the unknown fields are gone', () => {
    const mounts = [{ destination: '/a', sourc: 'x' }]
    expect(parseSpec({ extra: 1, mounts }).spec).toEqual({ mounts: [{ destination: '/a' }] })
  })

  it('C265 is all that comes of sections for other systems, labels of SELinux, a profile and privileges. Ours: none is refused', () => {
    const elsewhere = 'has no effect here: containers are those of the linux section'
    const sections = { windows: { y: {} }, solaris: { z: [] }, vm: { hypervisor: {} }, zos: {} }
    const process = { args: ['a'], selinuxLabel: 'l', apparmorProfile: 'p', noNewPrivileges: false }
    expect(parseSpec({ ...sections, process, linux: { mountLabel: 'm' } }).warnings).toEqual([
      `windows: ${elsewhere}`,
      `solaris: ${elsewhere}`,
      `vm: ${elsewhere}`,
      'process.selinuxLabel: has no effect here',
      'process.apparmorProfile: has no effect here',
      'process.noNewPrivileges: has no effect here: no process gains privileges, as if it were true',
      'linux.mountLabel: has no effect here',
    ])
  })

  it('names the settings of cgroups, and what else of linux has no effect', () => {
    const linux = {
      cgroupsPath: '/mine',
      resources: { memory: { limit: 1 << 20, swap: 1 }, devices: [], cpu: { shares: 2 }, pids: { limit: 5 }, cpus: 1 },
      seccomp: { defaultAction: 'SCMP_ACT_ERRNO' },
      sysctl: { 'net.core.somaxconn': '256', 'kernel.domainname': 'x' },
      namespaces: [{ type: 'pid' }, { type: 'network', path: '/proc/1/ns/net' }],
      cgroupPath: '/typo',
    }
    expect(parseSpec({ linux }).warnings).toEqual([
      'linux.resources.memory.swap: cannot be limited in a browser',
      'linux.resources.cpu: cannot be limited in a browser',
      'linux.resources.cpus: unknown field, ignored (did you mean "cpu"?)',
      'linux.seccomp: has no effect here',
      'linux.sysctl: net.core.somaxconn, kernel.domainname: has no effect here',
      'linux.namespaces[1].path: has no effect here',
      'linux.cgroupPath: unknown field, ignored (did you mean "cgroupsPath"?)',
    ])
    expect(parseSpec({ linux: { resources: {}, cgroupsPath: '', sysctl: {}, seccomp: null } }).warnings).toEqual([])
  })

  it.each([
    [{ resources: { memory: { limit: '1g' } } }, 'linux.resources.memory.limit: must be a number, is a string'],
    [{ resources: { pids: { limit: 1.5 } } }, 'linux.resources.pids.limit: must be an integer, is 1.5'],
    [{ cgroupsPath: 'a\nb' }, 'linux.cgroupsPath: must not contain a newline'],
    [{ cgroupsPath: `/a/${'x'.repeat(256)}` }, 'linux.cgroupsPath: must have names of at most 255 bytes'],
  ])('of cgroups none is %j', (linux, fault) => {
    expect(() => parseSpec({ linux })).toThrow(fault)
  })

  it('says of each list of hooks that it is not run', () => {
    const list = [{ path: '/bin/true' }]
    expect(parseSpec({ hooks: { createRuntime: list, poststop: list, prestart: [] } }).warnings).toEqual([
      'hooks.createRuntime: hooks are not run in a browser',
      'hooks.poststop: hooks are not run in a browser',
    ])
  })

  it('names a capability that Linux does not have', () => {
    const effective = ['CAP_KILL', 'KILL', 'CAP_KIL', 'cap_kill']
    expect(parseProcess({ args: ['a'], capabilities: { effective } }).warnings).toEqual(
      [1, 2, 3].map((i) => `capabilities.effective[${i}]: unknown capability, ignored`),
    )
  })

  it('names the fields of the runtime-spec that have no effect', () => {
    const inert = {
      commandLine: 'a',
      apparmorProfile: 'p',
      selinuxLabel: 'l',
      oomScoreAdj: -5,
      scheduler: { policy: 'SCHED_IDLE' },
      ioPriority: { class: 'IOPRIO_CLASS_IDLE' },
      execCPUAffinity: { initial: '0-3' },
    }
    const { warnings } = parseProcess({ args: ['a'], ...inert, user: { username: 'me' } })
    expect(warnings).toEqual([...Object.keys(inert), 'user.username'].map((path) => `${path}: has no effect here`))
    expect(parseSpec({ mounts: [{ destination: '/a', gidMappings: [] }] }).warnings).toEqual([
      'mounts[0].gidMappings: has no effect here',
    ])
  })
})

describe('cleanPath', () => {
  test.each([
    ['/', '/'],
    ['//', '/'],
    ['/a/', '/a'],
    ['/a//b', '/a/b'],
    ['/a/./b/.', '/a/b'],
    ['/a/../b', '/b'],
    ['/..', '/'],
    ['/../../a', '/a'],
    ['/a/b/../../..', '/'],
    ['/...', '/...'],
    ['/a\\b/..c', '/a\\b/..c'],
    ['', '.'],
    ['a/..', '.'],
    ['../a/../..', '../..'],
    ['a/./b', 'a/b'],
  ])('makes %j %j', (path, clean) => {
    expect(cleanPath(path)).toBe(clean)
  })

  const path = fc.array(fc.constantFrom('/', '.', '..', 'a', 'é')).map((parts) => parts.join(''))

  it("agrees with Node's posix.normalize, but for a slash at the end", () => {
    fc.assert(
      fc.property(path, (p) => {
        expect(cleanPath(p)).toBe(posix.normalize(p).replace(/(?<=.)\/$/, ''))
      }),
    )
  })

  it('leaves a clean path as it is', () => {
    fc.assert(
      fc.property(path, (p) => {
        expect(cleanPath(cleanPath(p))).toBe(cleanPath(p))
      }),
    )
  })
})

describe('whatever is given', () => {
  const known = Object.entries(fullSpec()).flatMap(([key, value]) => [key, ...Object.keys(Object(value))])
  const anyKey = fc.oneof(
    fc.constantFrom(...known, 'destination', 'source', 'type', 'options', '__proto__', ''),
    fc.string(),
  )
  /** JSON whose objects use our field names often enough to get past the first check. */
  const { json } = fc.letrec((tie) => ({
    json: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom<unknown>(null, true, 0, -1, 1e300, '', '/', 'bind', '/a/b', 'RLIMIT_CPU'),
      fc.array(tie('json'), { maxLength: 4 }),
      fc.dictionary(anyKey, tie('json'), { maxKeys: 6 }),
    ),
  }))

  it('nothing but a SpecError is thrown', () => {
    const checked = (value: unknown) => {
      for (const faults of [specFaults(value), processFaults(value)]) expect(new Set(faults).size).toBe(faults.length)
    }
    fc.assert(fc.property(json, checked), { numRuns: 1000 })
    fc.assert(fc.property(fc.jsonValue(), checked))
  })

  it('nor when one part of a valid spec, wherever it is, is replaced by anything', () => {
    const replaced = fc.tuple(fc.constantFrom(...placesIn(fullSpec())), json)
    fc.assert(
      fc.property(replaced, ([path, value]) => {
        const spec = fullSpec()
        put(path, value)(spec)
        const faults = specFaults(spec)
        expect(new Set(faults).size).toBe(faults.length)
      }),
      { numRuns: 3000 },
    )
  })

  /** The path of every part of a value. */
  function placesIn(value: unknown): string[][] {
    if (typeof value !== 'object' || value === null) return []
    return Object.entries(value).flatMap(([key, item]) => [[key], ...placesIn(item).map((path) => [key, ...path])])
  }

  type Full = ReturnType<typeof fullSpec>
  const put = (path: string | readonly string[], value: unknown) => (spec: Full) => {
    const keys = typeof path === 'string' ? path.split('.') : [...path]
    const last = keys.pop()!
    let at: unknown = spec
    for (const key of keys) at = (at as Record<string, unknown>)[key]
    ;(at as Record<string, unknown>)[last] = value
  }

  /** Ways to break a full spec, none of which touches what another looks at; each with the path at which it must be seen. */
  const corruptions: readonly [path: string, corrupt: (spec: Full) => void][] = [
    ['ociVersion', put('ociVersion', 'one')],
    ['root.path', put('root.path', 7)],
    ['root.readonly', put('root.readonly', 0)],
    ['mounts[0].destination', put('mounts.0.destination', 'tmp')],
    ['mounts[0].options[1]', put('mounts.0.options.1', null)],
    ['mounts[1].type', put('mounts.1.type', {})],
    ['mounts[2].source', put('mounts.2.source', '/data/./x')],
    ['process.args[1]', put('process.args.1', 1)],
    ['process.env[0]', put('process.env.0', 'A')],
    ['process.cwd', put('process.cwd', '.')],
    ['process.user.uid', put('process.user.uid', -1)],
    ['process.user.umask', put('process.user.umask', 4096)],
    ['process.user.additionalGids[1]', put('process.user.additionalGids.1', '5')],
    ['process.consoleSize.height', (spec) => Reflect.deleteProperty(spec.process.consoleSize, 'height')],
    ['process.capabilities.bounding', put('process.capabilities.bounding', 'CAP_KILL')],
    ['process.rlimits[0].soft', put('process.rlimits.0.soft', 65)],
    ['process.rlimits[1].type', put('process.rlimits.1.type', 'CORE')],
    ['process.limits.openFiles', put('process.limits.openFiles', 0.5)],
    ['process.preopens["."]', put(['process', 'preopens', '.'], 'tmp')],
    ['hostname', put('hostname', 'a/b')],
    ['annotations.constructor', put('annotations.constructor', [])],
    ['hooks.prestart', put('hooks.prestart', {})],
    ['linux', put('linux', [])],
    ['vm', put('vm', 1)],
  ]

  it('each of k independent corruptions of a valid spec is listed, and nothing else', () => {
    fc.assert(
      fc.property(fc.subarray([...corruptions], { minLength: 1 }), (chosen) => {
        const spec = fullSpec()
        for (const [, corrupt] of chosen) corrupt(spec)
        let faults: readonly { path: string }[] = []
        try {
          parseSpec(spec)
        } catch (error) {
          faults = (error as SpecError).faults
        }
        expect(faults.map((fault) => fault.path).sort()).toEqual(chosen.map(([path]) => path).sort())
      }),
    )
  })
})
