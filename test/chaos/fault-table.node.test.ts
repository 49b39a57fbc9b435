import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { SessionError, StoreError, StoreUnavailableError } from '../../src/errors.ts'
import { createSessions, type Session, type SessionEvent } from '../../src/index.ts'
import { logEvents } from '../../src/observe/log.ts'
import { createCircuitBreaker } from '../../src/resilience/circuit-breaker.ts'
import { createKVStore, type KVBinding } from '../../src/stores/kv.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { ResilientPolicy } from '../../src/stores/resilient-policy.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createUpstashStore } from '../../src/stores/upstash.ts'
import { type Clock, createClock, createCookieJar } from '../../src/testing/index.ts'
import { type FaultServer, type HttpFault, startFaultServer } from '../support/fault-server.ts'
import { KVDouble, type KVFault } from '../support/kv-double.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { isFrequent, SECRET } from '../support/sessions.ts'
import { createFailingSql, sqlFaults } from '../support/sql-faults.ts'
import { type Bridge, startBridge, TOKEN } from '../support/upstash-bridge.ts'

/*
 * Every fault of every remote store, at every operation, as a browser meets it. `UPDATE_FAULT_TABLE=1`
 * writes the table to docs/; otherwise it has to be the one that is there.
 */

const TABLE = new URL('../../docs/fault-table.md', import.meta.url)
const UPDATE = process.env.UPDATE_FAULT_TABLE === '1'

const BEFORE = 'BEFORE-canary-5b'
const AFTER = 'AFTER-canary-c2'
const SUBJECT = 'SUBJECT-canary-e8'
/** What no error, event or body may quote, whatever session it is about. */
const CANARIES = [SECRET, BEFORE, AFTER, SUBJECT, TOKEN, 'EVAL', 'GETRANGE', 'redis.call', 'INSERT']

const DEADLINE_MS = 2000
/** For faults that only end with an attempt's time limit; half of it when all three have to. */
const HANGS = /^(no answer|slow body)/
const HANG_MS = 300

/** A store's server in one cell: it can be broken and mended, and counts what reaches it. */
interface Place {
  /** A store of a new isolate. */
  open(): SessionStore
  /** `quote`: what a chatty server repeats in its errors. */
  fail(fault: string, always: boolean, quote: string): void
  mend(): Promise<void>
  count(): number
  /** The session's sealed text, as the server holds it. */
  sealed(id: string): Promise<unknown>
}

let redis: RedisServer
let bridge: Bridge
let server: FaultServer

beforeAll(async () => {
  redis = await startRedis()
  bridge = await startBridge(redis.port)
  server = await startFaultServer(bridge.url)
})

afterAll(async () => {
  await server.close()
  await bridge.close()
  await redis.stop()
})

const DATE = 'Sun, 06 Nov 1994 08:49:37 GMT'
const NEXT_SECOND = 'Sun, 06 Nov 1994 08:49:38 GMT'

const httpFaults: Record<string, (quote: string) => HttpFault> = {
  'connection closed': () => ({ type: 'refuse' }),
  'no answer': () => ({ type: 'hang' }),
  'no answer, applied': () => ({ type: 'hang', applied: true }),
  'slow body': () => ({ type: 'slow-body', everyMs: 50 }),
  'cut body, applied': () => ({ type: 'cut-body' }),
  'half of the JSON, applied': () => ({ type: 'half-json' }),
  'status 429, seconds': (body) => ({
    type: 'status',
    status: 429,
    body,
    headers: { 'retry-after': '1' },
  }),
  'status 429, HTTP date': (body) => ({
    type: 'status',
    status: 429,
    body,
    headers: { date: DATE, 'retry-after': NEXT_SECOND },
  }),
  'status 429, an hour': (body) => ({
    type: 'status',
    status: 429,
    body,
    headers: { 'retry-after': '3600' },
  }),
  'status 500': (body) => ({ type: 'status', status: 500, body }),
  'status 502, HTML': (quote) => ({ type: 'status', status: 502, body: `<h1>${quote}</h1>` }),
  'status 503': (body) => ({ type: 'status', status: 503, body }),
  'status 504': (body) => ({ type: 'status', status: 504, body }),
  'status 504, applied later': () => ({ type: 'reorder' }),
  'status 401': (body) => ({ type: 'status', status: 401, body }),
  'status 400, no {error}': () => ({ type: 'status', status: 400, body: '{"result":""}' }),
  'status 413': (body) => ({ type: 'status', status: 413, body }),
  'status 302': (body) => ({
    type: 'status',
    status: 302,
    body,
    headers: { location: 'http://127.0.0.1:1/' },
  }),
  'status 200, not the gzip it says': (body) => ({
    type: 'status',
    status: 200,
    body,
    headers: { 'content-encoding': 'gzip' },
  }),
  'status 200, HTML': (quote) => ({
    type: 'body',
    body: `<h1>${quote}</h1>`,
    contentType: 'text/html',
  }),
  'status 200, {error}': (quote) => ({
    type: 'body',
    body: JSON.stringify({ error: `ERR ${quote}` }),
  }),
  'status 200, {error} while loading': (quote) => ({
    type: 'body',
    body: JSON.stringify({ error: `LOADING ${quote}` }),
  }),
  'status 200, result null': () => ({ type: 'body', body: '{"result":null}' }),
  'status 200, no result': () => ({ type: 'body', body: '{}' }),
  'status 200, result an object': (quote) => ({
    type: 'body',
    body: JSON.stringify({ result: { quote } }),
  }),
  'status 200, a result that is no record': (quote) => ({
    type: 'body',
    body: JSON.stringify({ result: quote }),
  }),
  'status 200, over 10 MiB': () => ({ type: 'oversize', bytes: 10_485_760 }),
  'answer lost, applied': () => ({ type: 'lost-answer' }),
  'applied twice': () => ({ type: 'duplicate' }),
  'breaker open': () => ({ type: 'pass' }),
}

