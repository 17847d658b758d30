/** Volumes in a browser: files that outlive the page, and tabs that share them. */
import { expect, type Page, test } from '@playwright/test'
import { isolatedOrigin, plainOrigin } from './origins.mjs'
import { guests, openLibrary, platforms } from './programs.ts'

const mount = (...options: string[]) => [{ destination: '/kept', type: 'tmpfs', source: 'volume:notes', options }]

/** Opens a sandbox in the page whose /kept is the volume; it stays in `window.kept`. Gives the error's message, or ''. */
function open(page: Page, options: string[] = [], platform: 'inline' | 'jspi' | 'worker' = 'inline', programs = {}) {
  return page.evaluate(
    async ([mounts, platform, programs]) => {
      try {
        const kept = await window.programs.start(platform, { mounts, programs })
        Object.assign(window, { kept })
        return ''
      } catch (error) {
        return (error as Error).message
      }
    },
    [mount(...options), platform, programs] as const,
  )
}

type Kept = Awaited<ReturnType<Window['programs']['start']>>
declare global {
  interface Window {
    kept: Kept
  }
}

for (const platform of platforms) {
  test(`on ${platform}, what a program has synced and what container.fs has are there after a reload`, async ({
    page,
    browserName,
  }) => {
    const isolated = platform === 'worker' || browserName === 'chromium'
    const origin = isolated ? isolatedOrigin() : plainOrigin()
    await openLibrary(page, origin)
    test.skip(
      platform === 'jspi' && !(await page.evaluate(() => 'Suspending' in WebAssembly)),
      'this browser has no JavaScript Promise Integration',
    )
    const programs = await guests('keep')
    expect(await open(page, [], platform, programs)).toBe('')
    const written = await page.evaluate(async () => {
      const { container, sandbox } = window.kept
      const { exitCode, stderr } = await window.programs.run(container, {
        args: ['/bin/keep', '/kept/by program', '300000'],
      })
      await container.fs.writeFile('/kept/by page', 'x'.repeat(3 << 20))
      await container.fs.sync()
      return { exitCode, stderr, dirty: sandbox.dirty, ino: (await container.fs.stat('/kept/by page')).ino }
    })
    expect(written).toMatchObject({ exitCode: 0, stderr: '', dirty: false })
    await page.reload()
    expect(await open(page, [], platform)).toBe('')
    const found = await page.evaluate(async () => {
      const { fs } = window.kept.container
      const text = await fs.readFile('/kept/by page', 'utf8')
      const { ino } = await fs.stat('/kept/by page')
      const bytes = await fs.readFile('/kept/by program')
      const usage = await window.kept.sandbox.volumes.usage('notes')
      return { size: text.length, only: /^x*$/.test(text), ino, program: [bytes.length, bytes[0], bytes.at(-1)], usage }
    })
    expect(found).toMatchObject({ size: 3 << 20, only: true, ino: written.ino, program: [300_000, 107, 107] })
    expect(found.usage).toMatchObject({ files: 3, bytes: (3 << 20) + 300_000 })
    await page.evaluate(async () => {
      await window.kept.sandbox.shutdown()
    })
  })
}

