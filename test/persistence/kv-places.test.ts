import { describe, expect, it } from 'vitest'
import { createKVStore } from '../../src/stores/kv.ts'
import { createClock, createFaultyStore } from '../../src/testing/index.ts'
import { KVDouble } from '../support/kv-double.ts'
import { createWorld } from '../support/sessions.ts'

/** Two isolates at two places of KV, which see each other's writes after a minute. */
function createPlaces() {
  const clock = createClock()
  const kv = new KVDouble({ now: clock, lagMs: 60_000 })
  const at = (place: string) =>
    createFaultyStore(createKVStore({ namespace: kv.at(place), now: clock }))
  const [one, other] = [at('one'), at('other')]
  const here = createWorld({ store: one }, clock)
  const elsewhere = createWorld({ store: other }, clock)
  return { clock, here, elsewhere, store: one }
}

describe('a rotation of unknown outcome on KV', () => {
  it('makes no older state of another place the session: it only lags', async () => {
    const { clock, here, elsewhere, store } = createPlaces()
    await here.visit((session) => session.set('n', 1))
    clock.advance(61)
    await here.visit((session) => session.set('n', 2))
    store.down({ type: 'throw-before' }, 'write')
    const { response } = await here.visit((session) => session.login('ada'))
    expect(response.status).toBe(503)
    store.up()
    clock.advance(1)
    const { status } = await elsewhere.sessions.open(here.jar.header())
    expect(status).toBe('degraded')
    clock.advance(61)
    const session = await elsewhere.sessions.open(here.jar.header())
    expect([session.status, session.get('n')]).toEqual(['active', 2])
  })

  it('signs nobody out at a place that has not seen the session yet', async () => {
    const { clock, here, elsewhere, store } = createPlaces()
    await here.visit((session) => session.set('n', 1))
    clock.advance(2)
    store.down({ type: 'throw-before' }, 'write')
    await here.visit((session) => session.regenerate())
    store.up()
    expect((await elsewhere.sessions.open(here.jar.header())).status).toBe('degraded')
    expect((await here.sessions.open(here.jar.header())).get('n')).toBe(1)
  })
})
