/**
 * The container spec: what a page may say about a container, checked before anything is made of it.
 *
 * The shapes are those of the OCI runtime-spec (config.md), written once as a valibot schema, from which the types derive.
 * This file only reads: it looks at no filesystem, and what comes out is a fresh value with the defaults filled in, in which
 * paths stand as they were written (see cleanPath).
 *
 * Always true: a spec with faults gives one SpecError that lists every one of them; what is merely useless (an unknown
 * field, a hook) gives a warning, and never both.
 *
 * Where we differ from the runtime-spec, on purpose:
 * - `ociVersion` and `root` may be missing; without a root the container starts on an empty tmpfs.
 * - a mount's destination must be absolute; the runtime-spec still allows relative ones, as deprecated.
 * - `process.cwd` is `/` unless given; `user.uid` and `user.gid` are 0 unless given.
 * - `process.limits` and `process.preopens` are ours.
 *
 * Where files come from. The trees that the page hands to the sandbox are the bundle, each under a name.
 * - `root.path` is such a name, optionally with a path behind it: `sysroot`, `sysroot/usr`.
 * - a bind's `source` is either such a name, or an absolute path: a place in the container's own tree as mounted so far.
 */

import * as v from 'valibot'
import { PATH_MAX } from '../abi/linux.ts'
import { criFaults } from './cri.ts'
import { linuxSchema } from './linux-spec.ts'
import { hintFaults } from './mounts/hints.ts'
import { propagationOption } from './mounts/propagation.ts'
import { rootHintFaults } from './root-hints.ts'
import {
  absolutePath,
  count,
  environment,
  idMappings,
  inert,
  integer,
  maxBytes,
  milliseconds,
  name,
  notEmpty,
  text,
  texts,
  uint32,
  uint64,
} from './spec-values.ts'
import { across, anyObject, type CrossFault, fields, isPlainObject, noting, parse, quote, record } from './validate.ts'

export { type Fault, SpecError } from './validate.ts'

/** A spec as parseSpec returns it. */
export type Spec = v.InferOutput<typeof specSchema>
export type RootSpec = v.InferOutput<typeof rootSchema>
export type MountSpec = v.InferOutput<typeof mountSchema>
export type ProcessSpec = v.InferOutput<typeof processSchema>
export type UserSpec = v.InferOutput<typeof userSchema>

/** A spec as a person writes it: as Spec, but what has a default may be left out. */
export type SpecInput = v.InferInput<typeof specSchema>
export type ProcessInput = v.InferInput<typeof processSchema>

/**
 * Checks a container spec. Each warning reads `path: what is ignored`, and is for the caller to see.
 *
 * Errors: SpecError, nothing else, for anything that JSON or a structured clone can hold.
 */
export function parseSpec(value: unknown): { spec: Spec; warnings: string[] } {
  const { output, warnings } = parse(specSchema, value, 'container spec')
  return { spec: output, warnings }
}

/** Checks a process for exec, by the rules of a spec's `process`; paths in faults and warnings start at the process. */
export function parseProcess(value: unknown): { process: ProcessSpec; warnings: string[] } {
  const { output, warnings } = parse(processSchema, value, 'process')
  return { process: output, warnings }
}

/**
 * Whether a mount is a bind: by its type, or by the option `bind` or `rbind`, whatever its type then says
 * (runtime-spec config.md, "Mounts"). Matched exactly: `BIND` is no bind.
 */
export function isBind(mount: Pick<MountSpec, 'type' | 'options'>): boolean {
  return mount.type === 'bind' || (mount.options ?? []).some((option) => option === 'bind' || option === 'rbind')
}

/**
 * The shortest path that means the same by its text alone, as Go's path.Clean: no `.`, no empty components, no slash at the
 * end, `..` taken away together with the name before it; `/..` is `/`, and an empty path is `.`.
 * Symbolic links are not considered: it serves to compare what a spec says, not to walk.
 */
export function cleanPath(path: string): string {
  const absolute = path.startsWith('/')
  const names: string[] = []
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue
    if (name !== '..') names.push(name)
    else if (names.length > 0 && names.at(-1) !== '..') names.pop()
    else if (!absolute) names.push(name)
  }
  return absolute ? `/${names.join('/')}` : names.join('/') || '.'
}

// The schema, in the order of config.md.

