import { describe, expect, it } from 'vitest'
import {
  applySqlSchema,
  checkSqlSchema,
  createSqlStore,
  type SqlQuery,
  type SqlStoreOptions,
} from '../../src/stores/sql.ts'
import { errorOf } from '../support/sessions.ts'
import { newRecord } from '../support/sql-suite.ts'

const CANARY = 'canary-7f'

/** A database whose tables are right, and which answers everything else so. */
const answering =
  (answer: () => unknown): SqlQuery =>
  async (text) => {
    if (text.includes('_schema')) return { rows: [{ version: '1' }], affected: 0 }
    return (await answer()) as never
  }
const storeWith = (answer: () => unknown, more: Partial<SqlStoreOptions> = {}) =>
  createSqlStore({ dialect: 'postgres', query: answering(answer), autoPrune: 0, ...more })
const rejecting =
  (properties: object, message = CANARY) =>
  () => {
    throw Object.assign(new Error(message), properties)
  }

describe('createSqlStore()', () => {
  const query = answering(() => ({ rows: [], affected: 0 }))

  it('refuses options that are missing, unknown or wrong, by name', async () => {
    const cases: [string, object][] = [
      ['dialect', { query }],
      ['dialect', { query, dialect: 'oracle' }],
      ['query', { dialect: 'mysql' }],
      ['query', { dialect: 'mysql', query: {} }],
      ['read', { dialect: 'mysql', query, read: true }],
      ['table', { dialect: 'mysql', query, table: 'a"b' }],
      ['table', { dialect: 'mysql', query, table: 'a`; DROP TABLE b' }],
      ['table', { dialect: 'mysql', query, table: 'x'.repeat(41) }],
      ['prefix', { dialect: 'mysql', query, prefix: 'a b' }],
      ['autoPrune', { dialect: 'mysql', query, autoPrune: 2 }],
      ['pool', { dialect: 'mysql', query, pool: {} }],
    ]
    for (const [name, options] of cases) {
      const error = await errorOf(() => createSqlStore(options as never))
      expect(error instanceof TypeError || error instanceof RangeError).toBe(true)
      expect(error.message).toContain(`"${name}"`)
    }
    expect(createSqlStore({ dialect: 'mysql', query, table: 'app.sessions' }).name).toBe('mysql')
  })

  it('says of a query that returns something else what it must return', async () => {
    const answers: unknown[] = [
      undefined,
      null,
      [],
      [[{ id: 'a' }], []],
      { rows: 1 },
      { rows: [['a']], affected: 0 },
      { rows: ['a'], affected: 0 },
    ]
    for (const answer of answers) {
      const error = await errorOf(() => storeWith(() => answer).read('a'))
      expect([error.code, error.message]).toEqual([
        'ERR_STORE',
        expect.stringContaining('Option "query" must resolve with rows'),
      ])
    }
    for (const affected of [undefined, 'many', {}]) {
      const error = await errorOf(() => storeWith(() => ({ rows: [], affected })).index.end('key'))
      expect(error.message).toContain('affected')
    }
    // An end or a creation is acknowledged by a row.
    for (const rows of [[], [{ version: 'x' }], [{ id: 'a' }]]) {
      const store = storeWith(() => ({ rows, affected: 1 }))
      expect((await errorOf(() => store.end('a'))).code).toBe('ERR_STORE')
    }
    const empty = storeWith(() => ({ rows: [], affected: 1 }))
    expect((await errorOf(() => empty.write('a', newRecord(), null))).code).toBe('ERR_STORE')
    const synchronous = createSqlStore({ dialect: 'sqlite', query: (() => 1) as never })
    expect((await errorOf(() => synchronous.read('a'))).code).toBe('ERR_STORE')
  })

  it('takes numbers of 64 bits as text, as bigint and as numbers', async () => {
    const row = { version: 'v', epoch: 'e', value: 'x', entries: '', id: 'a', ...NO_KEYS }
    for (const of of [String, BigInt, Number]) {
      const numbers = { expires_at: of(1_764_000_000_000), mark_for: of(900), entry_count: of(0) }
      const store = storeWith(() => ({ rows: [{ ...row, ...numbers }], affected: null }))
      const record = await store.read('a')
      expect([record?.expiresAt, record?.markFor]).toEqual([1_764_000_000_000, 900])
      expect(record).not.toHaveProperty('keys')
    }
    for (const name of ['expires_at', 'entry_count']) {
      const numbers = { expires_at: 1_764_000_000_000, mark_for: null, entry_count: 0 }
      const store = storeWith(() => ({ rows: [{ ...row, ...numbers, [name]: null }], affected: 0 }))
      expect((await errorOf(() => store.read('a'))).code).toBe('ERR_STORE')
    }
  })

  it('writes nothing that no column holds', async () => {
    let calls = 0
    const store = storeWith(() => {
      calls++
      return { rows: [], affected: 0 }
    })
    const cases: [RegExp, () => Promise<unknown>][] = [
      [/id must be 1 to 128/, () => store.write('x'.repeat(129), newRecord(), null)],
      [/id must be/, () => store.write('a b', newRecord(), null)],
      [/id must be/, () => store.write('ä', newRecord(), null)],
      [/version must be/, () => store.write('a', newRecord({ version: CANARY.repeat(9) }), null)],
      [/epoch must be/, () => store.write('a', newRecord({ epoch: '' }), null)],
      [/value must be/, () => store.write('a', newRecord({ value: '' }), null)],
      [/value must be/, () => store.write('a', newRecord({ value: 'v'.repeat(2 ** 24) }), null)],
      [/index key must be/, () => store.write('a', newRecord({ keys: ['a b'] }), null)],
      [
        /10 index keys, the table holds 9/,
        () => store.write('a', newRecord({ keys: [...'abcdefghij'] }), null),
      ],
      [/an entry must be/, () => store.write('a', newRecord(), 'v', { entry: 'a b' })],
    ]
    for (const [pattern, call] of cases) {
      const error = await errorOf(call)
      expect([error.code, error.message]).toEqual(['ERR_STORE', expect.stringMatching(pattern)])
      expect(error.message).not.toContain('canary')
    }
    expect(calls).toBe(0)
  })

  it('asks nothing for an id that no record can have', async () => {
    const store = storeWith(() => {
      throw new Error('asked')
    })
    for (const id of ['', 'a\0b', 'ü', 'x'.repeat(200)]) {
      expect([await store.read(id), await store.end(id)]).toEqual([null, false])
    }
  })

  it('asks nothing for an index key that no record can have', async () => {
    const { index } = storeWith(() => {
      throw new Error('asked')
    })
    for (const key of ['', 'key ', 'a\0b', 'ü', 'x'.repeat(200)]) {
      expect([await index.list(key), await index.end(key)]).toEqual([[], 0])
    }
  })

  it('checks its table once, before the first statement', async () => {
    const asked: string[] = []
    const store = createSqlStore({
      dialect: 'postgres',
      query: async (text) => {
        asked.push(text.includes('_schema') ? 'version' : text.split(' ')[0]!)
        return { rows: [{ version: 1 }].slice(asked.length - 1), affected: 0 }
      },
    })
    await store.read('a')
    await store.read('a')
    expect(asked).toEqual(['version', 'SELECT', 'SELECT'])
  })

  it('asks the database each time for its health', async () => {
    let answer = (): unknown => ({ rows: [{ version: 1 }], affected: 0 })
    const store = createSqlStore({ dialect: 'postgres', query: async () => answer() as never })
    await store.health?.()
    answer = rejecting({ code: 'ECONNREFUSED' })
    expect((await errorOf(() => store.health?.())).code).toBe('ERR_STORE_UNAVAILABLE')
  })

  it('reads where it may lag, but for fresh reads', async () => {
    const asked: string[] = []
    const on =
      (name: string): SqlQuery =>
      async (text) => {
        asked.push(name)
        return { rows: text.includes('_schema') ? [{ version: 1 }] : [], affected: 0 }
      }
    const options = { dialect: 'mysql', query: on('primary'), read: on('replica') } as const
    const store = createSqlStore({ ...options, autoPrune: 0 })
    await store.health?.()
    asked.length = 0
    await store.read('a')
    await store.page(null)
    await store.read('a', { fresh: true })
    await store.index.list('key')
    await store.end('a')
    expect([...new Set(asked.slice(0, 2)), ...new Set(asked.slice(2))]).toEqual([
      'replica',
      'primary',
    ])
  })

  it('does not keep a caller who has gone', async () => {
    const [reason, controller] = [new Error('gone'), new AbortController()]
    const store = storeWith(() => new Promise(() => {}))
    const read = store.read('a', { signal: controller.signal })
    await new Promise((resolve) => setTimeout(resolve, 5))
    controller.abort(reason)
    expect(await read.catch((error: unknown) => error)).toBe(reason)
  })
})

