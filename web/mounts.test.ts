import { expect, test } from 'vitest'
import { isReadOnly, mountOf } from './mounts.ts'

const mount = (id: number, destination: string, ...options: string[]) => ({
  id,
  parent: 0,
  destination,
  type: 'tmpfs',
  source: 'none',
  options,
})

const mounts = [
  mount(1, '/', 'rw'),
  mount(2, '/usr', 'ro'),
  mount(3, '/usr/local', 'rw'),
  mount(4, '/t', 'rw'),
  mount(5, '/t', 'ro'),
]

test.each([
  ['/', 1, false],
  ['/a', 1, false],
  ['/usr', 2, true],
  ['/usrx', 1, false],
  ['/usr/lib/x', 2, true],
  ['/usr/local/x', 3, false],
  ['/t/x', 5, true],
])('%s lies on mount %d', (path, id, readOnly) => {
  expect(mountOf(path, mounts)?.id).toBe(id)
  expect(isReadOnly(path, mounts)).toBe(readOnly)
})

test('without mounts nothing is known to be read-only', () => {
  expect(mountOf('/x', [])).toBeUndefined()
  expect(isReadOnly('/x', [])).toBe(false)
})
