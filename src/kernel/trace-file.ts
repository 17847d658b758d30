/** A trace that goes to a file of the container, as strace -o writes it. */

import { encodeUtf8 } from '../abi/utf8.ts'
import type { FileDescription } from '../vfs/description.ts'
import { write } from '../vfs/io.ts'
import type { Trace } from './process.ts'
import type { Task } from './task.ts'

/**
 * Writes lines by the host's own hand, so that they count against no limit of the process. The file is the trace's, which
 * closes it. Where it takes no more (ENOSPC), the rest is left out.
 */
export function traceTo(host: Task, file: FileDescription, calls?: readonly string[]): Trace {
  let open = true
  const end = () => {
    if (open) file.release()
    open = false
  }
  return {
    calls,
    line(line) {
      if (!open) return
      const bytes = encodeUtf8(`${line}\n`)
      try {
        write(host, file, bytes, [0, bytes.length])
      } catch {
        end()
      }
    },
    end,
  }
}
