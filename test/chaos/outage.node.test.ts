import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CircuitOpenError } from '../../src/errors.ts'
import {
  createSessions,
  type Session,
  type SessionEvent,
  type SessionsOptions,
} from '../../src/index.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { ResilientPolicy } from '../../src/stores/resilient-policy.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createUpstashStore } from '../../src/stores/upstash.ts'
import { type CookieJar, createCookieJar } from '../../src/testing/index.ts'
import { freePort } from '../support/free-port.ts'
import { startRedis } from '../support/redis.ts'
import { SECRET } from '../support/sessions.ts'
import { type Bridge, startBridge, TOKEN } from '../support/upstash-bridge.ts'

/*
 * Steady traffic for 20 seconds, and the real redis-server killed (SIGKILL) in the middle of it.
 * It writes an append-only file, so that what it acknowledged is there when it is started again.
 */

const TOTAL_MS = 20_000
const DOWN_FROM_MS = 6000
const DOWN_MS = 4500
/** Odd, so that every user both reads and writes. */
const USERS = 21
/** Between two visits of one application. More would measure this machine. */
const EVERY_MS = 25
/** A slow machine is no outage: only what refuses connections is one. */
const PATIENT = { attemptTimeoutMs: 20_000, deadlineMs: 60_000 }

let folder = ''
let port = 0
let child: ChildProcess | undefined
let bridge: Bridge

async function start(): Promise<void> {
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder]
  // With `everysec` a slow disk makes it answer first, and write up to two seconds later.
  const file = ['--appendonly', 'yes', '--appendfsync', 'no']
  child = spawn('redis-server', [...args, ...file], { stdio: 'ignore' })
  for (let tries = 0; tries < 2000; tries++) {
    const pong = await bridge.redis('PING').catch(() => undefined)
    if (pong === 'PONG') return
    await sleep(25)
  }
  throw new Error('redis-server does not answer')
}

async function kill(): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

beforeAll(async () => {
  // Installs it when it is missing.
  const probe = await startRedis()
  await probe.stop()
  folder = mkdtempSync(join(tmpdir(), 'sojourn-'))
  port = await freePort()
  bridge = await startBridge(port)
  await start()
})

afterAll(async () => {
  await bridge.close()
  await kill()
  rmSync(folder, { recursive: true, force: true })
})

interface Visit {
  readonly number: number
  readonly writes: boolean
  readonly startedAt: number
  readonly status: number
  readonly session: Session['status'] | undefined
  readonly retryAfter: string | null
}

/** One request that reached the server. */
interface Sent {
  readonly at: number
  readonly breaker: unknown
}

interface User {
  readonly name: string
  readonly jar: CookieJar
  readonly visits: Visit[]
  cookie: string | null
}

/** An application: one isolate, its users, and what it sent to the database. */
function createApplication(
  name: string,
  policy: ResilientPolicy,
  options: Partial<SessionsOptions> = {},
) {
  const sent: Sent[] = []
  const calls: { at: number; error: unknown; sentBefore: number; sentAfter: number }[] = []
  const events: (SessionEvent & { at: number })[] = []
  const store = resilient(
    createUpstashStore({
      url: bridge.url,
      token: TOKEN,
      prefix: `${name}:`,
      fetch(url, init) {
        const isRead = String(init.body).startsWith('["GETRANGE"')
        const { readBreaker, writeBreaker } = store.details?.() ?? {}
        sent.push({ at: performance.now(), breaker: isRead ? readBreaker : writeBreaker })
        return fetch(url, init)
      },
    }),
    { ...PATIENT, ...policy },
  )
  async function note<T>(call: () => Promise<T>): Promise<T> {
    const at = performance.now()
    const sentBefore = sent.length
    let error: unknown
    try {
      return await call()
    } catch (thrown) {
      error = thrown
      throw thrown
    } finally {
      calls.push({ at, error, sentBefore, sentAfter: sent.length })
    }
  }
  const noted: SessionStore = {
    ...store,
    read: (...args) => note(() => store.read(...args)),
    write: (...args) => note(() => store.write(...args)),
    end: (...args) => note(() => store.end(...args)),
  }
  const sessions = createSessions({
    secret: SECRET,
    store: noted,
    storeTimeout: 60,
    onEvent: (event) => events.push({ ...event, at: performance.now() }),
    ...options,
  })
  const users: User[] = Array.from({ length: USERS }, (_, i) => ({
    name: `${name}-${i}`,
    jar: createCookieJar(),
    visits: [],
    cookie: null,
  }))
  async function signIn(user: User): Promise<void> {
    const handler = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      session.login(user.name)
      session.set('done', [])
      return new Response()
    })
    expect((await user.jar.fetch(handler)).status).toBe(200)
    user.cookie = user.jar.header()
  }
  /** Every other visit writes its number. */
  async function visit(user: User, number: number): Promise<void> {
    const writes = number % 2 === 0
    let session: Session | undefined
    const handler = sessions.handler(async (request) => {
      session = await sessions.get(request)
      if (writes) session.append('done', number)
      return new Response()
    })
    const startedAt = performance.now()
    const response = await user.jar.fetch(handler)
    user.visits.push({
      number,
      writes,
      startedAt,
      status: response.status,
      session: session?.status,
      retryAfter: response.headers.get('retry-after'),
    })
  }
  return { name, store, sessions, users, sent, calls, events, signIn, visit }
}

