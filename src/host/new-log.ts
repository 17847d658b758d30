/**
 * Chromium keeps all databases of a site in one LevelDB. If the browser is killed within the write of its log, or the power fails, the
 * log ends in half a record, which the next start passes over, but goes on behind; and the start after that one takes it for damage
 * and deletes all that the site has. Deleting a database makes LevelDB put what is in memory in a table and begin another log
 * (https://github.com/google/leveldb/blob/main/db/db_impl.cc, DBImpl::CompactRange): nothing is written behind the half record but that.
 */

import { Database, deleteDatabase } from './store.ts'

const PREFIX = 'runtab/start/'

/** Whether the browser is one that may delete everything, and says so in this event. */
const isConcerned = () => typeof IDBVersionChangeEvent !== 'undefined' && 'dataLoss' in IDBVersionChangeEvent.prototype

/** Resolves when the databases of the site are written to a new log, or can't be: then nothing is worse than it was. */
export async function beginNewLog(indexedDB: IDBFactory): Promise<void> {
  if (!isConcerned()) return
  try {
    // What a start that was ended has left may have been opened by a tab that is frozen: that is not waited for.
    for (const { name } of await indexedDB.databases())
      if (name?.startsWith(PREFIX)) deleteDatabase(name, indexedDB).catch(() => {})
    const name = PREFIX + Math.random()
    const database = new Database(name, { indexedDB })
    await database.store({ durability: 'relaxed' })('readonly', () => {})
    await database.close()
    await deleteDatabase(name, indexedDB)
  } catch {}
}
