/** How it is said where changes go. */

import { describe, expect, test } from 'vitest'
import { SpecError } from '../spec.ts'
import { parseUppers, type UppersConfig, uppersText } from './uppers.ts'

describe('D001 D003 D005 D007 a configuration and its text', () => {
  test.each<[text: unknown, config: UppersConfig]>([
    ['none', { scope: 'none' }],
    ['root:memory', { scope: 'root', upper: {} }],
    ['root:memory,size=64m', { scope: 'root', upper: { size: '64m' } }],
    ['root:memory,size=', { scope: 'root', upper: { size: '' } }],
    ['all:volume:a.b', { scope: 'all', upper: { volume: 'a.b' } }],
    ['all:volume:a,size=10%', { scope: 'all', upper: { volume: 'a', size: '10%' } }],
    ['root:volume:a,size=1g,cacheBytes=1m', { scope: 'root', upper: { volume: 'a', size: '1g', cacheBytes: '1m' } }],
    ['root:volume:a,cacheBytes=1m', { scope: 'root', upper: { volume: 'a', cacheBytes: '1m' } }],
    [['none', 'memory', 'volume:x,size=1k'], { scope: 'each', uppers: [undefined, {}, { volume: 'x', size: '1k' }] }],
  ])('%j', (text, config) => {
    expect(parseUppers(text)).toEqual(config)
    expect(uppersText(config)).toEqual(text)
  })

  test('without one, the root is in memory; each value stands for itself, whatever was given before', () => {
    expect(parseUppers(undefined)).toEqual(parseUppers('root:memory'))
    parseUppers('all:memory')
    expect(parseUppers('root:memory')).toEqual({ scope: 'root', upper: {} })
  })
})

test.each<[given: unknown, path: string, rule: RegExp]>([
  ['memory', '', /SCOPE:MEDIUM, is "memory"/],
  ['each:memory', '', /"root" or "all", is for "each"/],
  ['root:self', '', /is in "self"/],
  ['root:dir/sub', '', /is in "dir\/sub"/],
  ['root:volume:a/b', '', /letters, digits/],
  ['root:memory,mode=755', '', /size=BYTES, not "mode=755"/],
  ['root:memory,size=1m,size=2m', '', /no more than a size/],
  ['root:memory,cacheBytes=1m', '', /cacheBytes in "volume:NAME", not in "memory"/],
  ['root:volume:a,cacheBytes', '', /not "cacheBytes"/],
  [[], '', /entry for the root/],
  [['none', 'self'], '[1]', /is in "self"/],
  [['none', 5], '[1]', /must be a string/],
  [7, '', /a string or a list/],
  [null, '', /a string or a list/],
])('D002 %j is refused: %s %s', (given, path, rule) => {
  let error: unknown
  try {
    parseUppers(given)
  } catch (thrown) {
    error = thrown
  }
  expect(error).toBeInstanceOf(SpecError)
  expect((error as SpecError).faults).toEqual([{ path, rule: expect.stringMatching(rule) as string }])
})
