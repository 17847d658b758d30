/** A Worker of mounts.mjs: a bare comlink call, and system calls on namespaces of few and of many mounts. */
import { expose } from 'comlink'
import { AT_FDCWD } from '../../src/abi/linux.ts'
import { makeOurs } from './vfs-ours.ts'

/** Stats go to so few mounts at a time, whatever the number of those that are there: more would not fit the processor's caches. */
const AT_A_TIME = 10
const STATS = 2000
const SAMPLES = 20

/** Of a namespace of so many mounts, some at a time: the nanoseconds that a stat through them takes, the least of all samples. */
function groupsOf(mounts: number) {
  const { task, mountMany } = makeOurs()
  const paths = mountMany(mounts)
  return Array.from({ length: paths.length / AT_A_TIME }, (_, i) => {
    const some = paths.slice(i * AT_A_TIME, (i + 1) * AT_A_TIME)
    const group = { least: Number.POSITIVE_INFINITY, sample }
    function sample() {
      const start = performance.now()
      for (let done = 0; done < STATS; done += AT_A_TIME) for (const path of some) task.fstatat(AT_FDCWD, path, 0)
      group.least = Math.min(group.least, ((performance.now() - start) * 1e6) / STATS)
    }
    return group
  })
}

const bench = {
  nothing() {},
  /** A stat where it takes the longest. */
  stats() {
    const few = groupsOf(AT_A_TIME)
    const many = groupsOf(1000)
    for (let i = 0; i < SAMPLES; i++) for (const { sample } of [...few, ...many]) sample()
    const slowest = (groups: typeof few) => Math.max(...groups.map(({ least }) => least))
    return { through10: slowest(few), through1000: slowest(many) }
  },
}
export type MountsBench = typeof bench

expose(bench)
