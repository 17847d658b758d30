/** Copying between open files. */

import type { Context } from './context.ts'
import type { FileDescription } from './description.ts'
import { read, write } from './io.ts'

const PIECE = 32 * 1024

/** What a copy keeps over restarts: bytes that were read and wait to be written, and the count so far. */
class Progress {
  readonly piece = new Uint8Array(PIECE)
  from = 0
  to = 0
  copied = 0
}

/**
 * Copies from one file's position to its end to the other's position, in pieces, over as many short writes as it takes.
 * Gives the bytes copied. If it must wait, what is copied so far stays copied, and the attempt knows how far that is.
 * Errors: those of read and write, the first one.
 */
export function copyBetween(context: Context, source: FileDescription, target: FileDescription): number {
  const progress = context.attempt.note(source, () => new Progress())
  const { piece } = progress
  for (;;) {
    if (progress.from === progress.to) {
      progress.to = read(context, source, piece, [0, PIECE])
      progress.from = 0
      if (progress.to === 0) return progress.copied
    }
    const count = write(context, target, piece, [progress.from, progress.to - progress.from])
    progress.from += count
    progress.copied += count
  }
}
