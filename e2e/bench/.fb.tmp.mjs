import { chromiumPlace } from '/work/wt/fuse2/e2e/bench/chromium.mjs'
import { buildGuest } from '/work/wt/fuse2/e2e/guests/build.mjs'

const place = await chromiumPlace(await buildGuest('bench.c'))
const med = (a) => a.sort((x, y) => x - y)[a.length >> 1]
const c = [],
  w = [],
  j = []
for (let i = 0; i < Number(process.argv[2] ?? 6); i++) {
  c.push(await place.floor('comlink'))
  w.push(await place.ours('fuse', 'worker'))
  j.push(await place.ours('fuse', 'jspi'))
}
for (const [n, a] of [
  ['comlink', c],
  ['worker', w],
  ['jspi', j],
])
  console.log(n, a.map((x) => (x / 1000).toFixed(0)).join(' '), 'med', (med(a) / 1000).toFixed(0))
console.log(
  'worker',
  (med(w) / med(c)).toFixed(2),
  'jspi',
  (med(j) / med(c)).toFixed(2),
  'min',
  (Math.min(...w) / Math.min(...c)).toFixed(2),
  (Math.min(...j) / Math.min(...c)).toFixed(2),
)
for (const s of place.sides) await s.close()
