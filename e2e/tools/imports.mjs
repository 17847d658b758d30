/** What built scripts import. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseSync } from 'vite'
import { root } from './run.mjs'

/** @param {string} file @returns {{ imported: string[], onDemand: string[] }} the files that one imports, and that it may */
export function importsOf(file) {
  const code = readFileSync(join(root, file), 'utf8')
  const { module } = parseSync(file, code)
  const requests = [
    ...module.staticImports.map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports.flatMap(({ entries }) =>
      entries.flatMap(({ moduleRequest }) => moduleRequest?.value ?? []),
    ),
  ]
  /** @param {string} request */
  const resolve = (request) => {
    if (!request.startsWith('.')) throw new Error(`${file} imports "${request}", which a page cannot resolve`)
    return join(dirname(file), request)
  }
  const dynamic = module.dynamicImports.map(({ moduleRequest: { start, end } }) => code.slice(start + 1, end - 1))
  return { imported: requests.map(resolve), onDemand: dynamic.map(resolve) }
}

/** @param {string} entry @param {Set<string>} [found] @returns {Set<string>} the entry and all that is loaded with it */
export function loadedWith(entry, found = new Set()) {
  if (found.has(entry)) return found
  found.add(entry)
  for (const file of importsOf(entry).imported) loadedWith(file, found)
  return found
}
