/**
 * Takes the pages that live out of segments that are mostly dead, to be packed into new ones with the next commit; and puts many
 * small segments together. A little at a time, and while somebody waits for a commit only if there is much to do.
 */

import type { PageView } from '../../vfs/pages.ts'
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
/** Bytes that one step moves: the more there is to be freed, the more. */
const LEAST_STEP = 512 * 1024
const MOST_STEP = 1536 * 1024
/** What a page counts as at least. */
const LEAST_PAGE = 1024
/** What is stored for each byte in use when a cleaner that has time begins; one whose commit is waited for; one that writers wait for. */
const IDLE = 1.25
const BUSY = 1.7
const LATE = 1.85

/** How many bytes too many are stored, if so many are to be stored for each in use; snapshots apart. */
function excess(segments: Segments, pinned: ReadonlySet<number>, factor: number): number {
  let { size, live } = segments
  for (const id of pinned) {
    const segment = segments.byId.get(id)
    if (!segment) continue
    size -= segment.size
    live -= segment.live
  }
  return size - factor * live - SLACK
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

/**
 * The pages to move now; there may be `more` to do. Segments are asked for, and cleaned when their bytes are at hand: nothing is held
 * up by the disk.
 */
export function chooseMoves(cleaning: Cleaning): { moves: readonly Move[]; more: boolean } {
  const { segments, pinned, waiting } = cleaning
  const tooMany = excess(segments, pinned, waiting ? BUSY : IDLE)
  if (tooMany <= 0 && !segments.hasManySmall(pinned)) {
    segments.forget()
    return { moves: [], more: false }
  }
  const victims = [...segments.byId.values()].filter(
    (segment) =>
      segment.stored &&
      !segment.damaged &&
      !isUnused(segment) &&
      !pinned.has(segment.id) &&
      (segment.isSmall || segment.live < 0.8 * segment.size),
  )
  victims.sort((a, b) => Number(b.isSmall) - Number(a.isSmall) || a.live / a.size - b.live / b.size)
  const step: Step = { moves: [], room: Math.max(LEAST_STEP, Math.min(MOST_STEP, tooMany)) }
  let more = false
  for (const victim of victims) {
    if (!segments.isAtHand(victim)) more = true
    else if (empty(victim, cleaning, step)) segments.forget(victim)
    else return { moves: step.moves, more: true }
  }
  return { moves: step.moves, more }
}

/** Whether a cleaner that has time would find something to do. */
export const isCleaningWanted = (segments: Segments, pinned: ReadonlySet<number>): boolean =>
  excess(segments, pinned, IDLE) > 0 || segments.hasManySmall(pinned)

/** Whether writers have to wait for the cleaner, or more and more would be stored. */
export const isCleaningLate = (segments: Segments, pinned: ReadonlySet<number>): boolean =>
  excess(segments, pinned, LATE) > 0

interface Step {
  readonly moves: Move[]
  /** For so many bytes. */
  room: number
}

/** False if the step is over. */
function empty({ groups, pages }: Segment, { segments, nodes, journal, isOver }: Cleaning, step: Step): boolean {
  for (const group of groups) {
    nodes.makeFiles(group)
    if (isOver()) return false
  }
  for (const kept of pages) {
    const page = kept.file.data?.page(kept.index)
    const move = page?.kept === kept ? moveOf(kept, page, segments) : undefined
    if (!move) continue
    step.moves.push(move)
    step.room -= Math.max(kept.length, LEAST_PAGE)
    journal.pageChanged(move.file, move.index)
    if (step.room <= 0 || isOver()) return false
  }
  return true
}

/** Undefined for a page that is damaged: it stays, and who reads it is told. */
function moveOf(kept: Kept, page: PageView, segments: Segments): Move | undefined {
  const { file, index } = kept
  if (page.bytes.length > 0)
    return { file, index, bytes: page.bytes.subarray(page.start, page.start + page.end), from: kept }
  try {
    return { file, index, bytes: segments.view(kept, file.filesystem.pool), from: kept }
  } catch {
    return undefined
  }
}
