/**
 * In the kernel's Worker: tells the server (transactions.mjs) of each transaction that writes, over a WebSocket, which takes what is
 * sent without waiting. `N begins DATABASE DURABILITY`, `N writes RECORDS`, `N ends`; RECORDS are `+KIND` for what is put, `-KIND` for what is
 * deleted. And of a database that Chromium found damaged, and has deleted with all others of the site: `0 lost WHY`.
 */
const socket = new WebSocket(`ws://${location.host}/crash/watch`)
/** @type {string[]} until it is open */
const early = []
socket.onopen = () => {
  for (const text of early.splice(0)) socket.send(text)
}
const tell = (/** @type {string} */ text) =>
  socket.readyState === WebSocket.CONNECTING ? early.push(text) : socket.send(text)

let last = 0
/** @type {WeakMap<IDBTransaction, { n: number, records: Set<string> }>} */
const watched = new WeakMap()

const { open } = IDBFactory.prototype
IDBFactory.prototype.open = function (...args) {
  const request = open.apply(this, args)
  request.addEventListener('upgradeneeded', (event) => {
    const { dataLoss, dataLossMessage } = /** @type {{ dataLoss?: string, dataLossMessage?: string }} */ (event)
    if (dataLoss === 'total') tell(`0 lost ${dataLossMessage}`)
  })
  return request
}

const { transaction } = IDBDatabase.prototype
IDBDatabase.prototype.transaction = function (names, mode, options) {
  const made = transaction.call(this, names, mode, options)
  if (mode !== 'readwrite') return made
  const n = ++last
  watched.set(made, { n, records: new Set() })
  tell(`${n} begins ${this.name} ${made.durability}`)
  for (const end of ['complete', 'abort']) made.addEventListener(end, () => tell(`${n} ends`))
  return made
}

const { commit } = IDBTransaction.prototype
IDBTransaction.prototype.commit = function () {
  const seen = watched.get(this)
  if (seen) tell(`${seen.n} writes ${[...seen.records].join(' ')}`)
  commit.call(this)
}

const note = (/** @type {IDBObjectStore} */ store, /** @type {string} */ sign, /** @type {unknown} */ key) =>
  watched.get(store.transaction)?.records.add(sign + String(key).split('/')[0])

const { put } = IDBObjectStore.prototype
IDBObjectStore.prototype.put = function (value, key) {
  note(this, '+', key)
  return put.call(this, value, key)
}
const { delete: remove } = IDBObjectStore.prototype
IDBObjectStore.prototype.delete = function (key) {
  note(this, '-', key)
  return remove.call(this, key)
}
