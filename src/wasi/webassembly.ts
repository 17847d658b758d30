/**
 * The parts of the WebAssembly JavaScript interface that this folder uses. The core compiles without the DOM library,
 * which would declare them; every host has them.
 */

/** A compiled module (WebAssembly.Module). It has no members of its own. */
export type WasmModule = object

export interface WasmMemory {
  readonly buffer: ArrayBufferLike
}

export interface WasmInstance {
  readonly exports: Readonly<Record<string, unknown>>
}

export interface WasmImport {
  readonly module: string
  readonly name: string
  readonly kind: string
}

export interface WasmExport {
  readonly name: string
  readonly kind: string
}

// biome-ignore lint/suspicious/noExplicitAny: what a wasm import takes is decided by the module
export type WasmFunction = (...args: any[]) => unknown

export type WasmImports = Readonly<Record<string, Readonly<Record<string, unknown>>>>

type ErrorClass = new (message?: string) => Error

export interface WasmApi {
  readonly Module: {
    new (bytes: ArrayBufferView<ArrayBuffer> | ArrayBuffer): WasmModule
    imports(module: WasmModule): readonly WasmImport[]
    exports(module: WasmModule): readonly WasmExport[]
  }
  readonly Instance: new (module: WasmModule, imports?: WasmImports) => WasmInstance
  readonly Memory: new (type: { initial: number; maximum?: number }) => WasmMemory
  readonly RuntimeError: ErrorClass
  readonly LinkError: ErrorClass
  readonly CompileError: ErrorClass
  compile(bytes: Uint8Array<ArrayBuffer>): Promise<WasmModule>
  instantiate(module: WasmModule, imports?: WasmImports): Promise<WasmInstance>
  validate(bytes: ArrayBufferView<ArrayBuffer>): boolean
  /** JavaScript Promise Integration (https://github.com/WebAssembly/js-promise-integration); absent where unsupported. */
  readonly Suspending?: new (
    f: WasmFunction,
  ) => object
  promising?(f: WasmFunction): (...args: unknown[]) => Promise<unknown>
}

declare const WebAssembly: WasmApi

/** WebAssembly of this host. */
export const wasmApi = (): WasmApi => WebAssembly
