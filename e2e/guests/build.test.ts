import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildGuest } from './build.mjs'

let folder: string
const made: string[] = []
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'runtab-guest-'))
})
afterAll(() => {
  for (const path of [folder, ...made]) rmSync(path, { recursive: true })
})

/** A source whose content no other run has, so that nothing of it is cached. */
function freshSource(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, `// ${folder} ${name}\n${text}\n`)
  return path
}

const script = fileURLToPath(new URL('build.mjs', import.meta.url))
const inAnotherProcess = (source: string) =>
  new Promise<string>((resolve, reject) => {
    const child = spawn(process.execPath, [script, source], { stdio: ['ignore', 'pipe', 'inherit'] })
    let out = ''
    child.stdout.on('data', (chunk) => {
      out += chunk
    })
    child.on('close', (code) => (code === 0 ? resolve(out.trim()) : reject(new Error(`exit ${code}`))))
  })

test('a C source becomes a WASI program, once, however many processes ask at the same time', async () => {
  const source = freshSource('hello.c', '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }')
  const paths = await Promise.all([
    buildGuest(source),
    buildGuest(source),
    inAnotherProcess(source),
    inAnotherProcess(source),
  ])
  made.push(paths[0])
  expect(new Set(paths).size).toBe(1)
  expect(paths[0]).toMatch(/[/\\]\.cache[/\\]guests[/\\]hello-[0-9a-f]{16}\.wasm$/)
  expect(existsSync(`${paths[0]}.lock`)).toBe(false)

  const module = await WebAssembly.compile(readFileSync(paths[0]))
  expect(WebAssembly.Module.exports(module).map(({ name }) => name)).toContain('_start')
})

test('other flags make another file', async () => {
  const source = freshSource('flags.c', '#ifndef N\n#error no N\n#endif\nint main(void) { return N; }')
  const three = await buildGuest(source, { flags: ['-DN=3'] })
  made.push(three)
  await expect(buildGuest(source)).rejects.toThrow(/clang -O2 flags\.c -o out\.wasm exited 1[\s\S]*no N/)
  // The failure left nothing behind that the next build would wait for.
  await expect(buildGuest(source)).rejects.toThrow('no N')
})