const NO_KEYS = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`key${i + 1}`, null]))

describe('failures of a database', () => {
  const PASSING: object[] = [
    // PostgreSQL: pg and postgres.js, then Bun.
    ...['40001', '40P01', '55P03', '53300', '57P01', '57P03', '25006', '08006', '57014'].map(
      (code) => ({ code }),
    ),
    { code: 'ERR_POSTGRES_SERVER_ERROR', errno: '40P01' },
    { code: 'ECONNREFUSED' },
    { code: 'ECONNRESET', errno: -104 },
    // MySQL and MariaDB.
    { code: 'ER_LOCK_DEADLOCK', errno: 1213, sqlState: '40001' },
    { code: 'ER_CON_COUNT_ERROR', errno: 1040, sqlState: '08004' },
    { code: 'ER_OPTION_PREVENTS_STATEMENT', errno: 1290, sqlState: 'HY000' },
    { code: 'ER_LOCK_WAIT_TIMEOUT', errno: 1205, sqlState: 'HY000' },
    { code: 'PROTOCOL_CONNECTION_LOST' },
    { code: 'ER_GET_CONNECTION_TIMEOUT', errno: 45_028, sqlState: 'HY000' },
    // SQLite of Node, of Bun and better-sqlite3, and libSQL.
    { code: 'ERR_SQLITE_ERROR', errcode: 5 },
    { code: 'ERR_SQLITE_ERROR', errcode: 261 },
    { code: 'SQLITE_BUSY', errno: 5 },
    { code: 'SQLITE_BUSY_SNAPSHOT', errno: 517 },
    { code: 'SQLITE_READONLY', rawCode: 8 },
    // What nobody knows.
    {},
    { code: CANARY },
  ]
  const REFUSED: object[] = [
    ...['28P01', '42501', '22001', '53100', '42P05', '42601'].map((code) => ({ code })),
    { code: 'ER_ACCESS_DENIED_ERROR', errno: 1045, sqlState: '28000' },
    { code: 'ER_DATA_TOO_LONG', errno: 1406, sqlState: '22001' },
    { code: 'ER_NET_PACKET_TOO_LARGE', errno: 1153, sqlState: '08S01' },
    { code: 'ERR_SQLITE_ERROR', errcode: 13 },
    { code: 'SQLITE_FULL', errno: 13 },
    { code: 'SQLITE_TOOBIG' },
  ]

  it('may pass, or not, by the code of the driver', async () => {
    const codeOf = async (error: object): Promise<string> => {
      const store = storeWith(rejecting(error))
      const failure = await errorOf(() => store.read('a'))
      expect(`${failure.stack}${JSON.stringify(failure)}${failure.cause}`).not.toContain('canary')
      return failure.code
    }
    const told = async (errors: object[]) =>
      await Promise.all(errors.map(async (error) => [error, await codeOf(error)]))
    expect(await told(PASSING)).toEqual(PASSING.map((error) => [error, 'ERR_STORE_UNAVAILABLE']))
    expect(await told(REFUSED)).toEqual(REFUSED.map((error) => [error, 'ERR_STORE']))
  })

  it.each<[error: object, word: string | undefined, reason: string, advice?: string]>([
    [{ code: '42501' }, '42501', 'auth', ': the role lacks a privilege'],
    [{ code: '28P01' }, '28P01', 'auth', ': wrong credentials'],
    [{ code: '53100' }, '53100', 'full', ': the disk is full'],
    [
      { code: '42P05' },
      '42P05',
      'unknown',
      ': behind a pooler the driver must not name prepared statements',
    ],
    [{ code: '42601' }, '42601', 'unknown', ''],
    [{ code: '57014' }, '57014', 'timeout'],
    [{ cause: { code: '40001' } }, '40001', 'unknown'],
    [{ code: 'ECONNRESET' }, 'ECONNRESET', 'network'],
    [{ code: 'ER_CON_COUNT_ERROR', errno: 1040 }, 'ER_CON_COUNT_ERROR', 'rate'],
    [{ code: 'ER_LOCK_DEADLOCK', errno: 1213 }, 'ER_LOCK_DEADLOCK', 'unknown'],
    [{ code: `ER_${CANARY}`, errno: 1213 }, '1213', 'unknown'],
    [{ code: `${CANARY} ER_DUP_ENTRY`, errno: 1062 }, '1062', 'unknown', ''],
    [{ code: 'ER_X', errno: 4000, sqlState: '40001' }, 'ER_X', 'unknown'],
    [{ code: 'ER_X', errno: 4000, sqlState: '22040' }, 'ER_X', 'unknown', ''],
    [{ errno: 1000 }, '1000', 'unknown', ''],
    [{ errno: '1406' }, undefined, 'unknown'],
    [{ errno: 45_000 }, undefined, 'unknown'],
    [{ code: 'SQLITE_FULL' }, 'SQLITE_FULL', 'full', ': the disk is full'],
    [{ errcode: 200 }, 'SQLITE_ERROR', 'unknown', ''],
    [{ code: `${CANARY} SQLITE_FULL` }, undefined, 'unknown'],
    [{ code: `E${CANARY}` }, undefined, 'unknown'],
    [{ code: `${CANARY} ECONNRESET` }, undefined, 'unknown'],
    [{ code: `ECONNRESET ${CANARY}` }, undefined, 'unknown'],
    // Its own code counts, whatever caused it.
    [{ code: CANARY, cause: { code: '42601' } }, undefined, 'unknown'],
  ])('of %o have a word, a class and advice', async (...of) => {
    const [error, word, reason, advice] = of
    const failure = await errorOf(() => storeWith(rejecting(error)).read('a'))
    const told = word === undefined ? '' : ` (${word})`
    const [code, text] =
      advice === undefined
        ? ['ERR_STORE_UNAVAILABLE', `The database gave no usable answer${told}`]
        : ['ERR_STORE', `The database refused a statement${told}${advice}`]
    expect([failure.code, failure.message]).toEqual([code, text])
    expect([failure.word, failure.reason]).toEqual([word, reason])
  })

  it('are known by their text where there is no code, and nowhere else', async () => {
    const text = `no such table: ${CANARY}`
    const { message } = await errorOf(() => storeWith(rejecting({}, text)).read('a'))
    expect(message).toContain('The database has no table')
    const vitess = `${CANARY} (errno 1406) (sqlstate 22001)`
    for (const own of [{ code: CANARY }, { errno: -104 }]) {
      const error = await errorOf(() => storeWith(rejecting(own, vitess)).read('a'))
      expect(error.code).toBe('ERR_STORE_UNAVAILABLE')
    }
  })

  it('are read from the text of PlanetScale, which has no code', async () => {
    const codeOf = async (errno: number, state: string): Promise<string[]> => {
      const text = `target: app: vttablet: ${CANARY} (errno ${errno}) (sqlstate ${state})`
      const error = await errorOf(() => storeWith(rejecting({ status: 400 }, text)).read('a'))
      expect(`${error.stack}${JSON.stringify(error)}`).not.toContain('canary')
      return [error.code, error.word]
    }
    expect(await codeOf(1213, '40001')).toEqual(['ERR_STORE_UNAVAILABLE', '1213'])
    expect(await codeOf(1406, '22001')).toEqual(['ERR_STORE', '1406'])
  })

  it('names the migration where a table or a column is missing', async () => {
    const missing: [object, string?][] = [
      [{ code: '42P01' }],
      [{ code: '42703' }],
      [{ code: 'ERR_POSTGRES_SERVER_ERROR', errno: '42P01' }],
      [{ code: 'ER_NO_SUCH_TABLE', errno: 1146, sqlState: '42S02' }],
      [{ code: 'ER_BAD_FIELD_ERROR', errno: 1054, sqlState: '42S22' }],
      [{ code: 'ERR_SQLITE_ERROR', errcode: 1 }, `no such table: ${CANARY}`],
      [{ code: 'SQLITE_ERROR' }, `SQLITE_ERROR: no such column: ${CANARY}`],
      [{ cause: { code: '42P01' } }],
      [{ status: 400 }, `vttablet: Table ${CANARY} doesn't exist (errno 1146) (sqlstate 42S02)`],
    ]
    for (const [properties, message] of missing) {
      const store = storeWith(rejecting(properties, message))
      const error = await errorOf(() => store.write('a', newRecord(), null))
      expect([error.code, error.message, `${error.stack}`.includes('canary')]).toEqual([
        'ERR_STORE',
        expect.stringMatching(
          /no table sojourn_sessions.*migrations\/postgres.*sojourn migrate --apply/,
        ),
        false,
      ])
    }
  })
})

