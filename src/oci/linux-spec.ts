/**
 * The `linux` section of a container spec: runtime-spec config-linux.md.
 *
 * What is about files is honoured: devices, maskedPaths, readonlyPaths, rootfsPropagation. What limits or confines a process
 * of a real kernel is named in a warning, for a guest is confined by what it is: it can do nothing but call us. Memory and the
 * number of processes are limited by cgroups.
 */

import * as v from 'valibot'
import { NAME_MAX, PATH_MAX } from '../abi/linux.ts'
import { utf8Length } from '../abi/utf8.ts'
import { absolutePath, idMappings, inert, integer, maxBytes, notEmpty, text, uint32 } from './spec-values.ts'
import { across, type CrossFault, fields, isPlainObject, noting, quote, record } from './validate.ts'

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

const unlimited = v.optional(
  noting(v.any(), (value) => (isEmpty(value) || value === false ? undefined : 'cannot be limited in a browser')),
)
/** 0 and less are no limit, as runc has it. */
const limit = v.optional(
  v.pipe(
    v.number(),
    v.safeInteger(({ input }) => `must be an integer, is ${input}`),
  ),
)

/** What cgroups limit. */
const resources = fields({
  memory: v.optional(
    fields({
      limit,
      reservation: unlimited,
      swap: unlimited,
      kernel: unlimited,
      kernelTCP: unlimited,
      swappiness: unlimited,
      disableOOMKiller: unlimited,
      useHierarchy: v.optional(v.boolean()),
      checkBeforeUpdate: unlimited,
    }),
  ),
  pids: v.optional(fields({ limit })),
  blockIO: unlimited,
  cpu: unlimited,
  devices: unlimited,
  hugepageLimits: unlimited,
  network: unlimited,
  rdma: unlimited,
  unified: unlimited,
})

/** A path of cgroups, each of which is a name. */
const cgroupsPath = v.pipe(
  text,
  maxBytes(PATH_MAX),
  v.check((path) => !path.includes('\n'), 'must not contain a newline'),
  v.check(
    (path) => path.split('/').every((name) => utf8Length(name) <= NAME_MAX),
    `must have names of at most ${NAME_MAX} bytes`,
  ),
)

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
    cgroupsPath: v.optional(cgroupsPath),
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