test('where nothing can wait, a program reads what is not in memory: of a volume after a reload, of a Blob, of a URL', async ({
  page,
}) => {
  await openLibrary(page, plainOrigin())
  const programs = await guests('cat')
  expect(await open(page)).toBe('')
  await page.evaluate(async () => {
    const { fs } = window.kept.container
    await fs.writeFile('/kept/large', 'k'.repeat(3 << 20))
    await fs.writeFile('/kept/small', 'some text')
    await fs.sync()
  })
  await page.reload()
  expect(await open(page, ['cacheBytes=256k'], 'inline', programs)).toBe('')
  const read = await page.evaluate(async () => {
    const { container, sandbox } = window.kept
    await sandbox.provide('cold', [
      ['blob', { data: new Blob(['b'.repeat(3 << 20)]) }],
      ['url', { data: new URL('/pages/programs.mjs', location.href) }],
    ])
    await container.mount({ destination: '/cold', type: 'bind', source: 'cold' })
    const cat = async (path: string) => {
      const { exitCode, stdout, stderr } = await window.programs.run(container, { args: ['/bin/cat', path] })
      return [exitCode, stderr, stdout] as const
    }
    const [large, blob, url] = [await cat('/kept/large'), await cat('/cold/blob'), await cat('/cold/url')]
    const only = (letter: string, [code, error, text]: typeof large) => [
      code,
      error,
      text.length,
      text === letter.repeat(text.length),
    ]
    const served = await (await fetch('/pages/programs.mjs')).text()
    return {
      platform: sandbox.platform,
      large: only('k', large),
      small: await cat('/kept/small'),
      blob: only('b', blob),
      url: [url[0], url[1], url[2] === served],
    }
  })
  expect(read).toEqual({
    platform: 'inline',
    large: [0, '', 3 << 20, true],
    small: [0, '', 'some text'],
    blob: [0, '', 3 << 20, true],
    url: [0, '', true],
  })
})

test('a second tab gets EBUSY, reads what was committed, takes over by request, and without one when the first has gone', async ({
  page,
  context,
}) => {
  await openLibrary(page)
  expect(await open(page)).toBe('')
  await page.evaluate(async () => {
    await window.kept.container.fs.writeFile('/kept/f', 'one')
    await window.kept.container.fs.sync()
  })
  const second = await context.newPage()
  await openLibrary(second)
  expect(await open(second)).toMatch(/^EBUSY.*"notes" is in use in another tab/)
  expect(await open(second, ['ro'])).toBe('')
  expect(await second.evaluate(() => window.kept.container.fs.readFile('/kept/f', 'utf8'))).toBe('one')
  expect(await open(second, ['takeover'])).toBe('')
  const late = await page.evaluate(async () => {
    const { fs } = window.kept.container
    await fs.writeFile('/kept/f', 'late')
    return fs.sync().then(
      () => 'done',
      (error) => error.message,
    )
  })
  expect(late).toMatch(/^ESTALE.*"notes" has another owner/)
  await second.evaluate(async () => {
    await window.kept.container.fs.writeFile('/kept/f', 'two')
    await window.kept.container.fs.sync()
  })
  await second.close()
  const third = await context.newPage()
  await openLibrary(third)
  await expect.poll(() => open(third)).toBe('')
  expect(await third.evaluate(() => window.kept.container.fs.readFile('/kept/f', 'utf8'))).toBe('two')
})

test('what is not on disk yet is said, and is on disk within a second by itself', async ({ page }) => {
  await openLibrary(page)
  expect(await open(page)).toBe('')
  const seen = await page.evaluate(async () => {
    const { sandbox, container } = window.kept
    await container.fs.sync()
    const heard: boolean[] = []
    const clean = new Promise<void>((resolve) =>
      sandbox.addEventListener('dirtychange', () => {
        heard.push(sandbox.dirty)
        if (!sandbox.dirty) resolve()
      }),
    )
    await container.fs.writeFile('/kept/f', 'unsynced')
    await clean
    return heard
  })
  expect(seen).toEqual([true, false])
  await page.reload()
  expect(await open(page)).toBe('')
  expect(await page.evaluate(() => window.kept.container.fs.readFile('/kept/f', 'utf8'))).toBe('unsynced')
})

test('site data that is cleared under a sandbox is EIO, and what was in it stays readable', async ({ page }) => {
  await openLibrary(page)
  expect(await open(page)).toBe('')
  const seen = await page.evaluate(async () => {
    const { fs } = window.kept.container
    await fs.writeFile('/kept/f', 'text')
    await fs.sync()
    for (const { name } of await indexedDB.databases())
      await new Promise((resolve) => {
        indexedDB.deleteDatabase(name!).onsuccess = resolve
      })
    await fs.writeFile('/kept/g', 'more')
    const outcome = await fs.sync().then(
      () => 'done',
      (error) => error.message,
    )
    return { outcome, f: await fs.readFile('/kept/f', 'utf8'), g: await fs.readFile('/kept/g', 'utf8') }
  })
  expect(seen.outcome).toMatch(/^EIO.*cleared/)
  expect(seen).toMatchObject({ f: 'text', g: 'more' })
})

