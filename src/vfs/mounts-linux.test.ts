/**
 * Scripts of mount operations with what Linux 6.18 made of them, recorded by e2e/fuzz/mounts.mjs (30 seeds from 90001 on, 55 steps
 * each): the answer to each step, and the mount tables of all tasks at the end, but for the numbers in them.
 */

import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Recorded } from '../../e2e/fuzz/mounts.ts'
import { checkMountTree, liveCounts } from '../testing/check-mounts.ts'
import { MountScript, picture } from '../testing/mount-script.ts'

const recorded: Recorded[] = JSON.parse(readFileSync(new URL('../testing/linux/mounts.json', import.meta.url), 'utf8'))

describe('A250 A254 A256 A264 A270 A273 A274 A275 A276 A279 A288 A290 D040 D041 D048 mounts are where Linux has them', () => {
  test.each(recorded.map((each, i) => [i, each] as const))('script %i', (_, { script, results, picture: expected }) => {
    const world = new MountScript()
    const answers = script.map((operation, i) => {
      const answer = world.run(operation)
      expect([operation, answer]).toEqual([operation, results[i]])
      expect(checkMountTree(world.vfs)).toEqual([])
      return answer
    })
    expect(answers).toEqual(results)
    expect(picture(world.tables)).toEqual(expected)
    world.release()
    const { devices, ...rest } = liveCounts(world.vfs)
    expect([devices, ...new Set(Object.values(rest))]).toEqual([1, 0])
  })
})
