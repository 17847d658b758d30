/** Python with the devices, terminals and processes of its container: /dev and /proc. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import { pythonLibrary } from './archives.mjs'
import { isolatedOrigin } from './origins.mjs'
import './programs.ts'

test.beforeEach(({ browserName }) => {
  test.skip(browserName !== 'chromium', 'devices are the same in every browser')
})

const DEVICES = `
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

/** Numbers of descriptors are asked for in /proc: this Python has a libc that gives them numbers of its own. */
const LINKS = `
import errno, os
def links():
    found = {}
    for number in os.listdir('/proc/self/fd'):
        try:
            found[os.readlink('/proc/self/fd/' + number)] = number
        except FileNotFoundError:
            pass
    return found
`

const TERMINALS = `${LINKS}
master = os.open('/dev/ptmx', os.O_RDWR)
fdinfo = open('/proc/self/fdinfo/' + links()['/dev/pts/ptmx']).read().split()
name = '/dev/pts/' + fdinfo[fdinfo.index('tty-index:') + 1]
slave = os.open(name, os.O_RDWR)
print(name, os.isatty(master), os.isatty(slave), name in links())
os.write(slave, b'name? ')
print(os.read(master, 100))
os.write(master, b'Adz\\x7fa\\n')
print(os.read(slave, 100), os.read(master, 100))
print(sorted(os.listdir('/dev/pts')))
os.close(master)
print(os.read(slave, 100), sorted(os.listdir('/dev/pts')), name + ' (deleted)' in links())
try:
    os.write(slave, b'x')
except OSError as error:
    print(errno.errorcode[error.errno])
`

const PROCESSES = `${LINKS}
print(open('/dev/stdin').read().strip(), open('/proc/self/comm').read().strip())
held = os.open('/tmp/held', os.O_CREAT | os.O_RDWR)
os.write(held, b'kept')
os.unlink('/tmp/held')
print(open('/dev/fd/' + links()['/tmp/held (deleted)']).read(), open('/proc/self/cmdline').read().split(chr(0))[1])
print('\\n'.join(line.split()[1] for line in open('/proc/mounts')))
`

test('B160 B161 B163 B168 python reads urandom, is told that full is full, serves a terminal, and finds its mounts and descriptors', async ({
  page,
}) => {
  await page.goto(`${isolatedOrigin()}/pages/programs.html`)
  const { devices, terminals, processes, mounts } = await page.evaluate(
    async (scripts) => {
      const { start, run } = window.programs
      const { sandbox, container } = await start('worker', {
        programs: { python: '/fixtures/runno/python-3.11.3.wasm' },
      })
      const python = (script: string, stdin = '') => run(container, { args: ['/bin/python', '-c', script] }, { stdin })
      const ends = {
        devices: await python(scripts.DEVICES),
        terminals: await python(scripts.TERMINALS),
        processes: await python(scripts.PROCESSES, 'typed\n'),
        mounts: (await container.mounts()).map(({ destination }) => destination),
      }
      await sandbox.shutdown()
      return ends
    },
    { DEVICES, TERMINALS, PROCESSES },
  )
  for (const { stderr } of [devices, terminals, processes]) expect(stderr).toBe('')
  expect(devices.stdout.split('\n')).toEqual([
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
  expect(terminals.stdout.split('\n')).toEqual([
    '/dev/pts/0 True True True',
    "b'name? '",
    "b'Ada\\n' b'Adz\\x08 \\x08a\\r\\n'",
    "['0', 'ptmx']",
    "b'' ['ptmx'] True",
    'EIO',
    '',
  ])
  expect(processes.stdout.split('\n')).toEqual(['typed python', 'kept -c', ...mounts, ''])
})

/** The directory of CPython 3.11's own tests, where the machine has them. */
function ownTests(): string | undefined {
  try {
    const where = 'import os, test; print(os.path.dirname(test.__file__))'
    const path = execFileSync('python3.11', ['-c', where], { encoding: 'utf8', stdio: 'pipe' }).trim()
    return existsSync(join(path, 'test_os.py')) ? path : undefined
  } catch {
    return undefined
  }
}

/** Those that touch /dev; what they say WASI lacks is there. */
const OWN = [
  ...[
    'test_os.DevNullTests',
    'test_os.URandomTests',
    'test_os.TestInvalidFD.test_isatty',
    'test_os.DeviceEncodingTests',
  ],
  ...['test_fileio.COtherFileTests.testAbles', 'test_fileio.PyOtherFileTests.testAbles'],
  ...['test_stat.TestFilemodeCStat.test_devices', 'test_stat.TestFilemodePyStat.test_devices'],
  ...['test_pathlib.PosixPathTest.test_is_char_device_true', 'test_pathlib.PosixPathTest.test_is_mount'],
  ...['test_shutil.TestGetTerminalSize', 'test_posixpath.PosixPathTest.test_ismount'],
]

const RUN_OWN = `
import sys, unittest
from test import support
support.is_wasi = False
suite = unittest.defaultTestLoader.loadTestsFromNames('test.' + name for name in sys.argv[1:])
result = unittest.TextTestRunner(stream=open('/work/report', 'w')).run(suite)
print(result.testsRun, len(result.skipped))
`

test('python’s own tests that touch /dev pass, at a terminal', async ({ page }) => {
  const directory = ownTests()
  test.skip(!directory, 'this machine has no Python 3.11 with its own tests')
  const files: [string, string][] = [['_pyio.py', readFileSync(join(directory!, '../_pyio.py'), 'utf8')]]
  const take = (name: string) => files.push([`test/${name}`, readFileSync(join(directory!, name), 'utf8')])
  for (const name of ['__init__', 'mapping_tests', 'test_genericpath', ...new Set(OWN.map((id) => id.split('.')[0]))]) {
    take(`${name}.py`)
  }
  for (const name of readdirSync(join(directory!, 'support'))) if (name.endsWith('.py')) take(`support/${name}`)
  const { url, index } = await pythonLibrary()
  await page.goto(`${isolatedOrigin()}/pages/programs.html`)
  const seen = await page.evaluate(
    async ({ files, url, index, args }) => {
      const { start, archive } = window.programs
      const library = (await archive(url, index)).map(([path, file]) => [path.replace(/^usr\//, ''), file] as const)
      const { sandbox, container } = await start('worker', {
        programs: { python: '/fixtures/runno/python-3.11.3.wasm' },
        bundle: { library: library.filter(([path]) => path !== 'usr'), tests: files },
        mounts: [
          { destination: '/usr', type: 'bind', source: 'library', options: ['ro'] },
          { destination: '/tests', type: 'bind', source: 'tests', options: ['ro'] },
        ],
      })
      const env = ['PYTHONPATH=/tests', 'PYTHONDONTWRITEBYTECODE=1', 'HOME=/work']
      const process = await container.exec({ args, env, cwd: '/work', terminal: true })
      const screen = await process.text()
      const report = await container.fs.readFile('/work/report', 'utf8')
      await sandbox.shutdown()
      return { screen, report }
    },
    { files, url, index, args: ['/bin/python', '-c', RUN_OWN, ...OWN] },
  )
  expect(seen.report).toMatch(/\nOK \(skipped=2\)\n$/)
  expect(seen.screen).toBe('19 2\r\n')
})
