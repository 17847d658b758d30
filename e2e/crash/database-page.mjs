/**
 * The page of database.mjs: it tells what the database holds, and lets the shell insert rows until the browser is killed.
 *
 * @typedef {import('./database.mjs').DatabaseSetting} DatabaseSetting
 */
import { Sandbox } from '/lib/index.js'

/** @param {string} what @param {BodyInit} [body] @returns {Promise<any>} */
const tell = async (what, body = '') => (await fetch(`/crash/${what}`, { method: 'POST', body })).json()

// The default locks by a directory beside the database, which outlives a crash. One writer is here at a time, anyway.
const command = ['/bin/sqlite3', '-vfs', 'unix-none', '-bail', '/data/test.db']

/** Enough that the shell does not come to its end. */
const ROWS = 20_000

try {
  /** @type {DatabaseSetting} */
  const { platform, sqlite } = await tell('setting')
  const sandbox = await Sandbox.boot({
    platform,
    bundle: { programs: { sqlite3: { data: new URL(sqlite, location.href), mode: 0o755 } } },
  })
  const box = await sandbox.create('box', {
    mounts: [
      { destination: '/bin', type: 'bind', source: 'programs', options: ['ro'] },
      { destination: '/data', type: 'tmpfs', source: 'volume:database' },
    ],
  })
  await box.start()

  const check = `
    create table if not exists rows (id integer primary key, body text);
    create index if not exists bodies on rows (body);
    pragma integrity_check; select count(*) from rows; select ifnull(max(id), 0) from rows;`
  const checking = await box.exec({ args: command }, { stdin: check })
  const [found, errors, { exitCode }] = await Promise.all([
    checking.text(),
    new Response(checking.stderr).text(),
    checking.wait(),
  ])
  const { from } = await tell('found', exitCode === 0 ? found : `exit ${exitCode}: ${found} ${errors}`)

  // With less, SQLite does not sync the removal of its journal, which is what commits: a crash may take the last insert back
  // (https://sqlite.org/pragma.html#pragma_synchronous).
  const lines = ['.prompt "" ""', 'pragma synchronous = extra;']
  for (let id = from; id < from + ROWS; id++) {
    const body = id % 10 === 0 ? 'hex(randomblob(5000))' : 'hex(randomblob(100))'
    lines.push(`insert into rows values (${id}, ${body});`, `select 'inserted ${id}';`)
  }
  // Where it prompts, what it has printed goes out before it reads on.
  const inserting = await box.exec({ args: [...command, '-interactive'] }, { stdin: `${lines.join('\n')}\n` })
  let rest = ''
  for await (const text of inserting.stdout.pipeThrough(new TextDecoderStream())) {
    const said = (rest + text).split('\n')
    rest = said.pop() ?? ''
    const last = said.findLast((line) => line.startsWith('inserted '))
    if (last) await tell('acks', last.slice('inserted '.length))
  }
  throw new Error(
    `the shell has ended: ${JSON.stringify(await inserting.wait())} ${await new Response(inserting.stderr).text()}`,
  )
} catch (error) {
  await tell('failed', String(/** @type {Error} */ (error).stack ?? error))
}
