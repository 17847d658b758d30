import { expect, test } from 'vitest'
import { flagsOf } from './flags.ts'
import { SpecError } from './validate.ts'

const flag = (name: string, value: string) => ({ [`dev.gvisor.flag.${name}`]: value })
const bundle = (name: string, value = 'true') => ({ [`dev.gvisor.bundle.${name}`]: value })

/** The rules that the annotations break, without their places. */
function rules(...args: Parameters<typeof flagsOf>): string[] {
  try {
    flagsOf(...args)
  } catch (error) {
    if (error instanceof SpecError) return error.faults.map(({ rule }) => rule)
    throw error
  }
  return []
}

const known = 'restore-spec-validation, allow-rootfs-tar-annotation'

test('without annotations the flags are those of the sandbox, and else the strict ones', () => {
  expect(flagsOf({ 'other.flag': 'x' }, {})).toEqual({
    restoreSpecValidation: 'enforce',
    allowRootfsTarAnnotation: false,
  })
  const flags = { 'restore-spec-validation': 'warning', 'allow-rootfs-tar-annotation': 'true' }
  expect(flagsOf({}, { flags })).toEqual({ restoreSpecValidation: 'warning', allowRootfsTarAnnotation: true })
  expect(flagsOf({}, { allowRootfsTarAnnotation: true }).allowRootfsTarAnnotation).toBe(true)
})

test.each<[Record<string, string>, string[]]>([
  [flag('debug', 'true'), [`there is no flag "debug"; there are ${known}`]],
  [flag('toString', 'true'), [`there is no flag "toString"; there are ${known}`]],
  [flag('restore-spec-validation', 'no'), ['"no" must be one of ignore, warning, enforce']],
  [flag('allow-rootfs-tar-annotation', ''), ['"" must be one of true, false']],
  [flag('restore-spec-validation', 'enforce'), []],
  [flag('allow-rootfs-tar-annotation', 'false'), []],
  [
    { ...flag('restore-spec-validation', 'ignore'), ...flag('allow-rootfs-tar-annotation', 'true') },
    [
      'the flag restore-spec-validation=ignore may not be set: boot the sandbox with allowFlagOverride',
      'the flag allow-rootfs-tar-annotation=true may not be set: boot the sandbox with allowFlagOverride',
    ],
  ],
])(
  'D080 flags of annotations are checked, and only those of the list may be set without permission: %j',
  (given, faults) => {
    expect(rules(given, {})).toEqual(faults)
  },
)

test('D080 with permission an annotation sets any flag, and the faults still name their places', () => {
  const allowed = { allowFlagOverride: true }
  expect(flagsOf(flag('restore-spec-validation', 'ignore'), allowed).restoreSpecValidation).toBe('ignore')
  expect(() => flagsOf(flag('nope', '1'), allowed)).toThrow('annotations["dev.gvisor.flag.nope"]: there is no flag')
})

const flagBundles = {
  lax: { 'restore-spec-validation': 'ignore' },
  easy: { 'restore-spec-validation': 'ignore', 'allow-rootfs-tar-annotation': 'true' },
  strict: { 'restore-spec-validation': 'enforce' },
  wrong: { 'restore-spec-validation': 'maybe' },
}

test('D081 D082 bundles set several flags; they may agree, and beat flags that are set by themselves', () => {
  const options = { flagBundles, flags: { 'restore-spec-validation': 'warning' }, allowFlagOverride: true }
  expect(flagsOf({ ...bundle('lax'), ...bundle('easy') }, options)).toEqual({
    restoreSpecValidation: 'ignore',
    allowRootfsTarAnnotation: true,
  })
  const both = { ...bundle('strict'), ...flag('restore-spec-validation', 'ignore') }
  expect(flagsOf(both, options).restoreSpecValidation).toBe('enforce')
})

test.each<[Record<string, string>, string[]]>([
  [bundle('lax', 'yes'), ['must be "true", is "yes"']],
  [bundle('none'), ['there is no bundle "none"; there are lax, easy, strict, wrong']],
  [
    { ...bundle('lax'), ...bundle('strict') },
    ['sets restore-spec-validation=enforce, and the bundle "lax" restore-spec-validation=ignore'],
  ],
  [bundle('wrong'), ['"maybe" must be one of ignore, warning, enforce']],
])(
  'D081 D082 a bundle is there, is on by "true", says no other than another one, and its values are checked: %j',
  (given, faults) => {
    expect(rules(given, { flagBundles })).toEqual(faults)
  },
)

test('D082 the configuration of the sandbox is checked, too', () => {
  expect(rules({}, { flags: { 'restore-spec-validation': 'x', y: 'z' } })).toEqual([
    '"x" must be one of ignore, warning, enforce',
    `there is no flag "y"; there are ${known}`,
  ])
})
