/**
 * How an operation asks the server, and waits for it.
 *
 * Invariants: what is only read is asked once in each attempt, and its answer holds for that attempt, however soon it is out of
 * date; when something was changed, what was read before is forgotten. A change is sent once, and goes on where it was. Of a
 * reply that nobody wants any more, `unwanted` lets go.
 */

import { ErrnoError } from '../../abi/errno.ts'
import { type Attempt, InFlight, WouldBlock } from '../../vfs/waiting.ts'
import type { Connection, Message, ReplyLength, Request } from './connection.ts'

export interface Question<T> extends Message {
  readonly reply: ReplyLength
  /** What tells it from others of its kind, in one attempt. */
  readonly key?: string
  /** What the reply says. Errors: EIO for what is not true. Called once. */
  take(body: Uint8Array): T
  /** The answer of a server that has no such operation; without it that is ENOSYS. */
  readonly unsupported?: () => T
  /** A reply came when its asker was gone: what it hands over goes back. */
  unwanted?(body: Uint8Array): void
}

/** One question, and its answer once it was taken. */
interface Asked {
  readonly request: Request
  answer?: () => unknown
}

export class Calls {
  readonly connection: Connection

  constructor(connection: Connection) {
    this.connection = connection
  }

  /** The answer to a question, waited for. Errors: the server's; those of `take`; as Connection.ask. */
  ask<T>(attempt: Attempt, question: Question<T>): T {
    const { connection } = this
    if (question.unsupported && connection.missing.has(question.op)) return question.unsupported()
    const notes = this.#notes(attempt)
    const key = `${question.op} ${question.nodeid} ${question.key ?? ''}`
    let asked = notes.get(key)
    if (!asked) {
      asked = this.#send(attempt, question)
      notes.set(key, asked)
    }
    return this.#answer(asked, question, (queue) => new WouldBlock([queue]))
  }

  /**
   * Makes a change. `settled` is called when its outcome is known, or it will never be.
   * Errors: as ask. Throws InFlight.
   */
  change<T>(attempt: Attempt, question: Question<T>, settled?: () => void): T {
    const { connection } = this
    if (question.unsupported && connection.missing.has(question.op)) {
      settled?.()
      return question.unsupported()
    }
    let asked: Asked
    try {
      asked = this.#send(attempt, question)
    } catch (failure) {
      settled?.()
      throw failure
    }
    if (settled) attempt.onEnd(settled)
    const finish = (): T => {
      if (asked.request.state === 'done') {
        this.#notes(attempt).clear()
        this.fresh(attempt).clear()
        settled?.()
      }
      return this.#answer(asked, question, (queue) => new InFlight([queue], finish))
    }
    throw new InFlight([asked.request.queue], finish)
  }

  #send<T>(attempt: Attempt, question: Question<T>): Asked {
    const request = this.connection.ask(question, attempt.caller)
    const asked: Asked = { request }
    attempt.onEnd(() => {
      if (asked.answer) return
      if (request.state === 'done') letGo(request, question)
      else {
        request.whenDone = () => letGo(request, question)
        this.connection.abandon(request)
      }
    })
    return asked
  }

  #answer<T>(asked: Asked, question: Question<T>, wait: (queue: Request['queue']) => unknown): T {
    const { request } = asked
    if (request.state !== 'done') throw wait(request.queue)
    asked.answer ??= answerOf(request, question)
    return asked.answer() as T
  }

  /** Nodes whose attributes were told in this attempt. */
  fresh(attempt: Attempt): Set<object> {
    return attempt.note(this.connection, () => new Set<object>())
  }

  #notes(attempt: Attempt): Map<string, Asked> {
    return attempt.note(this, () => new Map<string, Asked>())
  }
}

function answerOf<T>({ error, body }: Request, { take, unsupported }: Question<T>): () => T {
  try {
    if (error === 'ENOSYS' && unsupported) {
      const value = unsupported()
      return () => value
    }
    if (error) throw new ErrnoError(error)
    const value = take(body)
    return () => value
  } catch (failure) {
    if (!(failure instanceof ErrnoError)) throw failure
    const { code, detail } = failure
    return () => {
      throw new ErrnoError(code, undefined, detail)
    }
  }
}

function letGo<T>({ error, body }: Request, question: Question<T>): void {
  if (!error) question.unwanted?.(body)
}
