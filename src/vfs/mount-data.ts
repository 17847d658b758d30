/** The options of a filesystem's type as text, such as `size=1m,noswap`: what mount(2) takes as its data. */

import { ErrnoError } from '../abi/errno.ts'

/** One of them, as it was written. */
export class MountOption {
  readonly key: string
  /** undefined: there is no `=`. */
  readonly value: string | undefined
  readonly #type: string
  readonly #text: string

  constructor(type: string, text: string) {
    const equals = text.indexOf('=')
    this.key = equals < 0 ? text : text.slice(0, equals)
    this.value = equals < 0 ? undefined : text.slice(equals + 1)
    this.#type = type
    this.#text = text
  }

  /** Its value as digits; NaN for what is no such number. */
  number(radix: 8 | 10): number {
    const { value = '' } = this
    return (radix === 8 ? /^[0-7]+$/ : /^\d+$/).test(value) ? Number.parseInt(value, radix) : Number.NaN
  }

  /** EINVAL, for a rule that it breaks. */
  fault(rule: string): ErrnoError {
    return new ErrnoError('EINVAL', undefined, `${this.#type} option "${this.#text}": ${rule}`)
  }
}

/** In their order, without the empty ones. */
export const optionsIn = (type: string, data: string): MountOption[] =>
  data
    .split(',')
    .filter(Boolean)
    .map((text) => new MountOption(type, text))
