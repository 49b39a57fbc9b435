import type { D1Binding } from '../../src/stores/d1.ts'

// @ts-expect-error Vite's, whose types are not among those of the tests.
const files: object = import.meta.glob('../../migrations/*.sql', { query: '?raw', eager: true })
const migration = Object.values(files).map((file) => (file as { default: string }).default)

/** Creates the tables anew, from the migration that is shipped. */
export async function migrate(database: D1Binding): Promise<void> {
  const statements = migration
    .join('')
    .replace(/^ *--.*$/gm, '')
    .split(';')
    .filter((statement) => statement.trim())
  const drops = ['sojourn_sessions', 'sojourn_index'].map((name) => `DROP TABLE IF EXISTS ${name}`)
  for (const sql of [...drops, ...statements]) {
    await database.batch([database.prepare(sql)] as never[])
  }
}
