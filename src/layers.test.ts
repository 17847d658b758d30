/**
 * Imports point one way: abi ◄ vfs ◄ devices ◄ fs/<type> ◄ kernel ◄ oci ◄ wasi ◄ index; host, client, worker and web stand at the
 * edge. The checker is a pure function from each file's imports to its faults, so it is tested on trees that must be flagged, and
 * then run on ours. Tests may import what they like; they are not part of what ships.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseSync } from 'vite'
import { describe, expect, test } from 'vitest'

interface Import {
  /** A file of the repository (`src/abi/errno.ts`), or the name of a package. */
  readonly to: string
  /** Nothing of it is left in the running code. */
  readonly type: boolean
}

type Tree = Readonly<Record<string, readonly Import[]>>

const order = ['abi', 'vfs', 'devices', 'fs', 'kernel', 'oci', 'wasi', 'index']
/** Tests, and what is there for tests alone: test-world.ts. */
const isTest = (file: string) => /\.test\.ts$|\/test-[^/]+\.ts$/.test(file)

/** `vfs`, `client`, `worker`; files directly in src are `index`. Undefined: a package, or a file that no rule speaks of. */
function layerOf(file: string): string | undefined {
  const [top, second, ...rest] = file.split('/')
  if (top === 'worker' || top === 'web') return top
  if (top !== 'src' || second === undefined) return undefined
  return rest.length === 0 ? 'index' : second
}

/** `tmpfs` for src/fs/tmpfs/inode.ts; undefined for a file that all types share. */
function typeOf(file: string): string | undefined {
  return /^src\/fs\/([^/]+)\//.exec(file)?.[1]
}

/** Why `from` may not import `to`, or undefined if it may. */
function fault(from: string, { to, type }: Import): string | undefined {
  const [layer, target] = [layerOf(from), layerOf(to)]
  if (layer === undefined) return undefined
  const upTo = (last: string) =>
    target !== undefined && order.indexOf(target) >= 0 && order.indexOf(target) <= order.indexOf(last)
  const inside = target !== undefined

  if (layer === 'client') {
    if (target === 'client' || target === 'abi' || to === 'comlink') return undefined
    return type && upTo('wasi') ? undefined : 'client imports comlink, abi, itself, and types from the left'
  }
  if (layer === 'web') return inside && target !== 'web' && target !== 'client' ? 'web imports client only' : undefined
  if (target === 'web') return 'nothing imports web'
  if (target === 'testing' && layer !== 'testing') return 'only tests import testing'
  if (target === 'worker' && layer !== 'worker') return 'nothing imports worker'
  if (layer === 'worker' || layer === 'host') return target === 'client' ? `${layer} does not import client` : undefined
  if (layer === 'testing')
    return !inside || target === 'testing' || upTo('kernel') ? undefined : 'testing imports up to kernel'
  if (!order.includes(layer)) return `src/${layer} is not a folder of the design`
  if (!inside) return undefined
  if (!upTo(layer)) return `${layer} does not import ${target}`
  const [mine, other] = [typeOf(from), typeOf(to)]
  if (other === undefined || mine === other || layer !== 'fs') return undefined
  if (mine === undefined) return 'what all filesystem types share imports none of them'
  return mine === 'devtmpfs' && other === 'tmpfs' ? undefined : 'one filesystem type does not import another'
}

/** One line per fault: forbidden imports, imports of files that do not exist, and cycles of value imports. */
function faultsOf(tree: Tree): string[] {
  const faults = []
  const shipped = Object.entries(tree).filter(([file]) => !isTest(file))
  for (const [from, imports] of shipped) {
    for (const entry of imports) {
      const why = isTest(entry.to) ? 'a test is imported by nothing' : fault(from, entry)
      if (why) faults.push(`${from} → ${entry.to}: ${why}`)
      else if (layerOf(entry.to) !== undefined && /\.ts$/.test(entry.to) && !(entry.to in tree))
        faults.push(`${from} → ${entry.to}: no such file`)
    }
  }

  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]) => {
    const start = path.indexOf(file)
    if (start >= 0) faults.push(`cycle: ${[...path.slice(start), file].join(' → ')}`)
    if (start >= 0 || done.has(file)) return
    for (const { to, type } of tree[file] ?? []) if (!type && to in tree) visit(to, [...path, file])
    done.add(file)
  }
  for (const [file] of shipped) visit(file, [])
  return faults
}

