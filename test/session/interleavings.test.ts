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
const RUNS = navigator.userAgent.startsWith('Node') ? 3000 : 500

/** What one request did, and what became of it. */
interface Done {
  readonly kind: string
  readonly key: string
  /** The keys of the flash values it was shown. */
  readonly saw: readonly string[]
  readonly from: string
  readonly to: string
  /** Its credential before, and after the commit. */
  readonly before: string
  readonly after: string
  readonly status: Session['status']
}

const KEYS = Array.from({ length: 6 }, (_, i) => `k${i}`)

const actions: Record<string, (session: Session, key: string) => void> = {
  read: () => {},
  update: (session) => session.update('n', (n: number = 0) => n + 1),
  increment: (session) => session.increment('m'),
  set: (session, key) => session.set(key, true),
  unset: (session) => session.unset('first'),
  flash: (session, key) => session.flash(key, true),
  login: (session, key) => session.login(`user of ${key}`),
  regenerate: (session) => session.regenerate(),
  destroy: (session) => session.destroy(),
}
const kinds = [
  'read',
  'update',
  'increment',
  'set',
  'unset',
  'flash',
  'login',
  'regenerate',
  'destroy',
]
const moves = ['update', 'increment', 'login', 'regenerate']

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
      read: (...args) => current.read(...args),
      write: (...args) => current.write(...args),
      end: (...args) => current.end(...args),
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
    let before = ''
    let saw: string[] = []
    const isolate = isDue ? isolates[0] : pick(isolates)
    const handler = isolate.handler(async (request) => {
      session = await isolate.get(request)
      from = session.status === 'active' ? session.id : ''
      before = session.rotationId
      saw = KEYS.filter((key) => session?.flash(key))
      for (const kind of kinds) actions[kind]?.(session, key)
      return new Response('ok')
    })
    await jar.fetch(handler, '/')
    const header = jar.header('/')
    if (header) seen.add(header)
    const { id: to, rotationId: after, status } = session as unknown as Session
    for (const kind of kinds) done.push({ kind, key, saw, from, to, before, after, status })
  }
  await request(['update', 'increment', 'set'], 'first')
  if (isDue) clock.advance(10_000)
  const count = 3 + Math.floor(random() * 4)
  const plan = Array.from({ length: count }, () => {
    const kind = pick(kinds)
    return kind === 'destroy' || random() < 0.7 ? [kind] : [kind, pick(moves)]
  })
  await schedule.run(plan.map((kinds, i) => () => request(kinds, KEYS[i] as string)))
  return { jar, seen, done, memory }
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
  const ended = new Set(
    done
      .filter(({ kind, status }) => kind === 'destroy' && status === 'destroyed')
      .map((d) => d.from),
  )
  const replaced = new Set(
    kept.filter((d) => d.from === d.to && d.before !== d.after).map(({ before }) => before),
  )
  for (const header of seen) {
    const { id, rotationId, status } = await sessions.open(header)
    if (status === 'active' && ended.has(id)) found.push('a session that ended is back')
    if (status === 'active' && replaced.has(rotationId)) found.push('a former credential is back')
  }
  // A cookie that came late is put right by the next request, whatever that does.
  let shown: readonly string[] = []
  await jar.fetch(
    sessions.handler(async (request) => {
      const session = await sessions.get(request)
      shown = KEYS.filter((key) => session.flash(key))
      return new Response('ok')
    }),
    '/',
  )
  const last = await sessions.open(jar.header('/'))
  if (!['active', 'new'].includes(last.status))
    found.push(`the jar holds a cookie that is ${last.status}`)
  // Two that found no session may each have started one; nothing else is left over.
  const reachable = new Set([last.id, ...kept.filter(({ from }) => !from).map(({ to }) => to)])
  // Nor is one that was started by a sign-in.
  const anew = kept.filter(({ from, to }) => from !== to).map(({ to }) => to)
  const isLeft = (id: string): boolean => !reachable.has(id) && !anew.includes(id)
  for (let cursor: string | null = null; ; ) {
    const page = await memory.page(cursor)
    if (page.records.some(({ id }) => isLeft(id))) found.push('a record is left over')
    cursor = page.cursor
    if (cursor === null) break
  }
  if (last.status !== 'active') return found
  const mine = kept.filter(({ to }) => to === last.id)
  // Signing in over the session of somebody else starts with empty data.
  if (mine.some(({ kind, from, to }) => kind === 'login' && from !== to)) return found
  for (const [name, kind] of [
    ['n', 'update'],
    ['m', 'increment'],
  ] as const) {
    const count = mine.filter((one) => one.kind === kind).length
    if (last.get(name) !== (count || undefined)) {
      found.push(`${count} of ${kind} were kept, ${last.get(name)} are there`)
    }
  }
  const isUnset = mine.some(({ kind }) => kind === 'unset')
  for (const { kind, key } of mine) {
    if (kind === 'set' && last.has(key) === (key === 'first' && isUnset)) {
      found.push(`${key} is ${last.has(key) ? 'back' : 'lost'}`)
    }
    const isShown = done.some(({ saw }) => saw.includes(key)) || shown.includes(key)
    if (kind === 'flash' && !isShown) {
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
      // A pause waits for no server here; a deadline is none.
      const real = globalThis.setTimeout
      globalThis.setTimeout = ((fn: () => void, ms = 0) =>
        real(fn, ms < 1000 ? 0 : ms)) as typeof setTimeout
      try {
        for (let seed = 1; seed <= runs && failures.length < 5; seed++) {
          for (const problem of await problems(seed, isolates)) {
            failures.push(`seed ${seed}: ${problem}`)
          }
        }
      } finally {
        globalThis.setTimeout = real
      }
      expect(failures).toEqual([])
    },
    300_000,
  )
})
