/**
 * What a checkpoint says of the containers whose files it has: JSON, its first record. It comes from outside, so its shape is checked;
 * what a container's spec may say is checked as if it were new.
 */

import * as v from 'valibot'
import { isPlainObject, parse } from '../validate.ts'
import { fault } from './format.ts'

const natural = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const texts = v.array(v.string())
const anyObject = v.custom<Record<string, unknown>>(isPlainObject)

/** One line of a container's mount table. */
const mount = v.object({
  /** What the mount is found again by. */
  unique: v.string(),
  destination: v.string(),
  /** As mount(2) has it. */
  type: v.string(),
  source: v.optional(v.string()),
  readonly: v.boolean(),
  /** Options of the type itself. */
  data: v.string(),
})

const container = v.object({
  id: v.string(),
  spec: anyObject,
  /** What takes its changes: uppersText. */
  overlay: v.union([v.string(), texts]),
  /** Its root, then the mounts in the order they were made. */
  mounts: v.array(mount),
  /** Mounts that came later: what they are found again by, and as a spec has them. */
  further: v.array(v.object({ unique: v.string(), spec: anyObject })),
  /** What of the bundle it is made from. */
  sources: v.array(v.object({ unique: v.string(), source: v.string(), files: natural, bytes: natural, hash: natural })),
})

const hint = v.object({
  name: v.string(),
  source: v.string(),
  type: v.picklist(['tmpfs', 'bind']),
  share: v.picklist(['container', 'pod', 'shared']),
  options: texts,
})

const orphan = v.object({
  container: v.string(),
  path: v.string(),
  kind: v.picklist(['file', 'directory']),
  mode: natural,
  uid: natural,
  gid: natural,
  size: natural,
  mtime: v.pipe(v.string(), v.regex(/^-?\d+$/)),
  pids: v.array(natural),
})

const manifest = v.object({
  /** Milliseconds since the epoch. */
  time: v.number(),
  containers: v.array(container),
  /** The volumes that containers share, which are among the trees. */
  shared: v.array(hint),
  /** The volumes that they show: these keep their files themselves. */
  volumes: v.array(v.object({ name: v.string(), id: v.string() })),
  /** Filesystems in memory, of a container or shared; their files are in the records, by their number here. */
  trees: v.array(v.object({ container: v.optional(v.string()), unique: v.string(), lastIno: natural })),
  /** Their content is in the records as the files of one tree more, whose inodes are counted from 1. */
  orphans: v.array(orphan),
})

export type Manifest = v.InferOutput<typeof manifest>
export type SavedContainer = v.InferOutput<typeof container>
export type SavedMount = v.InferOutput<typeof mount>
export type SavedOrphan = v.InferOutput<typeof orphan>

/** Errors: EIO for what is no JSON; SpecError with every fault of its shape. */
export function parseManifest(text: string): Manifest {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw fault('is damaged: its manifest is no JSON')
  }
  return parse(manifest, value, 'manifest of the checkpoint').output
}
