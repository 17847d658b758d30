/**
 * What a spec's mounts become, said once more and simply, for tests to compare the mounter with: trees of nodes, mounts that cover
 * them, and a walk. It knows the trees of test-world.ts and as much of the options as random-specs.test.ts makes use of.
 */

import { cleanPath, isBind, type MountSpec, type SpecInput } from '../spec.ts'

/** A file, a directory or a symbolic link of some filesystem. */
interface Node {
  readonly children?: Map<string, Node>
  readonly target?: string
  readonly parent?: Node
}

interface Shown {
  readonly type: string
  readonly readonly: boolean
  readonly root: Node
  /** Where it is, in the root of the container. */
  path: string
  /** Nothing can be made in its filesystem. */
  readonly fixed: boolean
  readonly covered: Map<Node, Shown>
  /** What was made in memory for it and its copies alone. */
  extra?: Map<Node, Map<string, Node>>
}

type Made = Omit<Shown, 'path' | 'covered'> & Partial<Pick<Shown, 'covered'>>

interface Place {
  readonly mount: Shown
  readonly node: Node
  /** The way here, the root first. */
  readonly way: readonly { readonly place: Place; readonly name: string }[]
}

/** The mount that cannot be made, and why. */
export class Refused extends Error {
  readonly code: string
  readonly path: string

  constructor(code: string, path: string) {
    super(`${code} at ${path}`)
    this.code = code
    this.path = path
  }
}

export interface Line {
  readonly destination: string
  readonly type: string
  readonly readonly: boolean
}

type Content = { readonly [name: string]: Content | string }

/** Directories as objects, files as '', links by their targets. */
const TREES: Readonly<Record<string, Content>> = {
  image: {
    etc: { name: '' },
    empty: {},
    to: { dir: '../empty', nothing: '/made/behind/link', loop: 'loop', outside: '../../../../out' },
  },
  file: { f: '' },
}

function grow(content: Content | string, parent?: Node): Node {
  if (content === '') return { ...(parent && { parent }) }
  if (typeof content === 'string') return { target: content, ...(parent && { parent }) }
  const children = new Map<string, Node>()
  const node: Node = { children, ...(parent && { parent }) }
  for (const [name, child] of Object.entries(content)) children.set(name, grow(child, node))
  return node
}

/**
 * The mounts that there will be, without an order. `mandatory` are those of an empty container. Throws Refused.
 * Preconditions: the spec is valid.
 */
export function mountsOf(spec: SpecInput, overlay: string, mandatory: readonly (readonly [string, string])[]): Line[] {
  return new Model(spec, overlay).run(mandatory)
}

class Model {
  readonly #spec: SpecInput
  readonly #layered: 'none' | 'root' | 'all'
  #root: Place
  #lines: Shown[] = []

  constructor(spec: SpecInput, overlay: string) {
    this.#spec = spec
    this.#layered = overlay.split(':')[0] as 'none'
    const { path, readonly = false } = spec.root ?? {}
    const type = path === undefined ? 'tmpfs' : readonly || overlay === 'none' ? 'gofer' : 'overlay'
    const root = grow(path === undefined ? {} : TREES[path]!)
    this.#root = this.#put({ type, readonly: readonly || type === 'gofer', root, fixed: type === 'gofer' }, undefined)
  }

  run(mandatory: readonly (readonly [string, string])[]): Line[] {
    const { mounts = [] } = this.#spec
    const taken = new Set(mounts.map(({ destination }) => cleanPath(destination)))
    const added = mandatory.flatMap(([destination, type]) =>
      taken.has(destination) ? [] : [{ mount: { destination, type }, destination, added: true }],
    )
    const own = mounts.map((mount) => ({ mount, destination: cleanPath(mount.destination), added: false }))
    const ordered = [...added, ...own].sort((a, b) => a.destination.length - b.destination.length)
    for (const { mount, destination, added } of ordered) this.#mount(mount, destination, added)
    if (!taken.has('/tmp')) this.#internalTmp()
    return this.#lines.map(({ path, type, readonly }) => ({ destination: path, type, readonly }))
  }

