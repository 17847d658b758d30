/**
 * Where changes to the files of a container go: which of its mounts get a layer over them that takes the changes, and what
 * keeps it. This file only reads; layering.ts makes the layers.
 *
 * `none`, `root:UPPER` (the root) or `all:UPPER` (the root and each bind of a tree), UPPER being `memory` or `volume:NAME`, with
 * `,size=BYTES` behind it, and that of a volume `,cacheBytes=BYTES`; or a list, of `none` or an UPPER each: the root's, then that of
 * each bind in the order of the spec.
 * After gVisor's flag --overlay2. What is read-only gets no layer.
 */

import * as v from 'valibot'
import { encodeUtf8 } from '../../abi/utf8.ts'
import { across, type CrossFault, parse, quote } from '../validate.ts'
import { volumeName } from '../volumes.ts'

export interface Upper {
  /** What keeps it; undefined for memory. */
  readonly volume?: string
  /** As tmpfs has it: `64m`. */
  readonly size?: string
  /** Of a volume, as tmpfs has it. */
  readonly cacheBytes?: string
}

/** What is asked for: by scope, or one by one. */
export type UppersConfig =
  | { readonly scope: 'none' }
  | { readonly scope: 'root' | 'all'; readonly upper: Upper }
  | { readonly scope: 'each'; readonly uppers: readonly (Upper | undefined)[] }

/** Unless something else is asked for. */
const DEFAULT: UppersConfig = { scope: 'root', upper: {} }

/** Errors: SpecError with every fault. */
export function parseUppers(value: unknown): UppersConfig {
  return value === undefined ? DEFAULT : parse(schema, value, 'overlay').output
}

/** The text of a configuration: parseUppers gives an equal one for it. */
export function uppersText(config: UppersConfig): string | string[] {
  if (config.scope === 'none') return 'none'
  if (config.scope === 'each') return config.uppers.map((upper) => (upper ? upperText(upper) : 'none'))
  return `${config.scope}:${upperText(config.upper)}`
}

function upperText(upper: Upper): string {
  const options = OPTIONS.flatMap((key) => (upper[key] === undefined ? [] : `,${key}=${upper[key]}`))
  return `${upper.volume === undefined ? 'memory' : `volume:${upper.volume}`}${options.join('')}`
}

const OPTIONS = ['size', 'cacheBytes'] as const

const schema = v.pipe(
  v.unknown(),
  across(function* (value): Iterable<CrossFault> {
    if (typeof value === 'string') {
      const config = readConfig(value)
      if (typeof config === 'string') yield { at: [], rule: config }
    } else if (Array.isArray(value)) {
      if (value.length === 0) yield { at: [], rule: 'must have an entry for the root' }
      for (const [i, each] of value.entries()) {
        const upper = typeof each === 'string' ? readChoice(each) : 'must be a string'
        if (typeof upper === 'string') yield { at: [i], rule: upper }
      }
    } else yield { at: [], rule: 'must be a string or a list of strings' }
  }),
  v.transform((value): UppersConfig => {
    if (typeof value === 'string') return readConfig(value) as UppersConfig
    return { scope: 'each', uppers: (value as string[]).map((each) => readChoice(each) as Upper | undefined) }
  }),
)

/** Or what is wrong with it. */
function readConfig(text: string): UppersConfig | string {
  if (text === 'none') return { scope: 'none' }
  const colon = text.indexOf(':')
  if (colon < 0) return `must be "none" or SCOPE:MEDIUM, is ${quote(text)}`
  const scope = text.slice(0, colon)
  if (scope !== 'root' && scope !== 'all') return `must be for "root" or "all", is for ${quote(scope)}`
  const upper = readUpper(text.slice(colon + 1))
  return typeof upper === 'string' ? upper : { scope, upper }
}

/** Or what is wrong with it; undefined for `none`. */
export function readChoice(text: string): Upper | undefined | string {
  return text === 'none' ? undefined : readUpper(text)
}

