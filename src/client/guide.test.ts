/**
 * The recipes of docs/guide, run as they stand: each block on a sandbox of its own, after the block of its page that is marked
 * `setup`. What a block logs is what the `// → …` comments behind its console.log calls say, in that order. Blocks marked
 * `waits` need a platform on which programs can wait, which Node has not; they are only parsed here.
 */

import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { kernels } from '../../e2e/kernels.ts'

interface Block {
  readonly name: string
  readonly kind: string
  readonly code: string
}

function blocksOf(page: string): Block[] {
  const text = readFileSync(new URL(`../../docs/guide/${page}.md`, import.meta.url), 'utf8')
  return [...text.matchAll(/```ts ?(\w*)\n(.*?)```/gs)].map(([, kind, code], index) => {
    const title = text
      .slice(0, text.indexOf(code!))
      .match(/^#+ .*$/gm)!
      .at(-1)!
    return { kind: kind!, code: code!.replace(/^import .*$/gm, ''), name: `${page}.md, block ${index + 1}, "${title}"` }
  })
}

const shown = (value: unknown) => (typeof value === 'object' ? JSON.stringify(value) : String(value))
const AsyncFunction = (async () => {}).constructor as new (...code: string[]) => (...args: unknown[]) => Promise<void>

const PAGES = 'run mounts files keep processes terminal overlays images pods fuse proc verity checkpoint'

for (const page of PAGES.split(' ')) {
  const blocks = blocksOf(page)
  const setup = blocks.find(({ kind }) => kind === 'setup')!.code
  test.each(blocks.map((block) => [block.name, block] as const))('%s, does what it says', async (_, { kind, code }) => {
    const run = new AsyncFunction('Sandbox', 'console', kind === 'setup' ? code : `${setup}{${code}}`)
    if (kind === 'waits') return
    const expected = [...code.matchAll(/\/\/ (→ .*)$/gm)].flatMap(([, comment]) => comment!.split('→ ').slice(1))
    const logged: string[] = []
    const { boot, close } = kernels()
    const console = {
      log: (...values: unknown[]) => logged.push(values.map(shown).join(' ').replaceAll('\n', '\\n')),
      warn() {},
      info() {},
    }
    try {
      await run({ boot }, console)
    } finally {
      await close()
    }
    expect(logged).toEqual(expected.map((each) => each.trim()))
  })
}