  #mount(mount: MountSpec, destination: string, added: boolean): void {
    const made = this.#make(mount, destination)
    if (!made) return
    const at = this.#walk(destination, destination, { kind: made.root.children ? 'directory' : 'file', memory: added })
    if ((at.node.children === undefined) !== (made.root.children === undefined))
      throw new Refused('ENOTDIR', destination)
    this.#put(made, at)
  }

  #make(mount: MountSpec, destination: string): Made | undefined {
    const { type = '', source = '', options = [] } = mount
    const readonly = options.findLast((option) => option === 'ro' || option === 'rw') === 'ro'
    if (isBind(mount)) return this.#bind(source, destination, readonly, options.includes('rbind'))
    const real = destination === '/dev' ? 'devtmpfs' : type === 'none' ? 'sysfs' : type
    switch (real) {
      case 'overlay': {
        const name = options.find((option) => option.startsWith('lowerdir='))?.slice('lowerdir='.length)
        if (name === undefined) throw new Refused('EINVAL', destination)
        if (!TREES[name]) throw new Refused('ENOENT', destination)
        return { type: real, readonly, root: grow(TREES[name]), fixed: false }
      }
      case 'tmpfs':
        if (options.includes('mode=x')) throw new Refused('EINVAL', destination)
        return { type: real, readonly, root: grow({}), fixed: false }
      case 'devtmpfs':
        return { type: 'devtmpfs', readonly, root: grow({ shm: {}, pts: {} }), fixed: false }
      case 'proc':
      case 'sysfs':
      case 'devpts':
        return { type: real, readonly, root: grow({}), fixed: true }
    }
    return undefined
  }

  #bind(source: string, destination: string, readonly: boolean, recursive: boolean): Made {
    if (source.startsWith('/')) {
      const { mount, node } = this.#walk(source, destination)
      const covered = recursive ? copiesBelow(mount, node) : new Map()
      return { ...mount, covered, readonly: readonly || mount.type === 'gofer', root: node }
    }
    const [name, ...path] = source.split('/')
    let root: Node | undefined = TREES[name!] && grow(TREES[name!]!)
    for (const each of path) root = root?.children?.get(each)
    if (!root) throw new Refused('ENOENT', destination)
    const layered = this.#layered === 'all' && !readonly
    return { type: layered ? 'overlay' : 'gofer', readonly: !layered, root, fixed: !layered }
  }

  #put(made: Made, at: Place | undefined): Place {
    const mount: Shown = { covered: new Map(), ...made, path: at ? pathOf(at) : '/' }
    if (mount.path === '/') {
      // What it covers is not seen from the new root.
      this.#lines = []
      this.#root = { mount, node: mount.root, way: [] }
    }
    at?.mount.covered.set(at.node, mount)
    this.#list(mount)
    return { mount, node: mount.root, way: at?.way ?? [] }
  }

  /** With what came along with it. */
  #list(mount: Shown): void {
    this.#lines.push(mount)
    for (const [point, child] of mount.covered) {
      const names: string[] = []
      for (let node = point; node !== mount.root; node = node.parent!) names.unshift(nameOf(node, mount))
      child.path = `/${[mount.path.slice(1), ...names].filter(Boolean).join('/')}`
      this.#list(child)
    }
  }

  #internalTmp(): void {
    let at: Place
    try {
      at = this.#walk('/tmp', '/tmp')
    } catch (error) {
      if (!(error instanceof Refused && error.code === 'ENOENT')) throw error
      at = this.#walk('/tmp', '/tmp', { kind: 'directory', memory: true })
    }
    const { children } = at.node
    if (!children || children.size > 0 || at.mount.extra?.has(at.node)) return
    this.#put({ type: 'tmpfs', readonly: false, root: grow({}), fixed: false }, at)
  }

  /** What is missing is made if `make` is given. Links are followed, the last one too. */
  #walk(path: string, destination: string, make?: { kind: 'directory' | 'file'; memory: boolean }): Place {
    const names = path.split('/').filter(Boolean)
    let at = this.#top(this.#root)
    let links = 0
    for (let name = names.shift(); name !== undefined; name = names.shift()) {
      if (!at.node.children) throw new Refused('ENOTDIR', destination)
      if (name === '.') continue
      if (name === '..') {
        at = at.way.at(-1)?.place ?? at
        continue
      }
      let child = at.node.children.get(name) ?? at.mount.extra?.get(at.node)?.get(name)
      if (!child) {
        if (!make) throw new Refused('ENOENT', destination)
        const { kind, memory } = make
        child = { parent: at.node, ...((names.length > 0 || kind === 'directory') && { children: new Map() }) }
        this.#enter(at, name, child, memory)
      }
      if (child.target !== undefined && !at.mount.covered.has(child)) {
        if (++links > 40) throw new Refused('ELOOP', destination)
        if (child.target.startsWith('/')) at = this.#top(this.#root)
        names.unshift(...child.target.split('/').filter(Boolean))
      } else at = this.#top({ mount: at.mount, node: child, way: [...at.way, { place: at, name }] })
    }
    return at
  }

  #enter({ mount, node }: Place, name: string, child: Node, memory: boolean): void {
    if (!memory && !mount.fixed && !isExtra(mount, node)) {
      node.children!.set(name, child)
      return
    }
    mount.extra ??= new Map()
    mount.extra.set(node, (mount.extra.get(node) ?? new Map()).set(name, child))
  }

  #top(place: Place): Place {
    const over = place.mount.covered.get(place.node)
    return over ? this.#top({ ...place, mount: over, node: over.root }) : place
  }
}

const pathOf = ({ way }: Place) => `/${way.map(({ name }) => name).join('/')}`

const isBelow = (node: Node | undefined, above: Node): boolean =>
  node !== undefined && (node === above || isBelow(node.parent, above))

const isExtra = ({ extra }: Shown, node: Node): boolean =>
  node.parent !== undefined && [...(extra?.get(node.parent)?.values() ?? [])].includes(node)

/** What hangs on a mount at or below a node, once more. */
function copiesBelow(mount: Shown, node: Node): Map<Node, Shown> {
  const copies = new Map<Node, Shown>()
  for (const [point, child] of mount.covered) {
    if (isBelow(point, node)) copies.set(point, { ...child, covered: copiesBelow(child, child.root) })
  }
  return copies
}

function nameOf(node: Node, { extra }: Shown): string {
  const all = [node.parent!.children!, extra?.get(node.parent!) ?? []]
  for (const names of all) for (const [name, each] of names) if (each === node) return name
  throw new Error('a node without a name')
}
