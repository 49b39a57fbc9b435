/** The table of docs/understand/failures.md: every row is brought about, and compared with what it says. */
import { expect, it } from 'vitest'
import { StoreError } from '../../src/errors.ts'
import type { Session } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { read } from '../support/documents.ts'
import { createWorld, OTHER_SECRET } from '../support/sessions.ts'

const [, , ...rows] = read('docs/understand/failures.md')
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) => line.slice(2, -2).split(' | '))

type World = ReturnType<typeof createWorld>
const signIn = (session: Session): void => session.login('ann')

function createBroken(options: Parameters<typeof createWorld>[0] = {}) {
  const memory = createMemoryStore()
  const store = createFaultyStore(memory)
  const around = resilient(store, { attempts: 1, breaker: false })
  return { store, memory, ...createWorld({ store: around, now: Date.now, ...options }) }
}
function createStored(): World {
  const clock = createClock()
  return createWorld({ store: createMemoryStore({ now: clock }) }, clock)
}
const withCopy = { snapshot: { maxAge: 0, staleIfError: 300 } }
/** What a later visit of somebody who signed in finds. */
const later = async ({ visit }: Pick<World, 'visit'>): Promise<string> =>
  (await visit()).session.status
const forge = ({ jar }: World, value: string): void =>
  jar.store(
    new Response('', { headers: { 'set-cookie': `__Host-session=${value}; Path=/; Secure` } }),
  )

/** By the beginning of a row: brings it about; returns the status, or the class of the error. */
const scenarios: Record<string, () => Promise<[outcome: string, world: World]>> = {
  'the store is slow': async () => {
    const world = createBroken()
    await world.visit(signIn)
    world.store.down()
    return [await later(world), world]
  },
  'the same, page writes': async () => {
    const world = createBroken(withCopy)
    await world.visit(signIn)
    world.store.down()
    expect((await world.visit((session) => session.set('a', 1))).response.status).toBe(200)
    return ['StoreUnavailableError', world]
  },
  'the same, signing': async () => {
    const world = createBroken(withCopy)
    await world.visit(signIn)
    world.store.down()
    const { response } = await world.visit((session) => session.destroy())
    expect([response.status, response.headers.has('retry-after')]).toEqual([503, true])
    return ['StoreUnavailableError', world]
  },
  'the store refuses': async () => {
    const world = createBroken()
    await world.visit(signIn)
    world.store.down({ type: 'throw-before', error: new StoreError('full', { reason: 'full' }) })
    const error = await world.visit((session) => session.set('a', 1)).catch((caught) => caught)
    return [error.name, world]
  },
  'the store lost': async () => {
    const world = createBroken(withCopy)
    await world.visit(signIn)
    const id = world.store.calls.find(({ operation }) => operation === 'write')?.id ?? ''
    const before = await world.memory.read(id)
    await world.visit((session) => session.set('a', 1))
    const { version } = (await world.memory.read(id)) ?? {}
    await world.memory.write(id, before as never, version ?? null)
    return [await later(world), world]
  },
  'the store was emptied': async () => {
    const world = createBroken()
    await world.visit(signIn)
    const id = world.store.calls.find(({ operation }) => operation === 'write')?.id ?? ''
    await world.memory.end(id, { markFor: 0 })
    return [await later(world), world]
  },
  'a record does not open': async () => {
    const world = createBroken()
    await world.visit(signIn)
    const id = world.store.calls.find(({ operation }) => operation === 'write')?.id ?? ''
    const record = await world.memory.read(id)
    const value = record?.value.replace(/.(?=.{3}$)/, (last) => (last === 'A' ? 'B' : 'A'))
    const broken = { ...record, value, version: 'other' }
    await world.memory.write(id, broken as never, record?.version ?? null)
    return [await later(world), world]
  },
  'the secret was replaced': async () => {
    const world = createWorld()
    await world.visit(signIn)
    const next = { ...createWorld({ secret: OTHER_SECRET }, world.clock), jar: world.jar }
    const session = await next.sessions.open(world.jar.header())
    return [session.status, next]
  },
  'the cookie is forged': async () => {
    const world = createWorld()
    forge(world, 'A'.repeat(120))
    return [await later(world), world]
  },
  'the session was idle': async () => {
    const world = createWorld()
    await world.visit(signIn)
    world.clock.advance(86_401)
    return [await later(world), world]
  },
  'a cookie comes back': async () => {
    const world = createStored()
    await world.visit(signIn)
    const former = world.jar.header()
    await world.visit((session) => session.regenerate())
    world.clock.advance(31)
    return [(await world.sessions.open(former)).status, world]
  },
  'a request overlaps': async () => {
    const world = createStored()
    await world.visit((session) => session.set('cart', []))
    const former = world.jar.header()
    await world.visit(signIn)
    const session = await world.sessions.open(former)
    session.set('a', 1)
    await world.sessions.save(session)
    return [session.status, world]
  },
  'the session does not fit': async () => {
    const world = createWorld()
    const error = await world
      .visit((session) => session.set('a', 'x'.repeat(6000)))
      .catch((caught) => caught)
    return [error.name, world]
  },
  'a handler throws': async () => {
    const world = createWorld()
    const use = (session: Session): never => {
      session.set('a', 1)
      throw new Error('of the handler')
    }
    await world.visit(use).catch(() => {})
    expect(world.jar.header()).toBe(null)
    return ['', world]
  },
}

it('docs/understand/failures.md has a scenario for each row', () => {
  const missing = rows.filter(
    ([failure = '']) => !Object.keys(scenarios).some((start) => failure.startsWith(start)),
  )
  expect([missing, rows.length]).toEqual([[], Object.keys(scenarios).length])
})

it.each(Object.entries(scenarios))('%s …: what the row says', async (start, bring) => {
  const [, , code = '', log = ''] = rows.find(([failure]) => failure?.startsWith(start)) ?? []
  const [outcome, { types }] = await bring()
  const told = [...new Set(types())]
  expect(code).toContain(outcome)
  // Of two that are joined by "or" one; a health check of its own tells the rest.
  const named = [...log.matchAll(/`([a-z]+\.[a-z-]+)`/g)].map(([, type = '']) => type)
  const expected = named.filter((type) => type !== 'store.emptied')
  const found = expected.filter((type) => told.includes(type))
  expect({ start, found: found.length, told }).toEqual({
    start,
    found: log.includes(' or ') ? 1 : expected.length,
    told,
  })
})
