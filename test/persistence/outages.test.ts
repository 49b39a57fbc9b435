import { describe, expect, it } from 'vitest'
import { StoreUnavailableError } from '../../src/errors.ts'
import {
  createSessions,
  type Session,
  type SessionEvent,
  type SessionsOptions,
} from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock, createCookieJar } from '../../src/testing/index.ts'
import { createRandom } from '../support/schedule.ts'
import { SECRET } from '../support/sessions.ts'

/* One browser, three isolates, requests that overlap, responses that get lost, a store that comes
   and goes, and somebody who keeps every cookie and sends old ones again. */

const RUNS = navigator.userAgent.startsWith('Node') ? 400 : 40
const STEPS = 60
const NAME = '__Host-session='

type Mode = 'up' | 'down' | 'no writes' | 'answers lost' | 'flaky'
const MODES: readonly Mode[] = ['up', 'up', 'down', 'no writes', 'answers lost', 'flaky']
const SNAPSHOT = { maxAge: 10, staleIfError: 3600 }
const SETTINGS: readonly Partial<SessionsOptions>[] = [
  { snapshot: SNAPSHOT },
  { snapshot: { ...SNAPSHOT, maxAge: 1 } },
  { snapshot: false },
  { snapshot: SNAPSHOT, seal: 'cookie' },
]

interface Visit {
  readonly name: string
  readonly session: Session
  readonly isolate: ReturnType<typeof createSessions>
  readonly kind: string
}

