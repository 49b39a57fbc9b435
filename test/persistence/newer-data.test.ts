import { describe, expect, it } from 'vitest'
import { createClock } from '../../src/testing/index.ts'
import { createCountingStore, createWorld, errorOf } from '../support/sessions.ts'

describe('a record with data of a newer version, and entries beside it', () => {
  it('is as new as the cookie that was made of both: the older deployment reads it once', async () => {
    const clock = createClock()
    const { memory, store, take } = createCountingStore(clock)
    const options = { store, snapshot: { maxAge: 1 } }
    const older = createWorld(options, clock)
    const newer = createWorld({ ...options, version: 2, migrate: (data) => data }, clock)
    const { session } = await newer.visit((one) => one.login('ada'))
    const header = newer.jar.header()
    const [first, second] = [await newer.sessions.open(header), await newer.sessions.open(header)]
    for (const one of [first, second]) one.set('a', 1)
    await newer.sessions.save(first)
    const setCookie = await newer.sessions.save(second)
    expect((await memory.read(session.id))?.entries).toHaveLength(1)
    newer.jar.store(new Response('', { headers: setCookie.map((one) => ['set-cookie', one]) }))
    clock.advance(2)
    take()
    const found = await older.sessions.open(newer.jar.header())
    expect([found.subject, found.data, take()]).toEqual(['ada', {}, ['read']])
    expect(older.types()).not.toContain('store.rolled-back')
    const required = await errorOf(() => older.sessions.require(newer.jar.request('/')))
    expect(required.code).toBe('ERR_SESSION_READ_ONLY')
  })
})
