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

/**
 * The pages to move now. Nothing is read from the disk while the kernel waits: a page whose bytes are not at hand is moved when they
 * are. There may be `more` to do.
 */
export function chooseMoves(cleaning: Cleaning): { moves: readonly Move[]; more: boolean } {
  const { segments, pinned, waiting } = cleaning
  if (!isWanted(segments, pinned, waiting ? 1.8 : 1.4)) return { moves: [], more: false }
  const step: Step = { moves: [], moved: 0, asked: 0 }
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
  return { moves: step.moves, more: !done || step.asked > 0 }
}

chooseMoves.wanted = (segments: Segments, pinned: ReadonlySet<number>) => isWanted(segments, pinned, 1.4)

interface Step {
  readonly moves: Move[]
  moved: number
  /** Windows, for the next step. */
  asked: number
}

/** False if the step is over. */
function empty({ groups, pages }: Segment, { segments, nodes, journal, isOver }: Cleaning, step: Step): boolean {
  for (const group of groups) {
    nodes.makeFiles(group)
    if (isOver()) return false
  }
  for (const kept of pages) {
    const page = kept.file.data?.page(kept.index)
    if (page?.kept !== kept) continue
    const missing = page.bytes.length === 0 ? segments.ask(kept) : 0
    step.asked += missing
    if (step.asked >= segments.mostAsked) return false
    if (missing > 0) continue
    const move = moveOf(kept, page, segments)
    if (!move) continue
    step.moves.push(move)
    step.moved += kept.length
    journal.pageChanged(move.file, move.index)
    if (step.moved >= STEP || isOver()) return false
  }
  return true
}

/** Undefined for a page that is damaged: it stays, and who reads it is told. */
function moveOf(kept: Kept, page: PageView, segments: Segments): Move | undefined {
  const { file, index } = kept
  if (page.bytes.length > 0)
    return { file, index, bytes: page.bytes.subarray(page.start, page.start + page.end), from: kept }
  try {
    return { file, index, bytes: segments.peek(kept, file.filesystem.pool), from: kept }
  } catch {
    return undefined
  }
}
