/** /proc/PID/fd and fdinfo: a name for each descriptor that is open. */

import type { Child, Children, Node } from '../kernfs.ts'
import type { ProcProcess } from './kernel.ts'

/** Cookies come after those of `.` and `..`. */
const FIRST = 3

export class Descriptors implements Children {
  readonly changes = true
  readonly directories = 0
  readonly #process: ProcProcess
  readonly #nodeOf: (fd: number) => Node
  readonly #nodes = new Map<number, Node>()

  constructor(process: ProcProcess, nodeOf: (fd: number) => Node) {
    this.#process = process
    this.#nodeOf = nodeOf
  }

  find(name: string): Node | undefined {
    const fd = numberOf(name)
    return fd !== undefined && this.#process.descriptors.has(fd) ? this.#node(fd) : undefined
  }

  *list(): Generator<Child> {
    for (const [fd] of this.#process.descriptors.open()) {
      yield { name: String(fd), node: this.#node(fd), cookie: fd + FIRST }
    }
  }

  #node(fd: number): Node {
    let node = this.#nodes.get(fd)
    if (node === undefined) {
      node = this.#nodeOf(fd)
      this.#nodes.set(fd, node)
    }
    return node
  }
}

/** The number that a name is, written as the kernel writes it. */
export function numberOf(name: string): number | undefined {
  return /^(0|[1-9]\d{0,9})$/.test(name) ? Number(name) : undefined
}
