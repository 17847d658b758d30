/** What the descriptors of a process are to be, as a page says it. */

import type { StdioEntry } from '../abi/wire.ts'
import { flagsOf, type Mode, modeOf, type OpenFlags, pathOf } from './arguments.ts'
import { wrongType, wrongValue } from './errors.ts'
import type { Kernel } from './kernel.ts'
import { Pipe, PipeEnd } from './pipe.ts'

/** A file of the container, as a shell's `<`, `>` and `>>` name it. */
export interface StdioFile {
  /** Absolute, or from the working directory of the process. */
  path: string
  /** Left out: `r` for descriptor 0, `w` for others. `a` appends. */
  flags?: OpenFlags
  /** Of a file that is made; 0o666 if left out, from which the umask takes. */
  mode?: Mode
}

/**
 * What a descriptor is: null or undefined for a stream of the page's (0 to 2), `'ignore'` for /dev/null, the number of a lower
 * descriptor for the same as that, a pipe, or a file. Of a pipe, descriptor 0 gets the end to read from, 1 and 2 the one to
 * write to; others say which.
 */
export type StdioOption = 'ignore' | number | Pipe | PipeEnd | StdioFile | null | undefined

/** Errors: TypeError, as node words it, naming the entry. */
export function stdioEntries(options: readonly StdioOption[] | undefined, kernel: Kernel): (StdioEntry | undefined)[] {
  if (options === undefined) return []
  if (!Array.isArray(options)) throw wrongType('options.stdio', 'an instance of Array', options)
  // One object in two places is one open file, not two that write over each other.
  const files = new Map<StdioFile, number>()
  return Array.from(options, (option: StdioOption, fd): StdioEntry | undefined => {
    const name = `options.stdio[${fd}]`
    if (option === undefined || option === null) return undefined
    if (option === 'ignore' || typeof option === 'number') return option
    if (option instanceof Pipe || option instanceof PipeEnd) {
      const end = option instanceof PipeEnd ? option : fd === 0 ? option.readEnd : fd < 3 ? option.writeEnd : undefined
      if (!end) throw wrongValue(name, 'must say which end: pipe.readEnd or pipe.writeEnd', 'a Pipe')
      if (!end.isOf(kernel)) throw wrongValue(name, 'must be a pipe of this sandbox', 'one of another')
      return { pipe: end.pipe, end: end.end }
    }
    if (typeof option !== 'object') throw wrongType(name, "'ignore', a descriptor, a Pipe or a file { path }", option)
    const same = files.get(option)
    if (same !== undefined) return same
    files.set(option, fd)
    const { path, flags = fd === 0 ? 'r' : 'w', mode = 0o666 } = option
    return { path: pathOf(path, `${name}.path`), flags: flagsOf(flags), mode: modeOf(mode) }
  })
}
