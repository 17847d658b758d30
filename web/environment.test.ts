import { expect, test } from 'vitest'
import { parseEnvironment } from './environment.ts'

test.each([
  ['', []],
  ['\n  \n', []],
  ['A=1', ['A=1']],
  ['A=1\nB=two words \n\nC=x=y', ['A=1', 'B=two words ', 'C=x=y']],
  ['A=\r\n  B=2\r\n', ['A=', 'B=2']],
])('%j is read line by line', (text, env) => {
  expect(parseEnvironment(text)).toEqual({ env })
})

test.each([
  ['A=1\nHOME', 2, 'Line 2: “HOME” has no “=”; write NAME=value.'],
  ['\n=x', 2, 'Line 2: there is no name before the “=”.'],
  ['A=1\nB=2\nA=3', 3, 'Line 3: A is already set in line 1.'],
  ['x'.repeat(40), 1, `Line 1: “${'x'.repeat(23)}…” has no “=”; write NAME=value.`],
])('%j is a fault that names its line', (text, line, fault) => {
  expect(parseEnvironment(text)).toEqual({ fault, line })
})
