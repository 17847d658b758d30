/** docs/preview1.md is made from the table: `npx vitest run src/wasi/preview1-docs.test.ts -u` writes it anew. */
import { expect, test } from 'vitest'
import { functionNames } from './function-names.ts'
import { isAddress, isWide, nameOf } from './table.ts'
import { TestGuest } from './test-guest.ts'

test('the list of functions in docs/preview1.md is the table', async () => {
  const { wasi, world } = new TestGuest()
  const lines = Object.entries(wasi.table)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { params, result }]) => {
      const list = params.map((p) => `${nameOf(p)}: ${isAddress(p) ? 'address' : isWide(p) ? 'i64' : 'i32'}`)
      return `${name}(${list.join(', ')})${result ? ': errno' : ''}`
    })
  world.release()
  const page = `# The functions of wasi_snapshot_preview1

This page is made from the table in \`src/wasi\`, from which a program's imports and its trace are made, too. What a call does is
said by [the specification](spec.md) and by the call of Linux that it stands for. All ${lines.length} functions are there; an address is a
number of 32 bits. Those of sockets answer ENOTSOCK, for no descriptor is one, and EBADF.

Programs of \`wasi_unstable\`, the draft before, have the same functions but \`sock_accept\`. There \`whence\` is 0 for SEEK_CUR, 1 for
SEEK_END and 2 for SEEK_SET; a filestat has 56 bytes, with 32 bits for the links; a subscription has 56 bytes, since a word of the
program's stands before a clock. A function that is imported as WASI's and is not in this list answers ENOSYS.

\`\`\`text
${lines.join('\n')}
\`\`\`
`
  await expect(page).toMatchFileSnapshot('../../docs/preview1.md')
})

test('the names of the functions are those of the table, in its order', () => {
  const { wasi, world } = new TestGuest()
  world.release()
  expect(functionNames).toEqual(Object.keys(wasi.table))
})
