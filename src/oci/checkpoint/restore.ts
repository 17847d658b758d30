/**
 * Makes containers of a checkpoint that was read: each from its spec, as if it were new, its filesystems in memory filled as they are
 * made. What came from the page and from volumes is found again by what its mount is found by, and must be what it was.
 *
 * Invariant: all that can be known to be wrong is found before anything is made; what fails then leaves no container behind.
 */

import type { Orphan, RestoreOptions, RestoreReport, SpecValidation } from '../../abi/checkpoints.ts'
import { ErrnoError } from '../../abi/errno.ts'
import type { BlobLike } from '../../abi/tree.ts'
import { loadFiles, type SavedFiles, type SavedPage } from '../../fs/tmpfs/dump.ts'
import { attempted } from '../../kernel/attempts.ts'
import type { Inode } from '../../vfs/inode.ts'
import { PAGE_SIZE } from '../../vfs/pages.ts'
import { requireId } from '../container.ts'
import { flagsOf, VALIDATIONS } from '../flags.ts'
import type { FurtherMount } from '../mounts/further.ts'
import { readHints } from '../mounts/hints.ts'
import { INTERNAL_TMP, mountsTmp } from '../mounts/internal-tmp.ts'
import type { MountPlan } from '../mounts/mounter.ts'
import { parseUppers, type UppersConfig } from '../mounts/uppers.ts'
import { type Fault, parseSpec, type Spec, SpecError } from '../spec.ts'
import type { CheckpointsOptions } from './checkpoints.ts'
import { differences } from './compare.ts'
import { fault, type ReadCheckpoint } from './format.ts'
import { type Manifest, parseManifest, type SavedContainer, type SavedOrphan } from './manifest.ts'
import { planOf, volumesOf } from './save.ts'
import { type Fingerprint, fingerprint, sourcesOf } from './sources.ts'

/** A container as it is to be. */
interface Wanted {
  readonly saved: SavedContainer
  readonly spec: Spec
  readonly uppers: UppersConfig
  readonly further: readonly FurtherMount[]
  readonly policy: SpecValidation
  readonly warnings: string[]
}

/** A filesystem in memory, of a container or shared. */
interface Tree {
  readonly container: string | undefined
  readonly unique: string
  readonly files: SavedFiles
  /** A filesystem was made of it. */
  filled: boolean
}

/**
 * Errors: SpecError for specs that are none, or differ where they must not; EEXIST for a container or a shared volume that is there;
 * ENOENT and ESTALE for sources and volumes that are not there, or not what they were; those of making a container.
 */
export async function restore(
  { manifest: text, trees: records }: ReadCheckpoint,
  options: RestoreOptions,
  host: CheckpointsOptions,
): Promise<RestoreReport> {
  const { runtime, archives } = host
  const manifest = parseManifest(text)
  const wanted = wantedOf(manifest, options, host)
  const trees = manifest.trees.map(({ container, unique, lastIno }, i): Tree => {
    const files = records.get(i)
    if (!files) throw fault(`is damaged: it has no files of ${unique}`)
    return { container, unique, files: { lastIno, ...files }, filled: false }
  })
  const withdraw = enterHints(manifest, wanted, host)
  const made: string[] = []
  try {
    const plans = new Map(wanted.map((each) => [each, planOf(each, { vfs: runtime.vfs, shared: runtime.shared })]))
    for (const [each, plan] of plans) requireMounts(each, plan)
    await requireVolumes(manifest, [...plans.values()], host)
    for (const [each, plan] of plans) await requireSources(each, plan, host)
    for (const each of wanted) await make(each, trees, host, () => made.push(each.saved.id))
    requireFilled(trees, undefined)
  } catch (failure) {
    for (const id of made) await runtime.delete(id, true).catch(() => {})
    withdraw()
    throw failure
  }
  const contents = records.get(manifest.trees.length)?.pages
  return {
    containers: wanted.map(({ saved: { id }, warnings }) => ({ id, warnings })),
    orphans: manifest.orphans.map((orphan, i) => orphanOf(orphan, contents?.get(i + 1) ?? [], archives)),
  }
}

