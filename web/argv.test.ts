import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseWords, quoteWord } from './argv.ts'

test.each([
  ['', []],
  ['   ', []],
  ['one', ['one']],
  ['  one \t two\nthree ', ['one', 'two', 'three']],
  [`'a b' "c d"`, ['a b', 'c d']],
  [`''`, ['']],
  [`"" x`, ['', 'x']],
  [`pre'fix 'ed"  up"`, ['prefix ed  up']],
  ['a\\ b', ['a b']],
  [`'a\\b'`, ['a\\b']],
  [`"a\\"b\\\\c\\n"`, ['a"b\\c\\n']],
  ['*.c $HOME > out | x', ['*.c', '$HOME', '>', 'out', '|', 'x']],
  ["it\\'s", ["it's"]],
  ['ünï 日本', ['ünï', '日本']],
])('%j is split as a shell would', (text, words) => {
  expect(parseWords(text)).toEqual({ words })
})

test.each([
  [`a 'b`, 2, "The ' at character 3 is never closed."],
  [`"a b`, 0, 'The " at character 1 is never closed.'],
  [`"a\\"`, 0, 'The " at character 1 is never closed.'],
  ['a b\\', 3, 'The backslash at the end has nothing to escape; write \\\\ for one.'],
])('%j is a fault that says where', (text, at, fault) => {
  expect(parseWords(text)).toEqual({ fault, at })
})

test('any list of words survives being quoted and parsed', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), (words) => {
      expect(parseWords(words.map(quoteWord).join(' '))).toEqual({ words })
    }),
  )
})
