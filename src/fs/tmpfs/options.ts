/** tmpfs(5) mount options as text. */

import { optionsIn } from '../../vfs/mount-data.ts'

export interface TmpfsOptions {
  /** Most bytes of file data, a multiple of 4096; undefined: not given. 0: no limit. */
  readonly size?: number | undefined
  /** Most inodes, the root included; undefined: not given. 0: no limit. */
  readonly inodes?: number | undefined
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  /** Of a volume: most bytes of unchanged pages in memory, a multiple of 4096. */
  readonly cacheBytes?: number
}

const PAGE = 4096
const SUFFIXES = 'kmgtpe'
const SIZE_RULE = 'wants a number with at most one of k m g t p e behind it'
/** A page, and as much to read it through. */
const LEAST_CACHE = 128 * 1024

/**
 * Reads `size=1m,nr_inodes=1k,mode=755,uid=0,gid=0` (also nr_blocks, noswap). Of repeated keys the last one counts, size and
 * nr_blocks being one. `memory` is what a percentage is of, in bytes. Where the files are `kept`, `cacheBytes=16m` is known, too.
 * Errors: EINVAL with the option in the detail.
 */
export function parseTmpfsOptions(data: string, memory?: number, kept = false): TmpfsOptions {
  const options: { -readonly [K in keyof TmpfsOptions]: TmpfsOptions[K] } = {}
  for (const option of optionsIn('tmpfs', data)) {
    const { key, value } = option
    const integer = (radix: 8 | 10) => {
      const number = option.number(radix)
      // The largest 32-bit number is no id: it says "leave it" to chown(2).
      if (!(number < 2 ** 32 - 1))
        throw option.fault(radix === 8 ? 'wants an octal number' : 'wants a number below 2^32-1')
      return number
    }
    switch (key) {
      case 'size':
      case 'nr_blocks': {
        const bytes = key === 'size' ? parseSize(value, memory) : scale(parseSize(value), PAGE)
        if (bytes === undefined) throw option.fault(`${SIZE_RULE}, or for size a %`)
        options.size = Math.ceil(bytes / PAGE) * PAGE
        break
      }
      case 'nr_inodes': {
        const count = parseSize(value)
        if (count === undefined) throw option.fault(SIZE_RULE)
        options.inodes = count
        break
      }
      case 'mode':
        options.mode = integer(8) & 0o7777
        break
      case 'uid':
        options.uid = integer(10)
        break
      case 'gid':
        options.gid = integer(10)
        break
      case 'cacheBytes': {
        if (!kept) throw option.fault('is for a volume: what is nowhere but in memory stays there')
        const bytes = parseSize(value)
        if (bytes === undefined) throw option.fault(SIZE_RULE)
        if (bytes < LEAST_CACHE) throw option.fault(`wants at least ${LEAST_CACHE / 1024}k`)
        options.cacheBytes = Math.ceil(bytes / PAGE) * PAGE
        break
      }
      case 'noswap':
        if (value !== undefined) throw option.fault('takes no value')
        break
      default:
        throw option.fault(
          'unknown; tmpfs knows size, nr_blocks, nr_inodes, mode, uid, gid, noswap; a volume cacheBytes, too',
        )
    }
  }
  return options
}

const scale = (count: number | undefined, by: number) => (count === undefined ? undefined : count * by)

/** Bytes of `64m`, `1G`, `4096`, and of `50%` if there is a whole to take it of; undefined if it is none of these. */
function parseSize(text: string | undefined, whole?: number): number | undefined {
  const match = /^(\d+)([kmgtpe%]?)$/i.exec(text ?? '')
  if (!match) return undefined
  const number = Number(match[1])
  const suffix = match[2]!.toLowerCase()
  if (suffix === '%') return whole === undefined ? undefined : Math.floor((number / 100) * whole)
  const bytes = number * 1024 ** (suffix === '' ? 0 : SUFFIXES.indexOf(suffix) + 1)
  // The kernel's counters are 64-bit; what overflows them is malformed, what we can't count exactly has no limit in effect.
  return bytes >= 2 ** 64 ? undefined : bytes
}

/** The options as /proc/mounts prints them: only those given, size in KiB. */
export function formatTmpfsOptions(options: TmpfsOptions): string {
  const parts: string[] = []
  if (options.size !== undefined) parts.push(`size=${options.size / 1024}k`)
  if (options.inodes !== undefined) parts.push(`nr_inodes=${options.inodes}`)
  if (options.mode !== undefined) parts.push(`mode=${options.mode.toString(8)}`)
  if (options.uid !== undefined) parts.push(`uid=${options.uid}`)
  if (options.gid !== undefined) parts.push(`gid=${options.gid}`)
  if (options.cacheBytes !== undefined) parts.push(`cacheBytes=${options.cacheBytes / 1024}k`)
  return parts.join(',')
}
