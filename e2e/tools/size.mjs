/**
 * `npm run size`: what a page downloads, after gzip -9, each entry with the chunks that it imports statically, and below it what
 * is loaded on demand; fails over the limit. A limit is raised only with its reason in docs/rationale.md.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { importsOf, loadedWith } from './imports.mjs'
import { root } from './run.mjs'

/** In KB of 1024 bytes. */
const limits = { 'dist/index.js': 12, 'dist/kernel.worker.js': 104, 'dist/guest.worker.js': 21 }
/** Of one import on demand, with what it imports that is not there yet. */
const ON_DEMAND = 20

/** @param {string} name @param {readonly string[]} files @param {number} limit @param {string} note */
function report(name, files, limit, note) {
  const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(join(root, file)), { level: 9 }).length, 0)
  const over = bytes > limit * 1024
  if (over) process.exitCode = 1
  const size = (bytes / 1024).toFixed(2).padStart(6)
  console.log(`${name.padEnd(22)} ${size} KB gzip of ${limit} KB${note}${over ? ': OVER THE LIMIT' : ''}`)
}

for (const [entry, limit] of Object.entries(limits)) {
  if (!existsSync(join(root, entry))) {
    console.error(`${entry} is not there; run npm run build`)
    process.exitCode = 1
    continue
  }
  const there = loadedWith(entry)
  report(entry, [...there], limit, there.size > 1 ? `, with ${there.size - 1} chunks` : '')
  // What is found grows while it is gone through: chunks load chunks.
  const onDemand = new Set([...there].flatMap((file) => importsOf(file).onDemand))
  for (const chunk of onDemand) {
    const files = [...loadedWith(chunk)].filter((file) => !there.has(file))
    for (const file of files) for (const further of importsOf(file).onDemand) onDemand.add(further)
    report(`  ${chunk.replace(/.*chunk-(.*)-.{8}\.js$/, '$1')}`, files, ON_DEMAND, ', on demand')
  }
}
