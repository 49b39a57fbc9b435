import { describe, expect, it } from 'vitest'
import {
  createSessions,
  type Session,
  type Sessions,
  type SessionsOptions,
} from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock, createCookieJar } from '../../src/testing/index.ts'
import { createRandom, createSchedule } from '../support/schedule.ts'
import { SECRET } from '../support/sessions.ts'

/** All of them on Node; what other runtimes could do differently shows in fewer. */
const RUNS = navigator.userAgent.startsWith('Node') ? 10_000 : 1000

/** What one request did, and what became of it. */
interface Done {
  readonly kind: string
  readonly key: string
  /** The keys of the flash values it was shown. */
  readonly saw: readonly string[]
  readonly from: string
  readonly to: string
  readonly status: Session['status']
}

const KEYS = Array.from({ length: 6 }, (_, i) => `k${i}`)

const actions: Record<string, (session: Session, key: string) => void> = {
  read: () => {},
  increment: (session) => session.update('n', (n: number = 0) => n + 1),
  set: (session, key) => session.set(key, true),
  unset: (session) => session.unset('first'),
  flash: (session, key) => session.flash(key, true),
  login: (session, key) => session.login(`user of ${key}`),
  regenerate: (session) => session.regenerate(),
  destroy: (session) => session.destroy(),
}
const kinds = ['read', 'increment', 'set', 'unset', 'flash', 'login', 'regenerate', 'destroy']
const moves = ['increment', 'login', 'regenerate']

const clock = createClock()
let current: SessionStore
// The keys are derived once, not ten thousand times.
const createIsolate = (more: Partial<SessionsOptions> = {}) =>
  createSessions({
    secret: SECRET,
    now: clock,
    store: {
      name: 'current',
      atomic: true,
      patches: 32,
      read: (...args) => current.read(...args),
      write: (...args) => current.write(...args),
      delete: (...args) => current.delete(...args),
    },
    ...more,
  })
const two = [createIsolate(), createIsolate()] as const
// Another isolate may hide what this one wrote for `maxAge`.
const withCopies = [createIsolate({ snapshot: { maxAge: 10, staleIfError: 100 } })] as const

async function simulate(seed: number, isolates: readonly [Sessions, ...Sessions[]]) {
  const random = createRandom(seed)
  const schedule = createSchedule(random)
  const memory = createMemoryStore({ now: clock })
  current = schedule.interleave(memory)
  const jar = createCookieJar({ now: clock })
  const seen = new Set<string>()
  const done: Done[] = []
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T
  // Only where one isolate sees all it can hold back the cookies of renewals that come late.
  const isDue = seed % 2 === 0
  const request = async (kinds: readonly string[], key: string): Promise<void> => {
    let session: Session | undefined
    let from = ''
    let saw: string[] = []
    const isolate = isDue ? isolates[0] : pick(isolates)
    const handler = isolate.handler(async (request) => {
      session = await isolate.get(request)
      from = session.status === 'active' ? session.id : ''
      saw = KEYS.filter((key) => session?.flash(key))
      for (const kind of kinds) actions[kind]?.(session, key)
      return new Response('ok')
    })
    await jar.fetch(handler, '/')
    const header = jar.header('/')
    if (header) seen.add(header)
    const { id: to, status } = session as unknown as Session
    for (const kind of kinds) done.push({ kind, key, saw, from, to, status })
  }
  await request(['increment', 'set'], 'first')
  if (isDue) clock.advance(10_000)
  const count = 3 + Math.floor(random() * 4)
  const plan = Array.from({ length: count }, () => {
    const kind = pick(kinds)
    return kind === 'destroy' || random() < 0.7 ? [kind] : [kind, pick(moves)]
  })
  await schedule.run(plan.map((kinds, i) => () => request(kinds, KEYS[i] as string)))
  return { jar, seen, done, memory }
}

/** The ids that a session has had, the last first. */
function lineage(id: string, done: readonly Done[]): string[] {
  const move = done.find(
    ({ from, to, status }) => to === id && from && from !== to && status === 'active',
  )
  return move ? [id, ...lineage(move.from, done)] : [id]
}

/** What went wrong in one run, in words; `[]` when nothing did. */
async function problems(
  seed: number,
  isolates: readonly [Sessions, ...Sessions[]],
): Promise<string[]> {
  const [sessions] = isolates
  const { jar, seen, done, memory } = await simulate(seed, isolates)
  const found: string[] = []
  // Who signs in by a session that has ended starts anew.
  const kept = done.filter(({ status }) => ['active', 'new', 'missing'].includes(status))
  const dead = new Set([
    ...done
      .filter(({ kind, status }) => kind === 'destroy' && status === 'destroyed')
      .map((d) => d.from),
    ...kept.filter(({ from, to }) => from && from !== to).map(({ from }) => from),
  ])
  for (const header of seen) {
    const session = await sessions.open(header)
    if (session.status === 'active' && dead.has(session.id)) found.push('a dead session is back')
  }
  const last = await sessions.open(jar.header('/'))
  if (!['active', 'new'].includes(last.status))
    found.push(`the jar holds a cookie that is ${last.status}`)
  // Two that found no session may each have started one; nothing else is left over.
  const reachable = new Set([last.id, ...kept.filter(({ from }) => !from).map(({ to }) => to)])
  // Nor is what became of one that was started after the first had ended.
  const anew = kept
    .filter(({ from, key, status }) => key !== 'first' && (!from || status === 'missing'))
    .map(({ to }) => to)
  const isLeft = (id: string): boolean =>
    !reachable.has(id) && !lineage(id, done).some((one) => anew.includes(one))
  for (let cursor: string | null = null; ; ) {
    const page = await memory.page(cursor)
    if (page.records.some(({ id }) => isLeft(id))) found.push('a record is left over')
    cursor = page.cursor
    if (cursor === null) break
  }
  if (last.status !== 'active') return found
  const ids = new Set(lineage(last.id, done))
  const mine = kept.filter(({ to }) => ids.has(to))
  // Signing in as somebody else starts with empty data.
  const logins = mine.filter(({ kind }) => kind === 'login').length
  if (logins > 1) return found
  const increments = mine.filter(({ kind }) => kind === 'increment').length
  if (last.get('n') !== (increments || undefined)) {
    found.push(`${increments} updates were kept, ${last.get('n')} are there`)
  }
  const isUnset = mine.some(({ kind }) => kind === 'unset')
  for (const { kind, key } of mine) {
    if (kind === 'set' && last.has(key) === (key === 'first' && isUnset)) {
      found.push(`${key} is ${last.has(key) ? 'back' : 'lost'}`)
    }
    if (kind === 'flash' && !done.some(({ saw }) => saw.includes(key)) && !last.flash(key)) {
      found.push(`nobody was shown ${key}`)
    }
  }
  return found
}

describe('overlapping requests of one session', () => {
  it.each([
    ['', RUNS, two],
    [' with snapshots', RUNS / 5, withCopies],
  ] as const)(
    'lose nothing, double nothing and bring nothing back%s in %d random orders',
    async (_, runs, isolates) => {
      const failures: string[] = []
      // What waits for its turn waits for no server here.
      const real = globalThis.setTimeout
      globalThis.setTimeout = ((fn: () => void) => real(fn, 0)) as typeof setTimeout
      for (let seed = 1; seed <= runs && failures.length < 5; seed++) {
        for (const problem of await problems(seed, isolates)) {
          failures.push(`seed ${seed}: ${problem}`)
        }
      }
      globalThis.setTimeout = real
      expect(failures).toEqual([])
    },
    180_000,
  )
})
