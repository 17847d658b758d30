/**
 * `npm run size`: what a page downloads, after gzip -9, each entry with the chunks that it imports statically; fails over the
 * limit. A limit is raised only with its reason in docs/rationale.md.
 */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { parseSync } from 'vite'
import { root } from './run.mjs'

/** In KB of 1024 bytes. */
const limits = { 'dist/index.js': 12, 'dist/kernel.worker.js': 128, 'dist/guest.worker.js': 19 }

/** @param {string} entry @param {Set<string>} [found] @returns {Set<string>} the entry and all that it loads */
function closureOf(entry, found = new Set()) {
  if (found.has(entry)) return found
  found.add(entry)
  const { module } = parseSync(entry, readFileSync(join(root, entry), 'utf8'))
  const requests = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) =>
      entries.flatMap(({ moduleRequest }) => moduleRequest?.value ?? []),
    ),
  ]
  for (const request of requests) {
    if (!request.startsWith('.')) throw new Error(`${entry} imports "${request}", which a page cannot resolve`)
    closureOf(join(dirname(entry), request), found)
  }
  return found
}

for (const [entry, limit] of Object.entries(limits)) {
  if (!existsSync(join(root, entry))) {
    console.error(`${entry} is not there; run npm run build`)
    process.exitCode = 1
    continue
  }
  const files = [...closureOf(entry)]
  const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(join(root, file)), { level: 9 }).length, 0)
  const over = bytes > limit * 1024
  if (over) process.exitCode = 1
  const chunks = files.length > 1 ? `, with ${files.length - 1} chunks` : ''
  console.log(
    `${entry.padEnd(22)} ${(bytes / 1024).toFixed(2).padStart(6)} KB gzip of ${limit} KB${chunks}${over ? ': OVER THE LIMIT' : ''}`,
  )
}
