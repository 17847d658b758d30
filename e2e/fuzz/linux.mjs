/** The Linux side of the fuzz test: a process that runs sequences through synchronous node:fs, in a directory on tmpfs, and
 *  answers with their traces. As root it takes on the effective ids of each operation's user; otherwise all are run as who it is.
 *
 *  Forked by sides.ts with `base`, an empty directory that it may fill; first it says what it may do, then a trace per message.
 */
import fs from 'node:fs'
import { join } from 'node:path'
import { GROUP, SHOWN_FLAGS, StatTeller, tellBytes, users } from './trace.mjs'

const [, , base = '', depth = ''] = process.argv
const directory = join(base, ...Array.from({ length: Number(depth) }, (_, i) => String(i)), 'w')
const root = process.geteuid?.() === 0

/** @param {number} as */
let became = 0
function become(as) {
  if (!root || as === became) return
  became = as
  const { uid, gid, groups } = users[as] ?? users[0]
  process.seteuid?.(0)
  process.setgroups?.([...groups])
  process.setegid?.(gid)
  process.seteuid?.(uid)
}

/** @param {import('./operations.ts').Sequence & { free: readonly import('./trace.mjs').Free[] }} sequence
 *  @returns {string[]} a line per operation, then the state at the end */
function run({ umask, mode, operations, free }) {
  process.chdir(base)
  for (const name of fs.readdirSync(base)) fs.rmSync(join(base, name), { recursive: true })
  process.umask(0)
  fs.mkdirSync(directory, { recursive: true, mode: 0o755 })
  fs.chmodSync(directory, mode)
  if (root) {
    fs.chownSync(directory, 0, GROUP)
    fs.chmodSync(directory, mode)
  }
  process.chdir(directory)
  process.umask(umask)
  const teller = new StatTeller(free)
  /** @type {(number | undefined)[]} */
  const slots = []
  const trace = operations.map((operation) => {
    become(operation.as)
    try {
      return perform(operation, slots, teller)
    } catch (error) {
      return /** @type {NodeJS.ErrnoException} */ (error).code ?? String(error)
    }
  })
  become(0)
  slots.forEach((fd, slot) => {
    if (fd === undefined) return
    const [, position = '', flags = ''] =
      /pos:\s*(\d+)\s+flags:\s*0(\d+)/.exec(fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')) ?? []
    const shown = Number.parseInt(flags, 8) & SHOWN_FLAGS
    const where = fs.fstatSync(fd).isFile() ? ` at ${position}` : ''
    trace.push(
      `slot ${slot}: ${teller.tell(told(fs.fstatSync(fd, { bigint: true })))} flags ${shown.toString(8)}${where}`,
    )
    fs.closeSync(fd)
  })
  tellTree(base, '', teller, trace)
  return trace
}

/**
 * @param {import('./operations.ts').Operation} operation
 * @param {(number | undefined)[]} slots
 * @param {StatTeller} teller
 * @returns {string}
 */
function perform(operation, slots, teller) {
  /** @param {string} text */
  const path = (text) => (text.startsWith('@') ? directory + text.slice(1) : text)
  if (operation.call === 'layer') {
    for (const fd of slots) if (fd !== undefined) fs.closeSync(fd)
    slots.length = 0
    become(0)
    process.chdir(base)
    keepFirstNames(base, new Set())
    makeDirectory()
    process.chdir(directory)
    teller.forget()
    return 'ok'
  }
  if (operation.call === 'open') {
    if (slots[operation.slot] !== undefined) return 'slot in use'
    slots[operation.slot] = fs.openSync(path(operation.path), operation.flags, operation.mode)
    return 'ok'
  }
  if ('slot' in operation) {
    const fd = slots[operation.slot]
    if (fd === undefined) return 'slot not in use'
    switch (operation.call) {
      case 'close':
        slots[operation.slot] = undefined
        fs.closeSync(fd)
        return 'ok'
      case 'fstat':
        return teller.tell(told(fs.fstatSync(fd, { bigint: true })))
      case 'fsync':
        fs.fsyncSync(fd)
        return 'ok'
      case 'read': {
        const buffers = operation.lengths.map((length) => new Uint8Array(length))
        const [first] = buffers
        const count =
          buffers.length === 1 && first
            ? fs.readSync(fd, first, 0, first.length, operation.offset)
            : fs.readvSync(fd, buffers, operation.offset ?? undefined)
        return `${count} ${tellBytes(Buffer.concat(buffers).subarray(0, count))}`
      }
      case 'write': {
        const buffers = operation.lengths.map((length, i) => new Uint8Array(length).fill(operation.fill + i))
        const [first] = buffers
        const count =
          buffers.length === 1 && first
            ? fs.writeSync(fd, first, 0, first.length, operation.offset)
            : fs.writevSync(fd, buffers, operation.offset ?? undefined)
        return String(count)
      }
      case 'ftruncate':
        fs.ftruncateSync(fd, operation.size)
        return 'ok'
      case 'fchmod':
        fs.fchmodSync(fd, operation.mode)
        return 'ok'
      case 'fchown':
        fs.fchownSync(fd, operation.uid, operation.gid)
        return 'ok'
      case 'futimes':
        fs.futimesSync(fd, operation.atime, operation.mtime)
        return 'ok'
    }
  }
  const at = path(operation.path)
  switch (operation.call) {
    case 'stat':
      return teller.tell(told(fs.statSync(at, { bigint: true })))
    case 'lstat':
      return teller.tell(told(fs.lstatSync(at, { bigint: true })))
    case 'readlink':
      return fs.readlinkSync(at)
    case 'readdir':
      return tellEntries(fs.readdirSync(at, { withFileTypes: true }))
    case 'unlink':
      fs.unlinkSync(at)
      return 'ok'
    case 'rmdir':
      fs.rmdirSync(at)
      return 'ok'
    case 'mkdir':
      fs.mkdirSync(at, operation.mode)
      return 'ok'
    case 'chmod':
      fs.chmodSync(at, operation.mode)
      return 'ok'
    case 'access':
      fs.accessSync(at, operation.mode)
      return 'ok'
    case 'chown':
      fs.chownSync(at, operation.uid, operation.gid)
      return 'ok'
    case 'lchown':
      fs.lchownSync(at, operation.uid, operation.gid)
      return 'ok'
    case 'utimes':
      fs.utimesSync(at, operation.atime, operation.mtime)
      return 'ok'
    case 'lutimes':
      fs.lutimesSync(at, operation.atime, operation.mtime)
      return 'ok'
    case 'rename':
      fs.renameSync(at, path(operation.to))
      return 'ok'
    case 'link':
      fs.linkSync(at, path(operation.to))
      return 'ok'
    case 'symlink':
      fs.symlinkSync(at, path(operation.to))
      return 'ok'
  }
}

/** The sequence's own directory, or one above it, may have been removed, and a file be in its place. */
function makeDirectory() {
  let at = base
  for (const name of directory.slice(base.length + 1).split('/')) {
    at += `/${name}`
    const stat = fs.lstatSync(at, { throwIfNoEntry: false })
    if (stat?.isDirectory()) continue
    if (stat) fs.unlinkSync(at)
    fs.mkdirSync(at, { mode: 0o755 })
  }
}

/** Names of a file behind its first one are removed. @param {string} at @param {Set<bigint>} seen */
function keepFirstNames(at, seen) {
  for (const name of fs.readdirSync(at).sort()) {
    const path = `${at}/${name}`
    const stat = fs.lstatSync(path, { bigint: true })
    if (stat.isDirectory()) keepFirstNames(path, seen)
    else if (seen.has(stat.ino)) fs.unlinkSync(path)
    else seen.add(stat.ino)
  }
}

/** @param {fs.BigIntStats} stat */
const told = (stat) => ({ ...stat, atime: stat.atimeNs, mtime: stat.mtimeNs, ctime: stat.ctimeNs })

/** @param {readonly fs.Dirent[]} entries */
const tellEntries = (entries) =>
  entries
    .map((entry) => `${entry.name} ${entry.isDirectory() ? 'directory' : entry.isSymbolicLink() ? 'symlink' : 'file'}`)
    .sort()
    .join(', ')

/** @param {string} at @param {string} name @param {StatTeller} teller @param {string[]} trace */
function tellTree(at, name, teller, trace) {
  const stat = fs.lstatSync(at, { bigint: true })
  const content = stat.isFile() ? tellBytes(fs.readFileSync(at)) : stat.isSymbolicLink() ? fs.readlinkSync(at) : ''
  if (name !== '') trace.push(`${name}: ${teller.tell(told(stat))} ${content}`)
  if (stat.isDirectory())
    for (const each of fs.readdirSync(at).sort()) tellTree(`${at}/${each}`, `${name}/${each}`, teller, trace)
}

process.on('message', (/** @type {Parameters<typeof run>[0]} */ sequence) => process.send?.(run(sequence)))
process.on('disconnect', () => process.exit())
process.send?.({
  directory,
  uid: process.geteuid?.() ?? 0,
  gid: process.getegid?.() ?? 0,
  groups: process.getgroups?.() ?? [],
})
