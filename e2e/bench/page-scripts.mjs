/** Scripts of the benchmarks' own for pages, bundled as what they import by bare names needs it. */
import { join } from 'node:path'
import { build } from 'vite'
import { root } from '../tools/run.mjs'

/**
 * @param {string} outDir  from the root of the project; emptied first
 * @param {readonly string[]} sources  in e2e/bench: `store.worker.ts` becomes `store.worker.js`
 */
export async function buildPageScripts(outDir, sources) {
  await build({
    configFile: false,
    root,
    logLevel: 'warn',
    build: {
      outDir,
      emptyOutDir: true,
      copyPublicDir: false,
      minify: false, // for the names in its errors
      target: 'es2023',
      modulePreload: false,
      rolldownOptions: {
        input: Object.fromEntries(
          sources.map((source) => [source.replace(/\.\w+$/, ''), join(root, 'e2e/bench', source)]),
        ),
        preserveEntrySignatures: 'strict',
        output: { entryFileNames: '[name].js' },
      },
    },
  })
}
