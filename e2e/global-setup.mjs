/** Before any browser test: what they run against is built, and the C guests are compiled (once; both are kept). */
import { buildGuest, guestSources } from './guests/build.mjs'
import { buildIfStale } from './tools/build.mjs'

export default async function setUp() {
  await buildIfStale()
  for (const source of guestSources()) await buildGuest(source)
}