function upstash(clock: Clock): Place {
  return {
    open: () => createUpstashStore({ url: server.url, token: TOKEN, now: clock }),
    fail(fault, always, quote) {
      const planned = httpFaults[fault]!(quote)
      if (always) server.down(planned)
      else server.inject(planned)
    },
    async mend() {
      server.up()
      await server.release()
    },
    count: () => server.count,
    sealed: async (id) => String(await bridge.redis('GET', `sojourn:s:${id}`)).split('\n')[5],
  }
}

/** An error of the binding: its only sign of the kind of failure is the status in its text. */
const kvError = (what: number | string) => (quote: string) => ({
  error: new Error(`${typeof what === 'number' ? `KV PUT failed: ${what}` : what} ${quote}`),
})
const lostConnection = kvError('Network connection lost.')

/** What a binding can show: it parses answers itself, and passes on no header. */
const kvFaults: Record<string, (quote: string) => KVFault | 'twice' | 'wrong type'> = {
  'connection closed': lostConnection,
  'no answer': () => ({ hang: true }),
  'no answer, applied': () => ({ hang: true, applied: true }),
  'status 429': kvError(429),
  'status 500': kvError(500),
  'status 502': kvError(502),
  'status 503': kvError(503),
  'status 504': kvError(504),
  'status 401': kvError(401),
  'status 413': kvError(413),
  'daily limit': kvError('KV put() limit exceeded for the day.'),
  'a result of a wrong type': () => 'wrong type',
  'answer lost, applied': (quote) => ({ ...lostConnection(quote), applied: true }),
  'applied twice': () => 'twice',
}

function kv(clock: Clock): Place {
  const double = new KVDouble({ now: clock })
  const real = double.at('here')
  let odd: 'twice' | 'wrong type' | undefined
  const namespace: KVBinding = {
    ...real,
    async get(key) {
      const value = await real.get(key)
      return odd === 'wrong type' ? (5 as never) : value
    },
    async put(...args) {
      await real.put(...args)
      if (odd === 'twice') await real.put(...args)
    },
  }
  return {
    open: () => createKVStore({ namespace, now: clock }),
    fail(fault, always, quote) {
      const planned = kvFaults[fault]!(quote)
      if (typeof planned === 'string') odd = planned
      else double.faults.push(...Array<KVFault>(always ? 20 : 1).fill(planned))
    },
    async mend() {
      odd = undefined
      double.faults.length = 0
    },
    count: () => double.calls.length,
    sealed: async (id) => JSON.parse(double.stored(`sojourn:r:${id}`) ?? '[]')[4],
  }
}

const places = {
  upstash: { create: upstash, faults: Object.keys(httpFaults) },
  kv: { create: kv, faults: Object.keys(kvFaults) },
  sql: { create: createFailingSql, faults: Object.keys(sqlFaults) },
}