/** Errors: SpecError; EEXIST, EINVAL for a container's id; ENOENT for a spec of no container. */
function wantedOf(manifest: Manifest, { specs = {}, validation }: RestoreOptions, host: CheckpointsOptions): Wanted[] {
  if (validation !== undefined && !VALIDATIONS.includes(validation))
    throw new SpecError('options', [{ path: 'validation', rule: `must be one of ${VALIDATIONS.join(', ')}` }])
  for (const id of Object.keys(specs)) {
    if (!manifest.containers.some((saved) => saved.id === id))
      throw new ErrnoError('ENOENT', id, 'the checkpoint has no container of this id')
  }
  return manifest.containers.map((saved) => {
    const { id } = saved
    requireId(id)
    if (host.runtime.containers().some((container) => container.id === id))
      throw new ErrnoError('EEXIST', id, 'there is a container of this id')
    const before = parseSpec(saved.spec)
    const { spec, warnings } = Object.hasOwn(specs, id) ? parseSpec(specs[id]) : before
    const policy = validation ?? flagsOf(spec.annotations ?? {}, host.flags).restoreSpecValidation
    heed(policy, `spec of "${id}", which differs from the saved one`, differences(before.spec, spec), warnings)
    const further = saved.further.map(({ unique, spec }) => ({
      unique,
      spec: parseSpec({ mounts: [spec] }).spec.mounts![0]!,
    }))
    return { saved, spec, uppers: parseUppers(saved.overlay), further, policy, warnings }
  })
}

/** Errors: SpecError. */
function heed(policy: SpecValidation, what: string, faults: readonly Fault[], warnings: string[]): void {
  if (policy === 'enforce' && faults.length > 0) throw new SpecError(what, faults)
  if (policy === 'warning') for (const { path, rule } of faults) warnings.push(`${path}: ${rule}`)
}

/** Gives what takes them back. Errors: EEXIST. */
function enterHints(manifest: Manifest, wanted: readonly Wanted[], { runtime: { shared } }: CheckpointsOptions) {
  const given = wanted.flatMap(({ spec }) => readHints(spec.annotations ?? {}, () => {}))
  const others = manifest.shared.filter(({ name }) => !given.some((hint) => hint.name === name))
  for (const { name } of manifest.shared) {
    if (shared.masters.has(name))
      throw new ErrnoError('EEXIST', name, `containers of the sandbox share a volume "${name}", which is another one`)
  }
  return shared.enter([...given, ...others])
}

const hasTmp = ({ saved, spec }: Wanted) =>
  !mountsTmp(spec) && saved.mounts.some(({ unique }) => unique === INTERNAL_TMP)

/** That something is mounted where something was, and nowhere else, whatever it is. Errors: EINVAL. */
function requireMounts(wanted: Wanted, { mounts }: MountPlan): void {
  const { saved } = wanted
  const now = new Set(['/', ...mounts.map(({ unique }) => unique), ...(hasTmp(wanted) ? [INTERNAL_TMP] : [])])
  const before = new Set(saved.mounts.map(({ unique }) => unique))
  for (const unique of new Set([...now, ...before])) {
    if (now.has(unique) && before.has(unique)) continue
    const what = now.has(unique) ? 'was saved of this mount' : 'is mounted there now'
    throw new ErrnoError(
      'EINVAL',
      unique,
      `container "${saved.id}": nothing ${what}: restore it with the mounts that it had`,
    )
  }
}

/** Errors: ENOENT, ESTALE. */
async function requireVolumes(
  { volumes }: Manifest,
  plans: readonly MountPlan[],
  host: CheckpointsOptions,
): Promise<void> {
  if (volumes.length === 0) return
  const ids = await host.runtime.volumes.ids()
  const shown = new Set(plans.flatMap(volumesOf).map((name) => ids.get(name)))
  for (const { name, id } of volumes) {
    if (shown.has(id)) continue
    const [now] = [...ids].find(([, other]) => other === id) ?? []
    if (now !== undefined)
      throw new ErrnoError('ESTALE', name, `the volume "${name}" is called "${now}" now, and no mount shows it`)
    if (ids.has(name))
      throw new ErrnoError('ESTALE', name, `the volume "${name}" is another one than that which was saved`)
    throw new ErrnoError('ENOENT', name, `the volume "${name}", which was saved with them, is not in this browser`)
  }
}

