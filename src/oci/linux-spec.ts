/**
 * The `linux` section of a container spec: runtime-spec config-linux.md.
 *
 * What is about files is honoured: devices, maskedPaths, readonlyPaths, rootfsPropagation. What limits or confines a process
 * of a real kernel is named in a warning, for a guest is confined by what it is: it can do nothing but call us.
 */

import * as v from 'valibot'
import { absolutePath, idMappings, inert, integer, notEmpty, text, uint32 } from './spec-values.ts'
import { across, anyObject, type CrossFault, fields, isPlainObject, noting, quote, record } from './validate.ts'

export type LinuxSpec = v.InferOutput<typeof linuxSchema>
export type DeviceSpec = NonNullable<LinuxSpec['devices']>[number]

const TYPES = ['c', 'b', 'u', 'p']
/** Linux's dev_t has 12 and 20 bits: makedev(3). */
const major = v.optional(integer(2 ** 12 - 1))
const minor = v.optional(integer(2 ** 20 - 1))

const device = v.pipe(
  fields({
    type: v.pipe(
      v.string(),
      v.check((type) => TYPES.includes(type), 'must be one of c, b, u, p'),
    ),
    path: absolutePath,
    major,
    minor,
    fileMode: v.optional(integer(0o7777, '4095 (octal 7777)')),
    uid: v.optional(uint32),
    gid: v.optional(uint32),
  }),
  across(deviceFaults),
)

/** Controllers of cgroups by their name: each is told of by itself. */
const resources = noting(anyObject, (value) => {
  const names = Object.keys(value).filter((name) => !isEmpty(value[name]))
  return names.length > 0 ? `${names.join(', ')}: there are no cgroups in a browser, see process.limits` : undefined
})

const namespace = fields({
  type: v.pipe(text, notEmpty),
  path: v.optional(inert(absolutePath)),
})

const present = (value: unknown) => !isEmpty(value)
const inertIfPresent = noting(v.any(), (value) => (present(value) ? 'has no effect here' : undefined))

export const linuxSchema = v.pipe(
  fields({
    devices: v.optional(v.array(device)),
    maskedPaths: v.optional(v.array(absolutePath)),
    readonlyPaths: v.optional(v.array(absolutePath)),
    rootfsPropagation: v.optional(text),
    namespaces: v.optional(v.array(namespace)),
    netDevices: v.optional(inertIfPresent),
    uidMappings: v.optional(idMappings),
    gidMappings: v.optional(idMappings),
    timeOffsets: v.optional(inertIfPresent),
    cgroupsPath: v.optional(noting(text, (path) => (path ? 'there are no cgroups in a browser' : undefined))),
    resources: v.optional(resources),
    intelRdt: v.optional(inertIfPresent),
    memoryPolicy: v.optional(inertIfPresent),
    sysctl: v.optional(
      noting(record(text), (value) =>
        present(value) ? `${Object.keys(value).join(', ')}: has no effect here` : undefined,
      ),
    ),
    seccomp: v.optional(inertIfPresent),
    mountLabel: v.optional(inert(text)),
    personality: v.optional(inertIfPresent),
  }),
  across(rootPropagationFaults),
)

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

/** A device is known by its numbers, a pipe has none; and a place has one device. */
function* deviceFaults(value: unknown): Iterable<CrossFault> {
  if (!isPlainObject(value) || !TYPES.includes(value.type as string)) return
  for (const key of ['major', 'minor']) {
    if (value.type !== 'p' && value[key] === undefined)
      yield { at: [key], rule: `is required for the type ${quote(value.type as string)}` }
  }
}

/** The root of a container passes nothing on to the outside. */
function* rootPropagationFaults(linux: unknown): Iterable<CrossFault> {
  if (!isPlainObject(linux) || typeof linux.rootfsPropagation !== 'string') return
  if (['', 'private', 'rprivate', 'slave', 'rslave'].includes(linux.rootfsPropagation)) return
  yield { at: ['rootfsPropagation'], rule: 'must be one of private, rprivate, slave, rslave' }
}
