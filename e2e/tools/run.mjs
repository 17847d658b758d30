/** Starting the tools that are in node_modules, by node itself, so that npm's own output and settings stay out of it. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

const programs = {
  biome: 'node_modules/@biomejs/biome/bin/biome',
  playwright: 'node_modules/@playwright/test/cli.js',
  tsc: 'node_modules/typescript/bin/tsc',
  vite: 'node_modules/vite/bin/vite.js',
  vitest: 'node_modules/vitest/vitest.mjs',
}

/**
 * @param {keyof typeof programs | 'node'} tool  `node` runs a script of ours
 * @param {...string} args
 * @returns {boolean} whether it exited 0; what it prints goes where ours goes
 */
export function run(tool, ...args) {
  const command = tool === 'node' ? args : [root + programs[tool], ...args]
  return spawnSync(process.execPath, command, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] }).status === 0
}
