import { expect, test } from 'vitest'
import { O_RDONLY, O_RDWR, O_WRONLY, SEEK_CUR } from '../abi/linux.ts'
import { PseudoTerminal } from '../devices/pseudo-terminal.ts'
import { inWorld, outcome } from '../testing/host-world.ts'
import { makeDevice } from '../vfs/kinds.ts'
import { HostInput, HostOutput } from './stdio.ts'

test('B196 standard streams of the page are files without a name on a mount of the kernel’s: no positions, an owner and mode of their own; a terminal is one', () =>
  inWorld({}, ({ vfs, task, host }) => {
    const { anonymousFiles } = vfs
    const input = new HostInput()
    const sent: string[] = []
    const output = new HostOutput((bytes) => void sent.push(Buffer.from(bytes).toString()))
    const tty = new PseudoTerminal({ shown() {} }, vfs.clock)
    const now = vfs.clock.coarse()
    const rdev = makeDevice(136, 0)
    const files = [
      anonymousFiles.open(input, 'fifo', O_RDONLY, 'stdin', now),
      anonymousFiles.open(output, 'fifo', O_WRONLY, 'stdout', now),
      anonymousFiles.open(tty.open(), 'char', O_RDWR, 'tty', now, rdev),
    ]
    const [stdin, stdout, terminal] = files.map((file) => task.descriptors.add(file)) as [number, number, number]
    expect(new Set(files.map(({ mount }) => mount)).size).toBe(1)
    expect(files[0]!.mount.namespace).toBeUndefined()
    for (const fd of [stdin, stdout, terminal]) expect(outcome(() => task.lseek(fd, 0, SEEK_CUR))).toBe('ESPIPE')
    const memory = new Uint8Array(8)
    expect(outcome(() => task.preadv(stdin, memory, [0, 8], 0))).toBe('ESPIPE')
    expect(outcome(() => task.pwritev(stdout, memory, [0, 8], 0))).toBe('ESPIPE')
    expect([stdin, stdout, terminal].map((fd) => task.fstat(fd).mode)).toEqual([0o10600, 0o10600, 0o20600])
    expect(task.fstat(terminal).rdev).toBe(rdev)
    host.fchmod(stdout, 0o622)
    host.fchown(stdout, 5, 6)
    expect(task.fstat(stdout)).toMatchObject({ mode: 0o10622, uid: 5, gid: 6 })
    expect(task.fstat(stdin)).toMatchObject({ mode: 0o10600, uid: 0, gid: 0 })
    for (const text of ['ty', 'ped']) input.feed(Buffer.from(text))
    expect([task.readv(stdin, memory, [0, 8]), Buffer.from(memory.subarray(0, 5)).toString()]).toEqual([5, 'typed'])
    task.writev(stdout, Buffer.from('out'), [0, 3])
    expect(sent).toEqual(['out'])
    for (const fd of [stdin, stdout, terminal]) task.close(fd)
    expect(tty.opens).toBe(0)
    expect(anonymousFiles.users).toBe(0)
  }))