/** What the request does once its session is there, and when the store begins to fail. */
const operations = {
  read: { failsFirst: true, onStoreFailure: 'degrade' },
  "read, 'throw'": { failsFirst: true, onStoreFailure: 'throw' },
  write: { failsFirst: false, onStoreFailure: 'degrade' },
  'write, snapshot': { failsFirst: false, onStoreFailure: 'degrade' },
  "write, 'throw'": { failsFirst: false, onStoreFailure: 'throw' },
  destroy: { failsFirst: false, onStoreFailure: 'degrade' },
} as const

interface Cell {
  readonly place: keyof typeof places
  readonly always: boolean
  readonly fault: string
  readonly operation: keyof typeof operations
}

interface Row extends Cell {
  readonly answer: string
  readonly status: string
  readonly cookie: string
  readonly events: string
  readonly attempts: number
  /** Milliseconds of pauses and time limits until the answer; the network itself takes none here. */
  readonly after: number
  readonly afterwards: string
}

/** Everything that an error says, hidden properties, causes and stack included. */
const wordsOf = (error: unknown): string => inspect(error, { depth: 20, showHidden: true })

function summary(events: readonly SessionEvent[]): string {
  const counts = new Map<string, number>()
  for (const { type } of events.filter((one) => !isFrequent(one)))
    counts.set(type, (counts.get(type) ?? 0) + 1)
  return [...counts].map(([type, n]) => (n > 1 ? `${type} ×${n}` : type)).join(', ') || '–'
}

/** Makes a session, breaks its store, lets a browser do one thing, mends the store and looks. */
async function run(cell: Cell) {
  const { failsFirst, onStoreFailure } = operations[cell.operation]
  const clock = createClock(Date.now())
  const place = places[cell.place].create(clock)
  const events: SessionEvent[] = []
  const errors: unknown[] = []
  const lines: string[] = []
  const statuses = new Set<Session['status']>()
  let waitedMs = 0

  /** Passes on what the store throws, and keeps it to be looked at. */
  const watched = (store: SessionStore): SessionStore => {
    const watch = async <T>(promise: Promise<T>): Promise<T> => {
      try {
        return await promise
      } catch (error) {
        errors.push(error)
        throw error
      }
    }
    return {
      ...store,
      read: (...args) => watch(store.read(...args)),
      write: (...args) => watch(store.write(...args)),
      end: (...args) => watch(store.end(...args)),
    }
  }
  const policy = {
    // As long as may be where nothing hangs: a slow machine is no fault.
    attemptTimeoutMs: HANGS.test(cell.fault) ? hangMs(cell) : DEADLINE_MS,
    deadlineMs: DEADLINE_MS,
    now: clock,
    random: () => 0.5,
    sleep: async (ms: number) => {
      waitedMs += ms
      clock.advanceMs(ms)
      // Like a timer, it lets everything else settle first.
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
  const write = (...words: unknown[]): void => void lines.push(inspect(words, { depth: 20 }))
  const levels = { debug: write, info: write, warn: write, error: write }
  const log = logEvents(levels, { now: clock })
  const breaker = cell.fault === 'breaker open' && createCircuitBreaker({ now: clock })
  const isolate = (more: ResilientPolicy = {}) =>
    createSessions({
      secret: SECRET,
      now: clock,
      store: watched(resilient(place.open(), { ...policy, ...more })),
      onStoreFailure,
      snapshot: cell.operation === 'write, snapshot' && { maxAge: 1, staleIfError: 300 },
      onEvent(event) {
        events.push(event)
        log(event)
      },
    })
  const jar = createCookieJar({ now: clock })
  const visit = async (sessions = isolate(), use: (session: Session) => unknown = () => {}) => {
    let found: Session | undefined
    const handler = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      statuses.add(session.status)
      found = session
      await sessions.require(request).catch((error) => errors.push(error))
      await use(session)
      return new Response('ok')
    })
    try {
      const response = await jar.fetch(handler)
      return { session: found, response, thrown: undefined }
    } catch (thrown) {
      if (!(thrown instanceof SessionError)) throw thrown
      errors.push(thrown)
      return { session: found, response: undefined, thrown }
    }
  }

  const { session: first } = await visit(isolate(), (session) => {
    session.login(SUBJECT)
    session.set('value', BEFORE)
  })
  const id = first?.id ?? ''
  const header = jar.header() ?? ''
  const token = jar.cookies().find(({ name }) => name === NAME)?.value ?? ''
  const canaries = [...CANARIES, id, token, String(await place.sealed(id))]
  const quote = `["EVAL","redis.call"] INSERT Bearer ${canaries.join(' ')}`
  events.length = 0
  errors.length = 0
  statuses.clear()
  // On a busy machine even the healthy store may have been asked twice.
  waitedMs = 0

  // Past the time for which a snapshot answers reads.
  clock.advance(2)
  const sessions = isolate(breaker ? { breaker } : {})
  const fail = () => {
    place.fail(cell.fault, cell.always, quote)
    if (breaker) breaker.open(5)
  }
  if (failsFirst) fail()
  let before = place.count()
  const { session, response, thrown } = await visit(sessions, (found) => {
    if (failsFirst) {
      if (found.status !== 'degraded') return
      // Nothing is known of it, so nothing can be written: said at once, not when it is too late.
      const [failure] = errors
      const Kind = failure instanceof StoreUnavailableError ? StoreUnavailableError : StoreError
      expect(() => found.set('value', AFTER)).toThrow(Kind)
      return
    }
    before = place.count()
    // On a busy machine the read that went well may have been tried twice.
    waitedMs = 0
    fail()
    if (cell.operation === 'destroy') found.destroy()
    else found.set('value', AFTER)
  })
  const attempts = place.count() - before
  const status = session?.status
  if (status) statuses.add(status)
  const seen = [...events]
  const said = [...errors]

  await place.mend()
  const now = jar.header()
  const healthy = isolate()
  const later = await healthy.open(now ?? header)
  const old = await healthy.open(header)
  const body = response ? await response.text() : ''
  const headers = [...(response?.headers ?? [])].filter(([name]) => name !== 'set-cookie')
  const words = [...said.map(wordsOf), JSON.stringify(seen), body, String(headers), ...lines].join(
    '\n',
  )
  return {
    id,
    statuses,
    later,
    old,
    errors: said,
    response,
    thrown,
    setCookie: response?.headers.getSetCookie() ?? [],
    leaks: canaries.filter((canary) => words.includes(canary)),
    row: {
      ...cell,
      answer: answerOf(response, thrown),
      status: status ?? '–',
      cookie: cookieOf(header, now),
      events: summary(seen),
      attempts,
      after: Math.round(waitedMs) + hungMs(cell, attempts),
      afterwards: afterwardsOf(later),
    },
  }
}