test('a full quota is ENOSPC at the fsync that meets it; nothing is lost, and with space again the same fsync succeeds', async ({
  page,
  browserName,
}) => {
  test.skip(browserName !== 'chromium', 'only Chromium lets a test set the quota')
  await openLibrary(page)
  const devtools = await page.context().newCDPSession(page)
  const limit = (quotaSize?: number) =>
    devtools.send('Storage.overrideQuotaForOrigin', { origin: isolatedOrigin(), ...(quotaSize && { quotaSize }) })
  await limit(4_000_000)
  expect(await open(page)).toBe('')
  const full = await page.evaluate(async () => {
    const { fs } = window.kept.container
    const fault = (call: Promise<unknown>) => call.then(String, (error) => error.code)
    await fs.writeFile('/kept/committed', 'committed')
    await fs.sync()
    // Random, since a browser may press what it stores.
    const big = new Uint8Array(8 << 20)
    for (let at = 0; at < big.length; at += 65_536) crypto.getRandomValues(big.subarray(at, at + 65_536))
    Object.assign(window, { big })
    const file = await fs.open('/kept/big', 'w+')
    Object.assign(window, { file })
    const wrote = await fault(file.write(big, 0, big.length, 0))
    const synced = await fault(file.sync())
    const again = await fault(file.sync())
    const readable = await fs.readFile('/kept/big')
    return {
      wrote,
      synced,
      again,
      same: readable.length === big.length && readable.every((byte, i) => byte === big[i]),
      dirty: window.kept.sandbox.dirty,
    }
  })
  expect(full).toMatchObject({ synced: 'ENOSPC', again: 'ENOSPC', same: true, dirty: true })
  // Another tab sees what was committed.
  const other = await page.context().newPage()
  await openLibrary(other)
  expect(await open(other, ['ro'])).toBe('')
  expect(await other.evaluate(() => window.kept.container.fs.readdir('/kept'))).toContain('committed')
  expect(await other.evaluate(() => window.kept.container.fs.readFile('/kept/committed', 'utf8'))).toBe('committed')
  await other.close()
  await limit()
  const freed = await page.evaluate(async () => {
    const { file } = window as never as { file: { sync(): Promise<void>; close(): Promise<void> } }
    await file.sync()
    await file.close()
    return window.kept.sandbox.dirty
  })
  expect(freed).toBe(false)
  await page.reload()
  expect(await open(page)).toBe('')
  expect(await page.evaluate(async () => (await window.kept.container.fs.stat('/kept/big')).size)).toBe(8 << 20)
})

test('what a frozen tab holds is taken over by request, and its next fsync gets ESTALE when it thaws', async ({
  page,
  context,
  browserName,
}) => {
  test.skip(browserName !== 'chromium', 'only Chromium lets a test freeze a tab')
  await openLibrary(page)
  expect(await open(page)).toBe('')
  await page.evaluate(async () => {
    await window.kept.container.fs.writeFile('/kept/f', 'before')
    await window.kept.container.fs.sync()
  })
  const devtools = await context.newCDPSession(page)
  await devtools.send('Page.setWebLifecycleState', { state: 'frozen' })
  const second = await context.newPage()
  await openLibrary(second)
  expect(await open(second)).toMatch(/^EBUSY.*"notes" is in use in another tab/)
  expect(await open(second, ['takeover'])).toBe('')
  await second.evaluate(async () => {
    await window.kept.container.fs.writeFile('/kept/f', 'second')
    await window.kept.container.fs.sync()
  })
  await devtools.send('Page.setWebLifecycleState', { state: 'active' })
  const late = await page.evaluate(async () => {
    const { fs } = window.kept.container
    await fs.writeFile('/kept/f', 'late').catch(() => {})
    return fs.sync().then(
      () => 'done',
      (error) => error.message,
    )
  })
  expect(late).toMatch(/^ESTALE.*"notes" has another owner/)
  expect(await second.evaluate(() => window.kept.container.fs.readFile('/kept/f', 'utf8'))).toBe('second')
})

