import { expect, test } from 'vitest'
import { AT_FDCWD, O_CREAT, O_WRONLY } from '../abi/linux.ts'
import { inWorld, outcome } from '../testing/host-world.ts'
import { type GuestRunner, Process } from './process.ts'

test('A205 A363 a program that makes a file longer than RLIMIT_FSIZE gets EFBIG, and SIGXFSZ, which ends it', async () => {
  let exited: Promise<unknown> | undefined
  const codes: string[] = []
  inWorld({}, (root) => {
    const { task } = root.as(0, {}, { fileSize: 4 })
    const runner: GuestRunner = {
      functions: [],
      compile: async () => undefined,
      run: async (_, { task, kill }) => {
        const fd = task.openat(AT_FDCWD, 'f', O_CREAT | O_WRONLY, 0o644)
        codes.push(outcome(() => task.writev(fd, new Uint8Array(6), [0, 6])))
        expect(kill.signal).toBeUndefined()
        codes.push(outcome(() => task.writev(fd, new Uint8Array(6), [0, 6])))
        expect(kill.signal).toBe(25)
        return { exitCode: 0 }
      },
    }
    const stdio = { stdin: { initial: new Uint8Array(), more: false }, stdout() {}, stderr() {}, progress() {} }
    const process = new Process(root.vfs, {
      ...{ pid: 1, task, args: ['x'], stdio },
      limits: { outputBytes: 1000 },
      timer: { at: () => () => {} },
    })
    process.run(runner, undefined, [], [], 0n)
    exited = process.exited
    // What it left open is closed when it has ended, which the world looks at before that.
    task.descriptors.closeAll()
  })
  expect(await exited).toMatchObject({
    signal: 'SIGXFSZ',
    exitCode: 153,
    reason: 'it made a file longer than 4 bytes (RLIMIT_FSIZE)',
  })
  expect(codes).toEqual(['ok', 'EFBIG'])
})
