/**
 * Takes the pages that live out of segments that are mostly dead, to be packed into new ones with the next commit; and puts many
 * small segments together. A little at a time, and while somebody waits for a commit only if there is much to do.
 */

import type { TmpfsFile } from './inodes.ts'
import type { Journal } from './journal.ts'
import type { Kept, Segment, Segments } from './segments.ts'

/** A page that gets another place. */
export interface Move {
  readonly file: TmpfsFile
  readonly index: number
  readonly bytes: Uint8Array
  readonly from: Kept
}

const SLACK = 2 << 20
const MOST_SMALL = 64
/** Bytes that one step moves. */
const STEP = 512 * 1024

/** What of all that is stored could be freed, snapshots apart. */
function measure(segments: Segments, pinned: ReadonlySet<number>): { size: number; live: number; small: number } {
  let { size, live } = segments
  let small = 0
  for (const id of pinned) {
    const segment = segments.byId.get(id)
    if (!segment) continue
    size -= segment.size
    live -= segment.live
  }
  if (segments.byId.size > MOST_SMALL) for (const { isSmall } of segments.byId.values()) if (isSmall) small++
  return { size, live, small }
}

function isWanted(segments: Segments, pinned: ReadonlySet<number>, factor: number): boolean {
  const { size, live, small } = measure(segments, pinned)
  return size > factor * live + SLACK || small > MOST_SMALL
}

/** The pages to move now. What they were in is empty then. */
export function chooseMoves(
  segments: Segments,
  pinned: ReadonlySet<number>,
  journal: Journal,
  { waiting }: { waiting: boolean },
): Move[] {
  const moves: Move[] = []
  if (!isWanted(segments, pinned, waiting ? 1.8 : 1.4)) return moves
  const victims = [...segments.byId.values()].filter(
    ({ id, stored, damaged, size, live, isSmall }) =>
      stored && !damaged && live > 0 && !pinned.has(id) && (isSmall || live < 0.8 * size),
  )
  victims.sort((a, b) => Number(b.isSmall) - Number(a.isSmall) || a.live / a.size - b.live / b.size)
  let bytes = 0
  for (const segment of victims) {
    if (bytes > 0 && bytes + segment.live > STEP) break
    bytes += empty(segment, segments, journal, moves)
  }
  return moves
}

chooseMoves.wanted = (segments: Segments, pinned: ReadonlySet<number>) => isWanted(segments, pinned, 1.4)

function empty(segment: Segment, segments: Segments, journal: Journal, moves: Move[]): number {
  let moved = 0
  for (const kept of [...segment.pages]) {
    const { file, index } = kept
    const { data, filesystem } = file
    const page = data?.page(index)
    if (!data || page?.kept !== kept) continue
    let bytes: Uint8Array
    try {
      const isHere = page.bytes.length > 0
      bytes = isHere ? page.bytes.subarray(page.start, page.start + page.end) : segments.peek(kept, filesystem.pool)
    } catch {
      // Whoever reads the page is told that it is damaged.
      return moved
    }
    moves.push({ file, index, bytes, from: kept })
    journal.pageChanged(file, index)
    moved += bytes.length
  }
  return moved
}
