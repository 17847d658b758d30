/**
 * `npm run bench:import`: a tar of 2,300 files imported as an image, its digest verified, against modern-tar untarring it into
 * memfs; plain and with gzip.
 *
 *     node e2e/bench/import.mjs [--json FILE] [--quick]
 *
 * Each side runs in turn; of all samples the least counts. Prints milliseconds and exits 1 if ours is slower. `--quick` judges
 * nothing.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { Volume } from 'memfs'
import { packTar, unpackTar } from 'modern-tar'
import { importSource } from '../tools/import-source.mjs'

const { values: options } = parseArgs({
  options: { json: { type: 'string' }, quick: { type: 'boolean', default: false } },
})
const FILES = 2300
const passes = options.quick ? 1 : 15

/** @type {typeof import('./import-ours.ts')} */
const { importer } = await importSource('e2e/bench/import-ours.ts')

/** As a sysroot has them: many small ones, some large, 20 to a directory. */
async function archiveOf() {
  const directories = new Set()
  const entries = []
  for (let i = 0; i < FILES; i++) {
    const directory = `usr/lib${i % 5}/part${Math.floor(i / 20)}/`
    if (!directories.has(directory)) {
      directories.add(directory)
      entries.push({ header: { name: directory, type: /** @type {const} */ ('directory'), size: 0 } })
    }
    const body = new Uint8Array(i % 100 === 0 ? 200_000 : 500 + ((i * 37) % 8000)).fill(65 + (i % 26))
    entries.push({ header: { name: `${directory}file${i}.h`, size: body.length }, body })
  }
  return packTar(entries)
}

const tar = await archiveOf()
const blobs = { plain: new Blob([tar]), gzip: new Blob([gzipSync(tar)]) }

/** @param {Blob} blob @param {boolean} packed */
async function intoMemfs(blob, packed) {
  const stream = packed ? blob.stream().pipeThrough(new DecompressionStream('gzip')) : blob.stream()
  const volume = new Volume()
  let files = 0
  for (const { header, data } of await unpackTar(stream)) {
    const path = `/${header.name}`
    if (header.type === 'directory') volume.mkdirSync(path, { recursive: true })
    else volume.writeFileSync(path, data ?? new Uint8Array(0), { mode: header.mode ?? 0o644 })
    files++
  }
  return files
}

const ours = await importer()
/** @type {Record<string, { ours: number, memfs: number }>} */
const least = {}
for (const [name, blob] of Object.entries(blobs)) {
  const found = { ours: Number.POSITIVE_INFINITY, memfs: Number.POSITIVE_INFINITY }
  for (let pass = 0; pass < passes; pass++) {
    for (const [side, run] of /** @type {const} */ ([
      ['ours', () => ours.run(blob)],
      ['memfs', () => intoMemfs(blob, name === 'gzip')],
    ])) {
      const start = performance.now()
      const entries = await run()
      found[side] = Math.min(found[side], performance.now() - start)
      if (entries < FILES) throw new Error(`${side} read ${entries} entries`)
    }
  }
  least[name] = found
}
await ours.close()

const megabytes = (tar.length / 2 ** 20).toFixed(1)
console.log(`a tar of ${FILES} files, ${megabytes} MB: milliseconds, the least of ${passes}`)
for (const [name, { ours, memfs }] of Object.entries(least)) {
  console.log(
    `${name.padEnd(6)} ours ${ours.toFixed(1).padStart(7)}   modern-tar into memfs ${memfs.toFixed(1).padStart(7)}   ${(ours / memfs).toFixed(2)}x`,
  )
}
if (options.json) writeFileSync(options.json, JSON.stringify(least, null, 2))
const slower = Object.entries(least).filter(([, { ours, memfs }]) => ours > memfs)
if (!options.quick) {
  console.log(
    slower.length === 0 ? 'held: imports are at least as fast' : `not held: ${slower.map(([name]) => name).join(', ')}`,
  )
  process.exitCode = slower.length === 0 ? 0 : 1
}
