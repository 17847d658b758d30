/** What counts as a difference between the saved spec and the one that is given at restore. */

import { describe, expect, test } from 'vitest'
import { parseSpec, type SpecInput } from '../spec.ts'
import { differences } from './compare.ts'

const mount = { destination: '/data', type: 'tmpfs', source: 'a', options: ['size=1m'] }
const saved: SpecInput = {
  root: { path: 'system', readonly: true },
  hostname: 'one',
  mounts: [mount, { destination: '/bin', type: 'bind', source: 'tools', options: ['ro'] }],
  process: { args: ['/bin/a'] },
  annotations: {
    'dev.gvisor.spec.rootfs.source': 'system',
    'dev.gvisor.spec.rootfs.type': 'bind',
    'dev.gvisor.internal.state': 'a',
    'org.example': 'x',
  },
  linux: { devices: [{ path: '/dev/fuse', type: 'c', major: 10, minor: 229 }] },
}
const other = saved.mounts![1]!
const spec = (input: SpecInput) => parseSpec(input).spec
const against = (more: Partial<SpecInput>, before: Partial<SpecInput> = {}) =>
  differences(spec({ ...saved, ...before }), spec({ ...saved, ...more })).map(({ path, rule }) => `${path}: ${rule}`)
const annotated = (more: Record<string, string>) => ({ annotations: { ...saved.annotations, ...more } })

describe('D074 mounts are compared by destination, in all fields but the source', () => {
  test.each<[string, Partial<SpecInput>]>([
    ['the same', {}],
    [
      'another source',
      {
        mounts: [
          { ...mount, source: 'b' },
          { ...other, source: 'other-tools' },
        ],
      },
    ],
    ['another order', { mounts: [other, mount] }],
    ['a destination that means the same', { mounts: [{ ...mount, destination: '/x/../data/' }, other] }],
    ['another tree as root, another process, another name', { root: { path: 'b', readonly: true }, hostname: 'two' }],
    ['a destination twice, both mounts the same', { mounts: [mount, mount, other] }],
  ])('%s is no difference', (_, more) => {
    expect(against(more)).toEqual([])
  })

  test.each<[string, Partial<SpecInput>, string[]]>([
    [
      'other options',
      { mounts: [{ ...mount, options: ['size=2m'] }, other] },
      ['mounts: on /data is {"type":"tmpfs","options":["size=2m"]}, was {"type":"tmpfs","options":["size=1m"]}'],
    ],
    [
      'another type',
      { mounts: [{ ...mount, type: 'proc' }, other] },
      ['mounts: on /data is {"type":"proc","options":["size=1m"]}, was {"type":"tmpfs","options":["size=1m"]}'],
    ],
    [
      'a mount fewer',
      { mounts: [other] },
      ['mounts: on 1 destinations, were on 2', 'mounts: nothing is mounted on /data, where something was'],
    ],
    [
      'a mount more',
      { mounts: [mount, other, { ...mount, destination: '/more' }] },
      ['mounts: on 3 destinations, were on 2', 'mounts: something is mounted on /more, where nothing was'],
    ],
    [
      'a destination twice, of two sources',
      { mounts: [mount, { ...mount, source: 'b' }, other] },
      ['mounts: the spec has several on /data, which are not the same'],
    ],
    ['a root that can be written', { root: { path: 'system' } }, ['root.readonly: is false, was true']],
  ])('%s is one', (_, more, found) => {
    expect(against(more)).toEqual(found)
  })

  test('and so does a destination that the saved spec has twice', () => {
    expect(against({}, { mounts: [mount, { ...mount, source: 'b' }, other] })).toEqual([
      'mounts: the saved spec has several on /data, which are not the same',
    ])
  })

  test('devices are compared by path and type', () => {
    const devices = (...devices: NonNullable<NonNullable<SpecInput['linux']>['devices']>) => ({ linux: { devices } })
    const fuse = saved.linux!.devices![0]!
    expect(against(devices({ ...fuse, uid: 7, fileMode: 0o600 }))).toEqual([])
    expect(against(devices())).toEqual(['linux.devices: /dev/fuse is not there, was c'])
    expect(against(devices({ ...fuse, type: 'b' }))).toEqual(['linux.devices: /dev/fuse is b, was c'])
    expect(against(devices(fuse, { path: '/dev/x', type: 'p' }))).toEqual(['linux.devices: /dev/x is p, was not there'])
  })
})

describe('D075 annotations of the runtime must match, but for some', () => {
  const hint = { 'dev.gvisor.spec.mount.v.type': 'tmpfs', 'dev.gvisor.spec.mount.v.share': 'pod' }
  test.each([
    ['of others', { 'org.example': 'y' }],
    ['internal ones', { 'dev.gvisor.internal.state': 'b', 'dev.gvisor.internal.more': '1' }],
    ['debug flags', { 'dev.gvisor.flag.debug': 'true', 'dev.gvisor.flag.debug-log': '/x' }],
  ])('%s may differ', (_, more) => {
    expect(against(annotated(more))).toEqual([])
  })

  test('sources of mounts may differ', () => {
    const from = (source: string) => annotated({ ...hint, 'dev.gvisor.spec.mount.v.source': source })
    expect(against(from('/b'), from('/a'))).toEqual([])
  })

  test.each<[Record<string, string>, string]>([
    [
      { 'dev.gvisor.spec.rootfs.overlay': 'none' },
      'annotations["dev.gvisor.spec.rootfs.overlay"]: is "none", was not there',
    ],
    [{ 'dev.gvisor.spec.rootfs.source': 'b' }, 'annotations["dev.gvisor.spec.rootfs.source"]: is "b", was "system"'],
    [
      { 'dev.gvisor.flag.restore-spec-validation': 'enforce' },
      'annotations["dev.gvisor.flag.restore-spec-validation"]: is "enforce", was not there',
    ],
  ])('%j does not', (more, found) => {
    expect(against(annotated(more))).toEqual([found])
  })
})
