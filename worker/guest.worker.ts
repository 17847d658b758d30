/**
 * A guest's Worker: runs a program to its end, its system calls going to the kernel through shared memory. Its clock and its
 * randomness are the Worker's own, for which no other thread need be asked.
 */

import { Counters } from '../src/abi/counters.ts'
import { RemoteSyscalls } from '../src/abi/remote-syscalls.ts'
import { TraceRing } from '../src/abi/trace-ring.ts'
import type { LibraryRequest } from '../src/abi/wire.ts'
import { BriefWait } from '../src/host/brief-wait.ts'
import { createClock } from '../src/host/clock.ts'
import { createEntropy } from '../src/host/entropy.ts'
import type { GuestJob, GuestReport } from '../src/host/guest-workers.ts'
import { runGuest } from '../src/wasi/guest.ts'
import type { RequestSource } from '../src/wasi/library.ts'

const brief = new BriefWait()

/** The page sends a port to the kernel for each guest; on that comes the one program. The next comes when it has ended. */
addEventListener('message', ({ ports: [port] }) => {
  if (!port) return
  const report = (message: GuestReport) => port.postMessage(message)
  port.onmessage = async ({ data }: MessageEvent<GuestJob>) => {
    try {
      report({ end: await run(data, requestsOf(port, report)) })
    } catch (error) {
      report({ refused: error instanceof Error ? error.message : String(error) })
    }
  }
  report({ started: true })
})

/** What comes on the port behind the program: one request, and the next when it is answered. */
function requestsOf(port: MessagePort, report: (message: GuestReport) => void): RequestSource {
  const come: LibraryRequest[] = []
  let arrived = () => {}
  port.onmessage = ({ data }: MessageEvent<LibraryRequest>) => {
    come.push(data)
    arrived()
  }
  return {
    async next() {
      while (come.length === 0) await new Promise<void>((resolve) => (arrived = resolve))
      const answer = (answered: unknown) => report({ answered })
      return { request: come.shift()!, answer, fail: (failed) => report({ failed }) }
    },
  }
}

function run({ channel, doorbell, counters, trace, ...program }: GuestJob, requests: RequestSource) {
  const ring = trace && new TraceRing(trace)
  return runGuest({
    ...program,
    requests,
    counters: new Counters(counters),
    timed: false, // by the kernel, where the calls are made
    strace: ring && ((line) => ring.put(line)),
    // Calls wait in the channel, where the whole thread may.
    platform: 'inline',
    syscalls: new RemoteSyscalls(channel, doorbell, brief.wait),
    clock: createClock(),
    entropy: createEntropy(),
    onFault: (fault) => console.error('a fault of the system, which the program sees as EIO:', fault),
  })
}
