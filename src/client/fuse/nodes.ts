/**
 * The files that the kernel knows by number, and their paths.
 *
 * Invariant: a number stands for one file until the kernel forgets it; a file that is renamed keeps its number, and so do those
 * below it. One that was removed keeps the path that it had.
 */

import type { BufferedFile } from './buffered-file.ts'

export interface Node {
  readonly id: bigint
  parent: Node | undefined
  name: string
  lookups: bigint
  /** Of whole files: what programs that have it open see. */
  content?: BufferedFile
  /** Its name was removed, or is another file's. */
  gone?: boolean
  /** When it was first asked for, in nanoseconds: its times, unless the page says others. */
  readonly since: bigint
}

export class Nodes {
  readonly #byId = new Map<bigint, Node>()
  readonly #byPlace = new Map<string, Node>()
  #last = 1n

  constructor() {
    this.#byId.set(1n, { id: 1n, parent: undefined, name: '', lookups: 1n, since: now() })
  }

  get(id: bigint): Node | undefined {
    return this.#byId.get(id)
  }

  /** The node of a name; its number is the kernel's from now on, once more. */
  named(parent: Node, name: string): Node {
    let node = this.#byPlace.get(placeOf(parent, name))
    if (!node) {
      node = { id: ++this.#last, parent, name, lookups: 0n, since: now() }
      this.#byId.set(node.id, node)
      this.#byPlace.set(placeOf(parent, name), node)
    }
    node.lookups++
    return node
  }

  path(node: Node): string {
    const names: string[] = []
    for (let at: Node | undefined = node; at?.parent; at = at.parent) names.unshift(at.name)
    return `/${names.join('/')}`
  }

  pathIn(parent: Node, name: string): string {
    const path = this.path(parent)
    return path === '/' ? `/${name}` : `${path}/${name}`
  }

  /** The name leads nowhere any more. */
  remove(parent: Node, name: string): void {
    const node = this.#byPlace.get(placeOf(parent, name))
    if (node) node.gone = true
    this.#byPlace.delete(placeOf(parent, name))
  }

  move(parent: Node, name: string, to: Node, newName: string, exchange: boolean): void {
    const moved = this.#byPlace.get(placeOf(parent, name))
    const replaced = this.#byPlace.get(placeOf(to, newName))
    this.remove(parent, name)
    this.remove(to, newName)
    this.#settle(moved, to, newName)
    if (exchange) this.#settle(replaced, parent, name)
  }

  #settle(node: Node | undefined, parent: Node, name: string): void {
    if (!node) return
    node.gone = false
    node.parent = parent
    node.name = name
    this.#byPlace.set(placeOf(parent, name), node)
  }

  forget(id: bigint, count: bigint): void {
    const node = this.#byId.get(id)
    if (!node || id === 1n) return
    node.lookups -= count
    if (node.lookups > 0n) return
    this.#byId.delete(id)
    if (node.parent && this.#byPlace.get(placeOf(node.parent, node.name)) === node) this.remove(node.parent, node.name)
  }
}

const placeOf = (parent: Node, name: string) => `${parent.id}/${name}`
const now = () => BigInt(Date.now()) * 1_000_000n
