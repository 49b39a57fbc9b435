import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSessions, type Session, type Sessions } from '../../src/index.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createUpstashStore } from '../../src/stores/upstash.ts'
import { createClock, createCookieJar } from '../../src/testing/index.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { createRandom, createSchedule } from '../support/schedule.ts'
import { SECRET } from '../support/sessions.ts'
import { type Bridge, startBridge, TOKEN } from '../support/upstash-bridge.ts'

/*
 * As test/session/interleavings.test.ts, but against real Redis, with requests that fail before they reach
 * it and answers that are lost after it did what it was asked. What a request that was answered with
 * an error did may have happened or not; all else is certain.
 */

const RUNS = 10_000
/** Runs that wait for Redis at the same time. Each is deterministic by itself. */
const LANES = 8
/** Of every request to the database. */
const FAILS_BEFORE = 0.1
const FAILS_AFTER = 0.15

let redis: RedisServer
let bridge: Bridge

beforeAll(async () => {
  redis = await startRedis()
  bridge = await startBridge(redis.port)
})

afterAll(async () => {
  await bridge.close()
  await redis.stop()
})

/** What one request did, and what became of it. */
interface Done {
  readonly kind: string
  readonly key: string
  /** The status that it found. */
  readonly found: Session['status']
  /** The session it found, `''` when there was none. */
  readonly from: string
  readonly to: string
  readonly status: Session['status']
  /** Whether it was answered 200. */
  readonly ok: boolean
  /** What it wrote rides in a cookie. */
  readonly deferred: boolean
}

const actions: Record<string, (session: Session, key: string) => void> = {
  read: () => {},
  increment: (session) => session.update('n', (n: number = 0) => n + 1),
  set: (session, key) => session.set(key, true),
  login: (session, key) => session.login(`user of ${key}`),
  regenerate: (session) => session.regenerate(),
  destroy: (session) => session.destroy(),
}
const kinds = ['read', 'increment', 'increment', 'set', 'set', 'login', 'regenerate', 'destroy']
const MOVES = ['login', 'regenerate']

/** The database without HTTP in between, as `fetch`. */
async function ask(body: string): Promise<Response> {
  const reply = await bridge.redis(...(JSON.parse(body) as string[]))
  const failed = reply !== null && typeof reply === 'object' && 'message' in reply
  return Response.json(failed ? { error: reply.message } : { result: reply })
}

interface Faults {
  before: number
  after: number
}

/** One of several places where runs happen one after the other. The keys are derived only once. */
function createLane() {
  const clock = createClock(Date.now())
  let random = createRandom(0)
  let faulty = false
  const faults: Faults = { before: 0, after: 0 }
  const upstash = createUpstashStore({
    url: 'http://localhost',
    token: TOKEN,
    now: clock,
    async fetch(_, { body }) {
      if (faulty && random() < FAILS_BEFORE) {
        faults.before++
        throw new TypeError('fetch failed')
      }
      const response = await ask(String(body))
      if (faulty && random() < FAILS_AFTER) {
        faults.after++
        throw new TypeError('fetch failed')
      }
      return response
    },
  })
  let current: SessionStore = upstash
  const switched: SessionStore = {
    name: 'switched',
    atomic: true,
    read: (...args) => current.read(...args),
    write: (...args) => current.write(...args),
    delete: (...args) => current.delete(...args),
  }
  const minute = 60_000
  const store = resilient(switched, {
    attempts: 2,
    budget: false,
    breaker: false,
    attemptTimeoutMs: minute,
    deadlineMs: minute,
    now: clock,
    random: () => 0.5,
    sleep: async () => {},
  })
  const sessions = createSessions({ secret: SECRET, now: clock, store })
  /** Starts a run: every attempt at the store stops before and after, so that they overlap. */
  const begin = (seed: number) => {
    random = createRandom(seed)
    const schedule = createSchedule(random)
    current = schedule.interleave(upstash)
    return { random, schedule }
  }
  const setFaulty = (on: boolean): void => {
    faulty = on
  }
  return { clock, sessions, faults, begin, setFaulty }
}

type Lane = ReturnType<typeof createLane>

async function simulate(lane: Lane, seed: number) {
  const { sessions, clock } = lane
  const { random, schedule } = lane.begin(seed)
  const jar = createCookieJar({ now: clock })
  const seen = new Set<string>()
  const done: Done[] = []
  const request = async (kind: string, key: string): Promise<void> => {
    let session: Session | undefined
    let from = ''
    let found: Session['status'] = 'new'
    const handler = sessions.handler(async (request) => {
      session = await sessions.get(request)
      found = session.status
      from = found === 'active' ? session.id : ''
      actions[kind]?.(session, key)
      return new Response('ok')
    })
    const response = await jar.fetch(handler, '/')
    const deferred = response.headers.getSetCookie().some((one) => /^[^=]+\.d[^=]+=[^;]/.test(one))
    const header = jar.header('/')
    if (header?.includes('__Host-session=')) seen.add(header)
    const { id: to, status } = session as unknown as Session
    done.push({ kind, key, found, from, to, status, ok: response.status === 200, deferred })
  }
  await request('increment', 'first')
  const count = 3 + Math.floor(random() * 4)
  const pick = () => kinds[Math.floor(random() * kinds.length)] as string
  lane.setFaulty(true)
  await schedule.run(Array.from({ length: count }, (_, i) => () => request(pick(), `k${i}`)))
  lane.setFaulty(false)
  // Whoever moved without knowing whether its old id is dead makes sure with the next request.
  await schedule.run([() => request('read', 'settle')])
  return { jar, seen, done }
}

