/** The sqlite3 shell, as anybody compiles it, keeps a database: 300 transactions, each synced, and the file is sound. */
import { basename } from 'node:path'
import { expect, test } from '@playwright/test'
import { buildSqlite } from './guests/sqlite.mjs'
import { onEachPlatform } from './programs.ts'

onEachPlatform((platform) => {
  test('sqlite commits 300 inserts one by one, and another process finds them all', async ({ page }) => {
    const sqlite = `/guests/${basename(await buildSqlite())}`
    const { inserted, found, files } = await page.evaluate(
      async ({ platform, sqlite }) => {
        const { start, run } = window.programs
        const { sandbox, container } = await start(platform, {
          programs: { sqlite3: sqlite },
          mounts: [{ destination: '/data', type: 'tmpfs', source: 'volume:database' }],
        })
        const sql = (...lines: string[]) =>
          run(
            container,
            { args: ['/bin/sqlite3', '-batch', '-bail', '/data/test.db'] },
            { stdin: `${lines.join('\n')}\n` },
          )
        const inserts = Array.from({ length: 300 }, (_, i) => `insert into notes (body) values ('note ${i}');`)
        const inserted = await sql('create table notes (id integer primary key, body text);', ...inserts)
        const found = await sql(
          'pragma integrity_check;',
          'select count(*), min(body), max(id) from notes;',
          "update notes set body = body || '!' where id % 2;",
          'select changes();',
          'delete from notes where id > 100;',
          'vacuum;',
          'select count(*), group_concat(body) from (select body from notes order by id desc limit 2);',
          'pragma integrity_check;',
        )
        const files = await container.fs.readdir('/data')
        await sandbox.shutdown()
        return { inserted, found, files }
      },
      { platform, sqlite },
    )
    expect(inserted).toMatchObject({ exitCode: 0, stdout: '' })
    expect(found).toMatchObject({ exitCode: 0, stdout: 'ok\n300|note 0|300\n150\n2|note 99,note 98!\nok\n' })
    expect(files).toEqual(['test.db'])
  })
})
