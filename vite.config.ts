/**
 * Vite builds two things from one tree: the playground (the default; index.html → dist/playground) and, with `--mode lib`, the
 * package (dist/*.js). What the package's entries are is said once, in the `exports` of package.json: an export whose types
 * come from dist/types/src/x.d.ts is built from src/x.ts into the file that its `default` names.
 *
 * Invariant: dist/*.js is plain, self-contained ESM in one flat folder, so that `new URL('./kernel.worker.js', import.meta.url)`
 * means the same file to a browser, to Vite and to other bundlers.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { build, defineConfig, type Plugin, type UserConfig } from 'vite'
import { buildGuest } from './e2e/guests/build.mjs'
import { entriesOf } from './e2e/tools/entries.mjs'
import manifest from './package.json' with { type: 'json' }

const root = fileURLToPath(new URL('.', import.meta.url))

/** What a page needs to be cross-origin isolated, without which there is no SharedArrayBuffer. */
const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }

/**
 * Sources name a Worker by where it lies in the package, `new URL('./kernel.worker.js', import.meta.url)`. The playground is made
 * from sources, so there the name is led to worker/kernel.worker.ts; in the package it must come out as it went in, so Vite is
 * told to leave it alone (a consumer's bundler then finds the pattern it knows).
 */
function workerUrls(target: 'sources' | 'package'): Plugin {
  const pattern = /new URL\(\s*(['"])\.\/(kernel|guest)\.worker\.js\1,\s*import\.meta\.url\s*,?\s*\)/g
  return {
    name: 'runtab:worker-urls',
    enforce: 'pre',
    transform: {
      filter: { id: /\.ts(\?|$)/, code: pattern },
      handler(code, id) {
        const depth = id.slice(root.length).split('/').length - 1
        const address = (name: string) =>
          target === 'sources'
            ? `'./${'../'.repeat(depth)}worker/${name}.worker.ts'`
            : `/* @vite-ignore */ './${name}.worker.js'`
        return {
          code: code.replace(pattern, (_, _quote, name) => `new URL(${address(name)}, import.meta.url)`),
          map: null,
        }
      },
    },
  }
}

/** What the playground fetches beside its own files: its example program, compiled when it is first wanted, and the README as text. */
function playgroundFiles(): Plugin {
  const files: Record<string, { type: string; read: () => Promise<Buffer> }> = {
    'example/hello.wasm': {
      type: 'application/wasm',
      read: async () => readFileSync(await buildGuest(`${root}web/example.c`)),
    },
    'example/hello.c': { type: 'text/plain; charset=utf-8', read: async () => readFileSync(`${root}web/example.c`) },
  }
  const readme = `${root}README.md`
  if (existsSync(readme))
    files['docs/readme.txt'] = { type: 'text/plain; charset=utf-8', read: async () => readFileSync(readme) }
  return {
    name: 'runtab:playground-files',
    configureServer(server) {
      // Beforehand, and in a process of its own: the compiler would hold up the server's first answers.
      const compile = [`${root}e2e/guests/build.mjs`, `${root}web/example.c`]
      spawn(process.execPath, compile, { stdio: 'ignore', detached: true }).unref()
      for (const [name, { type, read }] of Object.entries(files)) {
        server.middlewares.use(`/${name}`, (_request, response, next) => {
          read().then((bytes) => response.setHeader('Content-Type', type).end(bytes), next)
        })
      }
    },
    async generateBundle() {
      for (const [fileName, { read }] of Object.entries(files)) {
        this.emitFile({ type: 'asset', fileName, source: await read() })
      }
    },
  }
}

/**
 * The page is painted once it has been read and its script has run: a first frame of half the page would be laid out again
 * with the rest. Vite drops `blocking` from a script in index.html.
 */
function paintedWhole(): Plugin {
  return {
    name: 'runtab:painted-whole',
    transformIndexHtml: {
      order: 'post',
      handler: (html) => html.replace('<script type="module"', '<script type="module" blocking="render"'),
    },
  }
}

/**
 * Vite wraps `import()` so that styles and further chunks are fetched beside what is imported. There are none here, and in a
 * Worker nothing to fetch them with.
 */
function plainImports(): Plugin {
  return {
    name: 'runtab:plain-imports',
    enforce: 'pre',
    load: { filter: { id: /vite\/preload-helper/ }, handler: () => 'export const __vitePreload = (load) => load()' },
  }
}

const plain = { target: 'es2023', minify: true, sourcemap: true, modulePreload: false } as const

/**
 * A Worker shares nothing with other entries, so that it starts with one file, beside which lies what it loads on demand.
 *
 * What is loaded on demand imports that file. A server may give a Worker's script an address that no import has (Vite does, in
 * dev), and the file would run twice: so where anything is loaded, the script is but an import of it.
 */
function worker({ name, source }: { name: string; source: string }, { onDemand }: { onDemand: boolean }): Plugin {
  const chunkFileNames = 'chunk-[name]-[hash].js'
  return {
    name: 'runtab:worker',
    async generateBundle() {
      const built = await build({
        configFile: false,
        logLevel: 'warn',
        plugins: [plainImports()],
        build: {
          ...{ ...plain, write: false },
          rolldownOptions: {
            input: { [name]: `${root}${source}` },
            output: {
              ...{ format: 'es', entryFileNames: onDemand ? chunkFileNames : '[name].js', chunkFileNames },
              codeSplitting: onDemand && { groups: [{ name, tags: ['$initial'] }] },
            },
          },
        },
      })
      if (!('output' in built)) throw new Error('expected one build')
      for (const file of built.output) {
        const source = file.type === 'chunk' ? file.code : file.source
        this.emitFile({ type: 'asset', fileName: file.fileName, source })
      }
      if (onDemand)
        this.emitFile({ type: 'asset', fileName: `${name}.js`, source: `import './${built.output[0].fileName}'\n` })
    },
  }
}

function library(): UserConfig {
  const entries = entriesOf(manifest).filter((entry) => existsSync(`${root}${entry.source}`))
  const workers = entries.filter(({ name }) => name.endsWith('.worker'))
  const input = entries
    .filter((entry) => !workers.includes(entry))
    .map(({ name, source }) => [name, `${root}${source}`])
  return {
    plugins: [
      ...[workerUrls('package'), plainImports()],
      ...workers.map((entry) => worker(entry, { onDemand: entry.name === 'kernel.worker' })),
    ],
    build: {
      ...plain,
      outDir: 'dist',
      copyPublicDir: false,
      rolldownOptions: {
        input: Object.fromEntries(input),
        preserveEntrySignatures: 'strict',
        output: { entryFileNames: '[name].js', chunkFileNames: 'chunk-[name]-[hash].js', format: 'es' },
      },
    },
  }
}

function playground(): UserConfig {
  return {
    plugins: [workerUrls('sources'), playgroundFiles(), paintedWhole()],
    worker: { format: 'es', plugins: () => [workerUrls('sources')] },
    // Only what the playground is made of; e2e has pages of its own, and a build beside a running server would reload it.
    server: {
      headers: isolation,
      watch: { ignored: ['**/dist/**', '**/e2e/**', '**/.cache/**', '**/test-results/**'] },
    },
    // Those of the Workers, too: a dependency that is found after the page has loaded reloads it, and a click on it is lost.
    cacheDir: process.env.RUNTAB_VITE_CACHE ?? 'node_modules/.vite',
    optimizeDeps: { entries: ['index.html', 'worker/*.worker.ts'] },
    preview: { headers: isolation },
    build: { outDir: 'dist/playground', target: 'es2023', assetsInlineLimit: 0 },
  }
}

export default defineConfig(({ mode }) => (mode === 'lib' ? library() : playground()))
