/** Imports TypeScript sources in a program that Node runs as it is: bundled first, as they would be shipped. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'vite'
import { root } from './run.mjs'

let imports = 0

/**
 * @param {string} source from the root of the project: `e2e/fuzz/mounts.ts`
 * @returns {Promise<any>} the module
 */
export async function importSource(source) {
  const outDir = join(root, `.cache/imports/${process.pid}-${++imports}`)
  await build({
    configFile: false,
    root,
    logLevel: 'warn',
    build: {
      ssr: join(root, source),
      outDir,
      target: 'es2023',
      rolldownOptions: { output: { entryFileNames: 'source.mjs' } },
    },
  })
  // Not before: it may have parts that are imported when they are needed.
  process.once('exit', () => rmSync(outDir, { recursive: true, force: true }))
  return import(pathToFileURL(join(outDir, 'source.mjs')).href)
}
