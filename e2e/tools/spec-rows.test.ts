import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Test } from './results.mjs'
import { citedBy, expand, judge, outOfScopeOf, rowsOf } from './spec-rows.mjs'

const spec = `
### 0.4 Contents
| **A. Core** | **3** |
## A. Core
### A1 Names
| ID | Behaviour | Error |
|---|---|---|
| A001 | One. | — |
| A002 | Two. | EIO |
### A2 Walks
| A003 | Three. | — |
## D. More
### D1 Images
| D001 | Four, like A001 | and | so on |
## E. Upstream tests
### E1 Unit tests
| E001 | TestSomething | — |
`

const passing = (...titles: string[]): Test => ({ titles, status: 'passed', expectedFailure: false })
const verdictsOf = (tests: Test[], outOfScope = new Map<string, string>()) => {
  const { groups, excluded } = rowsOf(spec)
  return judge(groups, outOfScope, tests, excluded)
}

describe('rows of the specification', () => {
  test('are listed per group, and section E is left out', () => {
    const { groups, excluded } = rowsOf(spec)
    expect(groups).toEqual([
      { id: 'A1', title: 'Names', rows: ['A001', 'A002'] },
      { id: 'A2', title: 'Walks', rows: ['A003'] },
      { id: 'D1', title: 'Images', rows: ['D001'] },
    ])
    expect([...excluded]).toEqual(['E001'])
  })

  test('that stand twice are refused', () => {
    expect(() => rowsOf(`${spec}\n## D. Again\n### D2 X\n| A001 | One. |`)).toThrow('A001 twice')
  })

  test('of docs/spec.md are as many per group as its table of contents says', () => {
    const text = readFileSync(new URL('../../docs/spec.md', import.meta.url), 'utf8')
    const counts = [...text.matchAll(/^\| ([A-D]\d+) [^|]*\| (\d+) \|$/gm)].map(([, id, count]) => [id, Number(count)])
    expect(counts.length).toBeGreaterThan(70)
    expect(rowsOf(text).groups.map(({ id, rows }) => [id, rows.length])).toEqual(counts)
  })

  test('of docs/out-of-scope.md all exist', () => {
    const read = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')
    const { reasons, unknown } = outOfScopeOf(read('out-of-scope.md'), rowsOf(read('spec.md')).groups)
    expect(unknown).toEqual([])
    expect([...reasons.keys()]).toContain('B052')
  })
})

test('out-of-scope rows are given singly and in ranges, and strangers are named', () => {
  const table = '| rows | reason |\n|---|---|\n| A001-A002, D001 | no use |\n| A077 | typo |'
  const { reasons, unknown } = outOfScopeOf(table, rowsOf(spec).groups)
  expect([...reasons]).toEqual([
    ['A001', 'no use'],
    ['A002', 'no use'],
    ['D001', 'no use'],
  ])
  expect(unknown).toEqual(['A077'])
  expect(expand('B047-B049 C001')).toEqual(['B047', 'B048', 'B049', 'C001'])
})

test.each([
  ["A053 A055 '..' at a mount root", ['A053', 'A055']],
  ['A053, A055: dots', ['A053', 'A055']],
  ['A053-A055 a range is no citation of its rows', ['A053-A055']],
  ['a title that mentions A053 later', []],
  ['A0531 is no row', []],
  ['', []],
])('the title %j cites %j', (title, rows) => {
  expect(citedBy(title)).toEqual(rows)
})

describe('a row is', () => {
  test('held when a test that cites it passed', () => {
    const { verdicts } = verdictsOf([passing('A001 works')])
    expect(verdicts.A1).toEqual({ held: ['A001'], failing: [], unchecked: ['A002'], outOfScope: [] })
  })

  test('held when a describe around a passing test cites it', () => {
    expect(verdictsOf([passing('A001 names', 'A002 too')]).verdicts.A1?.held).toEqual(['A001', 'A002'])
  })

  test('failing when one of its tests failed, however many passed', () => {
    const { verdicts } = verdictsOf([passing('A001 a'), { ...passing('A001 b'), status: 'failed' }, passing('A001 c')])
    expect(verdicts.A1?.failing).toEqual(['A001'])
    expect(verdicts.A1?.held).toEqual([])
  })

  test('failing when a test of it is expected to fail', () => {
    expect(verdictsOf([{ ...passing('A003 gap'), expectedFailure: true }]).verdicts.A2?.failing).toEqual(['A003'])
  })

  test('unchecked when all its tests were skipped', () => {
    expect(verdictsOf([{ ...passing('A003 later'), status: 'skipped' }]).verdicts.A2?.unchecked).toEqual(['A003'])
  })

  test('out of scope when listed, whatever passes, but failing when a test fails on it', () => {
    const listed = new Map([['A003', 'no use']])
    expect(verdictsOf([passing('A003 x')], listed).verdicts.A2?.outOfScope).toEqual(['A003'])
    expect(verdictsOf([{ ...passing('A003 x'), status: 'failed' }], listed).verdicts.A2?.failing).toEqual(['A003'])
  })
})

test('a citation of a row that does not exist is reported; one of section E is not', () => {
  const { unknown } = verdictsOf([passing('A999 E001 huh'), passing('A001-A002 range')])
  expect(unknown).toEqual([
    { row: 'A999', test: 'A999 E001 huh' },
    { row: 'A001-A002', test: 'A001-A002 range' },
  ])
})
