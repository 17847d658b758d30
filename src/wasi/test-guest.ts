/**
 * A guest in the tests' hands: its imports called as wasm code would, on a memory that the test writes and reads, and
 * modules made by hand for what needs real wasm.
 */
import { decodeUtf8, encodeUtf8 } from '../abi/utf8.ts'
import { HEADER, name, section, u32, vector } from './leb128.ts'
import { Preview1, type Preview1Options } from './preview1.ts'
import { countingEntropy, TestWorld } from './test-world.ts'
import type { WasmModule } from './webassembly.ts'
import { wasmApi } from './webassembly.ts'

const PAGE = 65_536
/** Where `text` puts what it is given, one behind the other. */
const TEXTS = 1024
/** Where results are asked to be written. */
export const OUT = 512

export class TestGuest {
  readonly world: TestWorld
  readonly wasi: Preview1
  memory = { buffer: new ArrayBuffer(4 * PAGE) }
  #texts = TEXTS

  constructor(options: Partial<Preview1Options> & { world?: TestWorld } = {}) {
    this.world = options.world ?? new TestWorld()
    this.wasi = new Preview1({
      syscalls: this.world.guest,
      args: [],
      env: [],
      preopens: this.world.preopens,
      clock: this.world.clock,
      entropy: countingEntropy,
      onFault: (error) => {
        throw error
      },
      ...options,
    })
    this.attach()
  }

  attach(): void {
    this.wasi.attach({ exports: { memory: this.memory } })
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.memory.buffer)
  }

  get view(): DataView {
    return new DataView(this.memory.buffer)
  }

  /** Calls an import. A text stands for its address and length. */
  call(func: string, ...args: (number | bigint | string)[]): number {
    this.#texts = TEXTS
    const flat = args.flatMap((arg) => (typeof arg === 'string' ? this.text(arg) : [arg]))
    return this.wasi.wasiImport[func]!(...flat) as number
  }

  text(text: string): [address: number, length: number] {
    return this.put(encodeUtf8(text))
  }

  put(bytes: Uint8Array): [address: number, length: number] {
    const at = this.#texts
    this.bytes.set(bytes, at)
    this.#texts += bytes.length
    return [at, bytes.length]
  }

  u32(at = OUT): number {
    return this.view.getUint32(at, true)
  }

  u64(at = OUT): bigint {
    return this.view.getBigUint64(at, true)
  }

  read(at: number, length: number): string {
    return decodeUtf8(this.bytes, at, length) ?? '<not UTF-8>'
  }

  /** path_open with every right that the preopen passes on, or these; gives the descriptor, or minus the error. */
  open(
    path: string,
    { oflags = 0, follow = 0, rights = 0x3fffffffn, inheriting = 0x3fffffffn, fdflags = 0, dir = 3 } = {},
  ): number {
    const error = this.call('path_open', dir, follow, path, oflags, rights, inheriting, fdflags, OUT)
    return error === 0 ? this.u32() : -error
  }

  /** fd_write or fd_read of one range; gives the count, or minus the error. */
  transfer(func: 'fd_read' | 'fd_write', fd: number, address: number, length: number): number {
    this.view.setUint32(0, address, true)
    this.view.setUint32(4, length, true)
    const error = this.call(func, fd, 0, 1, OUT)
    return error === 0 ? this.u32() : -error
  }

  write(fd: number, text: string): number {
    const bytes = encodeUtf8(text)
    this.bytes.set(bytes, PAGE)
    return this.transfer('fd_write', fd, PAGE, bytes.length)
  }

  readText(fd: number, length: number): string | number {
    const count = this.transfer('fd_read', fd, PAGE, length)
    return count < 0 ? count : this.read(PAGE, count)
  }
}

const I32 = 0x7f
const I64 = 0x7e

export interface ModuleParts {
  /** Module, name, parameters: `i` for i32, `I` for i64; all give an i32, or nothing with `!` behind. */
  readonly imports?: readonly (readonly [module: string, name: string, params: string])[]
  /** The code of `_start`, without the closing `end`. Imports are numbered first. */
  readonly start?: readonly number[]
  readonly exports?: readonly string[]
  readonly memoryPages?: number
  readonly data?: string
  readonly importedMemory?: boolean
}

/** A module with one function, which does what `start` says; its data begins at address 0. */
export function moduleOf(parts: ModuleParts): WasmModule {
  const { imports = [], start = [], exports = ['_start', 'memory'], memoryPages = 1, data = '', importedMemory } = parts
  const type = (params: string) => {
    const list = [...params.replace('!', '')].map((p) => [p === 'I' ? I64 : I32])
    return [0x60, ...vector(list), ...vector(params.endsWith('!') ? [] : [[I32]])]
  }
  const functions = imports.map(([module, called], i) => [...name(module), ...name(called), 0x00, ...u32(i + 1)])
  if (importedMemory) functions.push([...name('env'), ...name('memory'), 0x02, 0x00, 1])
  const body = [0, ...start, 0x0b]
  const exported = exports.map((called) =>
    called === 'memory' ? [...name(called), 0x02, 0] : [...name(called), 0x00, ...u32(imports.length)],
  )
  const bytes = encodeUtf8(data)
  const module = [
    ...HEADER,
    ...section(1, vector([[0x60, 0, 0], ...imports.map(([, , params]) => type(params))])),
    ...section(2, vector(functions)),
    ...section(3, vector([[0]])),
    ...(importedMemory ? [] : section(5, vector([[0x00, ...u32(memoryPages)]]))),
    ...section(7, vector(exported)),
    ...section(10, vector([[...u32(body.length), ...body]])),
    ...section(11, vector([[0x00, 0x41, 0, 0x0b, ...u32(bytes.length), ...bytes]])),
  ]
  return new (wasmApi().Module)(Uint8Array.from(module))
}