/** The ids that a session has had, the last first. */
function lineage(id: string, moves: readonly Done[]): string[] {
  const move = moves.find(({ to }) => to === id)
  return move ? [id, ...lineage(move.from, moves)] : [id]
}

/** The statuses that no fault may produce. */
const isWrong = ({ found }: Done): boolean => /^(missing|expired|invalid)$/.test(found)

/** What went wrong with the data, given who certainly and who perhaps changed them. */
function lost(last: Session, certain: readonly Done[], unknown: readonly Done[]): string[] {
  const found: string[] = []
  const count = (of: readonly Done[]) => of.filter(({ kind }) => kind === 'increment').length
  const [least, most] = [count(certain), count(certain) + count(unknown)]
  const n: number = last.get('n') ?? 0
  if (n < least || n > most) found.push(`${least} to ${most} updates were kept, ${n} are there`)
  for (const { kind, key } of certain) {
    if (kind === 'set' && !last.has(key)) found.push(`${key} is lost`)
  }
  return found
}

interface Outcome {
  readonly problems: string[]
  readonly failed: number
  /** It moved to a new id, and could not find out whether the old one is dead. */
  readonly blind: boolean
}

async function outcomeOf(lane: Lane, seed: number): Promise<Outcome> {
  const { sessions }: { sessions: Sessions } = lane
  const { jar, seen, done } = await simulate(lane, seed)
  const problems = done.filter(isWrong).map(({ found, kind }) => `${kind} found it ${found}`)
  // Who signs in by a session that has ended starts anew.
  const kept = done.filter(({ ok, status }) => ok && /^(active|new|missing)$/.test(status))
  const moves = kept.filter(({ from, status, to }) => from && from !== to && status === 'active')
  const unknown = done.filter(({ ok, from }) => !ok && from)
  const ended = done.filter(
    ({ kind, ok, status }) => kind === 'destroy' && ok && status === 'destroyed',
  )
  const dead = new Set([...ended, ...moves].map(({ from }) => from))
  for (const header of seen) {
    const session = await sessions.open(header)
    if (session.status === 'active' && dead.has(session.id)) problems.push('a dead session is back')
    if (!/^(active|superseded)$/.test(session.status)) {
      problems.push(`a cookie that was set is ${session.status}`)
    }
  }
  const last = await sessions.open(jar.header('/'))
  // Two attempts and a look failed: what others wrote to the old id meanwhile stays there.
  const blind = done.some(({ kind, deferred }) => deferred && MOVES.includes(kind))
  if (blind) return { problems, failed: 0, blind }
  // Only the end of a session, whose outcome nobody knows, may end it.
  const mayEnd = unknown.some(({ kind }) => kind === 'destroy')
  const expected = mayEnd ? ['active', 'new', 'superseded'] : ['active', 'new']
  if (!expected.includes(last.status)) {
    problems.push(`the jar holds a cookie that is ${last.status}`)
  }
  if (last.status === 'active') {
    const ids = new Set(lineage(last.id, moves))
    // What waits for a session that has moved on is dropped, as a late write would be.
    const late = (one: Done): boolean => one.deferred && one.to !== last.id
    const mine = kept.filter((one) => ids.has(one.to) && !late(one))
    // Signing in as somebody else starts with empty data.
    if (mine.filter(({ kind }) => kind === 'login').length <= 1) {
      const perhaps = [...unknown, ...kept.filter(late)].filter(({ from }) => ids.has(from))
      problems.push(...lost(last, mine, perhaps))
    }
  }
  return { problems, failed: unknown.length, blind }
}

describe('overlapping requests of one session in Redis, with faults', () => {
  it(`lose nothing, double nothing and bring nothing back in ${RUNS} random orders`, async () => {
    const failures: string[] = []
    const faults: Faults = { before: 0, after: 0 }
    let next = 1
    let failed = 0
    let blind = 0
    const work = async (): Promise<void> => {
      const lane = createLane()
      while (next <= RUNS && failures.length < 5) {
        const seed = next++
        const outcome = await outcomeOf(lane, seed)
        for (const problem of outcome.problems) failures.push(`seed ${seed}: ${problem}`)
        failed += outcome.failed
        if (outcome.blind) blind++
      }
      faults.before += lane.faults.before
      faults.after += lane.faults.after
    }
    await Promise.all(Array.from({ length: LANES }, work))
    if (failures.length) throw new Error(failures.join('; '))
    // It was not quiet.
    expect(faults.before > RUNS / 2 && faults.after > RUNS / 2).toBe(true)
    expect(failed > RUNS / 20).toBe(true)
    expect(blind < RUNS / 20).toBe(true)
  }, 240_000)
})
