/** Random specs: those with faults are refused with each of them named, all others become the mounts that test-model.ts says. */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cleanPath, type MountSpec, SpecError, type SpecInput } from '../spec.ts'
import { type Line, mountsOf, Refused } from './test-model.ts'
import { before, eachInAWorld, held, world } from './test-world.ts'

eachInAWorld()

const RUNS = 300

/** One of some values, as often as the weight says. */
const oneOf = <T>(weight: number, ...values: T[]) => ({ weight, arbitrary: fc.constantFrom(...values) })

const LINKS = ['/to/dir', '/to/dir/in', '/to/nothing', '/to/nothing/in', '/to/outside', '/to/loop']
const destination = fc.oneof(
  oneOf(4, '/t', '/t/a', '/t/a/b', '/made/deep/er', '/tmp/x', '/tmp', '/etc', '/empty'),
  oneOf(2, ...LINKS, '/etc/name'),
  oneOf(1, '/', '/proc/x/y', '/sys/x', '/dev/foo', '/dev/shm', '/proc', '/sys', '/etc/name/x'),
  oneOf(1, '//t/', '/t/../t/a/.', '/x/../../tmp/', '/t//a/b/c'),
)

const TREES = ['image', 'image/etc', 'image/etc/name', 'file/f', 'file/g']
const flags = fc.subarray(['ro', 'rw', 'noexec', 'unheard-of'])
const mount = fc.oneof<fc.MaybeWeightedArbitrary<MountSpec>[]>(
  { weight: 5, arbitrary: fc.record({ destination, type: fc.constant('tmpfs'), options: flags }) },
  {
    weight: 5,
    arbitrary: fc
      .record({
        destination,
        source: fc.constantFrom(...TREES, '/t', '/t/a', '/etc', '/etc/name', '/proc', '/'),
        kind: fc.constantFrom('bind', 'rbind'),
        options: flags,
      })
      .map(({ kind, options, ...rest }) => ({ ...rest, type: 'none', options: [...options, kind] })),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      destination,
      type: fc.constant('overlay'),
      options: fc.constantFrom<string[]>(['lowerdir=image'], ['lowerdir=file', 'ro'], ['lowerdir=none'], []),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ destination, type: fc.constantFrom('proc', 'sysfs', 'none', 'nfs', ''), options: flags }),
  },
  { weight: 1, arbitrary: destination.map((destination) => ({ destination, type: 'tmpfs', options: ['mode=x'] })) },
)

const spec = fc
  .record({
    root: fc.constantFrom<SpecInput['root']>(
      undefined,
      { path: 'image' },
      { path: 'image', readonly: true },
      { path: 'file' },
    ),
    mounts: fc.array(mount, { maxLength: 7 }),
  })
  .map(({ root, mounts }) => ({ ...(root && { root }), mounts: mounts.filter((mount) => !isFaulty(mount)) }))

/** The one thing that the mounts above may have wrong by chance: a bind of what lies inside itself. */
const isFaulty = ({ source = '', destination }: MountSpec) => {
  const place = cleanPath(destination)
  return source.startsWith('/') && (place === '/' || source === place || source.startsWith(`${place}/`))
}

const overlay = fc.constantFrom('none', 'root:memory', 'all:memory')

const create = (spec: SpecInput, overlay: string) =>
  world.runtime.create('c', spec, { overlay }).then(
    () => undefined,
    (error: Error & { code: string; path?: string }) => error,
  )

const sorted = (lines: readonly Line[]) =>
  lines.map(({ destination, type, readonly }) => `${destination} ${type} ${readonly ? 'ro' : 'rw'}`).sort()

const shown = (): Line[] =>
  world.runtime
    .mounts('c')
    .map(({ destination, type, options }) => ({ destination, type, readonly: options.includes('ro') }))

test('C269 C071 a valid spec has exactly the mounts that it should, or an error that names the one which cannot be; and goes without a trace', async () => {
  expect(await create({}, 'none')).toBeUndefined()
  const mandatory = shown().flatMap(({ destination, type }) =>
    destination === '/' || destination === '/tmp' ? [] : [[destination, type] as const],
  )
  await world.runtime.delete('c', false)
  const seen = { booted: 0, refused: 0 }
  await fc.assert(
    fc.asyncProperty(spec, overlay, async (spec, overlay) => {
      let expected: string[] | Refused
      try {
        expected = sorted(mountsOf(spec, overlay, mandatory))
      } catch (error) {
        if (!(error instanceof Refused)) throw error
        expected = error
      }
      const error = await create(spec, overlay)
      if (expected instanceof Refused) {
        seen.refused++
        const { code, path } = expected
        expect({ code: error?.code, path: error?.path }).toEqual({ code, path })
        expect(error?.message).toMatch(/mounts\[\d\]/)
      } else {
        seen.booted++
        expect(error).toBeUndefined()
        expect(sorted(shown())).toEqual(expected)
        await world.runtime.delete('c', false)
      }
      expect(held()).toEqual(before)
    }),
    { numRuns: RUNS },
  )
  expect(seen.booted).toBeGreaterThan(RUNS / 5)
  expect(seen.refused).toBeGreaterThan(RUNS / 10)
})

/** Ways to break a spec, each with the path at which it must be seen; `n` mounts are there before. */
const faults: readonly ((spec: SpecInput, n: number) => [broken: SpecInput, path: string])[] = [
  (spec, n) => added(spec, { destination: 'relative', type: 'tmpfs' }, `mounts[${n}].destination`),
  (spec, n) => added(spec, { destination: '/b', type: 'bind' }, `mounts[${n}].source`),
  (spec, n) => added(spec, { destination: '/b', type: 'bind', source: '/b/in' }, `mounts[${n}].source`),
  (spec, n) =>
    added(spec, { destination: '/b', type: 'bind', source: '/t', options: ['shared'] }, `mounts[${n}].options[0]`),
  (spec, n) =>
    added(spec, { destination: '/t', type: 'tmpfs', options: ['slave', 'private'] }, `mounts[${n}].options[1]`),
  (spec, n) => added(spec, { destination: '/t', type: 7 as never }, `mounts[${n}].type`),
  (spec) => [{ ...spec, root: { path: '/absolute' } }, 'root.path'],
  (spec) => [{ ...spec, process: { args: ['x'], cwd: 'relative' } }, 'process.cwd'],
  (spec) => [
    { ...spec, annotations: { 'dev.gvisor.spec.mount..type': 'bind' } },
    'annotations["dev.gvisor.spec.mount..type"]',
  ],
]

const added = (spec: SpecInput, mount: MountSpec, path: string): [SpecInput, string] => [
  { ...spec, mounts: [...spec.mounts!, mount] },
  path,
]

test('C258 C259 C260 a spec with faults is refused with all of them by name, and nothing is made', () =>
  fc.assert(
    fc.asyncProperty(spec, fc.subarray([...faults], { minLength: 1 }), overlay, async (spec, chosen, overlay) => {
      let broken: SpecInput = spec
      const paths: string[] = []
      for (const fault of chosen) {
        const [next, path] = fault(broken, broken.mounts!.length)
        broken = next
        paths.push(path)
      }
      const error = await create(broken, overlay)
      expect(error).toBeInstanceOf(SpecError)
      expect((error as unknown as SpecError).faults.map(({ path }) => path).sort()).toEqual(paths.sort())
      expect(held()).toEqual(before)
    }),
    { numRuns: RUNS },
  ))
