/**
 * A small generated module between a guest and its imports, for platform jspi. A suspending import is dear whether it
 * waits or not, and while a guest makes suspending imports that do not wait no macrotask runs; so each function of the
 * table gets a wrapper in wasm: it calls the plain import `try` and, only while that answers WAIT, the suspending import
 * `wait`, and tries again.
 *
 *     (func (param …) (result i32) (local $answer i32)
 *       (loop $again
 *         (local.set $answer (call $try_x (local.get 0) …))
 *         (if (i32.eq (local.get $answer) (i32.const WAIT))
 *           (then (call $wait) (br $again))))
 *       (local.get $answer))
 *
 * Functions without a result (proc_exit) and direct ones never wait and pass straight through.
 */
import { WAIT } from './context.ts'
import { HEADER, i32, name, section, u32, vector } from './leb128.ts'
import { isWide, type Table, type WasiFunction } from './table.ts'
import { type WasmFunction, wasmApi } from './webassembly.ts'

const I32 = 0x7f
const I64 = 0x7e
const FUNC = 0x60
const EMPTY_BLOCK = 0x40
const op = {
  loop: 0x03,
  if: 0x04,
  end: 0x0b,
  br: 0x0c,
  call: 0x10,
  localGet: 0x20,
  localSet: 0x21,
  i32const: 0x41,
  i32eq: 0x46,
}

const signature = ({ params }: WasiFunction): number[] => [
  FUNC,
  ...vector(params.map((param) => [isWide(param) ? I64 : I32])),
  ...vector([[I32]]),
]

function wrapper(entry: WasiFunction, tryIndex: number): number[] {
  const answer = entry.params.length
  const body = [
    ...vector([[...u32(1), I32]]),
    ...[op.loop, EMPTY_BLOCK],
    ...entry.params.flatMap((_, i) => [op.localGet, ...u32(i)]),
    ...[op.call, ...u32(tryIndex), op.localSet, ...u32(answer)],
    ...[op.localGet, ...u32(answer), op.i32const, ...i32(WAIT), op.i32eq],
    ...[op.if, EMPTY_BLOCK, op.call, 0, op.br, 1, op.end],
    ...[op.end, op.localGet, ...u32(answer), op.end],
  ]
  return [...u32(body.length), ...body]
}

const mayWait = ({ result, direct }: WasiFunction): boolean => result && !direct

/** The module's bytes: imports `kernel.wait` and `try.<name>`, exports `<name>`, for each function that may wait. */
export function trampolineBytes(table: Table): Uint8Array<ArrayBuffer> {
  const rows = Object.entries(table).filter(([, entry]) => mayWait(entry))
  const types = vector([[FUNC, 0, 0], ...rows.map(([, entry]) => signature(entry))])
  const imports = vector([
    [...name('kernel'), ...name('wait'), 0x00, 0],
    ...rows.map(([called], i) => [...name('try'), ...name(called), 0x00, ...u32(i + 1)]),
  ])
  const functions = vector(rows.map((_, i) => u32(i + 1)))
  const exports = vector(rows.map(([called], i) => [...name(called), 0x00, ...u32(rows.length + 1 + i)]))
  const code = vector(rows.map(([, entry], i) => wrapper(entry, i + 1)))
  return Uint8Array.from([
    ...HEADER,
    ...section(1, types),
    ...section(2, imports),
    ...section(3, functions),
    ...section(7, exports),
    ...section(10, code),
  ])
}

/** Whether this host suspends WebAssembly (JavaScript Promise Integration). */
export function hasJspi(): boolean {
  const api = wasmApi()
  return api.Suspending !== undefined && api.promising !== undefined
}

/**
 * The table's functions behind trampolines, as an import object. `wait` is a suspending import
 * (`new WebAssembly.Suspending(…)`); a plain function that returns when the call may be tried again serves tests.
 */
export function trampolined(table: Table, wait: object): Record<string, WasmFunction> {
  const api = wasmApi()
  const plain = Object.fromEntries(
    Object.entries(table).map(([called, { call }]) => [called, call as unknown as WasmFunction]),
  )
  const module = new api.Module(trampolineBytes(table))
  const { exports } = new api.Instance(module, { kernel: { wait }, try: plain })
  return { ...plain, ...(exports as Record<string, WasmFunction>) }
}

/** How long a guest may keep its thread before the host's other work gets a turn, in nanoseconds. */
const TURN = 8_000_000n
/** Reading the clock costs more than a short call, so it is read at every so many. */
const CALLS_BETWEEN_LOOKS = 32

/**
 * A table whose calls also answer WAIT, before they do anything, when `TURN` has passed without a macrotask.
 * `tookTurn` is to be called when one has run.
 */
export function takingTurns(table: Table, monotonic: () => bigint): { table: Table; tookTurn: () => void } {
  let since = monotonic()
  let calls = 0
  const due = () => {
    if (++calls < CALLS_BETWEEN_LOOKS) return false
    calls = 0
    return monotonic() - since >= TURN
  }
  const yielding = (call: WasmFunction): WasmFunction => {
    switch (call.length) {
      case 1:
        return (a) => (due() ? WAIT : call(a))
      case 2:
        return (a, b) => (due() ? WAIT : call(a, b))
      case 3:
        return (a, b, c) => (due() ? WAIT : call(a, b, c))
      case 4:
        return (a, b, c, d) => (due() ? WAIT : call(a, b, c, d))
      case 5:
        return (a, b, c, d, e) => (due() ? WAIT : call(a, b, c, d, e))
      default:
        return (...args) => (due() ? WAIT : call(...args))
    }
  }
  const entries = Object.entries(table).map(([called, entry]) => {
    if (!mayWait(entry)) return [called, entry] as const
    const call = yielding(entry.call as unknown as WasmFunction)
    return [called, { ...entry, call: call as unknown as typeof entry.call }] as const
  })
  return {
    table: Object.fromEntries(entries),
    tookTurn: () => {
      since = monotonic()
      calls = 0
    },
  }
}
