import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { createSessions } from '../../src/index.ts'
import { applySqlSchema, createSqlStore } from '../../src/stores/sql.ts'
import { openSqlite } from '../support/open-sqlite.ts'
import { SECRET } from '../support/sessions.ts'

const PROCESSES = 4
const TIMES = 50

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'sojourn-sqlite-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('processes that share one SQLite file', () => {
  it('write one session at once, and none of their changes is lost', async () => {
    const file = join(folder, 'sessions.db')
    const query = openSqlite(file)
    await applySqlSchema({ dialect: 'sqlite', query })
    const store = createSqlStore({ dialect: 'sqlite', query })
    const sessions = createSessions<{ n: number }>({ secret: SECRET, store })
    const first = await sessions.open(null)
    first.set('n', 0)
    const [setCookie = ''] = await sessions.save(first)
    const cookie = setCookie.split(';')[0]!
    const writer = fileURLToPath(new URL('../fixtures/sqlite-writer.ts', import.meta.url))
    const all = Array.from({ length: PROCESSES }, () =>
      run(process.execPath, ['--no-warnings', writer, file, cookie, String(TIMES)]),
    )
    // A process whose write failed ends with an error, and so does the test.
    await Promise.all(all)
    expect((await sessions.open(cookie)).get('n')).toBe(PROCESSES * TIMES)
  })
})
