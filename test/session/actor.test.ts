import { describe, expect, it } from 'vitest'
import { createPlace, places } from '../support/places.ts'
import { errorOf } from '../support/sessions.ts'

describe.each(places)('login() with an actor %s', (_place, options) => {
  const start = async () => {
    const world = createPlace(options, { cache: false })
    await world.visit((session) => {
      session.login('support-7')
      session.set('note', 'mine')
      session.elevate('passkey')
    })
    const own = (await world.visit()).session
    await world.visit((session) => session.login('ann', { actor: 'support-7' }))
    return { ...world, own }
  }

  it('says in every later request who acts, and for whom', async () => {
    const { clock, visit } = await start()
    await visit((s) => s.set('a', 1))
    clock.advance(80_000)
    await visit()
    const { session } = await visit((s) => s.elevate('totp'))
    expect([session.subject, session.actor]).toEqual(['ann', 'support-7'])
    const later = (await visit()).session
    expect([later.subject, later.actor, later.get('a')]).toEqual(['ann', 'support-7', 1])
    expect(Object.keys(later.factors)).toEqual(['totp'])
  })

  it('starts another session, with nothing of the one before', async () => {
    const { own, visit } = await start()
    const { session } = await visit()
    expect([own.actor, session.id === own.id]).toEqual([null, false])
    expect([session.data, session.factors]).toEqual([{}, {}])
  })

  it('is over with a login as oneself', async () => {
    const { visit } = await start()
    const acting = (await visit()).session
    await visit((s) => s.login('support-7'))
    const { session } = await visit()
    expect([session.subject, session.actor]).toEqual(['support-7', null])
    expect(session.id).not.toBe(acting.id)
  })

  it('is over with destroy', async () => {
    const { visit } = await start()
    const { session } = await visit((s) => s.destroy())
    expect([session.subject, session.actor]).toEqual([null, null])
    const { status } = (await visit()).session
    expect(status).toBe('new')
  })

  it('starts over where the user is the same and the actor is another one, or none', async () => {
    const { visit } = await start()
    const ids = new Set([(await visit()).session.id])
    for (const actor of ['support-8', undefined, 'support-7']) {
      await visit((s) => s.set('a', 1))
      await visit((s) => s.elevate('totp'))
      await visit((s) => s.login('ann', { actor }))
      const { session } = await visit()
      expect([session.subject, session.actor]).toEqual(['ann', actor ?? null])
      expect([session.data, session.factors]).toEqual([{}, {}])
      ids.add(session.id)
    }
    expect(ids.size).toBe(4)
    // The same hands again: the session goes on.
    await visit((s) => s.set('a', 2))
    await visit((s) => s.login('ann', { actor: 'support-7' }))
    const { session } = await visit()
    expect([ids.has(session.id), session.get('a')]).toEqual([true, 2])
  })

  it('keeps the data of an anonymous visitor, as every sign-in does', async () => {
    const { visit } = createPlace(options)
    await visit((s) => s.set('cart', 1))
    await visit((s) => s.login('ann', { actor: 'support-7' }))
    const { session } = await visit()
    expect([session.actor, session.get('cart')]).toEqual(['support-7', 1])
  })

  it.each(['', 7, null, {}, 'x'.repeat(1025), '\ud800'])('refuses the actor %j', async (actor) => {
    const { visit } = createPlace(options)
    let error: unknown
    const { session } = await visit(async (s) => {
      error = await errorOf(() => s.login('ann', { actor: actor as string }))
    })
    expect(error).toBeInstanceOf(TypeError)
    expect(String(error)).toContain('actor')
    expect(session.subject).toBe(null)
  })
})

describe('an actor in a store', () => {
  it('is shown by list(), with the factors', async () => {
    const { clock, sessions, visit } = createPlace({})
    await visit((s) => {
      s.login('ann', { actor: 'support-7', label: 'Desk 4' })
      s.elevate('passkey')
    })
    const [info, ...others] = await sessions.list('ann')
    expect(others).toEqual([])
    expect(info).toMatchObject({ actor: 'support-7', factors: { passkey: clock() } })
    expect(await sessions.list('support-7')).toEqual([])
  })

  it('ends the session of an overlapping sign-in without one, and does not share it', async () => {
    const { jar, sessions, visit } = createPlace({})
    await visit((s) => s.set('cart', 1))
    const header = jar.header('/')
    const [ann, support] = await Promise.all([sessions.open(header), sessions.open(header)])
    ann.login('ann')
    support.login('ann', { actor: 'support-7' })
    const cookies: string[][] = []
    for (const session of [ann, support]) cookies.push(await sessions.save(session))
    const opened = await Promise.all(
      cookies.map((values) => sessions.open(values.map((one) => one.split(';', 1)[0]).join('; '))),
    )
    // One browser, one session: the later sign-in ends the other one, as it does where they do not overlap.
    expect(opened.map(({ actor, subject }) => [subject, actor])).toEqual([
      [null, null],
      ['ann', 'support-7'],
    ])
    expect((await sessions.list('ann')).map(({ actor }) => actor)).toEqual(['support-7'])
  })
})
