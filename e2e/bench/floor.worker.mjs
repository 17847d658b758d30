/**
 * The bare counterparts of what the platform `worker` does, with nothing of ours in them: what no design that sleeps at every call can be faster than.
 * The first message says the part to be played; what was measured comes back, in nanoseconds.
 */

const STATE = 0
const IDLE = 0
const REQUESTED = 1
const ANSWERED = 2
const DEAD = 3
/** As the kernel waits, but that it does not look before it sleeps: blocked for a while, then with a turn of the event loop. Milliseconds. */
const LINGER = 0.25
const SLICE = 4

const parts = { kernel, guest, copy, comlink, start }

self.onmessage = async ({ data: { part, ...options } }) => {
  try {
    self.postMessage(await parts[part](options))
  } catch (error) {
    self.postMessage({ error: String(error?.stack ?? error) })
  }
}

/** Answers requests until the channel is dead. */
async function kernel({ channel, doorbell }) {
  const state = new Int32Array(channel)
  const bell = new Int32Array(doorbell)
  const { port1, port2 } = new MessageChannel()
  const macrotask = () =>
    new Promise((resolve) => {
      port1.onmessage = resolve
      port2.postMessage(0)
    })
  let sliceEnd = performance.now() + SLICE
  let busy = false
  for (;;) {
    const count = Atomics.load(bell, 0)
    const now = Atomics.load(state, STATE)
    if (now === DEAD) return {}
    if (now === REQUESTED) {
      Atomics.store(state, STATE, ANSWERED)
      Atomics.notify(state, STATE)
      busy = true
    }
    if (performance.now() >= sliceEnd) {
      await macrotask()
      sliceEnd = performance.now() + SLICE
    } else if (busy) busy = Atomics.wait(bell, 0, count, LINGER) !== 'timed-out'
    else {
      const ring = Atomics.waitAsync(bell, 0, count)
      if (ring.async) await ring.value
    }
  }
}

/** What one round trip takes that carries nothing. */
function guest({ channel, doorbell }) {
  const state = new Int32Array(channel)
  const bell = new Int32Array(doorbell)
  const trip = () => {
    Atomics.store(state, STATE, REQUESTED)
    Atomics.add(bell, 0, 1)
    Atomics.notify(bell, 0)
    while (Atomics.load(state, STATE) !== ANSWERED) Atomics.wait(state, STATE, REQUESTED)
    Atomics.store(state, STATE, IDLE)
  }
  const ns = least(trip, 2000)
  Atomics.store(state, STATE, DEAD)
  Atomics.add(bell, 0, 1)
  Atomics.notify(bell, 0)
  return { ns }
}

/** What an import takes that copies 4 KiB of a page into the memory of the module that calls it. */
async function copy({ module, calls }) {
  const page = new Uint8Array(65_536)
  let memory
  const instance = await WebAssembly.instantiate(module, {
    ...unused(module),
    floor: {
      copy(at, from) {
        memory.set(page.subarray(from, from + 4096), at)
        return 4096
      },
    },
  })
  memory = new Uint8Array(instance.exports.memory.buffer)
  return { ns: least(() => instance.exports.run(calls), 20) / calls }
}

/** Instantiates a program and runs it to its end. */
async function start({ module }) {
  const instance = await WebAssembly.instantiate(module, unused(module))
  try {
    instance.exports._start()
  } catch (error) {
    if (error !== EXIT) throw error
  }
  return {}
}

const EXIT = 'exit'

/** Imports of preview1 that do nothing: enough for a program that has no arguments, no environment and no files. */
function unused(module) {
  const exit = () => {
    throw EXIT
  }
  const imports = WebAssembly.Module.imports(module).map(({ name }) => [name, name === 'proc_exit' ? exit : () => 0])
  return { wasi_snapshot_preview1: Object.fromEntries(imports) }
}

/** Nanoseconds per call, of ten samples the least. */
function least(call, calls) {
  for (let i = 0; i < calls; i++) call()
  let best = Number.POSITIVE_INFINITY
  for (let sample = 0; sample < 10; sample++) {
    const from = performance.now()
    for (let i = 0; i < calls; i++) call()
    best = Math.min(best, performance.now() - from)
  }
  return (best / calls) * 1e6
}

/** A call of the page that is answered with so many bytes, for so many milliseconds. */
async function comlink({ port, bytes, ms }) {
  const { wrap } = await import('/comlink/comlink.mjs')
  const give = wrap(port)
  await give(bytes)
  const begun = performance.now()
  let calls = 0
  let spent = 0
  do {
    if ((await give(bytes)).length !== bytes) throw new Error('the page gave another number of bytes')
    calls++
    spent = performance.now() - begun
  } while (spent < ms)
  return { ns: (spent * 1e6) / calls }
}
