/** Mount options of an overlay as text. */

import { ErrnoError } from '../../abi/errno.ts'

export interface OverlayOptions {
  /** Paths, the topmost first. */
  readonly lowerdirs?: readonly string[]
  readonly upperdir?: string
  /** Accepted as Linux wants it beside upperdir; nothing is kept there. */
  readonly workdir?: string
  /** Private attributes are named user.overlay.* instead of trusted.overlay.*. */
  readonly userxattr?: boolean
  /** Of an upperdir that is a volume: its option, as text. */
  readonly cacheBytes?: string
}

const VOLUME = 'volume:'
const UNKNOWN = 'unknown; overlay knows lowerdir, upperdir, workdir, userxattr'

/**
 * Reads `lowerdir=/a:/b,upperdir=/u,workdir=/w,userxattr`. A backslash takes the meaning from a colon, a comma or a
 * backslash behind it. With `names`, a lower may also be a name that means something to the caller, and the upper a volume, of which
 * `cacheBytes` is.
 * Errors: EINVAL with the option in the detail.
 */
export function parseOverlayOptions(data: string, { names = false } = {}): OverlayOptions {
  const options: { -readonly [K in keyof OverlayOptions]: OverlayOptions[K] } = {}
  for (const part of split(data, ',')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const key = equals < 0 ? part : part.slice(0, equals)
    const value = equals < 0 ? undefined : part.slice(equals + 1)
    const fault = (rule: string) => new ErrnoError('EINVAL', undefined, `overlay option "${part}": ${rule}`)
    const path = (text: string | undefined, { name = false } = {}) => {
      const plain = text?.replace(/\\(.)/gs, '$1') ?? ''
      const isName = name && plain !== ''
      if (!(plain.startsWith('/') || isName)) throw fault('wants an absolute path')
      return plain
    }
    switch (key) {
      case 'lowerdir':
        options.lowerdirs = split(value ?? '', ':').map((each) => path(each, { name: names }))
        break
      case 'upperdir':
        options.upperdir = path(value, { name: names && (value?.startsWith(VOLUME) ?? false) })
        break
      case 'workdir':
        options.workdir = path(value)
        break
      case 'userxattr':
        if (value !== undefined) throw fault('takes no value')
        options.userxattr = true
        break
      case 'cacheBytes':
        if (names) {
          options.cacheBytes = value ?? ''
          break
        }
        throw fault(UNKNOWN)
      default:
        throw fault(UNKNOWN)
    }
  }
  if (options.workdir !== undefined && options.upperdir === undefined) {
    throw new ErrnoError('EINVAL', undefined, 'overlay: workdir is for an upperdir')
  }
  if (options.cacheBytes !== undefined && !options.upperdir?.startsWith(VOLUME)) {
    throw new ErrnoError('EINVAL', undefined, 'overlay: cacheBytes is for an upperdir that is a volume')
  }
  return options
}

/** The parts between separators that no backslash stands before. Backslashes stay. */
function split(text: string, separator: string): string[] {
  const parts = ['']
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!
    if (char === separator) parts.push('')
    else parts[parts.length - 1] += char === '\\' && i + 1 < text.length ? char + text[++i]! : char
  }
  return parts
}
