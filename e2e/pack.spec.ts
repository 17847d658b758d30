/**
 * The package as others get it: packed, installed from the tarball into an empty folder, and used there with nothing configured:
 * by a Vite app in dev and built, by a page with a plain module script, and by the type checker.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, type Page, test } from '@playwright/test'
import { buildGuest } from './guests/build.mjs'
import { isolation, listen, staticServer } from './server.mjs'
import { root } from './tools/run.mjs'
import { startVite } from './vite-dev.mjs'

/**
 * What each of the pages does: boots a sandbox, runs a program in it, mounts a volume and commits a container (which the kernel
 * loads further scripts for), and shows in its title what came of that.
 */
const program = `
const sandbox = await Sandbox.boot({ bundle: { tree: { 'a.txt': 'a' } } })
const container = await sandbox.create('demo', { mounts: [{ destination: '/tmp', type: 'tmpfs', source: 'volume:tmp' }] })
await container.fs.writeFile('/tmp/hello.wasm', new Uint8Array(await (await fetch('/hello.wasm')).arrayBuffer()))
await container.start()
const hello = await container.exec({ args: ['/tmp/hello.wasm'] })
const said: string = await hello.text()
const image = await (await sandbox.create('layered', { root: { path: 'tree' } })).commit()
const layers: number = image.layers.length
await sandbox.shutdown()
document.title = 'it says: ' + said.trim() + ', and has ' + layers + ' layers'
`
const page = (script: string) =>
  `<!doctype html><html lang="en"><head><title>starting</title><link rel="icon" href="data:,"></head><body>${script}</body></html>`
/** A program that fails says so, instead of running into a timeout. */
const handler = `for (const event of ['error', 'unhandledrejection'])
  addEventListener(event, (event: any) => { document.title = 'failed: ' + (event.reason ?? event.message) })
`

let app: string
let servers: Server[]

const npm = (cwd: string, ...args: string[]) =>
  execFileSync('npm', args, {
    cwd,
    encoding: 'utf8',
    shell: process.platform === 'win32',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
const vite = (...args: string[]) => [join(app, 'node_modules/vite/bin/vite.js'), ...args]

test.beforeAll(async () => {
  test.setTimeout(300_000)
  const hello = await buildGuest('hello.c')
  app = mkdtempSync(join(tmpdir(), 'runtab-app-'))
  const [packed] = JSON.parse(npm(root, 'pack', '--json', '--ignore-scripts', '--pack-destination', app))
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules/vite/package.json'), 'utf8'))
  const manifest = {
    private: true,
    type: 'module',
    dependencies: { runtab: `file:./${packed.filename}` },
    devDependencies: { vite: version },
  }
  writeFileSync(join(app, 'package.json'), JSON.stringify(manifest))
  // A spec that ran before in this process may have called Vite, which sets NODE_ENV=production: npm would leave out Vite then.
  npm(app, 'install', '--include=dev', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts')

  mkdirSync(join(app, 'src'))
  mkdirSync(join(app, 'public'))
  for (const folder of ['.', 'public']) copyFileSync(hello, join(app, folder, 'hello.wasm'))
  writeFileSync(join(app, 'src/main.ts'), `${handler}import { Sandbox } from 'runtab'\n${program}`)
  writeFileSync(join(app, 'index.html'), page('<script type="module" src="/src/main.ts"></script>'))
  const plain = `${handler.replace(': any', '')}import { Sandbox } from './node_modules/runtab/dist/index.js'\n${program.replace(/: (string|number)/g, '')}`
  writeFileSync(join(app, 'plain.html'), page(`<script type="module">${plain}</script>`))
})
test.afterAll(() => rmSync(app, { recursive: true, force: true }))

test.beforeEach(() => {
  servers = []
})
test.afterEach(() => {
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
})

async function serve(folder: string, headers: Record<string, string>): Promise<string> {
  const server = staticServer([['/', folder]], headers)
  servers.push(server)
  return listen(server)
}

async function bootsAt(address: string, on: Page) {
  await on.goto(address)
  await expect(on).not.toHaveTitle('starting')
  expect(await on.title()).toMatch(/^it says: hello\b.*, and has 2 layers$/s)
}

test('the package holds every file that it exports, its licence, and neither playground nor tests', () => {
  const folder = join(app, 'node_modules/runtab')
  const { exports } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const targets = Object.values<string | Record<string, string>>(exports).flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target),
  )
  expect(targets.length).toBeGreaterThan(3)
  expect(targets.filter((target) => !existsSync(join(folder, target)))).toEqual([])
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  expect(files).toContain('LICENSE')
  expect(files.filter((file) => /playground|\.test\.|^(src|e2e|worker|web)\b/.test(file))).toEqual([])
})

test('a sandbox boots in a Vite app in dev', async ({ page }) => {
  const { origin, stop } = await startVite(app)
  try {
    await bootsAt(origin, page)
  } finally {
    await stop()
  }
})

test('a sandbox boots in a Vite app that was built', async ({ page }) => {
  execFileSync(process.execPath, vite('build'), { cwd: app, stdio: 'pipe' })
  await bootsAt(await serve(join(app, 'dist'), {}), page)
})

for (const [kind, headers] of [
  ['an isolated page', isolation],
  ['a page that is not isolated', {}],
] as const) {
  test(`a sandbox boots in ${kind} with a plain module script`, async ({ page }) => {
    await bootsAt(`${await serve(app, headers)}/plain.html`, page)
  })
}

for (const [settings, lib, skipLibCheck] of [
  ['the settings of a new Vite app', ['ES2022', 'DOM', 'DOM.Iterable'], true],
  ['its declarations checked too', ['ES2023', 'ESNext.Disposable', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'], false],
] as const) {
  test(`its types are found, and correct, under moduleResolution bundler with ${settings}`, () => {
    const compilerOptions = {
      ...{ target: 'ES2022', module: 'ESNext', moduleResolution: 'bundler', types: [], strict: true, noEmit: true },
      ...{ lib, skipLibCheck },
    }
    const config = join(app, 'tsconfig.json')
    writeFileSync(config, JSON.stringify({ compilerOptions, include: ['src'] }))
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const complaints = () => spawnSync(process.execPath, [tsc, '-p', config], { encoding: 'utf8' }).stdout
    expect(complaints()).toBe('')

    // Were they `any`, this would pass too.
    const wrong = join(app, 'src/wrong.ts')
    writeFileSync(wrong, "import { Sandbox } from 'runtab'\nexport const sandbox: number = await Sandbox.boot()\n")
    expect(complaints()).toContain("Type 'Sandbox' is not assignable to type 'number'")
    rmSync(wrong)
  })
}
