/**
 * Flags of a container from its annotations: `dev.gvisor.flag.NAME`, and `dev.gvisor.bundle.NAME` for several at once. The
 * names and values are gVisor's; there are those that mean something here.
 *
 * Always true: what a page that made the sandbox did not allow, no spec can switch on: without its permission a flag is only
 * set if it is in the allow-list, to a value that the list allows.
 */

import type { SpecValidation } from '../abi/checkpoints.ts'
import type { FlagOptions } from '../abi/wire.ts'
import { type Fault, quote, SpecError } from './validate.ts'

export const VALIDATIONS: readonly SpecValidation[] = ['ignore', 'warning', 'enforce']

export interface Flags {
  /** What a spec at restore that differs from the saved one does. */
  readonly restoreSpecValidation: SpecValidation
  /** Whether the annotations dev.gvisor.tar.rootfs.upper are heeded. */
  readonly allowRootfsTarAnnotation: boolean
}

interface Flag {
  /** What is wrong with a value. */
  readonly fault: (value: string) => string | undefined
  /** Values that a spec may set without permission: those that allow no more than there is anyway. */
  readonly harmless: (value: string) => boolean
}

const oneOf = (values: readonly string[]) => (value: string) =>
  values.includes(value) ? undefined : `${quote(value)} must be one of ${values.join(', ')}`

const FLAGS: Readonly<Record<string, Flag>> = {
  'restore-spec-validation': { fault: oneOf(VALIDATIONS), harmless: (value) => value === 'enforce' },
  'allow-rootfs-tar-annotation': { fault: oneOf(['true', 'false']), harmless: (value) => value === 'false' },
}

const FLAG = 'dev.gvisor.flag.'
const BUNDLE = 'dev.gvisor.bundle.'

/** The flags that hold for a container. A bundle beats a flag that is set by itself. Errors: SpecError with every fault. */
export function flagsOf(annotations: Readonly<Record<string, string>>, options: FlagOptions): Flags {
  const faults: Fault[] = []
  const values = new Map<string, string>()
  if (options.allowRootfsTarAnnotation) values.set('allow-rootfs-tar-annotation', 'true')
  for (const [name, value] of Object.entries(options.flags ?? {})) values.set(name, value)
  for (const [name, value] of values) check(name, value, `flags.${name}`, faults)
  for (const [key, value] of Object.entries(annotations)) {
    if (!key.startsWith(FLAG)) continue
    const name = key.slice(FLAG.length)
    const path = placeOf(key)
    if (!check(name, value, path, faults)) continue
    if (options.allowFlagOverride || FLAGS[name]!.harmless(value)) values.set(name, value)
    else
      faults.push({ path, rule: `the flag ${name}=${value} may not be set: boot the sandbox with allowFlagOverride` })
  }
  for (const [name, value] of bundled(annotations, options, faults)) values.set(name, value)
  if (faults.length > 0) throw new SpecError('container spec', faults)
  return {
    restoreSpecValidation: (values.get('restore-spec-validation') ?? 'enforce') as SpecValidation,
    allowRootfsTarAnnotation: values.get('allow-rootfs-tar-annotation') === 'true',
  }
}

/** What the bundles that are switched on say. They are the page's own: naming one takes no further permission. */
function bundled(
  annotations: Readonly<Record<string, string>>,
  { flagBundles = {} }: FlagOptions,
  faults: Fault[],
): ReadonlyMap<string, string> {
  const values = new Map<string, { readonly value: string; readonly bundle: string }>()
  for (const [key, on] of Object.entries(annotations)) {
    if (!key.startsWith(BUNDLE)) continue
    const bundle = key.slice(BUNDLE.length)
    const path = placeOf(key)
    if (on !== 'true') faults.push({ path, rule: `must be "true", is ${quote(on)}` })
    else if (!Object.hasOwn(flagBundles, bundle)) {
      faults.push({ path, rule: `there is no bundle "${bundle}"; there are ${list(Object.keys(flagBundles))}` })
    } else {
      for (const [name, value] of Object.entries(flagBundles[bundle]!)) {
        const other = values.get(name)
        if (other && other.value !== value) {
          faults.push({ path, rule: `sets ${name}=${value}, and the bundle "${other.bundle}" ${name}=${other.value}` })
        } else if (check(name, value, path, faults)) values.set(name, { value, bundle })
      }
    }
  }
  return new Map([...values].map(([name, { value }]) => [name, value]))
}

/** Whether there is such a flag and it may have the value; if not, that is a fault more. */
function check(name: string, value: string, path: string, faults: Fault[]): boolean {
  const flag = Object.hasOwn(FLAGS, name) ? FLAGS[name]! : undefined
  const rule = flag ? flag.fault(value) : `there is no flag "${name}"; there are ${list(Object.keys(FLAGS))}`
  if (rule) faults.push({ path, rule })
  return rule === undefined
}

const placeOf = (key: string) => `annotations[${JSON.stringify(key)}]`
const list = (names: readonly string[]) => names.join(', ') || 'none'
