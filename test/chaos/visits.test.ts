import { describe, expect, it } from 'vitest'
import { SessionError, StoreError, StoreUnavailableError } from '../../src/errors.ts'
import {
  createSessions,
  type Session,
  type SessionEvent,
  type SessionsOptions,
} from '../../src/index.ts'
import { cached } from '../../src/stores/cached.ts'
import { createKVStore } from '../../src/stores/kv.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import {
  createClock,
  createCookieJar,
  createFaultyStore,
  type FaultyStore,
} from '../../src/testing/index.ts'
import { KVDouble } from '../support/kv-double.ts'
import { createRandom } from '../support/schedule.ts'
import { SECRET } from '../support/sessions.ts'

/*
 * Somebody who is signed in visits a site of any settings, whose store does anything: whatever comes,
 * they stay signed in, what was answered 200 is kept or told of as dropped, and nothing is added twice.
 */

const RUNS = 200
const STEPS = 10

const unavailable = (retryAfter?: number) => new StoreUnavailableError('down', { retryAfter })

const faults: Record<string, (store: FaultyStore) => void> = {
  none: () => {},
  'is down': (store) => store.down(),
  'loses every answer': (store) => store.down({ type: 'throw-after' }),
  'loses the answers to writes': (store) => store.down({ type: 'throw-after' }, 'write'),
  'takes no writes': (store) => store.down({ type: 'throw-before' }, 'write'),
  'refuses everything': (store) => {
    store.down({ type: 'throw-before', error: new StoreError('no') })
  },
  'asks to wait': (store) => store.down({ type: 'throw-before', error: unavailable(5) }),
  'fails once': (store) => store.inject({ type: 'throw-before' }),
  'loses one answer': (store) => store.inject({ type: 'throw-after' }),
}

const uses: Record<string, (session: Session, step: number) => void> = {
  read: () => {},
  set: (session, step) => session.set('value', step),
  update: (session) => session.update('count', (count = 0) => count + 1),
  flash: (session) => session.flash('notice', 'done'),
  login: (session) => session.login('ada'),
  regenerate: (session) => session.regenerate(),
}

async function run(seed: number): Promise<void> {
  const random = createRandom(seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const clock = createClock()
  const namespace = new KVDouble({ now: clock }).at('here')
  const store = createFaultyStore(
    pick([createMemoryStore({ now: clock }), createKVStore({ namespace, now: clock })]),
  )
  const policy = { now: clock, random, sleep: async (ms: number) => void clock.advanceMs(ms) }
  const around = pick<(inner: SessionStore) => SessionStore>([
    (inner) => inner,
    (inner) => resilient(inner, policy),
    (inner) => cached(resilient(inner, policy), { ttl: 5, staleIfError: 300, now: clock }),
  ])
  const options: Partial<SessionsOptions> = {
    onStoreFailure: pick(['throw', 'degrade']),
    onCorruption: pick(['throw', 'reset']),
    snapshot: pick([false, { maxAge: 5, staleIfError: 600 }]),
    seal: pick(['secret', 'cookie']),
    idleTimeout: 3600,
    renewAfter: pick([60, 1800]),
  }
  const wrapped = around(store)
  let dropped = 0
  const onEvent = ({ type }: SessionEvent): void => {
    if (type === 'commit.dropped') dropped++
  }
  const sessions = createSessions({
    secret: SECRET,
    now: clock,
    store: wrapped,
    onEvent,
    ...options,
  })
  const jar = createCookieJar({ now: clock })
  const story: string[] = [JSON.stringify(options)]
  /** Whether it was answered 200, in a session that was not taken for none. */
  const visit = async (use: (session: Session) => void): Promise<boolean> => {
    let status = ''
    const handler = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      status = session.status
      use(session)
      return new Response()
    })
    const answer = await jar.fetch(handler).catch((error: unknown) => {
      if (!(error instanceof SessionError)) throw error
      return null
    })
    story.push(`${status} ${answer?.status}`)
    expect(status, story.join('\n')).toMatch(story.length > 2 ? /^(active|degraded|)$/ : /new/)
    return answer?.status === 200
  }

  await visit((session) => session.login('ada'))
  let values: unknown[] = [undefined]
  let [kept, tried] = [0, 0]
  for (let step = 0; step < STEPS; step++) {
    clock.advance(Math.floor(random() * random() * 90))
    const fault = pick(Object.keys(faults))
    // A credential that only the cookie has is lost with the answer that would have brought it.
    const isFragile = options.seal === 'cookie' && fault !== 'none'
    const use = pick(
      Object.keys(uses).filter((name) => !(isFragile && /login|regenerate/.test(name))),
    )
    story.push(`${step}: ${use}, the store: ${fault}`)
    store.up()
    faults[fault]!(store)
    const done = await visit((session) => uses[use]!(session, step))
    if (use === 'set') values = done ? [step] : [...values, step]
    if (use === 'update') tried++
    if (use === 'update' && done) kept++
  }
  store.up()
  clock.advance(31)
  const session = await sessions.open(jar.header())
  const { status, subject, data } = session
  await sessions.save(session)
  const { count = 0, value } = data as { count?: number; value?: number }
  expect([status, subject], story.join('\n')).toEqual(['active', 'ada'])
  expect(count, story.join('\n')).toBeLessThanOrEqual(tried)
  // What waits for a credential that a rotation replaces is dropped, with an event.
  if (dropped) return
  expect(values, story.join('\n')).toContain(value)
  expect(count, story.join('\n')).toBeGreaterThanOrEqual(kept)
}

describe('a visitor of a site whose store does anything', () => {
  it(`stays signed in and loses nothing without a word, in ${RUNS} random stories`, async () => {
    for (let seed = 1; seed <= RUNS; seed++) await run(seed)
  })
})