function readUpper(text: string): Upper | string {
  const [medium = '', ...options] = text.split(',')
  const given: { [K in (typeof OPTIONS)[number]]?: string } = {}
  for (const option of options) {
    const key = OPTIONS.find((each) => option.startsWith(`${each}=`))
    if (!key) return `knows cacheBytes=BYTES and size=BYTES, not ${quote(option)}`
    if (given[key] !== undefined) return `takes no more than a size and a cacheBytes, not ${quote(option)}`
    given[key] = option.slice(key.length + 1)
  }
  if (medium === 'memory')
    return given.cacheBytes === undefined ? given : 'takes cacheBytes in "volume:NAME", not in "memory"'
  try {
    const volume = volumeName(medium)
    return volume === undefined ? `must be in "memory" or "volume:NAME", is in ${quote(medium)}` : { volume, ...given }
  } catch (error) {
    return (error as Error).message
  }
}

/** A bind as far as it matters here. */
export interface DealtBind {
  /** Of the spec, such as `mounts[2]`. */
  readonly place: string
  readonly destination: string
  readonly readonly: boolean
  /** It shows a tree of the bundle, not a place of the container. */
  readonly fromBundle: boolean
}

export interface Dealt {
  readonly root: Upper | undefined
  /** By the place of the bind. */
  readonly binds: ReadonlyMap<string, Upper>
}

/**
 * Who gets which: `binds` are in the order of the spec. Errors: a plain one for a list that is not as long as there are the root
 * and binds, for a destination that no name of a volume can be made of, and for a volume that two of them would have.
 */
export function dealUppers(config: UppersConfig, readonlyRoot: boolean, binds: readonly DealtBind[]): Dealt {
  const choices = choicesOf(config, binds)
  const writable = binds.flatMap((bind, i) => {
    const upper = choices[i + 1]
    return upper && !bind.readonly ? [[bind.place, upper] as const] : []
  })
  const root = readonlyRoot ? undefined : choices[0]
  requireApart(root ? [['root', root], ...writable] : writable)
  return { root, binds: new Map(writable) }
}

/** An upper layer is nobody else's. */
function requireApart(uppers: readonly (readonly [place: string, upper: Upper])[]): void {
  const owners = new Map<string, string>()
  for (const [place, { volume }] of uppers) {
    if (volume === undefined) continue
    const other = owners.get(volume)
    if (other !== undefined) {
      throw new Error(`overlay: the changes of ${place} and of ${other} cannot both go to the volume "${volume}"`)
    }
    owners.set(volume, place)
  }
}

function choicesOf(config: UppersConfig, binds: readonly DealtBind[]): readonly (Upper | undefined)[] {
  switch (config.scope) {
    case 'none':
      return []
    case 'root':
      return [config.upper]
    case 'all':
      return [config.upper, ...binds.map((bind) => (bind.fromBundle ? upperOfBind(config.upper, bind) : undefined))]
    case 'each': {
      const { length } = config.uppers
      const wanted = binds.length + 1
      if (length === wanted) return config.uppers
      throw new Error(`overlay: a list of ${length} for a spec with ${wanted}: its root, and ${binds.length} binds`)
    }
  }
}

/** Of a volume for all, each bind has one of its own, found again by its destination. */
function upperOfBind(upper: Upper, { place, destination }: DealtBind): Upper {
  if (upper.volume === undefined) return upper
  const volume = `${upper.volume}${volumeSuffix(destination)}`
  if (volume.length <= 100) return { ...upper, volume }
  throw new Error(
    `overlay: the volume of ${place} would be named "${volume}", which is too long: give it one in a list`,
  )
}

/** `/data/a b` → `+data+a-20b`: no two paths have the same. */
function volumeSuffix(path: string): string {
  let suffix = ''
  for (const byte of encodeUtf8(path)) {
    const char = String.fromCharCode(byte)
    if (char === '/') suffix += '+'
    else suffix += /[\w.]/.test(char) ? char : `-${byte.toString(16).padStart(2, '0')}`
  }
  return suffix
}
