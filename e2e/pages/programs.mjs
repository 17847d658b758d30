/**
 * What tests of programs do in a page, over the built library. They reach it as `window.programs` of programs.html.
 *
 * @typedef {import('../../src/client/index.ts').Container} Container
 * @typedef {import('../../src/client/index.ts').ExitStatus} ExitStatus
 * @typedef {import('../../src/client/index.ts').FileSpec} FileSpec
 * @typedef {import('../../src/client/index.ts').Files} Files
 * @typedef {import('../../src/client/index.ts').PlatformName} PlatformName
 * @typedef {import('../../src/client/index.ts').Process} Process
 * @typedef {import('../../src/client/index.ts').ProcessInput} ProcessInput
 * @typedef {import('../../src/client/index.ts').RunOptions} RunOptions
 * @typedef {import('../../src/client/index.ts').SandboxError} SandboxError
 * @typedef {import('../../src/client/index.ts').SpecInput} SpecInput
 */
import * as library from '/lib/index.js'

/** @type {typeof import('../../src/client/index.ts').Sandbox} */
export const Sandbox = library.Sandbox

/** @param {string} path of this origin */
const here = (path) => new URL(path, location.href)

/**
 * A sandbox, and a container in it that is started: `programs` are in its /bin, /tmp and /work are tmpfs.
 *
 * @param {PlatformName} platform
 * @param {{ programs?: Record<string, string>, bundle?: Record<string, Files>, mounts?: SpecInput['mounts'], storageBucket?: string }} [options]
 *   `programs` maps names to paths on the server, fetched when they are needed
 */
export async function start(platform, { programs = {}, bundle = {}, mounts = [], storageBucket } = {}) {
  const bin = Object.entries(programs).map(
    ([name, path]) => /** @type {const} */ ([name, { data: here(path), mode: 0o755 }]),
  )
  const sandbox = await Sandbox.boot({ platform, bundle: { ...bundle, programs: bin }, storageBucket })
  const container = await sandbox.create('box', {
    mounts: [
      { destination: '/bin', type: 'bind', source: 'programs', options: ['ro'] },
      { destination: '/tmp', type: 'tmpfs' },
      { destination: '/work', type: 'tmpfs' },
      ...mounts,
    ],
  })
  await container.start()
  return { sandbox, container }
}

/** How a process ended and all that it said. @param {Process} process @returns {Promise<ExitStatus & { stdout: string, stderr: string }>} */
export async function ended(process) {
  const [stdout, stderr, status] = await Promise.all([
    process.text(),
    new Response(process.stderr).text(),
    process.wait(),
  ])
  return { ...status, stdout, stderr }
}

/** @param {Container} container @param {ProcessInput} process @param {RunOptions} [options] */
export async function run(container, process, options) {
  return ended(await container.exec(process, options))
}

/**
 * The error that a call is rejected with, as a plain object; what it gave, if it was not.
 *
 * @param {Promise<unknown>} call
 * @returns {Promise<Pick<SandboxError, 'name' | 'message' | 'code' | 'errno' | 'syscall' | 'path' | 'dest' | 'faults'> | { gave: unknown }>}
 */
export async function fault(call) {
  try {
    return { gave: await call }
  } catch (error) {
    const { name, message, ...fields } = /** @type {SandboxError} */ (error)
    return { name, message, ...fields }
  }
}

/**
 * The files of an archive, fetched once, as slices of the one Blob.
 *
 * @param {string} path of the archive on this server; unpacked if it ends with `gz`
 * @param {readonly { path: string, directory: boolean, offset: number, size: number, mtime: number }[]} index
 * @returns {Promise<[path: string, file: FileSpec][]>}
 */
export async function archive(path, index) {
  const { body } = await fetch(here(path))
  const stream = path.endsWith('gz') ? body.pipeThrough(new DecompressionStream('gzip')) : body
  const blob = await new Response(stream).blob()
  return index.map(({ path, directory, offset, size, mtime }) => [
    path,
    directory ? { directory, mtime } : { data: blob.slice(offset, offset + size), mtime },
  ])
}