type Application = ReturnType<typeof createApplication>

async function traffic(applications: readonly Application[]): Promise<void> {
  const running: Promise<void>[] = []
  const started = performance.now()
  for (let number = 0; number * EVERY_MS < TOTAL_MS; number++) {
    const due = started + number * EVERY_MS
    const ahead = due - performance.now()
    // One that is late goes on with what there is, not with all that it has missed at once.
    await (ahead > 0 ? sleep(ahead) : setImmediate())
    for (const application of applications) {
      running.push(application.visit(application.users[number % USERS]!, number))
    }
  }
  await Promise.all(running)
}

describe('20 seconds of traffic, and Redis is killed in the middle', () => {
  const times = { killed: 0, starting: 0, started: 0 }
  // Half of the usual jitter, always: the third probe comes when Redis is back.
  const random = (): number => 0.5
  let guarded: Application
  let unguarded: Application
  /** With a copy of the data in the cookie. */
  let carrying: Application
  let both: Application[] = []

  beforeAll(async () => {
    guarded = createApplication('guarded', { random })
    unguarded = createApplication('unguarded', { breaker: false })
    carrying = createApplication(
      'carrying',
      { random },
      { snapshot: { maxAge: 1, staleIfError: 60 } },
    )
    both = [guarded, unguarded]
    const all = [...both, carrying]
    // One after the other: connections are made and the code is warm when it counts.
    for (const { users, signIn } of all) for (const user of users) await signIn(user)
    const outage = async (): Promise<void> => {
      await sleep(DOWN_FROM_MS)
      times.killed = performance.now()
      await kill()
      await sleep(DOWN_MS)
      times.starting = performance.now()
      await start()
      times.started = performance.now()
    }
    await Promise.all([traffic(all), outage()])
  })

  const isDown = ({ at }: { at: number }): boolean => at >= times.killed && at < times.starting

  it('was an outage', () => {
    for (const { users } of both) {
      const all = users.flatMap(({ visits }) => visits)
      expect(all.length).toBe(TOTAL_MS / EVERY_MS)
      expect(all.filter(({ status }) => status === 503).length > 50).toBe(true)
      expect(all.filter(({ status }) => status === 200).length > 400).toBe(true)
    }
  })

  it('signs nobody out and touches no cookie', async () => {
    for (const { users, sessions } of both) {
      const statuses = users.flatMap(({ visits }) => visits.map(({ session }) => session))
      expect([...new Set(statuses)].sort()).toEqual(['active', 'degraded'])
      for (const { name, jar, cookie } of users) {
        expect(jar.header()).toBe(cookie)
        const { status, subject } = await sessions.open(cookie)
        expect([status, subject]).toEqual(['active', name])
      }
    }
  })

  it('keeps every acknowledged write once, and answers every other one with an error', async () => {
    for (const { users, sessions } of both) {
      for (const { cookie, visits } of users) {
        const done: number[] = (await sessions.open(cookie)).get('done')
        expect(new Set(done).size).toBe(done.length)
        const writes = visits.filter((visit) => visit.writes)
        const numbers = (status: number) =>
          writes.filter((visit) => visit.status === status).map(({ number }) => number)
        const acknowledged = numbers(200)
        const failed = numbers(503)
        expect(acknowledged.length + failed.length).toBe(writes.length)
        expect(acknowledged.filter((number) => !done.includes(number))).toEqual([])
        expect(done.filter((n) => !acknowledged.includes(n) && !failed.includes(n))).toEqual([])
      }
    }
  })

  it('says when to come back', () => {
    for (const { users } of both) {
      const during = users
        .flatMap(({ visits }) => visits)
        .filter(({ startedAt }) => isDown({ at: startedAt }))
      expect(during.length > 100).toBe(true)
      for (const { status, retryAfter } of during) {
        if (status === 503) expect(Number(retryAfter) >= 1).toBe(true)
      }
    }
  })

  it('does not multiply the outage: 1.1 times the calls plus what the budget starts with', () => {
    for (const { calls, sent } of both) {
      const made = calls.filter(isDown).length
      const reached = sent.filter(isDown).length
      expect(made > 100).toBe(true)
      expect(reached <= made * 1.1 + 10 + (0.1 * DOWN_MS) / 1000).toBe(true)
    }
    // Each breaker leaves it alone: five failures in a row, those that overlapped them, two probes.
    expect(guarded.sent.filter(isDown).length <= 60).toBe(true)
  })

  it('sends nothing while the breaker is open', () => {
    expect(guarded.sent.filter(({ breaker }) => breaker === 'open')).toEqual([])
    const rejected = guarded.calls.filter(({ error }) => error instanceof CircuitOpenError)
    expect(rejected.length > 100).toBe(true)
  })

  it('is back with the first probe that reaches a living Redis', () => {
    const changes = guarded.events.filter(
      ({ type, at }) => type.startsWith('breaker.') && at > times.killed,
    )
    // Reads and writes have a probe each. Where nothing can be read, perhaps nothing was written.
    for (const direction of ['read', 'write']) {
      const own = changes.filter((event) => 'direction' in event && event.direction === direction)
      const kinds = own.map(({ type }) => type)
      if (direction === 'write' && !own.length) continue
      expect(kinds.slice(-2)).toEqual(['breaker.half-open', 'breaker.closed'])
      expect(kinds.indexOf('breaker.closed')).toBe(kinds.length - 1)
      expect(own.at(-1)!.at > times.starting).toBe(true)
    }
    const closedAt = changes.at(-1)!.at
    const later = guarded.users
      .flatMap(({ visits }) => visits)
      .filter(({ startedAt }) => startedAt > closedAt)
    expect(later.length > 100).toBe(true)
    expect([...new Set(later.map(({ status, session }) => `${status} ${session}`))]).toEqual([
      '200 active',
    ])
  })

  it('is not noticed by a user whose cookie carries a copy, and loses nothing that was deferred', async () => {
    const { users, sessions, sent, calls, events, visit } = carrying
    const visits = users.flatMap((user) => user.visits)
    expect([...new Set(visits.map(({ status }) => status))]).toEqual([200])
    expect([...new Set(visits.map(({ session }) => session))].sort()).toEqual([
      'active',
      'degraded',
    ])
    expect(events.filter(({ type }) => type === 'commit.deferred').length > 20).toBe(true)
    for (const user of users) {
      // Of two visits that overlapped, the one whose answer came last may have left what the other had applied.
      await visit(user, 1)
      const { name, jar, visits } = user
      const { status, subject, data } = await sessions.open(jar.header())
      const written = visits.filter(({ writes }) => writes).map(({ number }) => number)
      expect([status, subject]).toEqual(['active', name])
      // Visits are in the order of their answers, which on a slow machine is not that of their numbers.
      const inOrder = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b)
      expect(inOrder(data.done)).toEqual(inOrder(written))
      expect(jar.cookies().filter(({ name }) => name.includes('.d'))).toEqual([])
    }
    const made = calls.filter(isDown).length
    expect(sent.filter(isDown).length <= made * 1.1 + 10 + (0.1 * DOWN_MS) / 1000).toBe(true)
    expect(sent.filter(isDown).length <= 30).toBe(true)
  })
})
