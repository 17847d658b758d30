/**
 * Preview1 as a table: name → parameters and function. The import object, the trampoline's signatures, strace and the
 * documentation derive from it.
 */
import { AGAIN, type Context } from './context.ts'
import { E } from './errno.ts'

/** A parameter: its name as the preview1 document has it, with `:i64` behind it, `:ptr` for an address, or else an i32. */
export type Parameter = string

type Argument<P> = P extends `${string}:i64` ? bigint : number
type Arguments<P extends readonly Parameter[]> = { -readonly [K in keyof P]: Argument<P[K]> }

export type Call = (...args: never[]) => number

export interface WasiFunction {
  readonly params: readonly Parameter[]
  /** proc_exit alone has no result. */
  readonly result: boolean
  /** It never waits, and is called as it is, with whatever parameters a program has imported it. */
  readonly direct?: true
  readonly call: Call
}

/** Preview1's functions by name. */
export type Table = Readonly<Record<string, WasiFunction>>

/** A row of the table; the function's arguments have the types that the parameters say. */
export function row<const P extends readonly Parameter[]>(
  params: P,
  call: (...args: Arguments<P>) => number,
): WasiFunction {
  return { params, result: true, call: call as Call }
}

/** What a program imports as WASI's and is not: it is told so when it calls, as Linux tells of a number that is no system call's. */
export const foreignCall: WasiFunction = { params: [], result: true, direct: true, call: () => E.ENOSYS }

/** A function of sockets, which another runtime may have under the same name with other parameters. */
export function socketRow<const P extends readonly Parameter[]>(
  params: P,
  call: (...args: Arguments<P>) => number,
): WasiFunction {
  return { ...row(params, call), direct: true }
}

export const isWide = (param: Parameter): boolean => param.endsWith(':i64')

export const isAddress = (param: Parameter): boolean => param.endsWith(':ptr')

/** The name of a parameter without its type. */
export const nameOf = (param: Parameter): string => param.replace(/:.*/, '')

/**
 * The table with every function guarded: nothing is thrown into the guest but the signal that ends it, the guest's
 * memory is looked at anew, a killed guest stops here.
 *
 * One closure per arity: a rest parameter would cost an array on every call.
 */
export function guarded(context: Context, table: Table): Table {
  return Object.fromEntries(
    Object.entries(table).map(([name, entry], i) => [name, { ...entry, call: guard(context, entry.call, i) }]),
  )
}

/** `n`: the function's number, under which its calls are counted. */
function guard(c: Context, call: Call, n: number): Call {
  type A = never
  const f = call as unknown as (...args: A[]) => number
  switch (f.length) {
    case 0:
      return () => {
        for (;;) {
          c.enter()
          try {
            return c.done((f as () => number)(), n)
          } catch (error) {
            const answer = c.failed(error, n)
            if (answer !== AGAIN) return answer
          }
        }
      }
    case 1:
      return (a1: A) => {
        for (;;) {
          c.enter()
          try {
            return c.done(f(a1), n)
          } catch (error) {
            const answer = c.failed(error, n)
            if (answer !== AGAIN) return answer
          }
        }
      }
    case 2:
      return (a1: A, a2: A) => {
        for (;;) {
          c.enter()
          try {
            return c.done(f(a1, a2), n)
          } catch (error) {
            const answer = c.failed(error, n)
            if (answer !== AGAIN) return answer
          }
        }
      }
    case 3:
      return (a1: A, a2: A, a3: A) => {
        for (;;) {
          c.enter()
          try {
            return c.done(f(a1, a2, a3), n)
          } catch (error) {
            const answer = c.failed(error, n)
            if (answer !== AGAIN) return answer
          }
        }
      }
    case 4:
      return (a1: A, a2: A, a3: A, a4: A) => {
        for (;;) {
          c.enter()
          try {
            return c.done(f(a1, a2, a3, a4), n)
          } catch (error) {
            const answer = c.failed(error, n)
            if (answer !== AGAIN) return answer
          }
        }
      }
    case 5:
      return (a1: A, a2: A, a3: A, a4: A, a5: A) => {
        for (;;) {
          c.enter()
          try {
            return c.done(f(a1, a2, a3, a4, a5), n)
          } catch (error) {
            const answer = c.failed(error, n)
            if (answer !== AGAIN) return answer
          }
        }
      }
    case 6:
      return (a1: A, a2: A, a3: A, a4: A, a5: A, a6: A) => {
        for (;;) {
          c.enter()
          try {
            return c.done(f(a1, a2, a3, a4, a5, a6), n)
          } catch (error) {
            const answer = c.failed(error, n)
            if (answer !== AGAIN) return answer
          }
        }
      }
    case 7:
      return (a1: A, a2: A, a3: A, a4: A, a5: A, a6: A, a7: A) => {
        for (;;) {
          c.enter()
          try {
            return c.done(f(a1, a2, a3, a4, a5, a6, a7), n)
          } catch (error) {
            const answer = c.failed(error, n)
            if (answer !== AGAIN) return answer
          }
        }
      }
    case 9:
      return (a1: A, a2: A, a3: A, a4: A, a5: A, a6: A, a7: A, a8: A, a9: A) => {
        for (;;) {
          c.enter()
          try {
            return c.done(f(a1, a2, a3, a4, a5, a6, a7, a8, a9), n)
          } catch (error) {
            const answer = c.failed(error, n)
            if (answer !== AGAIN) return answer
          }
        }
      }
    default:
      throw new Error(`no guard for ${f.length} parameters`)
  }
}
