/** Python with the devices of /dev, where its container has a devtmpfs. */
import { expect, test } from '@playwright/test'
import { isolatedOrigin } from './origins.mjs'
import './programs.ts'

const SCRIPT = `
import errno, os
one, two = (open('/dev/urandom', 'rb').read(4096) for _ in range(2))
print('urandom', len(one), len(set(one)) > 100, one != two)
print('os.urandom', len(os.urandom(32)), os.urandom(32) != os.urandom(32))
full = os.open('/dev/full', os.O_WRONLY)
try:
    os.write(full, b'x')
except OSError as error:
    print('full', errno.errorcode[error.errno])
print('null', os.write(os.open('/dev/null', os.O_WRONLY), b'x' * 1000), open('/dev/null').read() == '')
print('zero', open('/dev/zero', 'rb').read(100000) == bytes(100000))
zero = os.open('/dev/zero', os.O_RDONLY)
print('seek', os.lseek(zero, 500, os.SEEK_SET), os.isatty(zero))
try:
    open('/dev/tty')
except OSError as error:
    print('tty', errno.errorcode[error.errno])
print(sorted(os.listdir('/dev')), os.readlink('/dev/ptmx'))
`

test('B160 B161 B163 python reads urandom, is told that full is full, and has no terminal', async ({ page }) => {
  test.skip(test.info().project.name !== 'chromium', 'devices are the same in every browser')
  await page.goto(`${isolatedOrigin()}/pages/programs.html`)
  const end = await page.evaluate(async (script) => {
    const { start, run } = window.programs
    const { sandbox, container } = await start('worker', {
      programs: { python: '/fixtures/runno/python-3.11.3.wasm' },
      mounts: [{ destination: '/dev', type: 'devtmpfs' }],
    })
    const end = await run(container, { args: ['/bin/python', '-c', script] })
    await sandbox.shutdown()
    return end
  }, SCRIPT)
  expect(end.stderr).toBe('')
  expect(end.stdout.split('\n')).toEqual([
    'urandom 4096 True True',
    'os.urandom 32 True',
    'full ENOSPC',
    'null 1000 True',
    'zero True',
    'seek 0 False',
    'tty ENXIO',
    expect.stringMatching(/^\['char', 'console', 'fd', 'full', .*'null', 'ptmx', 'pts', .*'zero'\] pts\/ptmx$/),
    '',
  ])
})