/** What a file's text imports: statically, by `export … from`, by `import()` and in `import('…').Type`. */
function importsOf(file: string, text: string): Import[] {
  const { module, errors } = parseSync(file, text)
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`)
  const resolve = (specifier: string) =>
    specifier.startsWith('.') ? new URL(specifier, `file:///${file}`).pathname.slice(1) : specifier
  const found: Import[] = []
  for (const { start, moduleRequest } of module.staticImports) {
    // `import { type A }` still loads the module (verbatimModuleSyntax); only `import type` vanishes.
    found.push({ to: resolve(moduleRequest.value), type: /^import\s+type\b/.test(text.slice(start)) })
  }
  for (const { start, entries } of module.staticExports) {
    const request = entries.find(({ moduleRequest }) => moduleRequest)?.moduleRequest
    if (request) found.push({ to: resolve(request.value), type: /^export\s+type\b/.test(text.slice(start)) })
  }
  const dynamic = new Set(module.dynamicImports.map(({ start }) => start))
  for (const match of text.matchAll(/\bimport\(\s*(['"])([^'"]+)\1\s*\)/g)) {
    found.push({ to: resolve(match[2] as string), type: !dynamic.has(match.index) })
  }
  return found
}

function readTree(): Tree {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const tree: Record<string, Import[]> = {}
  for (const top of ['src', 'worker', 'web']) {
    for (const name of filesIn(`${root}${top}`)) {
      const file = `${top}/${name}`
      if (/\.tsx?$/.test(name) && !name.endsWith('.d.ts'))
        tree[file] = importsOf(file, readFileSync(root + file, 'utf8'))
    }
  }
  return tree
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => name.replaceAll('\\', '/'))
  } catch {
    return [] // not there yet
  }
}

/** A tree from lines such as `src/vfs/a.ts → src/abi/b.ts`, or `⇢` for a type import. Files on the right exist. */
function treeOf(...lines: string[]): Tree {
  const tree: Record<string, Import[]> = {}
  for (const line of lines) {
    const [from, arrow, to] = line.split(' ') as [string, string, string]
    tree[from] = [...(tree[from] ?? []), { to, type: arrow === '⇢' }]
    if (to.includes('/')) tree[to] ??= []
  }
  return tree
}

test('imports in src, worker and web point one way', () => {
  const tree = readTree()
  expect(Object.keys(tree)).toContain('src/layers.test.ts')
  expect(faultsOf(tree)).toEqual([])
})

describe('the layers checker', () => {
  test.each([
    ['an upward import', 'src/vfs/walk.ts → src/kernel/task.ts'],
    ['an upward import of a type', 'src/abi/errno.ts ⇢ src/vfs/walk.ts'],
    ['an upward import past one layer', 'src/devices/null.ts → src/fs/tmpfs/inode.ts'],
    ['an import of the barrel', 'src/wasi/preview1.ts → src/index.ts'],
    ['the core importing host', 'src/kernel/task.ts → src/host/clock.ts'],
    ['the core importing a type of client', 'src/oci/spec.ts ⇢ src/client/index.ts'],
    ['one filesystem type importing another', 'src/fs/overlay/inode.ts → src/fs/tmpfs/inode.ts'],
    ['one filesystem type importing a type of another', 'src/fs/gofer/inode.ts ⇢ src/fs/tmpfs/inode.ts'],
    ['tmpfs importing devtmpfs', 'src/fs/tmpfs/inode.ts → src/fs/devtmpfs/index.ts'],
    ['shared filesystem code importing a type', 'src/fs/times.ts → src/fs/tmpfs/inode.ts'],
    ['client importing a value of the core', 'src/client/index.ts → src/vfs/walk.ts'],
    ['client importing host', 'src/client/index.ts → src/host/clock.ts'],
    ['client importing a type of host', 'src/client/index.ts ⇢ src/host/clock.ts'],
    ['client importing another package', 'src/client/index.ts → idb-keyval'],
    ['client importing a worker', 'src/client/index.ts → worker/kernel.worker.ts'],
    ['host importing client', 'src/host/clock.ts → src/client/index.ts'],
    ['worker importing client', 'worker/kernel.worker.ts → src/client/index.ts'],
    ['worker importing web', 'worker/kernel.worker.ts → web/main.ts'],
    ['web importing the kernel', 'web/main.ts → src/kernel/task.ts'],
    ['web importing a type of the kernel', 'web/main.ts ⇢ src/kernel/task.ts'],
    ['web importing a worker', 'web/main.ts → worker/kernel.worker.ts'],
    ['code importing testing', 'src/kernel/task.ts → src/testing/index.ts'],
    ['a worker importing testing', 'worker/kernel.worker.ts → src/testing/index.ts'],
    ['testing importing wasi', 'src/testing/index.ts → src/wasi/preview1.ts'],
    ['code importing a test', 'src/vfs/walk.ts → src/vfs/walk.test.ts'],
    ['a folder that the design does not have', 'src/utils/misc.ts → src/abi/errno.ts'],
  ])('flags %s', (_, line) => {
    expect(faultsOf(treeOf(line))).toHaveLength(1)
  })

  test('flags cycles of value imports, within a layer too', () => {
    const tree = treeOf('src/vfs/a.ts → src/vfs/b.ts', 'src/vfs/b.ts → src/vfs/c.ts', 'src/vfs/c.ts → src/vfs/a.ts')
    expect(faultsOf(tree)).toEqual(['cycle: src/vfs/a.ts → src/vfs/b.ts → src/vfs/c.ts → src/vfs/a.ts'])
    expect(faultsOf(treeOf('web/a.ts → web/a.ts'))).toHaveLength(1)
  })

  test('flags an import of a file that is not there', () => {
    expect(faultsOf({ 'src/vfs/a.ts': [{ to: 'src/abi/gone.ts', type: true }] })).toHaveLength(1)
  })

  test.each([
    ['each layer importing those to its left', 'src/oci/spec.ts → src/fs/tmpfs/index.ts'],
    ['a layer importing itself', 'src/vfs/walk.ts → src/vfs/mount.ts'],
    ['devtmpfs importing tmpfs', 'src/fs/devtmpfs/index.ts → src/fs/tmpfs/inode.ts'],
    ['a filesystem type importing what all share', 'src/fs/tmpfs/inode.ts → src/fs/times.ts'],
    ['the kernel importing a filesystem type', 'src/kernel/kernel.ts → src/fs/tmpfs/index.ts'],
    ['the barrel importing anything in the core', 'src/index.ts → src/wasi/preview1.ts'],
    ['host importing the core', 'src/host/clock.ts → src/kernel/clock.ts'],
    ['host importing a package', 'src/host/store.ts → idb-keyval'],
    ['client importing values of abi', 'src/client/index.ts → src/abi/errno.ts'],
    ['client importing types of the core', 'src/client/index.ts ⇢ src/oci/spec.ts'],
    ['client importing comlink', 'src/client/index.ts → comlink'],
    ['worker importing host', 'worker/kernel.worker.ts → src/host/clock.ts'],
    ['web importing client', 'web/main.ts → src/client/index.ts'],
    ['testing importing the kernel', 'src/testing/index.ts → src/kernel/task.ts'],
    ['a test importing upwards', 'src/vfs/walk.test.ts → src/kernel/task.ts'],
    ['a test importing testing', 'src/vfs/walk.test.ts → src/testing/index.ts'],
    ['what is there for tests importing testing', 'src/vfs/test-tree.ts → src/testing/index.ts'],
  ])('allows %s', (_, line) => {
    expect(faultsOf(treeOf(line))).toEqual([])
  })

  test('allows cycles in which an import is only of a type', () => {
    expect(faultsOf(treeOf('src/vfs/a.ts → src/vfs/b.ts', 'src/vfs/b.ts ⇢ src/vfs/a.ts'))).toEqual([])
  })

  test('reads every kind of import, and tells types from values', () => {
    const text = `
      import type { A } from './a.ts'
      import { type B } from '../abi/b.ts'
      import './c.ts'
      export * from './d.ts'
      export type { E } from './e.ts'
      // import { F } from './f.ts'
      const g = () => import('./g.ts')
      export const h: import('./h.ts').H = 'import("./i.ts")'
      import { wrap } from 'comlink'`
    expect(importsOf('src/vfs/x.ts', text)).toEqual([
      { to: 'src/vfs/a.ts', type: true },
      { to: 'src/abi/b.ts', type: false },
      { to: 'src/vfs/c.ts', type: false },
      { to: 'comlink', type: false },
      { to: 'src/vfs/d.ts', type: false },
      { to: 'src/vfs/e.ts', type: true },
      { to: 'src/vfs/g.ts', type: false },
      { to: 'src/vfs/h.ts', type: true },
      { to: 'src/vfs/i.ts', type: true },
    ])
  })
})
