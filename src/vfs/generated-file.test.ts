import { expect, test } from 'vitest'
import { O_CREAT, O_PATH, O_RDWR, SEEK_CUR, SEEK_END, SEEK_SET } from '../abi/linux.ts'
import { decodeUtf8, encodeUtf8 } from '../abi/utf8.ts'
import { type Actor, inWorld, outcome } from '../testing/host-world.ts'
import { GeneratedContent, type GeneratedSource } from './generated-file.ts'
import type { FileInode } from './inode.ts'

/** Makes a file of the tree a generated one. */
function generate(root: Actor, path: string, source: GeneratedSource): void {
  root.write(path)
  const file = root.inode(path) as FileInode
  file.content = () => new GeneratedContent(source)
}

function counting(): GeneratedSource & { made: number } {
  return {
    made: 0,
    generate() {
      return encodeUtf8(`made ${++this.made}`)
    },
  }
}

test('A314 the content is made by the first read and kept while reads go on where the last one ended', () =>
  inWorld({}, (root) => {
    const source = counting()
    generate(root, '/f', source)
    const fd = root.open('/f')
    expect(source.made).toBe(0)
    expect([root.get(fd, 3), root.get(fd, 3), root.get(fd, 3)]).toEqual(['mad', 'e 1', ''])
    expect(source.made).toBe(1)
    root.task.lseek(fd, 0, SEEK_CUR)
    expect(root.get(fd)).toBe('')
    expect(source.made).toBe(1)
    const other = root.open('/f')
    expect(root.get(other)).toBe('made 2')
    expect(root.get(fd)).toBe('')
    root.task.close(fd)
    root.task.close(other)
  }))

test('A314 it is made anew where a read does not go on, and after a seek elsewhere', () =>
  inWorld({}, (root) => {
    const source = counting()
    generate(root, '/f', source)
    const fd = root.open('/f')
    expect(root.get(fd, 4)).toBe('made')
    root.task.lseek(fd, 0, SEEK_SET)
    expect(root.get(fd, 6)).toBe('made 2')
    const bytes = new Uint8Array(10)
    const pread = (at: number) => decodeUtf8(bytes, 0, root.task.preadv(fd, bytes, [0, 10], at))
    expect(pread(5)).toBe('3')
    expect(pread(6)).toBe('')
    expect(source.made).toBe(3)
    // A seek elsewhere and back is a seek elsewhere.
    root.task.lseek(fd, 0, SEEK_SET)
    root.task.lseek(fd, 6, SEEK_SET)
    expect(pread(5)).toBe('4')
    root.task.close(fd)
  }))

test('A314 its end cannot be sought, and without a way to take writes they are EIO', () =>
  inWorld({}, (root) => {
    const written: string[] = []
    generate(root, '/r', counting())
    generate(root, '/w', {
      ...counting(),
      write: (bytes, offset) => {
        written.push(`${offset} ${decodeUtf8(bytes)}`)
        return bytes.length
      },
    })
    const fd = root.open('/r', O_RDWR | O_CREAT)
    expect(outcome(() => root.task.lseek(fd, 0, SEEK_END))).toBe('EINVAL')
    expect(outcome(() => root.put(fd, 'x'))).toBe('EIO')
    root.task.close(fd)
    const other = root.open('/w', O_RDWR)
    expect([root.put(other, 'one'), root.put(other, 'two')]).toEqual([3, 3])
    expect(written).toEqual(['0 one', '3 two'])
    root.task.close(other)
    root.task.close(root.open('/r', O_PATH))
  }))
