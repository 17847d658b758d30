/**
 * What this machine can do, and how guests are run on it in consequence. A page that gets less than it could have is told
 * why, in a sentence that says what to do about it.
 */

import type { BootReport, PlatformName } from '../abi/wire.ts'

/** From the best to the one that always works. */
const PREFERENCE: readonly PlatformName[] = ['worker', 'jspi', 'inline']

export interface Features {
  readonly crossOriginIsolated: boolean
  readonly sharedArrayBuffer: boolean
  /** WebAssembly.Suspending and WebAssembly.promising. */
  readonly jspi: boolean
}

/** Looks at the global object of a page or a Worker. */
export function detectFeatures(scope: object = globalThis): Features {
  const { crossOriginIsolated, WebAssembly: wasm } = scope as {
    crossOriginIsolated?: boolean
    WebAssembly?: { Suspending?: unknown; promising?: unknown }
  }
  return {
    crossOriginIsolated: crossOriginIsolated === true,
    sharedArrayBuffer: 'SharedArrayBuffer' in scope,
    jspi: typeof wasm?.Suspending === 'function' && typeof wasm.promising === 'function',
  }
}

export interface PlatformOptions {
  /** What this build of the kernel can do. */
  readonly offered: readonly PlatformName[]
  /** Only this one will do. */
  readonly wanted?: PlatformName | undefined
}

/**
 * The platform, why there is no better one, and what else the page could have.
 * Errors: a plain Error whose message says why the wanted platform, or any, can't be had.
 */
export function choosePlatform(features: Features, { offered, wanted }: PlatformOptions): BootReport {
  if (wanted !== undefined && !PREFERENCE.includes(wanted)) {
    throw new Error(`there is no platform "${wanted}"; there are ${PREFERENCE.join(', ')}`)
  }
  const available: PlatformName[] = []
  const obstacles: string[] = []
  for (const platform of PREFERENCE) {
    const obstacle = obstacleTo(platform, features, offered)
    if (obstacle === undefined) available.push(platform)
    else if (platform === wanted) throw new Error(`platform "${platform}" can't be used: ${obstacle}`)
    else if (available.length === 0) obstacles.push(obstacle)
  }
  const [best] = available
  if (best === undefined) throw new Error(`no platform can be used: ${obstacles.join('; ')}`)
  if (wanted !== undefined) return { platform: wanted, reason: `${meaning[wanted]}, as asked for.`, available }
  const because = obstacles.length === 0 ? '' : `. Nothing better is possible: ${obstacles.join('; ')}`
  return { platform: best, reason: `${meaning[best]}${because}.`, available }
}

const meaning: Record<PlatformName, string> = {
  worker: 'Guests run in Workers of their own, where they wait and are killed without harm to others',
  jspi: "Guests run in the kernel's Worker and are suspended while they wait",
  inline: "Guests run in the kernel's Worker and can't wait for one another: pipes, terminals and locks answer EAGAIN",
}

function obstacleTo(platform: PlatformName, features: Features, offered: readonly PlatformName[]): string | undefined {
  if (!offered.includes(platform)) return `this version does not offer "${platform}" yet`
  if (platform === 'worker') {
    if (!features.crossOriginIsolated) {
      return (
        '"worker" needs the page to be cross-origin isolated: serve it with the headers ' +
        'Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp, over https or from localhost'
      )
    }
    if (!features.sharedArrayBuffer) return '"worker" needs SharedArrayBuffer, which this browser does not have'
  }
  if (platform === 'jspi' && !features.jspi) {
    return '"jspi" needs JavaScript Promise Integration, which this browser does not have or has switched off'
  }
  return undefined
}
