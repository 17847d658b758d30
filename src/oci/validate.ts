/**
 * valibot as the container spec uses it: every fault is reported, with its path and in one wording, and what a valid value
 * still deserves to be told (unknown fields, fields without effect) is read off the same schema.
 *
 * Always true: a check carries its own message; the message of a shape ("must be a string, is a number") is made here.
 */

import * as v from 'valibot'

/** One thing that is wrong: `path` as in `mounts[2].destination` (empty: the whole value), `rule` as in `must be absolute`. */
export interface Fault {
  readonly path: string
  readonly rule: string
}

/** Every fault of a spec at once. The message is a header and then one line `path: rule` per fault. */
export class SpecError extends Error {
  override readonly name = 'SpecError'
  readonly code = 'EINVAL'
  readonly faults: readonly Fault[]

  constructor(what: string, faults: readonly Fault[]) {
    const header = `invalid ${what}: ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}`
    super([header, ...faults.map(({ path, rule }) => withPath(path, rule))].join('\n'))
    this.faults = faults
  }
}

/** Checks `value`, called `what` in the error. Errors: SpecError. */
export function parse<S extends v.GenericSchema>(schema: S, value: unknown, what: string) {
  const result = v.safeParse(schema, value)
  if (!result.success) {
    const faults = result.issues.map((issue) => ({ path: pathText(keysOf(issue)), rule: ruleOf(issue) }))
    throw new SpecError(what, faults)
  }
  return { output: result.output, warnings: [...notices(schema as Shape, value, [])] }
}

/** An object made of fields. valibot's own would take arrays, Maps and the like as objects too. */
export function fields<const E extends v.ObjectEntries>(entries: E) {
  return v.pipe(v.custom<v.InferInput<v.ObjectSchema<E, undefined>>>(isPlainObject), v.object(entries))
}

/** An object that is taken as it is; a shallow copy of it, so that nobody else holds what was checked. */
export const anyObject = v.pipe(
  v.custom<Record<string, unknown>>(isPlainObject),
  v.transform((value) => ({ ...value })),
)

/** Text by text. Not v.record, which leaves out keys such as `constructor` without a word. */
export function record(valueSchema: v.GenericSchema<string>) {
  return v.pipe(
    v.custom<Record<string, string>>(isPlainObject),
    across(function* (value) {
      if (!isPlainObject(value)) return
      for (const [key, item] of Object.entries(value)) {
        if (key === '') yield { at: [key], rule: 'must not have an empty name' }
        if (key.includes('\0')) yield { at: [key], rule: 'must not have a NUL byte in its name' }
        for (const issue of v.safeParse(valueSchema, item).issues ?? []) yield { at: [key], rule: ruleOf(issue) }
      }
    }),
    v.transform((value) => ({ ...value })),
  )
}

/** `at` are the keys from the value that is checked to the one at fault. */
export interface CrossFault {
  readonly at: readonly Key[]
  readonly rule: string
}

/** A rule about several fields. `check` runs on faulty values too, so it may rely on no type. */
export function across<T>(check: (value: unknown) => Iterable<CrossFault>) {
  return v.rawCheck<T>(({ dataset, addIssue }) => {
    for (const { at, rule } of check(dataset.value)) {
      const path = at.map(
        (key) => ({ type: 'unknown', origin: 'value', input: undefined, key, value: undefined }) as const,
      )
      addIssue({ message: rule, path: path as unknown as [v.UnknownPathItem] })
    }
  })
}

/** The schema, with something to say about values that it finds valid; `say` may also find nothing to say. */
export function noting<S extends v.GenericSchema>(schema: S, say: (value: v.InferOutput<S>) => string | undefined): S {
  return v.pipe(schema, v.metadata({ notice: say })) as unknown as S
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return kindOf(value) === 'an object'
}

/** A person's text in a message, on one line and not endlessly long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}

type Key = string | number

function keysOf(issue: v.BaseIssue<unknown>): Key[] {
  return (issue.path ?? []).map((item) => item.key as Key)
}

/** `mounts[2].destination`, `annotations["a b"]`. */
function pathText(keys: readonly Key[]): string {
  let text = ''
  for (const key of keys) {
    if (typeof key === 'number') text += `[${key}]`
    else if (!/^[\w$]+$/.test(key)) text += `[${JSON.stringify(key)}]`
    else text += text === '' ? key : `.${key}`
  }
  return text
}

function withPath(path: string, text: string): string {
  return path === '' ? text : `${path}: ${text}`
}

const SHAPES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  boolean: 'a boolean',
  array: 'an array',
  custom: 'an object',
}

function ruleOf(issue: v.BaseIssue<unknown>): string {
  if (issue.kind !== 'schema') return issue.message
  const parent = issue.path?.at(-1)?.type
  if (issue.input === undefined && parent === 'object') return 'is required'
  return `must be ${SHAPES[issue.type]}, is ${kindOf(issue.input)}`
}

/** What kind of thing a value is: "a number", "an array", "null", "a Map". */
function kindOf(value: unknown): string {
  if (value === null || value === undefined || Number.isNaN(value)) return String(value)
  if (typeof value !== 'object') return `a ${typeof value}`
  const tag = Object.prototype.toString.call(value).slice(8, -1)
  return tag === 'Object' || tag === 'Array' ? `an ${tag.toLowerCase()}` : `a ${tag}`
}

/** What `notices` reads of a valibot schema. */
interface Shape {
  readonly pipe?: readonly Shape[]
  readonly wrapped?: Shape
  readonly item?: Shape
  readonly entries?: Readonly<Record<string, Shape>>
  readonly metadata?: { readonly notice?: (value: unknown) => string | undefined }
}

/** What there is to say about a value. Preconditions: `value` is valid by `shape`. */
function* notices(shape: Shape, value: unknown, at: readonly Key[]): Iterable<string> {
  if (value === undefined) return
  if (shape.pipe) {
    for (const part of shape.pipe) yield* notices(part, value, at)
    return
  }
  if (shape.wrapped) yield* notices(shape.wrapped, value, at)
  const said = shape.metadata?.notice?.(value)
  if (said) yield withPath(pathText(at), said)
  if (shape.item) for (const [i, item] of (value as unknown[]).entries()) yield* notices(shape.item, item, [...at, i])
  if (shape.entries) yield* fieldNotices(shape.entries, value as Record<string, unknown>, at)
}

function* fieldNotices(entries: Readonly<Record<string, Shape>>, value: Record<string, unknown>, at: readonly Key[]) {
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue
    if (Object.hasOwn(entries, key)) {
      yield* notices(entries[key]!, item, [...at, key])
      continue
    }
    const near = nearest(key, Object.keys(entries))
    const hint = near ? ` (did you mean "${near}"?)` : ''
    yield withPath(pathText([...at, key]), `unknown field, ignored${hint}`)
  }
}

/** The name that is probably meant: the one with the fewest letters changed, and no more than two in five. */
function nearest(word: string, names: readonly string[]): string | undefined {
  let best: string | undefined
  let fewest = Number.POSITIVE_INFINITY
  for (const name of names) {
    const most = Math.floor(Math.max(word.length, name.length) * 0.4)
    if (Math.abs(word.length - name.length) > most) continue
    const distance = editDistance(word.toLowerCase(), name.toLowerCase())
    if (distance > most || distance >= fewest) continue
    best = name
    fewest = distance
  }
  return best
}

/** Letters to insert, remove or replace to make one word the other (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1))
    }
    row = next
  }
  return row[b.length]!
}