describe('checkSqlSchema() and applySqlSchema()', () => {
  it('refuse wrong options by name', async () => {
    const query = answering(() => ({ rows: [], affected: 0 }))
    for (const call of [checkSqlSchema, applySqlSchema]) {
      for (const [name, options] of [
        ['dialect', { query }],
        ['query', { dialect: 'mysql' }],
        ['table', { dialect: 'mysql', query, table: 'a b' }],
      ] as const) {
        const error = await errorOf(() => call(options as never))
        expect([error instanceof TypeError, error.message]).toEqual([
          true,
          expect.stringContaining(`"${name}"`),
        ])
      }
    }
  })

  it('gives a driver a name for every statement, the same for the same text', async () => {
    const names = new Map<string, string>()
    const query: SqlQuery = async (text, _params, { name = '' }) => {
      expect(names.get(text) ?? name).toBe(name)
      names.set(text, name)
      return { rows: [{ version: 1 }], affected: 0 }
    }
    const record = { value: 'a', version: 'v', epoch: 'e', expiresAt: 9e15 }
    for (const dialect of ['postgres', 'sqlite'] as const) {
      const store = createSqlStore({ dialect, query, autoPrune: 0 })
      const calls = [
        () => store.read('a'),
        () => store.write('a', record, null),
        () => store.write('a', record, 'v0'),
        () => store.end('a'),
        () => store.index.list('k'),
        () => store.index.end('k'),
        () => store.page(null),
        () => store.prune(1),
      ]
      // Rows that mean nothing are refused; the statement was made all the same.
      for (const call of [...calls, ...calls]) await call().catch(() => {})
    }
    expect(names.size).toBeGreaterThan(12)
    expect(new Set(names.values()).size).toBe(names.size)
    for (const name of names.values()) expect(name).toMatch(/^sojourn_[0-9a-f]{1,8}$/)
  })

  it('prune() leaves the server alone after each statement for as long as that took', async () => {
    const times: number[] = []
    const store = storeWith(async () => {
      times.push(performance.now())
      await new Promise((resolve) => setTimeout(resolve, 20))
      times.push(performance.now())
      return { rows: [], affected: 100 }
    })
    expect(await store.prune(300)).toBe(300)
    expect(times).toHaveLength(6)
    for (const step of [1, 3]) {
      const [began, ended, next] = times.slice(step - 1) as [number, number, number]
      // Timers may be a millisecond early.
      expect(next - ended).toBeGreaterThan(0.9 * (ended - began) - 1)
    }
  })
})
