/** Scenarios in which session libraries for the same runtimes lose data or bring sessions back. */
import { describe, expect, it } from 'vitest'
import type { Session } from '../../src/index.ts'
import { createCountingStore, createWorld, errorOf } from '../support/sessions.ts'

const createBrowser = () => {
  const { store, take } = createCountingStore()
  const world = createWorld({ store, now: Date.now })
  /** A request that stops after loading the session, until `finish`. */
  const slow = (change: (session: Awaited<ReturnType<typeof world.sessions.open>>) => void) => {
    let finish: () => void = () => {}
    let started: () => void = () => {}
    const loaded = new Promise<void>((resolve) => {
      started = resolve
    })
    const gate = new Promise<void>((resolve) => {
      finish = resolve
    })
    const response = world.visit(async (session) => {
      started()
      await gate
      change(session)
    })
    return { loaded, finish, response }
  }
  return { ...world, take, slow }
}

describe('mistakes of other libraries', () => {
  it('an anonymous visitor whose session is only read costs no cookie and no store call', async () => {
    const { visit, take } = createBrowser()
    const { setCookie } = await visit((s) => s.get('user'))
    expect([setCookie, take()]).toEqual([[], []])
  })

  it('a signed-in visitor who changes nothing costs one read and no cookie', async () => {
    const { visit, take } = createBrowser()
    await visit((s) => s.login('ada'))
    take()
    const { setCookie } = await visit((s) => s.get('user'))
    expect([setCookie, take()]).toEqual([[], ['read']])
  })

  it('two overlapping writes are both stored', async () => {
    const { visit, slow } = createBrowser()
    await visit((s) => s.login('ada'))
    const x = slow((s) => s.set('x', 1))
    await x.loaded
    await visit((s) => s.set('y', 1))
    x.finish()
    await x.response
    expect((await visit()).session.data).toEqual({ x: 1, y: 1 })
  })

  it('a sign-out while a write is under way stays a sign-out', async () => {
    const { visit, slow, jar, sessions } = createBrowser()
    await visit((s) => {
      s.login('ada')
      s.set('a', 1)
    })
    const stolen = jar.header()
    const write = slow((s) => s.set('z', 1))
    await write.loaded
    await visit((s) => s.destroy())
    write.finish()
    const { setCookie } = await write.response
    expect(setCookie).toEqual([])
    const replay = await sessions.open(stolen)
    expect([replay.subject, replay.data]).toEqual([null, {}])
    expect((await visit()).session.status).toBe('new')
  })

  it('a sign-in while a write is under way keeps the new cookie', async () => {
    const { visit, slow, jar } = createBrowser()
    await visit((s) => s.set('cart', ['book']))
    const write = slow((s) => s.set('z', 1))
    await write.loaded
    await visit((s) => s.login('ada'))
    const after = jar.header()
    write.finish()
    await write.response
    expect(jar.header()).toBe(after)
    expect((await visit()).session.subject).toBe('ada')
  })

  it('an id that a client made up is never taken over', async () => {
    const { visit, sessions, jar } = createBrowser()
    const session = await sessions.open('__Host-session=attacker-chosen-id')
    session.set('a', 1)
    const [cookie] = await sessions.save(session)
    jar.store(new Response(null, { headers: { 'set-cookie': cookie as string } }))
    expect((cookie as string).includes('attacker-chosen-id')).toBe(false)
    expect((await visit()).session.get('a')).toBe(1)
  })

  it('an id that comes up twice takes nobody over, neither by a new session nor by a sign-in of somebody else', async () => {
    const { sessions } = createBrowser()
    const random = crypto.getRandomValues
    let id = 1
    crypto.getRandomValues = (bytes: unknown) => {
      if (bytes instanceof Uint8Array && bytes.length === 16) return bytes.fill(id) as never
      return random.call(crypto, bytes as never) as never
    }
    const use = async (header: string | null, change: (session: Session) => void) => {
      const session = await sessions.open(header)
      change(session)
      return (await sessions.save(session))[0]!.split(';')[0]!
    }
    try {
      const ann = await use(null, (s) => s.login('ann'))
      id = 2
      const bob = await use(null, (s) => s.login('bob'))
      id = 1
      for (const [header, change] of [
        [null, (s: Session) => s.set('b', 1)],
        [bob, (s: Session) => s.login('carl')],
      ] as const) {
        expect((await errorOf(() => use(header, change))).code).toBe('ERR_SESSION_CONFLICT')
      }
      const session = await sessions.open(ann)
      expect([session.subject, session.data]).toEqual(['ann', {}])
    } finally {
      crypto.getRandomValues = random
    }
  })

  it('a cookie from before the sign-in opens nothing after it', async () => {
    const { visit, sessions, jar } = createBrowser()
    await visit((s) => s.set('a', 1))
    const planted = jar.header()
    await visit((s) => s.login('ada'))
    const session = await sessions.open(planted)
    expect([session.subject, session.data]).toEqual([null, {}])
  })

  it('one visitor never sees the session of the last', async () => {
    const { sessions, visit } = createBrowser()
    await visit((s) => s.set('mine', true))
    expect((await sessions.open(null)).data).toEqual({})
  })
})