/** Errors: EINVAL for one too few or too many; ENOENT and so on of Bundle.find; SpecError for one that is not what it was. */
async function requireSources(
  { saved, policy, warnings }: Wanted,
  plan: MountPlan,
  host: CheckpointsOptions,
): Promise<void> {
  const { id } = saved
  const now = new Map(sourcesOf(plan).map((each) => [each.unique, each.source]))
  const changed: Fault[] = []
  for (const { unique, source, ...before } of saved.sources) {
    const given = now.get(unique)
    now.delete(unique)
    if (given === undefined)
      throw new ErrnoError(
        'EINVAL',
        unique,
        `container "${id}": it came from "${source}", and now from nothing of the bundle`,
      )
    const found = await fingerprintNow(given, `container "${id}", ${unique}`, host)
    if (found.hash !== before.hash || found.files !== before.files || found.bytes !== before.bytes)
      changed.push({
        path: unique,
        rule: `"${given}" is not what it was: ${inWords(found)}, was ${inWords(before)}`,
      })
  }
  for (const [unique, source] of now)
    throw new ErrnoError(
      'EINVAL',
      unique,
      `container "${id}": it comes from "${source}", and came from nothing of the bundle`,
    )
  heed(policy, `sources of "${id}": a saved container is corrupted by others`, changed, warnings)
}

async function fingerprintNow(
  source: string,
  what: string,
  { runtime, bundle }: CheckpointsOptions,
): Promise<Fingerprint> {
  try {
    return await attempted(runtime.waiting, (attempt) => fingerprint(bundle, source, attempt))
  } catch (error) {
    if (error instanceof ErrnoError)
      throw new ErrnoError(error.code, source, `${what}: ${error.detail ?? error.message}`)
    throw error
  }
}

const inWords = ({ files, bytes, hash }: Fingerprint) => `${files} files of ${bytes} bytes (${hash.toString(16)})`

/** Errors: EINVAL for files of the container, or with none of shared volumes, that nothing took. */
function requireFilled(trees: readonly Tree[], container: string | undefined): void {
  const left = trees.find((tree) => tree.container === container && !tree.filled)
  if (!left) return
  const whose = container === undefined ? 'containers shared it' : `container "${container}"`
  throw new ErrnoError('EINVAL', left.unique, `${whose}: its files were in memory, and nothing there takes them now`)
}

/** `made` is called once it is there, whatever fails then. Errors: those of making a container; EIO for files that do not hold together; EINVAL for files that nothing takes. */
async function make(
  wanted: Wanted,
  trees: readonly Tree[],
  { runtime, container }: CheckpointsOptions,
  made: () => void,
): Promise<void> {
  const { saved, spec, uppers, further, warnings } = wanted
  const { id } = saved
  const fillOf = (container: string | undefined, unique: string) => {
    const tree = trees.find((each) => each.container === container && each.unique === unique)
    return tree && ((root: Inode) => fill(tree, root))
  }
  const contents = (unique: string) => fillOf(undefined, unique) ?? fillOf(id, unique)
  await runtime.make(id, spec, warnings, async () => ({ uppers, contents, internalTmp: hasTmp(wanted) }))
  made()
  for (const mount of further) {
    // What a further mount is found by is new; that of a volume which is shared is not.
    const again = (unique: string) => fillOf(undefined, unique) ?? fillOf(id, mount.unique)
    await runtime.mountFurther(container(id), mount.spec, { warnings, contents: again })
  }
  requireFilled(trees, id)
}

function fill(tree: Tree, root: Inode): void {
  const whose = tree.container === undefined ? '' : ` of container "${tree.container}"`
  loadFiles(root, tree.files, `the checkpoint, ${tree.unique}${whose},`)
  tree.filled = true
}

/** Zeros, of which a file that has holes is put together. */
const GAP = 1 << 20

function orphanOf(
  { mtime, ...orphan }: SavedOrphan,
  pages: readonly SavedPage[],
  { blob }: Pick<CheckpointsOptions['archives'], 'blob'>,
): Orphan {
  const told = { ...orphan, mtime: BigInt(mtime) }
  if (orphan.kind === 'directory') return told
  const parts: (Uint8Array | BlobLike)[] = []
  let zeros: BlobLike | undefined
  let at = 0
  const skipTo = (end: number) => {
    zeros ??= blob([new Uint8Array(GAP)], '')
    for (; at < end; at += Math.min(GAP, end - at)) parts.push(zeros.slice(0, end - at))
  }
  for (const { index, bytes } of [...pages].sort((a, b) => a.index - b.index)) {
    if (index * PAGE_SIZE > at) skipTo(index * PAGE_SIZE)
    parts.push(bytes)
    at += bytes.length
  }
  if (at < orphan.size) skipTo(orphan.size)
  return { ...told, content: blob(parts, 'application/octet-stream') }
}