/** Milliseconds for which one attempt that hangs is waited for. */
const hangMs = ({ always }: Pick<Cell, 'always'>): number => (always ? HANG_MS / 2 : HANG_MS)

/** Milliseconds for which all of them are. */
function hungMs({ always, fault }: Cell, attempts: number): number {
  if (!HANGS.test(fault)) return 0
  return (always ? attempts : 1) * hangMs({ always })
}

function answerOf(response: Response | undefined, thrown: Error | undefined): string {
  if (!response) return `throws ${thrown?.name}`
  const seconds = response.headers.get('retry-after')
  return seconds ? `${response.status}, retry after ${seconds}` : String(response.status)
}

const NAME = '__Host-session'

/** Tells whether the session's cookie is still there, and whether another one carries a write. */
function cookieOf(before: string, after: string | null): string {
  const [old, now] = [before, after ?? ''].map((header) => header.split('; '))
  const session = now!.find((cookie) => cookie.startsWith(`${NAME}=`))
  if (!session) return 'removed'
  if (!old!.includes(session)) return 'renewed'
  const isDeferred = now!.some((cookie) => cookie.startsWith(`${NAME}.d`))
  return isDeferred ? 'kept, the write beside it' : 'kept'
}

function afterwardsOf(session: Session): string {
  if (session.status !== 'active') return session.status
  return session.get('value') === AFTER ? 'active, as written' : 'active, as before'
}

const rows: Row[] = []
const cells: Cell[] = (Object.keys(places) as Cell['place'][]).flatMap((place) =>
  [true, false].flatMap((always) =>
    places[place].faults.flatMap((fault) =>
      (Object.keys(operations) as Cell['operation'][]).map((operation) => ({
        place,
        always,
        fault,
        operation,
      })),
    ),
  ),
)
const nameOf = ({ place, always, fault, operation }: Cell): string =>
  `${place}, ${fault}, ${always ? 'all the time' : 'once'}: ${operation}`

