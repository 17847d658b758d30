/** Errors as the page sees them: the kernel's, carried over, and those of wrong arguments, worded as node words them. */

import type { WireError } from '../abi/wire.ts'

/** What every error of a sandbox may carry. */
export interface SandboxError extends Error {
  /** A Linux name (`ENOENT`), or `ERR_…` for what Linux has no name for (`ERR_KERNEL_GONE`). */
  code?: string
  /** The Linux number, negative, as in node. */
  errno?: number
  syscall?: string
  path?: string
  dest?: string
  /** Of an invalid spec: every fault, where it is and which rule it breaks. */
  faults?: { path: string; rule: string }[]
}

/** The kernel's error as an Error of this page. */
export function errorFrom({ name, message, ...fields }: WireError): SandboxError {
  const error: SandboxError = new Error(message)
  if (name !== 'Error') error.name = name
  return Object.assign(error, fields)
}

/** The kernel does not answer any more, and `why`. */
export const kernelGone = (why: string): SandboxError =>
  Object.assign(new Error(`the sandbox's kernel is gone: ${why}`), { code: 'ERR_KERNEL_GONE' })

/** `expected` goes on after "must be": `of type string`. */
export const wrongType = (name: string, expected: string, value: unknown): TypeError =>
  typeError('TYPE', `The "${name}" argument must be ${expected}. Received ${described(value)}`)

/** `rule` goes on after the name: `is invalid`. */
export const wrongValue = (name: string, rule: string, value: unknown): TypeError =>
  typeError('VALUE', `The argument '${name}' ${rule}. Received ${shown(value)}`)

export const outOfRange = (name: string, rule: string, value: unknown): RangeError =>
  Object.assign(
    new RangeError(`The value of "${name}" is out of range. It must be ${rule}. Received ${shown(value)}`),
    {
      code: 'ERR_OUT_OF_RANGE',
    },
  )

const typeError = (what: string, message: string) =>
  Object.assign(new TypeError(message), { code: `ERR_INVALID_ARG_${what}` })

const shown = (value: unknown) => (typeof value === 'string' ? `'${value}'` : String(value))

function described(value: unknown): string {
  if (value === undefined || value === null) return String(value)
  if (typeof value === 'function') return `function ${value.name}`
  if (typeof value === 'object') return `an instance of ${value.constructor?.name ?? 'Object'}`
  return `type ${typeof value} (${shown(value)})`
}
