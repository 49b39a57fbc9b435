import { describe, expect, it } from 'vitest'
import { createSessions } from '../src/index.ts'
import { createSealer } from '../src/seal.ts'
import { createClock } from '../src/testing/index.ts'
import { errorOf, OTHER_SECRET, SECRET } from './support/sessions.ts'

const purpose = 'magic-link'

describe('createSealer()', () => {
  it('opens what it sealed, for the same purpose, while it lasts', async () => {
    const now = createClock()
    const sealer = createSealer({ secret: SECRET, now })
    const value = { email: 'ann@example.org', next: ['/a', null, 1.5, true] }
    const token = await sealer.seal(value, { purpose, ttl: 900 })
    expect(/^[\w-]+$/.test(token)).toBe(true)
    expect(await sealer.open(token, { purpose })).toEqual(value)
    expect(Object.isFrozen(await sealer.open(token, { purpose }))).toBe(true)
    expect(await sealer.open(token, { purpose: 'invitation' })).toBe(null)
    now.advance(899)
    expect(await sealer.open(token, { purpose })).toEqual(value)
    now.advance(1)
    expect(await sealer.open(token, { purpose })).toBe(null)
  })

  it('opens what an older secret sealed, and nothing of others', async () => {
    const token = await createSealer({ secret: SECRET }).seal('x', { purpose, ttl: 60 })
    const rotated = createSealer({ secret: [OTHER_SECRET, SECRET] })
    expect(await rotated.open(token, { purpose })).toBe('x')
    expect(await createSealer({ secret: OTHER_SECRET }).open(token, { purpose })).toBe(null)
  })

  it('opens no cookie, and no session opens what it sealed', async () => {
    const sessions = createSessions({ secret: SECRET })
    const session = await sessions.open(null)
    session.set('a', 1)
    const [setCookie = ''] = await sessions.save(session)
    const cookie = /=([\w-]+)/.exec(setCookie)?.[1] ?? ''
    const sealer = createSealer({ secret: SECRET })
    expect(await sealer.open(cookie, { purpose: 'cookie:__Host-session' })).toBe(null)
    const token = await sealer.seal({ a: 1 }, { purpose, ttl: 60 })
    expect((await sessions.open(`__Host-session=${token}`)).status).toBe('invalid')
  })

  it('returns null for whatever else it is given', async () => {
    const sealer = createSealer({ secret: SECRET })
    const token = await sealer.seal('x', { purpose, ttl: 60 })
    const others = ['', 'x', `${token}A`, token.slice(1), token.slice(0, -1), 'é', 'A'.repeat(1e6)]
    for (const other of [...others, undefined, null, 1]) {
      expect(await sealer.open(other as string, { purpose })).toBe(null)
    }
  })

  it('opens the longest token that it makes', async () => {
    const sealer = createSealer({ secret: SECRET })
    const empty = await sealer.seal('', { purpose, ttl: 60 })
    const left = (65_536 / 4) * 3 - Math.floor((empty.length / 4) * 3)
    const token = await sealer.seal('x'.repeat(left), { purpose, ttl: 60 })
    expect(token.length).toBe(65_536)
    expect(await sealer.open(token, { purpose })).toHaveLength(left)
    expect(
      (await errorOf(() => sealer.seal('x'.repeat(left + 1), { purpose, ttl: 60 }))).name,
    ).toBe('RangeError')
  })

  it('says what is wrong with what it is told', async () => {
    const sealer = createSealer({ secret: SECRET })
    const wrong: [() => unknown, RegExp][] = [
      [() => createSealer({ secret: 'short' }), /"secret" must be .*, got 5 bytes/],
      [() => createSealer({} as never), /"secret" must be/],
      [() => createSealer({ secret: SECRET, key: 1 } as never), /Unknown option "key"/],
      [() => sealer.seal(1, { purpose: '', ttl: 1 }), /"purpose" must be/],
      [() => sealer.seal(1, { ttl: 1 } as never), /"purpose" must be/],
      [() => sealer.seal(1, { purpose: 7 as never, ttl: 1 }), /"purpose" must be/],
      [() => sealer.seal(1, { purpose: 'x'.repeat(201), ttl: 1 }), /"purpose" must be/],
      [() => sealer.seal(1, undefined as never), /"purpose" must be/],
      [() => sealer.seal(1, { purpose } as never), /"ttl" must be/],
      [() => sealer.seal(1, { purpose, ttl: Number.NaN }), /"ttl" must be .*, got NaN/],
      [() => sealer.open('x', {} as never), /"purpose" must be/],
      [() => sealer.seal({ a: new Date() }, { purpose, ttl: 1 }), /"value.a"/],
      // What would not open again.
      [() => sealer.seal('x'.repeat(50_000), { purpose, ttl: 1 }), /"value" must be under/],
    ]
    for (const [run, words] of wrong) expect((await errorOf(run)).message).toMatch(words)
  })
})