describe('a store that fails', () => {
  it.each(cells.map((cell) => [nameOf(cell), cell] as const))('%s', async (_, cell) => {
    const { row, statuses, later, old, id, leaks, response, setCookie } = await run(cell)
    rows.push(row)
    // A session that lives is never taken for none.
    const wrong = [...statuses].filter((status) => !/^(active|degraded|destroyed)$/.test(status))
    expect(wrong).toEqual([])
    expect(leaks).toEqual([])
    expect(row.after <= DEADLINE_MS).toBe(true)

    const done = response?.status === 200
    if (row.operation === 'destroy') {
      // Ended and said so; or an error, and the cookie is still there.
      expect(row.cookie).toBe(done ? 'removed' : 'kept')
      if (done) expect(old.status).toBe('missing')
      else expect(setCookie).toEqual([])
      expect(['active', 'missing']).toContain(old.status)
      return
    }
    expect([later.status, later.id, later.subject]).toEqual(['active', id, SUBJECT])
    expect([old.status, old.id]).toEqual(['active', id])
    if (row.operation.startsWith('write')) {
      expect([BEFORE, AFTER]).toContain(later.get('value'))
      if (done) expect(later.get('value')).toBe(AFTER)
    } else {
      expect(later.get('value')).toBe(BEFORE)
      expect(row.status === 'active' || row.status === 'degraded' || !done).toBe(true)
    }
    const isSnapshot = row.operation === 'write, snapshot'
    if (isSnapshot && row.events.includes('commit.deferred')) {
      expect([row.cookie, setCookie.length]).toEqual(['kept, the write beside it', 1])
    } else if (
      !(done && (isSnapshot || (row.operation.startsWith('write') && row.place === 'kv')))
    ) {
      expect([row.cookie, setCookie]).toEqual(['kept', []])
    }
    // An outage lets a write wait beside a snapshot; a refusal is thrown, and nothing waits.
    const answers = isSnapshot ? /^(200|throws StoreError)$/ : /^(200|503.*|throws StoreError)$/
    if (row.operation.startsWith('write')) expect(row.answer).toMatch(answers)
  })

  it('does what docs/fault-table.md says', () => {
    if (rows.length < cells.length) throw new Error('Some cells have no row')
    const table = tableOf(rows)
    if (UPDATE) {
      mkdirSync(new URL('.', TABLE), { recursive: true })
      writeFileSync(TABLE, table)
    }
    expect(readFileSync(TABLE, 'utf8')).toBe(table)
  })
})

const HEAD = `# When a store fails

<!-- Written by test/chaos/fault-table.node.test.ts with UPDATE_FAULT_TABLE=1; do not edit. -->

What a browser with a live session meets when the store behind it fails, through
\`resilient()\` with its default attempts, delays and deadline. Every row is a test, and in every
row: no live session is taken for a missing one, no cookie is cleared or replaced by a fault, what
was answered 200 is kept, what was not kept was answered with an error, the answer comes within
${DEADLINE_MS / 1000} seconds, and no error, event or response quotes secrets, data, ids, cookies, tokens or commands.

- **read**: the store fails before the session is read; with \`onStoreFailure: 'degrade'\`, the
  default, the request gets an empty, read-only session whose \`set\` throws
  \`StoreUnavailableError\`, or the \`StoreError\` of a store that refuses; with \`'throw'\` \`handler\` answers 503.
- **write**, **destroy**: the store fails after the session was read, before it is committed. With
  \`snapshot: { maxAge: 1, staleIfError: 300 }\` the write waits in a cookie beside the session's.
- **answer**: of \`sessions.handler\`. *throws StoreError*: the store refuses, trying again will not
  help, and the write does not wait in a cookie, since a visitor can cause such refusals; what the user sees is the application's own error page.
- **status**: \`session.status\` when the request is over.
- **attempts**: what reached the store for this operation.
- **after, ms**: the pauses between them, with half of the usual jitter, and the time limits of
  attempts that hang (here 150 ms each, 300 ms when only one does; the default is 500 ms).
- **afterwards**: what the browser's cookie opens when the store is well again. After an error it may
  be as written: the attempt was applied and only its answer was lost.
`

const titles = {
  upstash: 'Upstash Redis',
  kv: 'Cloudflare KV (a binding shows no header and no body)',
  sql: 'SQL (with the codes of PostgreSQL)',
}

function tableOf(all: readonly Row[]): string {
  const parts = [HEAD]
  for (const place of Object.keys(places) as Cell['place'][]) {
    for (const always of [true, false]) {
      parts.push(
        `## ${titles[place]}: ${always ? 'fails all the time' : 'fails once'}\n`,
        '| fault | operation | answer | status | cookie | events | attempts | after, ms | afterwards |',
        '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
        ...all
          .filter((row) => row.place === place && row.always === always)
          .map(
            ({ fault, operation, answer, status, cookie, events, attempts, after, afterwards }) =>
              `| ${[fault, operation, answer, status, cookie, events, attempts, after, afterwards].join(' | ')} |`,
          ),
        '',
      )
    }
  }
  return parts.join('\n')
}
