/**
 * Runs functions of a spec in a page or in a Worker of it, with the host's modules at hand as the first argument. The function
 * travels as text, so it sees nothing else; its argument and result are cloned, an error arrives as its text.
 */
import type { Page } from '@playwright/test'
import { build } from 'vite'
import type * as host from './host-under-test.ts'
import { root } from './tools/run.mjs'

export type Host = typeof host

let bundle: Promise<string> | undefined

/** All of it as one script that says `var host = …`. */
async function bundled(): Promise<string> {
  const output = await build({
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      minify: false,
      target: 'es2023',
      lib: { entry: `${root}/e2e/host-under-test.ts`, formats: ['iife'], name: 'host' },
    },
  })
  const [first] = Array.isArray(output) ? output : [output]
  if (!first || !('output' in first)) throw new Error('vite built nothing')
  return first.output[0].code
}

const withHost = () => {
  bundle ??= bundled()
  return bundle
}

export async function inPage<T, A>(
  page: Page,
  run: (host: Host, argument: A) => T | Promise<T>,
  argument?: A,
): Promise<T> {
  const code = await withHost()
  return page.evaluate(
    ([code, run, argument]) => new Function('argument', `${code}\nreturn (${run})(host, argument)`)(argument),
    [code, String(run), argument] as const,
  ) as Promise<T>
}

/** `files` names an `<input type=file>` of the page whose files are the third argument. */
export async function inWorker<T, A>(
  page: Page,
  run: (host: Host, argument: A, files: File[]) => T | Promise<T>,
  argument?: A,
  files?: string,
): Promise<T> {
  const code = await withHost()
  return page.evaluate(
    ([code, run, argument, files]) => {
      const script = `${code}
        onmessage = async ({ data: [argument, files] }) => {
          try { postMessage({ value: await (${run})(host, argument, files) }) }
          catch (error) { postMessage({ error: String(error) }) }
        }`
      const worker = new Worker(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })))
      const input = files === undefined ? null : document.querySelector<HTMLInputElement>(files)
      return new Promise((resolve, reject) => {
        worker.onerror = (event) => reject(new Error(event.message))
        worker.onmessage = ({ data }) => {
          worker.terminate()
          if ('error' in data) reject(new Error(data.error))
          else resolve(data.value)
        }
        worker.postMessage([argument, [...(input?.files ?? [])]])
      })
    },
    [code, String(run), argument, files] as const,
  ) as Promise<T>
}
