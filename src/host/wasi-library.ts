/**
 * `runtab/wasi`: preview1 for Workers that run guests by themselves. A program that says `new WASI(args, env, fds)` there, with
 * @bjorn3/browser_wasi_shim, gets the files of a container in place of its own by `asShimFds`; with the `WASI` of this module in
 * place of the shim's it gets all of preview1, too.
 */

import type { Fd } from '@bjorn3/browser_wasi_shim'
import { RemoteSyscalls } from '../abi/remote-syscalls.ts'
import type { Connection } from '../abi/wire.ts'
import { KernelFd, Preview1, strace } from '../wasi/index.ts'
import { importsOf } from '../wasi/preview1.ts'
import { BriefWait } from './brief-wait.ts'
import { createClock } from './clock.ts'
import { createEntropy } from './entropy.ts'

export type { Connection } from '../abi/wire.ts'
export * from '../wasi/index.ts'

/**
 * The descriptors of a process that joined a container: standard streams, preopened directories, and what else it was given, each
 * at its number. Once for each connection, in the Worker that it was posted to: each call blocks it until the kernel has answered.
 */
export function asShimFds(connection: Connection): Fd[] {
  if (!isConnection(connection))
    throw new TypeError(
      'asShimFds takes the connection of a process, which container.join() gives and postMessage brings',
    )
  if (typeof document !== 'undefined')
    throw new TypeError('asShimFds works in a Worker only: its calls block the thread until the kernel has answered')
  const { channel, doorbell, descriptors, preopens } = connection
  const syscalls = new RemoteSyscalls(channel, doorbell, new BriefWait().wait)
  const fds: Fd[] = []
  for (const fd of descriptors) fds[fd] = new KernelFd(syscalls, fd)
  for (const { fd, name, root } of preopens) fds[fd] = new KernelFd(syscalls, fd, name, root)
  return fds
}

/** Without cross-origin isolation there is no SharedArrayBuffer, and no connection. */
const isConnection = (given: Partial<Connection> | undefined) =>
  typeof SharedArrayBuffer === 'function' &&
  given?.channel instanceof SharedArrayBuffer &&
  given.doorbell instanceof SharedArrayBuffer

/**
 * In place of browser_wasi_shim's class of this name: the descriptors are those of asShimFds, and every call goes to the kernel,
 * those too that the shim does not know (symbolic links, poll_oneoff and sleep, times, rights). With `debug` each is told on the
 * console, as strace(1) tells it.
 */
export class WASI extends Preview1 {
  constructor(args: string[], env: string[], fds: readonly Fd[], { debug = false }: { debug?: boolean } = {}) {
    const { syscalls, preopens } = processOf(fds)
    const clock = createClock()
    super({ args, env, preopens, syscalls, clock, entropy: createEntropy() })
    if (debug) {
      const memory = () => new Uint8Array((this.inst!.exports.memory as { readonly buffer: ArrayBuffer }).buffer)
      const now = () => clock.monotonic()
      this.wasiImport = importsOf(strace(this.table, (line) => console.log(line), { memory, now, preopens }))
    }
  }
}

function processOf(fds: readonly Fd[]) {
  const ours = fds.filter((fd) => fd !== undefined)
  const wrong = fds.findIndex((fd, at) => fd !== undefined && !(fd instanceof KernelFd && fd.fd === at))
  const [first] = ours
  if (wrong >= 0 || !(first instanceof KernelFd))
    throw new TypeError(
      `fds[${Math.max(wrong, 0)}] is not the descriptor of that number that asShimFds gave; browser_wasi_shim's own WASI takes lists of several kinds`,
    )
  const preopens = (ours as KernelFd[]).flatMap(({ fd, name, isRoot }) =>
    name === undefined ? [] : [{ fd, name, root: isRoot }],
  )
  return { syscalls: first.syscalls, preopens }
}