/** semver.org, version 2.0.0. */
const SEMVER =
  /^(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(-(0|[1-9]\d*|\d*[a-z-][\da-z-]*)(\.(0|[1-9]\d*|\d*[a-z-][\da-z-]*))*)?(\+[\da-z-]+(\.[\da-z-]+)*)?$/i

const rootSchema = fields({
  path: v.pipe(
    text,
    notEmpty,
    v.check((path) => !path.startsWith('/'), 'must be the name of a tree in the bundle, is an absolute path'),
  ),
  readonly: v.optional(v.boolean()),
})

const mountSchema = v.pipe(
  fields({
    destination: absolutePath,
    type: v.optional(text),
    source: v.optional(text),
    options: v.optional(texts),
    uidMappings: v.optional(idMappings),
    gidMappings: v.optional(idMappings),
  }),
  across(bindFaults),
  across(propagationFaults),
)

const capabilities = v.optional(
  v.array(noting(text, (name) => (isCapability(name) ? undefined : 'unknown capability, ignored'))),
)

const RLIMITS = 'AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME SIGPENDING STACK'

const rlimits = v.pipe(
  v.array(
    fields({
      type: v.pipe(
        v.string(),
        v.check(
          (type) => type.startsWith('RLIMIT_') && RLIMITS.split(' ').includes(type.slice(7)),
          'must be a limit of getrlimit(2), such as "RLIMIT_NOFILE"',
        ),
      ),
      soft: uint64,
      hard: uint64,
    }),
  ),
  across(rlimitFaults),
)

const userSchema = fields({
  uid: v.optional(uint32, 0),
  gid: v.optional(uint32, 0),
  umask: v.optional(integer(0o7777, '4095 (octal 7777)')),
  additionalGids: v.optional(v.array(uint32)),
  username: v.optional(inert(text)),
})

/** An empty one is none. */
const directory = v.pipe(
  text,
  v.check((path) => path === '' || path.startsWith('/'), 'must be absolute'),
  maxBytes(PATH_MAX),
  v.transform((path) => path || '/'),
)

/** What the search for a program will pass over. */
function pathNotice(env: readonly string[]): string | undefined {
  const path = env.find((entry) => entry.startsWith('PATH='))?.slice('PATH='.length)
  const passed = path?.split(':').filter((entry) => !entry.startsWith('/')) ?? []
  if (passed.length === 0) return undefined
  return `PATH has ${passed.map(quote).join(', ')}, which is not absolute: no program is searched for there`
}

const processSchema = fields({
  terminal: v.optional(v.boolean()),
  consoleSize: v.optional(fields({ height: uint32, width: uint32 })),
  user: v.optional(userSchema),
  args: v.pipe(
    texts,
    v.check((args) => args.length > 0, 'must have at least one entry'),
  ),
  env: v.optional(noting(environment, pathNotice)),
  cwd: v.optional(directory, '/'),
  capabilities: v.optional(
    fields({
      bounding: capabilities,
      effective: capabilities,
      inheritable: capabilities,
      permitted: capabilities,
      ambient: capabilities,
    }),
  ),
  rlimits: v.optional(rlimits),
  noNewPrivileges: v.optional(
    noting(v.boolean(), (value) =>
      value ? undefined : 'has no effect here: no process gains privileges, as if it were true',
    ),
  ),
  // Ours: bytes of stdout and stderr together and milliseconds, after which the process is ended; descriptors and pages of
  // memory (64 KiB), after which its calls and its memory.grow fail.
  limits: v.optional(
    fields({
      outputBytes: v.optional(count),
      openFiles: v.optional(count),
      wallTime: v.optional(milliseconds),
      memoryPages: v.optional(count),
    }),
  ),
  // Ours: the directories that a WASI guest finds open, its name for each → an absolute path in the container.
  preopens: v.optional(record(absolutePath)),
  commandLine: v.optional(inert(v.string())),
  apparmorProfile: v.optional(inert(v.string())),
  selinuxLabel: v.optional(inert(v.string())),
  oomScoreAdj: v.optional(inert(v.number())),
  scheduler: v.optional(inert(anyObject)),
  ioPriority: v.optional(inert(anyObject)),
  execCPUAffinity: v.optional(inert(anyObject)),
})

const hook = fields({
  path: absolutePath,
  args: v.optional(texts),
  env: v.optional(environment),
  timeout: v.optional(
    v.pipe(
      v.number(),
      v.check((seconds) => Number.isInteger(seconds) && seconds > 0, 'must be an integer above 0'),
    ),
  ),
})

const hooks = v.optional(
  noting(v.array(hook), (list) => (list.length > 0 ? 'hooks are not run in a browser' : undefined)),
)

/** A section for another kind of system. */
const elsewhere = noting(anyObject, (value) =>
  Object.keys(value).length > 0 ? 'has no effect here: containers are those of the linux section' : undefined,
)

function* annotationFaults(annotations: unknown): Iterable<CrossFault> {
  if (!isPlainObject(annotations)) return
  yield* rootHintFaults(annotations)
  yield* hintFaults(annotations)
  yield* criFaults(annotations)
}

const specSchema = fields({
  ociVersion: v.optional(
    v.pipe(
      v.string(),
      v.check((version) => SEMVER.test(version), 'must be a semantic version, such as "1.2.0"'),
    ),
  ),
  root: v.optional(rootSchema),
  mounts: v.optional(v.array(mountSchema)),
  process: v.optional(processSchema),
  hostname: v.optional(
    v.pipe(
      name,
      v.check((host) => !host.includes('/'), 'must not contain a slash'),
    ),
  ),
  domainname: v.optional(name),
  annotations: v.optional(v.pipe(record(v.string()), across(annotationFaults))),
  hooks: v.optional(
    fields({
      prestart: hooks,
      createRuntime: hooks,
      createContainer: hooks,
      startContainer: hooks,
      poststart: hooks,
      poststop: hooks,
    }),
  ),
  linux: v.optional(linuxSchema),
  windows: v.optional(elsewhere),
  solaris: v.optional(elsewhere),
  vm: v.optional(elsewhere),
  zos: v.optional(elsewhere),
  freebsd: v.optional(elsewhere),
})

/** A bind needs a source, and the source must not be the place that the bind covers, or lie below it. */
function* bindFaults(mount: unknown): Iterable<CrossFault> {
  if (!isPlainObject(mount)) return
  const { type, options, source, destination } = mount
  if (!isBind({ type: type as string, options: Array.isArray(options) ? options : [] })) return
  if (source === undefined || source === '') yield { at: ['source'], rule: 'is required for a bind mount' }
  if (typeof source !== 'string' || typeof destination !== 'string') return
  if (!source.startsWith('/') || !destination.startsWith('/')) return
  if (!isWithin(cleanPath(source), cleanPath(destination))) return
  yield { at: ['source'], rule: `${quote(source)} lies inside the mount's own destination ${quote(destination)}` }
}

/** mount(2) takes one type of propagation; and what a bind shows is not for others to be told of. */
function* propagationFaults(mount: unknown): Iterable<CrossFault> {
  if (!isPlainObject(mount) || !Array.isArray(mount.options)) return
  let first: string | undefined
  for (const [i, option] of mount.options.entries()) {
    if (typeof option !== 'string' || !propagationOption(option)) continue
    if (first !== undefined) yield { at: ['options', i], rule: `${quote(option)} contradicts ${quote(first)}` }
    first ??= option
    if (isBind(mount as MountSpec) && propagationOption(option)!.to === 'shared') {
      yield { at: ['options', i], rule: `a bind passes no mounts on, so it can't be ${option}` }
    }
  }
}

/** Whether a clean absolute path is `directory`, also clean, or below it. */
function isWithin(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`)
}

/** A limit is set once (config.md, "rlimits"), and soft is at most hard (setrlimit(2), EINVAL). */
function* rlimitFaults(limits: unknown): Iterable<CrossFault> {
  if (!Array.isArray(limits)) return
  const seen = new Set<unknown>()
  for (const [i, limit] of limits.entries()) {
    if (!isPlainObject(limit)) continue
    const { type, soft, hard } = limit
    if (typeof soft === 'number' && typeof hard === 'number' && soft > hard) {
      yield { at: [i, 'soft'], rule: 'must not exceed hard' }
    }
    if (typeof type === 'string' && seen.has(type)) yield { at: [i, 'type'], rule: `${quote(type)} is set twice` }
    seen.add(type)
  }
}

/** The names of capabilities(7), without their prefix. */
const CAPABILITIES =
  'AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER ' +
  'FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE ' +
  'SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM'

function isCapability(name: string): boolean {
  return name.startsWith('CAP_') && CAPABILITIES.split(' ').includes(name.slice(4))
}
