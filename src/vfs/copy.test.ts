import { expect, test } from 'vitest'
import { O_CREAT, O_RDONLY, O_WRONLY } from '../abi/linux.ts'
import { inWorld, outcome } from '../testing/host-world.ts'
import type { FileInode } from './inode.ts'
import { WaitQueue, WouldBlock } from './waiting.ts'

const TEXT = 'one two three '.repeat(5000)

test('A312 a copy goes from one position to the end in pieces of 32 KiB, over short writes, and gives the count', () =>
  inWorld({}, (root) => {
    root.write('/from', TEXT)
    root.write('/to', 'head ')
    const from = root.open('/from', O_RDONLY)
    root.task.lseek(from, 4, 0)
    const to = root.open('/to', O_WRONLY)
    root.task.lseek(to, 5, 0)
    const target = root.inode('/to') as FileInode
    const write = target.write!.bind(target)
    const lengths: number[] = []
    target.write = (memory, at, length, offset, attempt) => {
      lengths.push(length)
      return write(memory, at, Math.min(length, 20_000), offset, attempt)
    }
    expect(root.host.copy(from, to)).toBe(TEXT.length - 4)
    root.task.settle()
    expect(lengths.slice(0, 3)).toEqual([32_768, 12_768, 32_768])
    expect(root.task.lseek(to, 0, 1)).toBe(TEXT.length + 1)
    expect(root.host.copy(from, to)).toBe(0)
    root.task.settle()
    root.task.close(from)
    root.task.close(to)
    const bytes = root.open('/to')
    expect(root.get(bytes, 100_000)).toBe(`head ${TEXT.slice(4)}`)
    root.task.close(bytes)
  }))

test('A312 the first error ends it', () =>
  inWorld({ data: 'size=64k' }, (root) => {
    root.write('/from', TEXT.slice(0, 40_000))
    const from = root.open('/from')
    const to = root.open('/to', O_WRONLY | O_CREAT)
    expect(outcome(() => root.host.copy(from, to))).toBe('ENOSPC')
    expect(outcome(() => root.host.copy(to, from))).toBe('EBADF')
    root.task.settle()
    root.task.close(from)
    root.task.close(to)
  }))

test('a copy that must wait goes on where it was', () =>
  inWorld({}, (root) => {
    root.write('/from', TEXT)
    const source = root.inode('/from') as FileInode
    const read = source.read.bind(source)
    let cold = false
    source.read = (memory, at, length, offset, attempt) => {
      cold = !cold
      if (cold) throw new WouldBlock([new WaitQueue()])
      return read(memory, at, length, offset, attempt)
    }
    const from = root.open('/from')
    const to = root.open('/to', O_WRONLY | O_CREAT)
    let waits = 0
    let count: number | undefined
    while (count === undefined) {
      try {
        count = root.host.copy(from, to)
      } catch (wait) {
        expect(wait).toBeInstanceOf(WouldBlock)
        waits++
      }
    }
    root.task.settle()
    expect(count).toBe(TEXT.length)
    expect(waits).toBe(4)
    expect(root.stat('/to').size).toBe(TEXT.length)
    root.task.close(from)
    root.task.close(to)
  }))
