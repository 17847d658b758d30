/**
 * What the kernels of a browser have under way in IndexedDB, as watch.mjs tells it: so that a kill can be aimed at a kind of work, and
 * it can be said where it fell. What was sent last before a kill may be lost; it is of the last fraction of a millisecond.
 *
 * @typedef {typeof PHASES[number]} Phase
 */
import { createHash } from 'node:crypto'

/** What opening a volume writes. */
export const OPENING = 'becoming the owner of a volume'
/** What is written later. */
export const WORK = /** @type {const} */ ([
  'a commit',
  'the segments of a large commit',
  'a commit that frees segments, as the cleaner does',
  'a checkpoint',
])
/** Where a kill may fall; of several things under way, the last one in this list counts. */
const PHASES = /** @type {const} */ (['between transactions', 'before a transaction writes', OPENING, ...WORK])

/** @param {string[]} records @returns {Phase} */
function phaseOf(records) {
  const has = (/** @type {string} */ record) => records.includes(record)
  if (has('+chunk') || (has('+log') && has('+root'))) return 'a checkpoint'
  if (has('+log')) return has('-segment') ? 'a commit that frees segments, as the cleaner does' : 'a commit'
  return has('+segment') ? 'the segments of a large commit' : OPENING
}

export class Transactions {
  /** @type {Map<string, Phase>} */
  #underWay = new Map()
  #kernels = 0
  /** Those that were not strict, though they are of a volume. @type {string[]} */
  relaxed = []
  /** Why the browser itself has deleted all, if it has. @type {string | undefined} */
  lost
  /** Hears of each that writes from now on. @type {(phase: Phase) => void} */
  onWrite = () => {}

  /** @returns {Phase} */
  get phase() {
    const phases = [...this.#underWay.values()]
    return PHASES.findLast((phase) => phases.includes(phase)) ?? 'between transactions'
  }

  /** A kernel's WebSocket. @param {import('node:http').IncomingMessage} request @param {import('node:stream').Duplex} socket */
  accept(request, socket) {
    const kernel = ++this.#kernels
    accept(request, socket)
    socket.on('error', () => {})
    // Sockets of an HTTP server stay open for what is to be said to the other end, which is gone.
    socket.on('end', () => socket.destroy())
    socket.on('close', () => {
      for (const key of this.#underWay.keys()) if (key.startsWith(`${kernel} `)) this.#underWay.delete(key)
    })
    onMessages(socket, (text) => {
      const [n, what, ...rest] = text.split(' ')
      const key = `${kernel} ${n}`
      if (what === 'lost') this.lost = rest.join(' ')
      else if (what === 'ends') this.#underWay.delete(key)
      else if (what === 'begins') {
        this.#underWay.set(key, 'before a transaction writes')
        if (rest[1] !== 'strict') this.relaxed.push(text)
      } else {
        const phase = phaseOf(rest)
        this.#underWay.set(key, phase)
        this.onWrite(phase)
      }
    })
  }
}

/** RFC 6455, 4.2.2. @param {import('node:http').IncomingMessage} request @param {import('node:stream').Duplex} socket */
function accept({ headers }, socket) {
  const key = `${headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
  const answer = createHash('sha1').update(key).digest('base64')
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
  socket.write([...lines, `Sec-WebSocket-Accept: ${answer}`, '', ''].join('\r\n'))
}

/** Texts of less than 64 KiB, each in one frame (RFC 6455, 5.2). @param {import('node:stream').Duplex} socket @param {(text: string) => void} hear */
function onMessages(socket, hear) {
  let rest = Buffer.alloc(0)
  socket.on('data', (/** @type {Buffer} */ chunk) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 4) {
      const short = /** @type {number} */ (rest[1]) & 0x7f
      const mask = short === 126 ? 4 : 2
      const start = mask + 4
      const end = start + (short === 126 ? rest.readUInt16BE(2) : short)
      if (rest.length < end) return
      const frame = rest
      const isText = /** @type {number} */ (frame[0] & 0x0f) === 1
      if (isText)
        hear(
          Buffer.from(
            frame.subarray(start, end).map((byte, i) => byte ^ /** @type {number} */ (frame[mask + (i & 3)])),
          ).toString(),
        )
      rest = frame.subarray(end)
    }
  })
}