/** What went wrong in one run, in words; `[]` when nothing did. */
async function problems(seed: number): Promise<string[]> {
  const random = createRandom(seed)
  const chance = (part: number): boolean => random() < part
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  let mode: Mode = 'up'

  const through = async <T>(isWrite: boolean, call: () => Promise<T>): Promise<T> => {
    const refused = mode === 'down' || (mode === 'no writes' && isWrite)
    if (refused || (mode === 'flaky' && chance(0.4))) throw new StoreUnavailableError('Down')
    const result = await call()
    const isLost = (mode === 'answers lost' && isWrite) || (mode === 'flaky' && chance(0.3))
    if (isLost) throw new StoreUnavailableError('Answer lost')
    return result
  }
  const store: SessionStore = {
    ...memory,
    read: (...args) => through(false, () => memory.read(...args)),
    write: (...args) => through(true, () => memory.write(...args)),
    end: (...args) => through(true, () => memory.end(...args)),
  }
  const settings = SETTINGS[seed % SETTINGS.length]!
  let dropped = 0
  const onEvent = (event: SessionEvent): void => {
    if (event.type === 'commit.dropped') dropped += event.changes
  }
  const common = {
    secret: SECRET,
    now: clock,
    idleTimeout: 1e6,
    renewAfter: 60,
    onEvent,
    ...settings,
  }
  const isolates = [1, 2, 3].map(() => createSessions({ ...common, store }))
  // Sees what the store has, and nothing of what a browser carries.
  const observer = createSessions({ ...common, store: memory, snapshot: false })

  const found: string[] = []
  const jar = createCookieJar({ now: clock })
  const kept = new Set<string>()
  const take = (setCookie: readonly string[]): void => {
    const headers = setCookie.map((one): [string, string] => ['set-cookie', one])
    jar.store(new Response('', { headers }))
    for (const one of jar.header()?.split('; ') ?? []) kept.add(one)
  }
  const ownCookies = (): string[] => [...kept].filter((one) => one.startsWith(NAME))
  const ofAttacker = (): string => {
    const deferred = [...kept].filter((one) => !one.startsWith(NAME) && chance(0.3))
    return [pick(ownCookies()), ...deferred].join('; ')
  }

  /** Values of `coupon` that something was written over: none may come back. */
  const spent = new Set<unknown>()
  let coupon: unknown
  const look = async (): Promise<Session> => {
    const header = jar
      .header()
      ?.split('; ')
      .find((one) => one.startsWith(NAME)) as string
    const session = await observer.open(header)
    const now = session.get('coupon')
    if (now !== coupon && spent.has(now)) found.push(`the spent ${now} is back`)
    if (now !== coupon && coupon !== undefined) spent.add(coupon)
    coupon = now
    return session
  }

  const actions: Record<string, (session: Session, name: string) => void> = {
    add: (session) => session.increment('n'),
    append: (session, name) => session.append('list', name),
    set: (session, name) => session.set(name, true),
    spend: (session, name) => session.set('coupon', chance(0.4) ? undefined : name),
    flash: (session, name) => session.flash('note', name),
    read: () => {},
  }
  const sure = { add: 0, append: [] as string[], set: [] as string[] }
  const perhaps = { add: 0 }
  const count = ({ kind, name }: Visit, isSure: boolean): void => {
    if (kind === 'add') (isSure ? sure : perhaps).add++
    else if (isSure && (kind === 'append' || kind === 'set')) sure[kind].push(name)
  }

  let names = 0
  const begin = async (kind: string, header: string | null): Promise<Visit> => {
    const isolate = pick(isolates)
    const session = await isolate.open(header)
    const isKnown = session.subject === 'ann'
    const isDown = session.status === 'degraded' && mode !== 'up'
    const isBlind = isDown && !settings.snapshot
    if (kind !== 'attack' && !isKnown && !isBlind) found.push(`${session.status} while ${mode}`)
    const visit = {
      name: `v${++names}`,
      session,
      isolate,
      kind: isKnown || kind === 'attack' ? kind : 'read',
    }
    actions[visit.kind]?.(session, visit.name)
    return visit
  }
  const end = async (visit: Visit): Promise<void> => {
    const setCookie = await visit.isolate.save(visit.session).catch((error) => {
      if (error instanceof StoreUnavailableError) return null
      throw error
    })
    if (visit.kind === 'attack') return
    // A response that gets lost promises nothing.
    const arrives = setCookie !== null && !chance(0.06)
    count(visit, arrives)
    if (arrives) take(setCookie)
  }

  const first = await isolates[0]!.open(null)
  first.login('ann')
  first.set('n', 0)
  first.set('list', [])
  take(await isolates[0]!.save(first))
  const open: Visit[] = []
  const next = (): Visit => open.splice(Math.floor(random() * open.length), 1)[0]!
  for (let step = 0; step < STEPS; step++) {
    const dice = random()
    if (dice < 0.1) mode = pick(MODES)
    else if (dice < 0.5 && open.length < 8) {
      const isAttack = chance(0.15)
      const kind = isAttack ? 'attack' : pick(Object.keys(actions))
      open.push(await begin(kind, isAttack ? ofAttacker() : jar.header()))
    } else if (dice < 0.6) await Promise.all(open.splice(0).map(end))
    else if (dice < 0.8 && open.length > 1) await Promise.all([end(next()), end(next())])
    else if (open.length) await end(next())
    await look()
    if (chance(0.3)) clock.advance(random() * 4)
    if (chance(0.03)) {
      // No request is under way for so long.
      while (open.length) await end(next())
      clock.advance(45)
    }
  }
  mode = 'up'
  while (open.length) await end(next())
  for (let i = 0; i < 4; i++) await end(await begin('read', jar.header()))

  const last = await look()
  const n = last.get('n')
  const list: string[] = last.get('list') ?? []
  if (n > sure.add + perhaps.add) found.push(`${n} of ${sure.add} are counted`)
  if (new Set(list).size !== list.length) found.push('something is in the list twice')
  // Whatever is not there was told of.
  const missing = [
    ...sure.append.filter((name) => !list.includes(name)),
    ...sure.set.filter((name) => !last.has(name)),
  ]
  const lost = Math.max(0, sure.add - n) + missing.length
  if (lost > dropped) found.push(`${lost} lost (${missing}), ${dropped} told as dropped`)
  return found
}

describe('a store that comes and goes', () => {
  it(`loses nothing without an event, doubles nothing, brings nothing back and signs nobody out in ${RUNS} runs`, async () => {
    const failures: string[] = []
    for (let seed = 1; seed <= RUNS && failures.length < 5; seed++) {
      const found = await problems(seed)
      if (found.length) failures.push(`seed ${seed}: ${found.slice(0, 3).join(', ')}`)
    }
    expect(failures).toEqual([])
  }, 300_000)
})
