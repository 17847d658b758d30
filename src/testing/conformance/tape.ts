/**
 * Specs that are stopped and go on elsewhere. What comes of each call of a spec is noted; run again on another arena, the calls
 * that were made give what they gave and change nothing, and those behind them are made there.
 *
 * Invariant: a spec makes the same calls whenever the same comes of them.
 */

import type { Arena, Credentials, Spec, SpecTask } from './spec.ts'
import { User } from './user.ts'

interface Made {
  /** Gives or throws what the call did. */
  readonly outcome: () => unknown
  /** What it left in the memories among its arguments. */
  readonly memories: readonly (Uint8Array | undefined)[]
}

class Stopped extends Error {}

export class Tape {
  /** The calls before which no file was open, all tasks were where they began, and nothing was mounted. */
  readonly quiet: number[] = []
  readonly #made: Made[] = []
  #next = 0
  #stop = 0
  #open = 0
  #moved = false

  /** Runs a spec on an arena; its `stop`th call and those behind it are not made. Errors: those of runSpec, unless it was stopped. */
  run(arena: Arena, spec: Spec, stop = Number.POSITIVE_INFINITY): void {
    this.#next = 0
    this.#stop = stop
    const user = (who: Credentials) => new User(this.#noted(arena.task(who)))
    const moved = () => {
      this.#moved = true
    }
    try {
      spec.run({
        root: user({ uid: 0 }),
        user: (who) => user(typeof who === 'number' ? { uid: who } : who),
        get mounts() {
          moved()
          return arena.mounts!
        },
        // The clock of a new arena goes from the start, too.
        tick: (milliseconds) => arena.tick(milliseconds),
      })
    } catch (failure) {
      if (this.#next <= stop) throw failure
    }
  }

  #noted(task: SpecTask): SpecTask {
    return new Proxy(task, {
      get:
        (_, name: keyof SpecTask) =>
        (...args: unknown[]) =>
          this.#call(task, name, args),
    })
  }

  #call(task: SpecTask, name: keyof SpecTask, args: readonly unknown[]): unknown {
    const make = () => (task[name] as (...args: readonly unknown[]) => unknown)(...args)
    // It is the task's, not the files'.
    if (name === 'umask') return make()
    const nth = this.#next++
    if (nth >= this.#stop) throw new Stopped('the spec is stopped here')
    const made = this.#made[nth]
    if (made) {
      for (const [i, memory] of made.memories.entries()) if (memory) (args[i] as Uint8Array).set(memory)
      return made.outcome()
    }
    if (this.#open === 0 && !this.#moved) this.quiet.push(nth)
    const outcome = outcomeOf(make)
    this.#made.push({ outcome, memories: args.map((arg) => (arg instanceof Uint8Array ? arg.slice() : undefined)) })
    const result = outcome()
    if (name === 'openat' || name === 'dup') this.#open++
    else if (name === 'close') this.#open--
    else if (name === 'chdir' || name === 'chroot' || name === 'renumber') this.#moved = true
    return result
  }
}

function outcomeOf(make: () => unknown): () => unknown {
  try {
    const result = make()
    return () => result
  } catch (failure) {
    return () => {
      throw failure
    }
  }
}
