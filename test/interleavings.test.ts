import { describe, expect, it } from 'vitest'
import { createSessions, type Session, type Sessions } from '../src/index.ts'
import { createMemoryStore } from '../src/stores/memory.ts'
import type { SessionStore } from '../src/stores/store.ts'
import { createClock, createCookieJar } from '../src/testing/index.ts'
import { createRandom, createSchedule } from './support/schedule.ts'
import { SECRET } from './support/sessions.ts'

/** All of them on Node; what other runtimes could do differently shows in fewer. */
const RUNS = navigator.userAgent.startsWith('Node') ? 10_000 : 1000

/** What one request did, and what became of it. */
interface Done {
  readonly kind: string
  readonly key: string
  readonly from: string
  readonly to: string
  readonly status: Session['status']
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

const clock = createClock()
let current: SessionStore
const store: SessionStore = {
  name: 'current',
  atomic: true,
  read: (...args) => current.read(...args),
  write: (...args) => current.write(...args),
  delete: (...args) => current.delete(...args),
}
// The keys are derived once, not ten thousand times.
const plain = createSessions({ secret: SECRET, now: clock, store })
const withCopies = createSessions({
  secret: SECRET,
  now: clock,
  store: { ...store, patches: 32 },
  snapshot: { maxAge: 10, staleIfError: 100 },
})

async function simulate(seed: number, sessions: Sessions) {
  const random = createRandom(seed)
  const schedule = createSchedule(random)
  current = schedule.interleave(createMemoryStore({ now: clock }))
  const jar = createCookieJar({ now: clock })
  const seen = new Set<string>()
  const done: Done[] = []
  const request = async (kind: string, key: string): Promise<void> => {
    let session: Session | undefined
    let from = ''
    const handler = sessions.handler(async (request) => {
      session = await sessions.get(request)
      from = session.status === 'active' ? session.id : ''
      actions[kind]?.(session, key)
      return new Response('ok')
    })
    await jar.fetch(handler, '/')
    const header = jar.header('/')
    if (header) seen.add(header)
    const { id: to, status } = session as unknown as Session
    done.push({ kind, key, from, to, status })
  }
  await request('increment', 'first')
  const count = 3 + Math.floor(random() * 4)
  const pick = () => kinds[Math.floor(random() * kinds.length)] as string
  await schedule.run(Array.from({ length: count }, (_, i) => () => request(pick(), `k${i}`)))
  return { jar, seen, done }
}

/** The ids that a session has had, the last first. */
function lineage(id: string, done: readonly Done[]): string[] {
  const move = done.find(
    ({ from, to, status }) => to === id && from && from !== to && status === 'active',
  )
  return move ? [id, ...lineage(move.from, done)] : [id]
}

/** What went wrong in one run, in words; `[]` when nothing did. */
async function problems(seed: number, sessions: Sessions): Promise<string[]> {
  const { jar, seen, done } = await simulate(seed, sessions)
  const found: string[] = []
  const kept = done.filter(({ status }) => status === 'active' || status === 'new')
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
  for (const { kind, key } of mine) {
    if (kind === 'set' && !last.has(key)) found.push(`${key} is lost`)
  }
  return found
}

describe('overlapping requests of one session', () => {
  it.each([
    ['', RUNS, plain],
    [' with snapshots and patches', RUNS / 5, withCopies],
  ] as const)(
    'lose nothing, double nothing and bring nothing back%s in %d random orders',
    async (_, runs, sessions) => {
      const failures: string[] = []
      for (let seed = 1; seed <= runs && failures.length < 5; seed++) {
        for (const problem of await problems(seed, sessions)) {
          failures.push(`seed ${seed}: ${problem}`)
        }
      }
      expect(failures).toEqual([])
    },
    180_000,
  )
})
