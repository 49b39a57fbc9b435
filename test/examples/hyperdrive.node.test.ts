import pg from 'pg'
import { sqlSchema } from '../../src/stores/sql.ts'
import { postgresUrl, startPostgres } from '../support/sql-servers.ts'
import { startInWorkerd } from './server.ts'
import { tellStory } from './story.ts'

// Locally the binding is the address of the database itself; there is no pool between.
tellStory('a worker with PostgreSQL through Hyperdrive', async () => {
  const postgres = await startPostgres()
  const client = new pg.Client(postgresUrl(postgres.port))
  await client.connect()
  for (const statement of sqlSchema('postgres')) await client.query(statement)
  await client.end()
  const server = await startInWorkerd('examples/hyperdrive/worker.ts', {
    compatibilityFlags: ['nodejs_compat'],
    // A binding has a password, also where the server asks for none.
    hyperdrives: { HYPERDRIVE: postgresUrl(postgres.port).replace('postgres@', 'postgres:any@') },
  })
  return {
    ...server,
    async stop() {
      await server.stop()
      await postgres.stop()
    },
  }
})
