/** Unit tests run in Node, beside the files they check. Browsers are Playwright's. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['{src,worker,web,e2e}/**/*.test.ts'],
    // Generous, so that a loaded machine decides no test; a guest's first compile takes seconds.
    testTimeout: 60_000,
    hookTimeout: 180_000,
  },
})
