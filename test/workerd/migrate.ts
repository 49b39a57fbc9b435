import type { D1Binding } from '../../src/stores/d1.ts'
import { sqlSchema } from '../../src/stores/sql.ts'

/** Creates the tables anew; those of the migration are the same. */
export async function migrate(database: D1Binding): Promise<void> {
  const tables = ['sojourn_sessions', 'sojourn_sessions_schema']
  const drops = tables.map((name) => `DROP TABLE IF EXISTS ${name}`)
  for (const sql of [...drops, ...sqlSchema('sqlite')]) await database.prepare(sql).bind().all()
}
