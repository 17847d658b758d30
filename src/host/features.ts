/**
 * What this machine can do, and how guests are run on it in consequence. A page that gets less than it could have is told
 * why, in a sentence that says what to do about it.
 */

/** Where guests run and how they wait; from the best to the one that always works. */
export type Platform = 'worker' | 'jspi' | 'inline'

const PREFERENCE: readonly Platform[] = ['worker', 'jspi', 'inline']

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

export interface PlatformChoice {
  readonly platform: Platform
  /** For a person: what this platform means and why there is no better one. */
  readonly reason: string
}

export interface PlatformOptions {
  /** What this build of the kernel can do. */
  readonly offered: readonly Platform[]
  /** Only this one will do. */
  readonly wanted?: Platform | undefined
}

/** Errors: a plain Error whose message says why the wanted platform, or any, can't be had. */
export function choosePlatform(features: Features, { offered, wanted }: PlatformOptions): PlatformChoice {
  if (wanted !== undefined) {
    const obstacle = obstacleTo(wanted, features, offered)
    if (obstacle !== undefined) throw new Error(`platform "${wanted}" can't be used: ${obstacle}`)
    return { platform: wanted, reason: `${meaning[wanted]}, as asked for.` }
  }
  const obstacles: string[] = []
  for (const platform of PREFERENCE) {
    const obstacle = obstacleTo(platform, features, offered)
    if (obstacle === undefined) {
      const because = obstacles.length === 0 ? '' : `. Nothing better is possible: ${obstacles.join('; ')}`
      return { platform, reason: `${meaning[platform]}${because}.` }
    }
    obstacles.push(obstacle)
  }
  throw new Error(`no platform can be used: ${obstacles.join('; ')}`)
}

const meaning: Record<Platform, string> = {
  worker: 'Guests run in Workers of their own, where they wait and are killed without harm to others',
  jspi: "Guests run in the kernel's Worker and are suspended while they wait",
  inline: "Guests run in the kernel's Worker and can't wait for one another: pipes, terminals and locks answer EAGAIN",
}

function obstacleTo(platform: Platform, features: Features, offered: readonly Platform[]): string | undefined {
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
