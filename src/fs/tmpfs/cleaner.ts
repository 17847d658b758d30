/**
 * Takes the pages that live out of segments that are mostly dead, to be packed into new ones with the next commit; and puts many
 * small segments together. A little at a time, and while somebody waits for a commit only if there is much to do.
 */

import type { TmpfsFile } from './inodes.ts'
import type { Journal } from './journal.ts'
import type { NodeTable } from './node-table.ts'
import { isUnused, type Kept, type Segment, type Segments } from './segments.ts'

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

export interface Cleaning {
  readonly segments: Segments
  readonly pinned: ReadonlySet<number>
  readonly journal: Journal
  readonly nodes: NodeTable
  /** Somebody waits for the commit. */
  readonly waiting: boolean
  /** The step has taken long enough. */
  readonly isOver: () => boolean
}

/** The pages to move now. A segment may be left with some of its pages: there is `more` to do. */
export function chooseMoves(cleaning: Cleaning): { moves: readonly Move[]; more: boolean } {
  const { segments, pinned, waiting } = cleaning
  if (!isWanted(segments, pinned, waiting ? 1.8 : 1.4)) return { moves: [], more: false }
  const step: Step = { moves: [], bytes: 0 }
  const victims = [...segments.byId.values()].filter(
    (segment) =>
      segment.stored &&
      !segment.damaged &&
      !isUnused(segment) &&
      !pinned.has(segment.id) &&
      (segment.isSmall || segment.live < 0.8 * segment.size),
  )
  victims.sort((a, b) => Number(b.isSmall) - Number(a.isSmall) || a.live / a.size - b.live / b.size)
  const done = victims.every((victim) => empty(victim, cleaning, step))
  return { moves: step.moves, more: !done }
}

chooseMoves.wanted = (segments: Segments, pinned: ReadonlySet<number>) => isWanted(segments, pinned, 1.4)

interface Step {
  readonly moves: Move[]
  bytes: number
}

/** False if the step is over. */
function empty({ groups, pages }: Segment, { segments, nodes, journal, isOver }: Cleaning, step: Step): boolean {
  for (const group of groups) {
    nodes.makeFiles(group)
    if (isOver()) return false
  }
  for (const kept of pages) {
    const move = moveOf(kept, segments)
    if (!move) continue
    step.moves.push(move)
    step.bytes += move.bytes.length
    journal.pageChanged(move.file, move.index)
    if (step.bytes >= STEP || isOver()) return false
  }
  return true
}

/** Undefined for a page that is damaged: it stays, and who reads it is told. */
function moveOf(kept: Kept, segments: Segments): Move | undefined {
  const { file, index } = kept
  const page = file.data?.page(index)
  if (page?.kept !== kept) return undefined
  if (page.bytes.length > 0)
    return { file, index, bytes: page.bytes.subarray(page.start, page.start + page.end), from: kept }
  try {
    return { file, index, bytes: segments.peek(kept, file.filesystem.pool), from: kept }
  } catch {
    return undefined
  }
}