test('a volume in a Storage Bucket meets the quota of the bucket: what is removed makes room, and nothing is lost', async ({
  page,
}) => {
  await openLibrary(page)
  const start = (storageBucket: string) =>
    page.evaluate(
      async ([mounts, storageBucket]) => {
        const { start, fault } = window.programs
        const { gave, ...error } = (await fault(start('inline', { mounts, storageBucket }))) as { gave?: Kept }
        if (gave) Object.assign(window, { kept: gave })
        return gave ? undefined : (error as { code?: string; message?: string })
      },
      [mount(), storageBucket] as const,
    )
  const buckets = await page.evaluate(async () => {
    const { storageBuckets } = navigator as unknown as {
      storageBuckets?: { open(...args: unknown[]): Promise<unknown> }
    }
    await storageBuckets?.open('small', { quota: 13_000_000 })
    return storageBuckets !== undefined
  })
  if (!buckets) {
    expect(await start('small')).toMatchObject({
      code: 'EOPNOTSUPP',
      message: expect.stringMatching(/"small".*Storage Buckets/),
    })
    return
  }
  expect(await start('No Such Name')).toMatchObject({
    code: 'EINVAL',
    message: expect.stringMatching(/"No Such Name"/),
  })
  expect(await start('small')).toBe(undefined)
  const seen = await page.evaluate(async () => {
    const { container, sandbox } = window.kept
    const { fs } = container
    const fault = (call: Promise<unknown>) => call.then(String, (error) => error.code)
    const random = (size: number) => {
      const bytes = new Uint8Array(size)
      for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, Math.min(size, at + 65_536)))
      return bytes
    }
    const old = random(6 << 20)
    const late = random(6 << 20)
    await fs.writeFile('/kept/old', old)
    await fs.sync()
    const { quota, usage } = await sandbox.volumes.estimate()
    await fs.writeFile('/kept/late', late).catch(() => {})
    const file = await fs.open('/kept/late', 'r+')
    const full = await fault(file.sync())
    let at = 0
    let same = true
    for await (const piece of fs.createReadStream('/kept/late')) for (const byte of piece) same &&= byte === late[at++]
    const outside = (await indexedDB.databases()).length
    await fs.unlink('/kept/old')
    const freed = await fault(file.sync())
    await file.close()
    await sandbox.shutdown()
    return {
      quota,
      isUsed: usage > 6 << 20,
      full,
      same,
      read: at,
      outside,
      freed,
      sum: late.reduce((a, b) => a + b, 0),
    }
  })
  expect(seen).toMatchObject({
    quota: 13_000_000,
    isUsed: true,
    full: 'ENOSPC',
    same: true,
    read: 6 << 20,
    outside: 0,
    freed: 'undefined',
  })
  await page.reload()
  expect(await start('small')).toBe(undefined)
  const kept = await page.evaluate(async () => {
    const { fs } = window.kept.container
    const bytes = await fs.readFile('/kept/late')
    const names = await fs.readdir('/kept')
    const persisted = typeof (await window.kept.sandbox.volumes.persist())
    await (navigator as unknown as { storageBuckets: { delete(name: string): Promise<void> } }).storageBuckets.delete(
      'small',
    )
    await fs.writeFile('/kept/new', 'new')
    const late = await window.programs.fault(fs.sync())
    return {
      names,
      sum: bytes.reduce((a, b) => a + b, 0),
      persisted,
      late,
      still: await fs.readFile('/kept/new', 'utf8'),
    }
  })
  expect(kept).toMatchObject({
    names: ['late'],
    sum: seen.sum,
    persisted: 'boolean',
    late: { code: 'EIO' },
    still: 'new',
  })
})
