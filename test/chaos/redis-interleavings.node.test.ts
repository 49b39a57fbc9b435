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

const RUNS = 1_500
/** Runs that wait for Redis at the same time. Each is deterministic by itself. */
const LANES = 8
/** Of every request to the database. */
const FAILS_BEFORE = 0.1
const FAILS_AFTER = 0.15
const ARRIVES_LATE = 0.1

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

/** One request, and its outcome. */
interface Done {
  readonly kind: string
  readonly key: string
  /** The status that it found. */
  readonly found: Session['status']
  /** The status that it left. */
  readonly status: Session['status']
  readonly ok: boolean
}

const actions: Record<string, (session: Session, key: string) => void> = {
  read: () => {},
  increment: (session) => session.increment('n'),
  update: (session) => session.update('n', (n: number = 0) => n + 1),
  set: (session, key) => session.set(key, true),
  regenerate: (session) => session.regenerate(),
  destroy: (session) => session.destroy(),
}
const kinds = ['read', 'increment', 'increment', 'update', 'set', 'set', 'regenerate']

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
  const late: string[] = []
  const upstash = createUpstashStore({
    url: 'http://localhost',
    token: TOKEN,
    now: clock,
    async fetch(_, { body }) {
      // Requests that their callers gave up arrive late, in any order.
      while (late.length && (!faulty || random() < 0.3)) {
        await ask(late.splice(Math.floor(random() * late.length), 1)[0]!)
      }
      if (faulty && random() < ARRIVES_LATE) {
        faults.before++
        late.push(String(body))
        throw new TypeError('fetch failed')
      }
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
    end: (...args) => current.end(...args),
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
  const request = async (kind: string, key: string): Promise<Done> => {
    let session: Session | undefined
    let found: Session['status'] = 'new'
    const handler = sessions.handler(async (request) => {
      session = await sessions.get(request)
      found = session.status
      actions[kind]?.(session, key)
      return new Response('ok')
    })
    const response = await jar.fetch(handler, '/')
    const header = jar.header('/')
    if (header?.includes('__Host-session=')) seen.add(header)
    const { status } = session as unknown as Session
    const one = { kind, key, found, status, ok: response.status === 200 }
    done.push(one)
    return one
  }
  await request('increment', 'first')
  const count = 3 + Math.floor(random() * 4)
  const pick = () => kinds[Math.floor(random() * kinds.length)] as string
  lane.setFaulty(true)
  await schedule.run(Array.from({ length: count }, (_, i) => () => request(pick(), `k${i}`)))
  lane.setFaulty(false)
  const last = await sessions.open(jar.header('/'))
  lane.setFaulty(true)
  let end: Done | undefined
  await schedule.run([async () => (end = await request('destroy', 'end'))])
  lane.setFaulty(false)
  return { last, seen, done, isEnded: end!.ok }
}

/** Returns the promises that were broken: writes that are lost, or counted twice. */
function lost(last: Session, certain: readonly Done[], unknown: readonly Done[]): string[] {
  const found: string[] = []
  const isCount = ({ kind }: Done): boolean => kind === 'increment' || kind === 'update'
  const least = certain.filter(isCount).length
  const most = least + unknown.filter(isCount).length
  const n: number = last.get('n') ?? 0
  if (n < least || n > most) found.push(`${least} to ${most} increments were made, ${n} are there`)
  for (const { kind, key } of certain) {
    if (kind === 'set' && !last.has(key)) found.push(`${key} is lost`)
  }
  return found
}

async function outcomeOf(
  lane: Lane,
  seed: number,
): Promise<{ problems: string[]; failed: number }> {
  const { sessions }: { sessions: Sessions } = lane
  const { last, seen, done, isEnded } = await simulate(lane, seed)
  const data = done.filter(({ kind }) => kind !== 'destroy')
  const problems = data
    .filter(({ found }) => /^(missing|expired|invalid)$/.test(found))
    .map(({ found, kind }) => `${kind} found it ${found}`)
  if (last.status !== 'active') problems.push(`the jar holds a cookie that is ${last.status}`)
  // A request by a credential that was replaced meanwhile is dropped, and an event tells.
  const certain = data.filter(({ ok, status }) => ok && /^(active|new)$/.test(status))
  const unknown = data.filter((one) => !certain.includes(one))
  problems.push(...lost(last, certain, unknown))
  if (isEnded) {
    for (const header of seen) {
      const { status } = await sessions.open(header)
      if (status === 'active') problems.push('a session that has ended is back')
    }
  }
  return { problems, failed: done.filter(({ ok }) => !ok).length }
}

describe('overlapping requests of one session in Redis, with faults', () => {
  it(`lose nothing, double nothing and bring nothing back in ${RUNS} random orders`, async () => {
    const failures: string[] = []
    const faults: Faults = { before: 0, after: 0 }
    let next = 1
    let failed = 0
    const work = async (): Promise<void> => {
      const lane = createLane()
      while (next <= RUNS && failures.length < 5) {
        const seed = next++
        const outcome = await outcomeOf(lane, seed)
        for (const problem of outcome.problems) failures.push(`seed ${seed}: ${problem}`)
        failed += outcome.failed
      }
      faults.before += lane.faults.before
      faults.after += lane.faults.after
    }
    await Promise.all(Array.from({ length: LANES }, work))
    if (failures.length) throw new Error(failures.join('; '))
    // It was not quiet.
    expect(faults.before > RUNS / 2 && faults.after > RUNS / 2).toBe(true)
    expect(failed > RUNS / 20).toBe(true)
  }, 240_000)
})
