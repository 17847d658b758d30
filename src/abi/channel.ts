/**
 * System calls over shared memory: a guest in its own Worker asks, the kernel answers, and the guest waits in between.
 *
 * One SharedArrayBuffer per task is its channel; one more, the doorbell, is for all guests of a kernel. The doorbell is a
 * counter: a guest publishes its request and then adds one and wakes the kernel; the kernel reads the counter before it
 * looks at the channels and sleeps only while the counter stays the same, so no ring is lost. It is never reset.
 *
 * Invariants: a request counts only once the state word says REQUESTED, which is written last; the answer likewise.
 * Whose turn it is follows from the state word alone. A dead channel stays dead.
 */
import { CHANNEL_SIZE } from './channel-codec.ts'

/** Words of a channel's header. */
export const STATE = 0
export const CALL = 1
/** 0, or the Linux number of the error. */
export const STATUS = 2

/** What the state word says. */
export const IDLE = 0
export const REQUESTED = 1
export const ANSWERED = 2
export const DEAD = 3

export const createChannel = (): SharedArrayBuffer => new SharedArrayBuffer(CHANNEL_SIZE)
export const createDoorbell = (): SharedArrayBuffer => new SharedArrayBuffer(4)
