/** The kinds of values that a container spec is made of, as valibot schemas. */

import * as v from 'valibot'
import { PATH_MAX } from '../abi/linux.ts'
import { utf8Length } from '../abi/utf8.ts'
import { fields, noting } from './validate.ts'

/** __NEW_UTS_LEN, as sethostname(2) has it. */
export const HOST_NAME_MAX = 64
export const UINT32_MAX = 2 ** 32 - 1

/** A field of the runtime-spec that means nothing in a browser. */
export function inert<S extends v.GenericSchema>(schema: S): S {
  return noting(schema, () => 'has no effect here')
}

export const noNul = v.check((text: string) => !text.includes('\0'), 'must not contain a NUL byte')
export const notEmpty = v.check((text: string) => text !== '', 'must not be empty')

export function maxBytes(max: number) {
  return v.check((text: string) => utf8Length(text) <= max, `must be at most ${max} bytes`)
}

export function integer(max: number, shown = String(max)) {
  return v.pipe(
    v.number(),
    v.check(
      (n) => Number.isInteger(n) && n >= 0 && n <= max,
      (issue) => `must be an integer from 0 to ${shown}, is ${issue.input}`,
    ),
  )
}

export const uint32 = integer(UINT32_MAX)
/** A uint64 as JSON.parse gives it: RLIM_INFINITY, 2^64-1, arrives as the next double, 2^64. */
export const uint64 = integer(2 ** 64, '18446744073709551615')
export const count = integer(Number.MAX_SAFE_INTEGER)
export const milliseconds = v.pipe(
  v.number(),
  v.check(
    (n) => n > 0 && n <= Number.MAX_SAFE_INTEGER,
    (issue) => `must be a number of milliseconds above 0, is ${issue.input}`,
  ),
)
export const text = v.pipe(v.string(), noNul)
export const texts = v.array(text)
export const name = v.pipe(text, maxBytes(HOST_NAME_MAX))
export const absolutePath = v.pipe(
  text,
  v.check((path) => path.startsWith('/'), 'must be absolute'),
  maxBytes(PATH_MAX),
)
export const environment = v.array(
  v.pipe(
    text,
    v.check((entry) => entry.indexOf('=') > 0, 'must be NAME=value'),
  ),
)
export const idMappings = inert(v.array(fields({ containerID: uint32, hostID: uint32, size: uint32 })))
