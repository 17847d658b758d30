/** For tests: sandboxes of one site, that come and go, and what can be seen of the files of their containers. */

import { onTestFinished } from 'vitest'
import type { CheckpointOptions, RestoreOptions, RestoreReport } from '../../abi/checkpoints.ts'
import { S_IFDIR, S_IFMT } from '../../abi/linux.ts'
import type { BlobLike, Tree } from '../../abi/tree.ts'
import { bootWorld, treeOf, type World } from '../../host/world.ts'
import { MemorySite } from '../../testing/memory-site.ts'
import type { RuntimeOptions } from '../runtime.ts'
import { endClean } from '../test-world.ts'
import { readCheckpoint } from './format.ts'
import type { Manifest } from './manifest.ts'

type FilesByPath = Parameters<typeof treeOf>[0]
type Given = Tree | FilesByPath

export class Site extends MemorySite {
  /** A sandbox of its own, to which these trees are handed in. When the test ends nothing of it is left. */
  tab(trees: Readonly<Record<string, Given>> = {}, more: Partial<RuntimeOptions> = {}): Tab {
    const world = bootWorld({ volumes: this.host, ...more })
    let ended = false
    const end = async () => {
      if (!ended) await endClean(world)
      ended = true
    }
    onTestFinished(end)
    const tab = new Tab(world, end)
    for (const [name, tree] of Object.entries(trees)) tab.provide(name, tree)
    return tab
  }
}

export class Tab {
  readonly world: World
  readonly end: () => Promise<void>

  constructor(world: World, end: () => Promise<void>) {
    this.world = world
    this.end = end
  }

  get runtime() {
    return this.world.runtime
  }

  provide(name: string, tree: Given): void {
    this.runtime.provide(name, Array.isArray(tree.entries) ? (tree as Tree) : old(tree as FilesByPath))
  }

  create(id: string, spec: object, request = {}) {
    return this.runtime.create(id, spec, request)
  }

  async write(id: string, path: string, content: string | Uint8Array): Promise<void> {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content
    await this.runtime.files(id).writeFile(path, bytes, 0o1101, 0o644)
  }

  async read(id: string, path: string): Promise<string> {
    return new TextDecoder().decode(await this.runtime.files(id).readFile(path))
  }

  async save(options: CheckpointOptions = {}): Promise<Blob> {
    return new Blob([...(await (await this.runtime.checkpoints()).save(options))] as BlobPart[])
  }

  async restore(source: Blob | string, options: RestoreOptions = {}): Promise<RestoreReport> {
    return (await this.runtime.checkpoints()).restore(source as BlobLike | string, options)
  }

  /** The mount table as a person would compare it. */
  mounts(id: string): string[] {
    return this.runtime
      .mounts(id)
      .map(({ destination, type, source, options }) => `${destination} ${type} ${source} ${options.join()}`)
  }

  /** What lstat tells of every file below a path, but for the device, and but for what proc, sysfs and devpts make up. */
  async tree(id: string, path = '/', found: Record<string, object> = {}): Promise<Record<string, object>> {
    const files = this.runtime.files(id)
    const { dev: _, atime, ...stat } = await files.lstat(path)
    const isDirectory = (stat.mode & S_IFMT) === S_IFDIR
    // Listing one makes it younger.
    found[path] = isDirectory ? stat : { atime, ...stat }
    if (!isDirectory) return found
    for (const { name } of await files.readdir(path, false)) {
      const below = `${path === '/' ? '' : path}/${name}`
      if (!['/proc', '/sys', '/dev/pts'].includes(below)) await this.tree(id, below, found)
    }
    return found
  }
}

export async function manifestOf(checkpoint: Blob): Promise<Manifest> {
  return JSON.parse((await readCheckpoint(checkpoint.stream() as unknown as AsyncIterable<Uint8Array>)).manifest)
}

/** A tree of one file per entry, whose files and directories have not been changed for long. */
function old(files: FilesByPath): Tree {
  const directories = new Set([''])
  for (const path of Object.keys(files))
    for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) directories.add(path.slice(0, at))
  const entries = [...directories].map((path) => ({ path, kind: 'directory' as const }))
  return { entries: [...entries, ...treeOf(files).entries].map((entry) => ({ ...entry, mtime: 1n })) }
}

/** The error's message, or what came instead. */
export const failure = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error) => error.message,
  )
