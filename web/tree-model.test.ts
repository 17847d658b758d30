import { expect, test } from 'vitest'
import { nameOf, parentOf, TreeModel } from './tree-model.ts'

const directory = (name: string) => ({ name, kind: 'directory' })
const file = (name: string) => ({ name, kind: 'file' })

function sample(): TreeModel {
  const tree = new TreeModel()
  tree.setListing('/', [file('b.txt'), directory('usr'), file('A.txt'), directory('bin')])
  tree.open('/usr')
  tree.setListing('/usr', [directory('lib'), file('readme')])
  return tree
}

const paths = (tree: TreeModel) => tree.rows().map(({ path }) => path)

test('directories come first, names in order, open ones with their entries behind them', () => {
  const tree = sample()
  expect(paths(tree)).toEqual(['/bin', '/usr', '/usr/lib', '/usr/readme', '/A.txt', '/b.txt'])
  expect(tree.rows()[3]).toMatchObject({ level: 2, position: 2, siblings: 2, expanded: undefined })
  expect(tree.rows().map(({ expanded }) => expanded)).toEqual([false, true, false, undefined, undefined, undefined])
  expect(tree.openDirectories()).toEqual(['/', '/usr'])
})

test('an open directory without entries says so, once it was read', () => {
  const tree = sample()
  expect(tree.open('/bin')).toBe(false)
  expect(tree.rowOf('/bin')?.empty).toBe(false)
  tree.setListing('/bin', [])
  expect(tree.rowOf('/bin')?.empty).toBe(true)
  expect(tree.open('/bin')).toBe(true)
})

test('a directory that was shut is read afresh', () => {
  const tree = sample()
  tree.shut('/usr')
  expect(paths(tree)).not.toContain('/usr/lib')
  expect(tree.open('/usr')).toBe(false)
})

test.each([
  ['/usr', 'next', '/usr/lib'],
  ['/usr', 'previous', '/bin'],
  ['/usr', 'child', '/usr/lib'],
  ['/bin', 'child', '/bin'],
  ['/usr/readme', 'parent', '/usr'],
  ['/bin', 'parent', '/bin'],
  ['/A.txt', 'parent', '/A.txt'],
  ['/usr/lib', 'first', '/bin'],
  ['/usr/lib', 'last', '/b.txt'],
  ['/b.txt', 'next', '/b.txt'],
  ['/bin', 'previous', '/bin'],
  ['/bin', 'pageDown', '/b.txt'],
  ['/b.txt', 'pageUp', '/bin'],
] as const)('from %s, %s selects %s', (from, move, to) => {
  const tree = sample()
  tree.select(from)
  expect(tree.move(move)).toBe(from !== to)
  expect(tree.selected).toBe(to)
})

test('without a selection the first key selects the first row, or the last', () => {
  const tree = sample()
  tree.move('next')
  expect(tree.selected).toBe('/bin')
  const other = sample()
  other.move('last')
  expect(other.selected).toBe('/b.txt')
  expect(new TreeModel().move('next')).toBe(false)
})

test('typing selects by the beginning of a name, and goes through equal beginnings', () => {
  const tree = sample()
  const type = (text: string) => {
    for (const [i, c] of [...text].entries()) tree.typeAhead(c, i === 0)
    return tree.selected
  }
  expect(type('u')).toBe('/usr')
  expect(type('re')).toBe('/usr/readme')
  expect(type('b.')).toBe('/b.txt')
  tree.select(undefined)
  expect(type('b')).toBe('/bin')
  tree.typeAhead('b', false)
  expect(tree.selected).toBe('/b.txt')
  expect(tree.typeAhead('z', true)).toBe(false)
  expect(tree.selected).toBe('/b.txt')
})

test('a selected file that has gone hands its selection to what is nearest', () => {
  const tree = sample()
  tree.select('/usr/readme')
  tree.setListing('/usr', [directory('lib')])
  expect(tree.selected).toBe('/A.txt')
  tree.select('/usr/lib')
  tree.shut('/usr')
  expect(tree.selected).toBe('/usr')
  tree.setListing('/', [])
  expect(tree.selected).toBeUndefined()
})

test('a directory that could not be read is shown shut', () => {
  const tree = sample()
  tree.forget('/usr')
  expect(tree.rowOf('/usr')?.expanded).toBe(false)
})

test('paths have parents and names', () => {
  expect([parentOf('/a'), parentOf('/a/b')]).toEqual(['/', '/a'])
  expect([nameOf('/a'), nameOf('/a/b.c')]).toEqual(['a', 'b.c'])
})
