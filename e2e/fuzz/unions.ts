/** Cases of overlays on Linux's overlayfs, to be recorded or compared. The other side is src/testing/linux/unions.py. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { UnionCase, UnionOutcome } from '../../src/testing/unions.ts'

export { unionCases } from '../../src/testing/union-cases.ts'
export { comparable, expectedOf, runUnion, tell, withoutVainCopies } from '../../src/testing/unions.ts'
export { randomUnion, shortestUnion } from './random-unions.ts'

/** Linux, as a process that runs one case after the other. Needs root. */
export class Overlayfs {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(program: string) {
    this.#child = spawn('python3', [program], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]()
  }

  async run(given: UnionCase): Promise<UnionOutcome> {
    this.#child.stdin!.write(`${JSON.stringify(given)}\n`)
    const { value, done } = await this.#lines.next()
    if (done) throw new Error('the process on Linux ended: is this root, on Linux with overlayfs?')
    return JSON.parse(value) as UnionOutcome
  }

  close(): void {
    this.#child.stdin!.end()
  }
}
