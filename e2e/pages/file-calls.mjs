/**
 * A story of file calls, told of any `fs` that has the shape of node:fs/promises: the page runs it on `container.fs`, the test on
 * node itself, and what each call gives or how it fails must be the same.
 *
 * @typedef {string | number | null | boolean | { [name: string]: unknown }} Argument
 * @typedef {[method: string, ...args: Argument[]]} Call  a text that begins with '/' is a path below the story's directory
 */

/** @type {Call[]} */
export const calls = [
  // Making and reading.
  ['mkdir', '/d'],
  ['mkdir', '/d'],
  ['mkdir', '/no/dir'],
  ['mkdir', '/a/b/c', { recursive: true }],
  ['mkdir', '/a/b/c', { recursive: true }],
  ['writeFile', '/d/f', 'hello'],
  ['writeFile', '/d/f', 'x', { flag: 'wx' }],
  ['writeFile', '/d', 'x'],
  ['writeFile', '/no/f', 'x'],
  ['writeFile', '/d/f/below', 'x'],
  ['writeFile', '/d/new/', 'x'],
  ['appendFile', '/d/f', ', wörld'],
  ['readFile', '/d/f', 'utf8'],
  ['readFile', '/d/f', { encoding: 'utf8' }],
  ['readFile', '/d'],
  ['readFile', '/no', 'utf8'],
  ['readFile', '/d/f/', 'utf8'],
  ['readFile', '/d/../d/./f', 'utf8'],
  ['readFile', '/no/../d/f', 'utf8'],
  ['readdir', '/'],
  ['readdir', '/d'],
  ['readdir', '/d/f'],
  ['readdir', '/no'],
  ['readdir', '/', { recursive: true }],
  ['access', '/d/f'],
  ['access', '/no'],
  ['access', '/d/f', 2],
  // What it is.
  ['stat', '/d/f'],
  ['stat', '/d'],
  ['stat', '/no'],
  ['stat', '/d/f/x'],
  ['lstat', '/no'],
  ['chmod', '/d/f', 0o600],
  ['stat', '/d/f'],
  ['chmod', '/no', 0o600],
  ['utimes', '/d/f', 1_000_000, 1_500_000.25],
  ['stat', '/d/f'],
  ['utimes', '/no', 1, 1],
  ['truncate', '/d/f', 2],
  ['readFile', '/d/f', 'utf8'],
  ['truncate', '/d/f', 4],
  ['readFile', '/d/f', 'utf8'],
  ['truncate', '/d'],
  ['truncate', '/no'],
  // Links.
  ['symlink', 'f', '/d/to-f'],
  ['symlink', 'f', '/d/to-f'],
  ['symlink', 'nowhere', '/dangling'],
  ['symlink', 'loop', '/loop'],
  ['symlink', 'd', '/to-d'],
  ['readlink', '/d/to-f'],
  ['readlink', '/d/f'],
  ['readlink', '/no'],
  ['lstat', '/d/to-f'],
  ['stat', '/d/to-f'],
  ['stat', '/dangling'],
  ['stat', '/loop'],
  ['readdir', '/to-d'],
  ['realpath', '/to-d/to-f'],
  ['realpath', '/loop'],
  ['realpath', '/no'],
  ['writeFile', '/dangling', 'made through a link'],
  ['readFile', '/nowhere', 'utf8'],
  ['link', '/d/f', '/hard'],
  ['link', '/d/f', '/hard'],
  ['link', '/d', '/hard-d'],
  ['link', '/no', '/x'],
  ['stat', '/hard'],
  ['lutimes', '/to-d', 5, 7.5],
  ['lstat', '/to-d'],
  // Moving.
  ['rename', '/hard', '/d/renamed'],
  ['rename', '/no', '/x'],
  ['rename', '/d/f', '/no/x'],
  ['rename', '/d', '/d/inside'],
  ['rename', '/d/f', '/a'],
  ['rename', '/a', '/d/f'],
  ['rename', '/a', '/d'],
  ['rename', '/a/b', '/e'],
  ['rename', '/e', '/a'],
  ['readdir', '/d'],
  ['copyFile', '/d/f', '/copy'],
  ['copyFile', '/d/f', '/copy', 1],
  ['copyFile', '/no', '/copy'],
  ['copyFile', '/d', '/copied'],
  ['stat', '/copy'],
  // Removing.
  ['rmdir', '/d'],
  ['rmdir', '/copy'],
  ['rmdir', '/no'],
  ['rmdir', '/to-d'],
  ['unlink', '/d'],
  ['unlink', '/no'],
  ['unlink', '/to-d'],
  ['rm', '/d'],
  ['rm', '/no'],
  ['rm', '/no', { force: true }],
  ['rm', '/copy'],
  ['rm', '/d', { recursive: true }],
  ['readdir', '/'],
  // Names.
  ['writeFile', `/${'n'.repeat(255)}`, ''],
  ['writeFile', `/${'n'.repeat(256)}`, ''],
  ['writeFile', '/käse 🧀', 'ü'],
  ['readdir', '/'],
  ['stat', ''],
  ['readFile', '/x\0y'],
  ['readFile', 5],
  ['mkdir', null],
  ['writeFile', '/f', 5],
  ['readFile', '/f', 'klingon'],
]

/** @param {any} fs @param {string} root an empty directory @returns {Promise<string[]>} a line for each call */
export async function tell(fs, root) {
  /** @param {unknown} value without the directory, in which the stories differ */
  const plain = (value) =>
    typeof value === 'string' ? value.replaceAll(root, '') : Array.isArray(value) ? value.map(plain).sort() : value
  const lines = []
  for (const [method, ...args] of calls) {
    // A link's target is no path of the story's.
    const given = args.map((arg) => (typeof arg === 'string' && arg.startsWith('/') ? `${root}${arg}` : arg))
    let outcome
    try {
      const value = await fs[method](...given)
      outcome = value?.isFile ? status(value) : value instanceof Uint8Array ? [...value] : plain(value)
    } catch (error) {
      const { name, code, errno, syscall, path, dest, message } = error
      // Node's words for a wrong argument list types that a page does not have.
      const said = /^ERR_INVALID_ARG/.test(code) ? '' : plain(message)
      outcome = { name, code, errno, syscall, path: plain(path), dest: plain(dest), message: said }
    }
    lines.push(`${method}(${args.map((arg) => JSON.stringify(arg)).join(', ')}): ${JSON.stringify(outcome)}`)
  }
  return lines
}

/** What a status must agree in; a directory's size and links are its filesystem's affair, and so is the time of what was not set. */
function status(stats) {
  const kind = stats.isFile()
    ? 'file'
    : stats.isDirectory()
      ? 'directory'
      : stats.isSymbolicLink()
        ? 'symlink'
        : 'other'
  const { mode, nlink, size, mtimeMs, mtime } = stats
  const set = mtimeMs < 1.6e12 ? { mtimeMs, mtime } : {}
  return { kind, mode: mode.toString(8), ...set, ...(kind !== 'directory' && { nlink, size }) }
}
