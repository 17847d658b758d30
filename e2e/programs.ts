/**
 * What tests of programs share: a page with the built library on each platform, and the guests.
 *
 * The matrix of platforms, browsers and headers: CI runs a diagonal of it (playwright.config.ts), every platform in Chromium, on an
 * isolated page and on one without COOP and COEP in turn, and `worker`, which needs the headers, in Firefox;
 * `npm run test:full` (RUNTAB_MATRIX=full) runs all of it.
 */
import { basename } from 'node:path'
import { type Page, test } from '@playwright/test'
import type { PlatformName } from '../src/client/index.ts'
import { buildGuest } from './guests/build.mjs'
import { isolatedOrigin, plainOrigin } from './origins.mjs'

declare global {
  interface Window {
    programs: typeof import('./pages/programs.mjs')
  }
}

export const platforms = ['inline', 'jspi', 'worker'] as const satisfies PlatformName[]

const full = process.env.RUNTAB_MATRIX === 'full'

/**
 * Defines tests once for each platform, and in full once for each kind of page that offers it. The page that they get has the
 * library loaded. What needs others to be waited for asserts EAGAIN on `inline`, or says that it is left out there.
 */
export function onEachPlatform(define: (platform: (typeof platforms)[number]) => void): void {
  for (const platform of platforms) {
    const pages = platform === 'worker' ? [true] : full ? [true, false] : [undefined]
    for (const headers of pages) defineOn(platform, headers, define)
  }
}

/** `headers`: whether the page is isolated; undefined: as the diagonal has it. */
function defineOn(
  platform: (typeof platforms)[number],
  headers: boolean | undefined,
  define: (platform: (typeof platforms)[number]) => void,
): void {
  const kind = full ? (headers ? ', isolated' : ', without headers') : ''
  test.describe(`on ${platform}${kind}`, () => {
    test.beforeEach(async ({ page, browserName }) => {
      const isolated = headers ?? (browserName === 'chromium') === (platform === 'jspi')
      await openLibrary(page, isolated ? isolatedOrigin() : plainOrigin())
      const suspends = await page.evaluate(() => 'Suspending' in WebAssembly)
      test.skip(platform === 'jspi' && !suspends, 'this browser has no JavaScript Promise Integration')
    })
    define(platform)
  })
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
