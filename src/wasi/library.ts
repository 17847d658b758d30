/**
 * A library that runs (a WASI reactor): it is initialized once, and then does what is asked of it, one request after another,
 * for they share one stack and one memory.
 *
 * Invariant: a request that cannot be met is refused and the library lives on; what ends a command (an exit, a trap) ends it.
 */
import type { LibraryRequest, RequestFailure } from '../abi/wire.ts'
import type { WasmFunction, WasmInstance } from './webassembly.ts'

/** Where requests come from: kernel/requests.ts, or the port of a guest's Worker. */
export interface RequestSource {
  next(): Promise<PendingRequest | undefined>
}

interface PendingRequest {
  readonly request: LibraryRequest
  answer(value: unknown): void
  fail(failure: RequestFailure): void
}

/** Serves until there are no more requests; throws what ends the guest. `run` calls a function of the instance's. */
export async function serveLibrary(
  source: RequestSource,
  instance: WasmInstance,
  memory: () => Uint8Array,
  run: (f: WasmFunction, args: readonly unknown[]) => unknown,
): Promise<void> {
  for (let next = await source.next(); next !== undefined; next = await source.next()) {
    const { request, answer, fail } = next
    if ('call' in request) await callExport(request, instance, run, answer, fail)
    else {
      const { at } = request
      const length = 'bytes' in request ? request.bytes.length : request.length
      const bytes = memory()
      if (!(at >= 0 && length >= 0 && at + length <= bytes.length))
        fail({ code: 'EFAULT', detail: `${length} bytes at ${at} are outside its memory of ${bytes.length} bytes` })
      else if ('bytes' in request) answer(bytes.set(request.bytes, at))
      else answer(bytes.slice(at, at + length))
    }
  }
}

async function callExport(
  { call: name, args }: Extract<LibraryRequest, { call: string }>,
  { exports }: WasmInstance,
  run: (f: WasmFunction, args: readonly unknown[]) => unknown,
  answer: (value: unknown) => void,
  fail: (failure: RequestFailure) => void,
): Promise<void> {
  const callable = (each: string) => typeof exports[each] === 'function' && each !== '_initialize'
  if (!Object.hasOwn(exports, name) || !callable(name)) {
    const names = Object.keys(exports).filter(callable).join(', ') || 'none'
    return fail({ code: 'ENOENT', path: name, detail: `it exports no function of this name; it exports ${names}` })
  }
  try {
    const value = await run(exports[name] as WasmFunction, args)
    if (sendable(value)) answer(value)
    else fail({ code: 'EINVAL', path: name, detail: 'it gives a reference, which cannot be sent' })
  } catch (error) {
    // What the arguments are converted by throws this, before anything runs.
    if (!(error instanceof TypeError)) throw error
    fail({ code: 'EINVAL', path: name, detail: error.message })
  }
}

const sendable = (value: unknown): boolean =>
  Array.isArray(value) ? value.every(sendable) : ['undefined', 'number', 'bigint'].includes(typeof value)
