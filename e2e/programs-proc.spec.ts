/** Guests read /proc, /sys and their cgroups, beside the page that knows the container from outside; what is too much is refused and ended. */
import { expect, test } from '@playwright/test'
import { isolatedOrigin } from './origins.mjs'
import { guests, openLibrary } from './programs.ts'

test('B172 D085 guests read /proc and /sys and agree with state() and the mount table, and are held to their limits', async ({
  page,
}) => {
  await openLibrary(page, isolatedOrigin())
  const seen = await page.evaluate(
    async (programs) => {
      const { start, run, ended, fault } = window.programs
      const { sandbox } = await start('worker', { programs })
      const container = await sandbox.create('limited', {
        mounts: [
          { destination: '/bin', type: 'bind', source: 'programs', options: ['ro'] },
          { destination: '/sys/fs/cgroup', type: 'cgroup', options: ['ro'] },
        ],
        process: { args: ['/bin/cat'] },
        linux: { resources: { pids: { limit: 2 }, memory: { limit: 100 * 65_536 } } },
      })
      const input = new TransformStream<Uint8Array, Uint8Array>()
      const writer = input.writable.getWriter()
      const init = (await container.start({ stdin: input.readable }))!
      // When it has answered, it has told its memory.
      writer.write(new TextEncoder().encode('x'))
      const out = init.stdout.getReader()
      await out.read()
      out.releaseLock()
      const { pid, status } = await container.state()
      const cat = async (...paths: string[]) => (await run(container, { args: ['/bin/cat', ...paths] })).stdout
      const of = async (name: string) => cat(`/proc/${pid}/${name}`)
      const seen = {
        ...{ state: { pid, status }, stat: await of('stat'), status: await of('status'), cgroup: await of('cgroup') },
        mounts: await container.mounts(),
        mountinfo: await cat('/proc/self/mountinfo'),
        own: await cat('/proc/self/stat'),
        cpus: [await cat('/sys/devices/system/cpu/online'), navigator.hardwareConcurrency] as const,
        procs: await cat('/sys/fs/cgroup/pids/cgroup.procs'),
        page: await container.fs.readFile(`/proc/${pid}/stat`, 'utf8'),
        greedy: await run(container, { args: ['/bin/process', 'grow'] }),
        ...{ refused: {} as object, warnings: container.warnings },
      }
      const second = await container.exec({ args: ['/bin/process', 'loop'] })
      seen.refused = await fault(container.exec({ args: ['/bin/cat'] }))
      await second.kill('SIGKILL')
      await ended(second)
      await writer.close()
      await init.wait()
      await sandbox.shutdown()
      return seen
    },
    await guests('cat', 'process'),
  )
  const { pid } = seen.state
  expect(seen.state).toEqual({ pid: expect.any(Number), status: 'running' })
  for (const text of [seen.stat, seen.page]) expect(text).toMatch(new RegExp(`^${pid} \\(cat\\) S 0 `))
  expect(seen.status).toContain(`Pid:\t${pid}\n`)
  expect(Number(/VmRSS:\s+(\d+) kB/.exec(seen.status)![1])).toBeGreaterThanOrEqual(64)
  expect(seen.own).toMatch(/^\d+ \(cat\) R 0 /)
  const table = seen.mountinfo.trim().split('\n')
  expect(table.map((line) => line.split(' ')).map((fields) => [Number(fields[0]), fields[4]])).toEqual(
    seen.mounts.map(({ id, destination }) => [id, destination]),
  )
  expect(seen.cpus[0]).toBe(seen.cpus[1] === 1 ? '0\n' : `0-${seen.cpus[1] - 1}\n`)
  expect(seen.cgroup).toMatch(/^\d+:memory:\/limited$/m)
  expect(seen.procs.split('\n')).toContain(String(pid))
  expect(seen.warnings).toEqual([])
  expect(seen.greedy).toMatchObject({
    ...{ signal: 'SIGKILL', stdout: '' },
    reason: 'the processes of the cgroup /limited had more than 6553600 bytes of memory (memory.limit_in_bytes)',
  })
  expect(seen.refused).toMatchObject({ code: 'EAGAIN' })
})
