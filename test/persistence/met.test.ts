import { describe, expect, it } from 'vitest'
import type { Session, SessionsOptions } from '../../src/index.ts'
import { createKVStore } from '../../src/stores/kv.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock } from '../../src/testing/index.ts'
import { KVDouble } from '../support/kv-double.ts'
import { asRemote, createWorld, errorOf } from '../support/sessions.ts'

/** A user, and two isolates over one store. */
async function createTwo(options: Partial<SessionsOptions> = {}) {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  const store = asRemote(memory)
  const here = createWorld({ store, ...options }, clock)
  const { sessions: elsewhere } = createWorld({ store, ...options }, clock)
  const { session } = await here.visit((one) => one.login('ada'))
  const header = here.jar.header()
  /** What a request of the other isolate does. */
  const meanwhile = async (use: (session: Session) => void): Promise<void> => {
    const other = await elsewhere.open(header)
    use(other)
    await elsewhere.save(other)
  }
  const look = () => here.sessions.open(header)
  return { ...here, clock, header, id: session.id, look, meanwhile, memory }
}

describe('a commit that meets what another isolate wrote', () => {
  it.each([
    ['an end', (one: Session) => one.destroy(), 'missing'],
    ['a rotation', (one: Session) => one.regenerate(), 'superseded'],
  ])('makes %s known here, past the snapshot', async (_, use, status) => {
    const { look, meanwhile, sessions } = await createTwo({ snapshot: { maxAge: 60 } })
    const session = await look()
    await meanwhile(use)
    expect((await look()).status).toBe('active')
    session.set('a', 1)
    await sessions.save(session)
    expect((await look()).status).toBe(status)
  })

  it('changes nothing in data of a newer version', async () => {
    const { clock, header, look, memory, sessions } = await createTwo()
    const migrate = (data: unknown) => ({ ...(data as object), migrated: true })
    const newer = createWorld({ store: memory, version: 2, migrate }, clock).sessions
    const late = await look()
    const other = await newer.open(header)
    other.set('a', 1)
    await newer.save(other)
    late.set('b', 1)
    late.update('c', () => 1)
    expect((await errorOf(() => sessions.save(late))).code).toBe('ERR_SESSION_READ_ONLY')
    expect((await newer.open(header)).data).toEqual({ a: 1, migrated: true })
  })

  it('appends no entry for a renewal', async () => {
    const { clock, id, look, meanwhile, memory, sessions } = await createTwo()
    clock.advance(20_000)
    const late = await look()
    await meanwhile((one) => one.set('a', 1))
    await sessions.save(late)
    const record = await memory.read(id)
    expect(record?.entries ?? []).toEqual([])
    expect((await look()).get('a')).toBe(1)
  })
})

describe('a flash value that a request has shown while another one replaced it', () => {
  it('goes, and the new one waits for its page', async () => {
    const { look, meanwhile, sessions } = await createTwo()
    await meanwhile((one) => one.flash('notice', 'saved'))
    const late = await look()
    expect(late.flash('notice')).toBe('saved')
    await meanwhile((one) => one.flash('notice', 'saved again'))
    late.set('n', 1)
    await sessions.save(late)
    const next = await look()
    expect([next.get('n'), next.flash('notice')]).toEqual([1, 'saved again'])
  })
})

describe('a key that is removed while another isolate writes', () => {
  it.each([
    ['data', (one: Session) => one.unset('cart')],
    ['data that are set to undefined', (one: Session) => one.set('cart', undefined)],
  ])('is gone: %s', async (_, remove) => {
    const { look, meanwhile, memory, id, sessions } = await createTwo()
    await meanwhile((one) => one.set('cart', ['book']))
    const late = await look()
    await meanwhile((one) => one.set('other', 1))
    remove(late)
    await sessions.save(late)
    expect((await memory.read(id))?.entries).toHaveLength(1)
    expect((await look()).data).toEqual({ other: 1 })
  })
})

describe('a commit that meets an older record where the store may lag for two minutes', () => {
  it.each([
    [119, []],
    [120, [{ lost: 1 }]],
  ])(
    'of a request of %s seconds goes on from what it read, and tells %j',
    async (seconds, told) => {
      const clock = createClock()
      let memory = createMemoryStore({ now: clock })
      const store: SessionStore = {
        name: 'lagging',
        atomic: false,
        read: (...call) => memory.read(...call),
        write: (...call) => memory.write(...call),
        end: (...call) => memory.end(...call),
      }
      const { events, jar, sessions, visit } = createWorld({ store }, clock)
      const { session } = await visit((one) => one.login('ada'))
      const before = (await memory.read(session.id))!
      await visit((one) => one.set('n', 1))
      const late = await sessions.open(jar.header())
      memory = createMemoryStore({ now: clock })
      await memory.write(session.id, before, null)
      clock.advance(seconds)
      late.update('m', () => 2)
      await sessions.save(late)
      expect((await sessions.open(jar.header())).data).toEqual({ n: 1, m: 2 })
      expect(events.filter(({ type }) => type === 'store.rolled-back')).toMatchObject(told)
    },
  )
})

describe('updates of overlapping requests at one place of KV', () => {
  it('are all made, and no store is said to have gone back', async () => {
    const clock = createClock()
    const store = createKVStore({ namespace: new KVDouble({ now: clock }).at('here'), now: clock })
    const { jar, sessions, types, visit } = createWorld({ store }, clock)
    await visit((session) => session.set('n', 1))
    clock.advance(2)
    const header = jar.header()
    const both = [await sessions.open(header), await sessions.open(header)]
    for (const [i, session] of both.entries()) {
      session.update(`key ${i}`, () => i)
      clock.advance(2)
      await sessions.save(session)
    }
    expect((await sessions.open(header)).data).toEqual({ n: 1, 'key 0': 0, 'key 1': 1 })
    expect(types()).not.toContain('store.rolled-back')
  })
})
