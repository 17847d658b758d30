/**
 * What tests of programs share: a page with the built library on each platform, and the guests.
 *
 * Each platform is tested in both browsers, on an isolated page in one of them and on a page without COOP and COEP in the other:
 * that they do not depend on the headers is seen without running everything four times. Only `worker` needs the headers.
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
