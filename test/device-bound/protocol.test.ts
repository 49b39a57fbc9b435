import { describe, expect, it } from 'vitest'
import { encodeBase64url } from '../../src/crypto/base64url.ts'
import { bindKey, countProof } from '../../src/device-bound/operations.ts'
import { sealChallenge } from '../../src/device-bound/tokens.ts'
import { StoreTimeoutError, StoreUnavailableError } from '../../src/errors.ts'
import type { SessionsOptions } from '../../src/index.ts'
import { draftOf } from '../../src/session/instances.ts'
import { cached } from '../../src/stores/cached.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import {
  type Clock,
  createClock,
  createCookieJar,
  createDeviceBrowser,
  createFaultyStore,
} from '../../src/testing/index.ts'
import {
  countCrypto,
  createCountingStore,
  createWorld,
  errorOf,
  SECRET,
} from '../support/sessions.ts'
import { BOUND, challengeIn, createBoundWorld, REFRESH, REGISTER, SESSION } from './world.ts'

const { subtle } = crypto
const KIND = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const json = (value: unknown): string =>
  encodeBase64url(new TextEncoder().encode(JSON.stringify(value)))

/** A key that no browser guards. */
async function createKey() {
  const pair = (await subtle.generateKey(KIND, true, ['sign', 'verify'])) as CryptoKeyPair
  const { crv, kty, x, y } = await subtle.exportKey('jwk', pair.publicKey)
  const jwk = { crv, kty, x, y }
  return async (jti: unknown, head: object = { jwk }): Promise<string> => {
    const signed = `${json({ alg: 'ES256', typ: 'dbsc+jwt', ...head })}.${json({ jti })}`
    const bytes = new TextEncoder().encode(signed)
    const signature = await subtle.sign(KIND, pair.privateKey, bytes)
    return `${signed}.${encodeBase64url(new Uint8Array(signature))}`
  }
}

/** A session that somebody signed in to, with the challenge that its response had. */
async function signIn(world: ReturnType<typeof createBoundWorld>, as = 'ada') {
  const jar = createCookieJar({ now: world.clock })
  const response = await jar.fetch(world.app, `/login?as=${as}`)
  const sign = await createKey()
  const challenge = challengeIn(response, 'registration')!
  const register = (proof: string) =>
    world.post(jar, REGISTER, { 'secure-session-response': proof })
  const { id } = await world.seeWith(jar)
  const refresh = (proof?: string, session = id) =>
    world.post(jar, REFRESH, {
      'sec-secure-session-id': `"${session}"`,
      ...(proof !== undefined && { 'secure-session-response': proof }),
    })
  return { challenge, id, jar, refresh, register, sign }
}

/** Two isolates that remember what they have read of one store. */
function createCachedWorlds(clock: Clock, store = createMemoryStore({ now: clock })) {
  const create = () =>
    createBoundWorld(
      { enforce: 'always' },
      { store: cached(store, { ttl: 600, now: clock }) },
      clock,
    )
  return [create(), create()] as const
}

const statusOf = ({ status, headers }: Response): [number, boolean] => [
  status,
  headers.getSetCookie().some((one) => one.startsWith(BOUND)),
]

describe('a registration', () => {
  it('is good bare and quoted, and refused whatever else is wrong with it', async () => {
    const world = createBoundWorld()
    for (const quote of ['', '"']) {
      const { challenge, register, sign } = await signIn(world)
      const proof = await sign(challenge)
      expect(statusOf(await register(`${quote}${proof}${quote}`))).toEqual([200, true])
    }
    const { challenge, jar, register, sign } = await signIn(world)
    const other = await createKey()
    const stranger = (await other(challenge)).split('.')
    const own = (await sign(challenge)).split('.')
    const wrong: [string, string | null][] = [
      ['no-proof', null],
      ['malformed', 'proof'],
      ['malformed', `"${'a'.repeat(1_000_000)}"`],
      ['malformed', await sign(challenge, { jwk: {}, typ: 'JWT' })],
      ['malformed', await sign({ challenge })],
      ['algorithm', await sign(challenge, { alg: 'none' })],
      ['key', await sign(challenge, {})],
      ['key', await sign(challenge, { jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } })],
      ['signature', [own[0], own[1], stranger[2]].join('.')],
      ['signature', [stranger[0], own[1], own[2]].join('.')],
      ['challenge', await sign('a challenge')],
      ['challenge', await sign('')],
      ['challenge', await sign(jar.get(SESSION))],
    ]
    for (const [reason, proof] of wrong) {
      const answer = proof === null ? await world.post(jar, REGISTER, {}) : await register(proof)
      expect([reason, ...statusOf(answer)]).toEqual([reason, 400, false])
      expect([reason, world.refusals().at(-1)]).toEqual([reason, reason])
    }
    expect(statusOf(await register(own.join('.')))).toEqual([200, true])
  })

  it('where a late response brought a snapshot from before the rotation is put off', async () => {
    const clock = createClock()
    const options = { store: createMemoryStore({ now: clock }), snapshot: { maxAge: 600 } }
    const [one, two] = [
      createBoundWorld(true, options, clock),
      createBoundWorld(true, options, clock),
    ]
    const { challenge: former, jar, sign } = await signIn(one)
    const late = one.steal(jar)
    const challenge = challengeIn(await jar.fetch(one.app, '/login'), 'registration')!
    const register = async (by: typeof jar, proof: string): Promise<Response> =>
      two.post(by, REGISTER, { 'secure-session-response': proof })
    expect(statusOf(await register(late, await sign(challenge)))).toEqual([503, false])
    expect(statusOf(await register(jar, await sign(former)))).toEqual([400, false])
    expect(statusOf(await register(jar, await sign(challenge)))).toEqual([200, true])
  })

  it('of a challenge of another session is refused', async () => {
    const world = createBoundWorld()
    const [ada, bob] = [await signIn(world), await signIn(world, 'bob')]
    expect(statusOf(await ada.register(await ada.sign(bob.challenge)))).toEqual([400, false])
    expect(world.refusals()).toEqual(['challenge'])
    expect((await world.sessions.list('ada'))[0]?.bound).toBe(false)
  })

  it('of a challenge that is too old is refused', async () => {
    const world = createBoundWorld()
    const { challenge, register, sign } = await signIn(world)
    world.clock.advance(299)
    const other = await signIn(world, 'bob')
    expect(statusOf(await other.register(await other.sign(other.challenge)))).toEqual([200, true])
    world.clock.advance(1)
    expect(statusOf(await register(await sign(challenge)))).toEqual([400, false])
    expect(world.refusals()).toEqual(['expired-challenge'])
  })

  it('of a challenge from before a rotation is refused', async () => {
    const world = createBoundWorld()
    const { challenge, jar, register, sign } = await signIn(world)
    await world.seeWith(jar, '/regenerate')
    expect(statusOf(await register(await sign(challenge)))).toEqual([400, false])
    expect(world.refusals()).toEqual(['expired-challenge'])
  })

  it('without a session is refused', async () => {
    const world = createBoundWorld()
    const { challenge, jar, register, sign } = await signIn(world)
    await world.seeWith(jar, '/logout')
    expect(statusOf(await register(await sign(challenge)))).toEqual([400, false])
    expect(world.refusals()).toEqual(['no-session'])
  })

  it('that is sent twice gives nobody a second bound cookie', async () => {
    const world = createBoundWorld()
    const { challenge, register, sign } = await signIn(world)
    const proof = await sign(challenge)
    expect(statusOf(await register(proof))).toEqual([200, true])
    expect(statusOf(await register(proof))).toEqual([400, false])
    expect(world.refusals()).toEqual(['used-challenge'])
  })

  it('of a second key is refused within a generation, one after the other and at once', async () => {
    const world = createBoundWorld()
    const first = await signIn(world)
    const second = await createKey()
    expect(statusOf(await first.register(await first.sign(first.challenge)))).toEqual([200, true])
    expect(statusOf(await first.register(await second(first.challenge)))).toEqual([400, false])
    expect(world.refusals()).toEqual(['second-key'])
    const { challenge, register, sign } = await signIn(world)
    const proofs = await Promise.all([
      sign(challenge),
      second(challenge),
      (await createKey())(challenge),
    ])
    const answers = await Promise.all(proofs.map(register))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400])
    expect(world.refusals().slice(1)).toEqual(['second-key', 'second-key'])
  })

  it('of a new key, after regenerate(), is refused before the former one is proven', async () => {
    const world = createBoundWorld()
    const { challenge, jar, refresh, register, sign } = await signIn(world)
    await register(await sign(challenge))
    const response = await jar.fetch(world.app, '/regenerate')
    const [draft, instance] = draftOf(await world.sessions.get(jar.request('/')))!
    // No response hands it out.
    const early = await sealChallenge(instance, draft.current)
    const other = await createKey()
    expect(statusOf(await register(await other(early)))).toEqual([400, false])
    expect(world.refusals()).toEqual(['former-key'])
    const next = challengeIn(response, 'challenge')!
    expect(statusOf(await refresh(await sign(next, {})))).toEqual([200, true])
    expect(statusOf(await register(await other(early)))).toEqual([200, true])
  })

  it('is put off while the store cannot be read, the controls allow no change, or the data are newer', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    const world = createBoundWorld(true, { store: memory, version: 2 }, clock)
    let readOnly = false
    for (const options of [
      { store: { ...memory, read: () => Promise.reject(new StoreUnavailableError('down')) } },
      { store: memory, version: 2, controls: () => ({ readOnly }) },
      { store: memory, version: 1 },
    ]) {
      const { challenge, jar, register, sign } = await signIn(world)
      const proof = await sign(challenge)
      const other = createBoundWorld(true, options, clock)
      const headers = { 'secure-session-response': proof }
      readOnly = true
      expect(statusOf(await other.post(jar, REGISTER, headers))).toEqual([503, false])
      readOnly = false
      expect([other.refusals(), other.types().includes('device.registered')]).toEqual([[], false])
      expect(statusOf(await register(proof))).toEqual([200, true])
    }
  })

  it('keeps what another request writes meanwhile', async () => {
    const world = createBoundWorld()
    const { challenge, jar, register, sign } = await signIn(world)
    const proof = await sign(challenge)
    const { store } = world
    const { write } = store
    let once = true
    store.write = async (...call) => {
      if (once) {
        once = false
        await world.seeWith(jar, '/write')
      }
      return write.apply(store, call)
    }
    expect(statusOf(await register(proof))).toEqual([200, true])
    const session = await world.sessions.get(jar.request('/'))
    expect([session.get('n'), session.bound]).toEqual([1, true])
  })
})

/** A session that is bound to a key, with the challenge for the next proof. */
async function bind(world: ReturnType<typeof createBoundWorld>, as = 'ada') {
  const own = await signIn(world, as)
  const answer = await own.register(await own.sign(own.challenge))
  const next = challengeIn(answer, 'challenge')!
  /** Makes the proof of a refresh, which has no key. */
  const prove = (challenge: string): Promise<string> => own.sign(challenge, {})
  return { ...own, next, prove }
}

describe('a refresh', () => {
  it('without a proof is answered with a challenge, and with one with a cookie and the next challenge', async () => {
    const world = createBoundWorld()
    const { id, next, prove, refresh } = await bind(world)
    const asked = await refresh()
    expect(statusOf(asked)).toEqual([403, false])
    expect(asked.headers.get('secure-session-challenge')).toMatch(
      new RegExp(`^"[\\w-]+";id="${id}"$`),
    )
    expect(statusOf(await refresh(await prove(next)))).toEqual([200, true])
    expect(world.types()).toContain('device.refreshed')
    expect(world.refusals()).toEqual([])
  })

  it('is one request when the next challenge came with the last answer', async () => {
    const { app, browser, clock, paths } = createBoundWorld()
    await browser.fetch(app, '/login')
    for (let i = 0; i < 3; i++) {
      clock.advance(700)
      await browser.fetch(app, '/')
    }
    expect(paths()).toEqual([`200 ${REGISTER}`, ...Array(3).fill(`200 ${REFRESH}`)])
  })

  it('after a long time is two requests, and no refusal', async () => {
    const { app, browser, clock, paths, refusals } = createBoundWorld()
    await browser.fetch(app, '/login')
    clock.advance(36_000)
    await browser.fetch(app, '/')
    expect(paths().slice(1)).toEqual([`403 ${REFRESH}`, `200 ${REFRESH}`])
    expect(refusals()).toEqual([])
  })

  it('of a challenge that was answered before gives another one, and no cookie', async () => {
    const world = createBoundWorld()
    const { next, prove, refresh } = await bind(world)
    const proof = await prove(next)
    expect(statusOf(await refresh(proof))).toEqual([200, true])
    const again = await refresh(proof)
    expect(statusOf(again)).toEqual([403, false])
    expect(world.refusals()).toEqual(['used-challenge'])
    expect(statusOf(await refresh(await prove(challengeIn(again, 'challenge')!)))).toEqual([
      200,
      true,
    ])
    // Also one before the last.
    expect(statusOf(await refresh(proof))).toEqual([403, false])
  })

  it('makes every other challenge of that proof worthless', async () => {
    const world = createBoundWorld()
    const { next, prove, refresh } = await bind(world)
    const other = challengeIn(await refresh(), 'challenge')!
    expect(other).not.toBe(next)
    expect(statusOf(await refresh(await prove(other)))).toEqual([200, true])
    expect(statusOf(await refresh(await prove(next)))).toEqual([403, false])
  })

  it('that is sent twice at once, to two isolates, is good once', async () => {
    const clock = createClock()
    const store = createMemoryStore({ now: clock })
    const one = createBoundWorld(true, { store }, clock)
    const two = createBoundWorld(true, { store }, clock)
    const { id, jar, next, prove } = await bind(one)
    const proof = await prove(next)
    const headers = { 'sec-secure-session-id': `"${id}"`, 'secure-session-response': proof }
    const requests = [one, two, one, two].map(({ app }) =>
      app(jar.request(REFRESH, { method: 'POST', headers })),
    )
    const answers = await Promise.all(requests)
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 403, 403, 403])
  })

  it('by another key, or of a challenge of another session, is refused', async () => {
    const world = createBoundWorld()
    const [ada, bob] = [await bind(world), await bind(world, 'bob')]
    const stranger = await createKey()
    for (const head of [undefined, {}]) {
      expect(statusOf(await ada.refresh(await stranger(ada.next, head)))).toEqual([400, false])
    }
    expect(statusOf(await ada.refresh(await ada.sign(ada.next, { alg: 'RS256' })))).toEqual([
      400,
      false,
    ])
    expect(world.refusals()).toEqual(['signature', 'signature', 'signature'])
    for (const challenge of [bob.next, ada.challenge, 'none', ada.jar.get(BOUND)!]) {
      expect(statusOf(await ada.refresh(await ada.prove(challenge)))).toEqual([403, false])
    }
    expect(world.refusals().slice(3)).toEqual(Array(4).fill('challenge'))
    for (const proof of ['', 'proof', 'a.b.c', 'a'.repeat(1_000_000)]) {
      const answer = await ada.refresh(proof)
      expect([...statusOf(answer), answer.headers.getSetCookie()]).toEqual([400, false, []])
      expect(world.refusals().at(-1)).toBe('malformed')
    }
    expect(statusOf(await ada.refresh(await ada.prove(ada.next)))).toEqual([200, true])
  })

  it('of one of two sessions with one key proves nothing for the other', async () => {
    const world = createBoundWorld({ enforce: 'always' })
    const [ada, bob] = [await bind(world), await signIn(world, 'bob')]
    expect(statusOf(await bob.register(await ada.sign(bob.challenge)))).toEqual([200, true])
    world.clock.advance(31)
    await ada.refresh(await ada.prove(ada.next))
    await bob.refresh()
    const bound = ada.jar.get(BOUND)
    bob.jar.store(
      new Response(null, { headers: { 'set-cookie': `${BOUND}=${bound}; Path=/; Secure` } }),
    )
    // Past the time in which the first bound cookie is on its way.
    expect(await world.seeWith(ada.jar)).toMatchObject({ subject: 'ada', bound: true })
    expect(await world.seeWith(bob.jar)).toMatchObject({ subject: null, bound: false })
  })

  it('that no browser has sent is refused, and one of another session ends that', async () => {
    const world = createBoundWorld()
    const { id, jar, next, prove, refresh } = await bind(world)
    const proof = await prove(next)
    const bare = await world.post(jar, REFRESH, { 'secure-session-response': proof })
    expect(statusOf(bare)).toEqual([400, false])
    const none = await world.post(jar, REFRESH, { 'sec-secure-session-id': `=,"${id}"` })
    expect(statusOf(none)).toEqual([400, false])
    const unquoted = await world.post(jar, REFRESH, { 'sec-secure-session-id': id })
    expect(statusOf(unquoted)).toEqual([403, false])
    const other = await refresh(proof, 'AAAAAAAAAAAAAAAAAAAAAA')
    expect([...statusOf(other), await other.json()]).toEqual([200, false, { continue: false }])
    expect(statusOf(await refresh(proof))).toEqual([200, true])
  })

  it('whose answer is lost is made up for by the next one', async () => {
    const { app, browser, clock, paths, see } = createBoundWorld({ enforce: 'always' })
    await browser.fetch(app, '/login')
    clock.advance(700)
    const losing = async (request: Request): Promise<Response> => {
      const response = await app(request)
      if (request.url.endsWith(REFRESH)) throw new TypeError('network')
      return response
    }
    const response = await browser.fetch(losing, '/')
    expect(await response.json()).toMatchObject({ status: 'unproven', subject: null })
    expect(await see()).toMatchObject({ subject: 'ada', bound: true })
    expect(paths().slice(1)).toEqual([`403 ${REFRESH}`, `200 ${REFRESH}`])
  })

  it('whose answer is lost is made up for where other isolates see an older snapshot', async () => {
    const clock = createClock()
    const store = createMemoryStore({ now: clock })
    const options = { store, snapshot: { maxAge: 3600 } }
    const create = () => createBoundWorld({ enforce: 'always' }, options, clock)
    const [one, ...others] = [create(), create(), create(), create()] as const
    const browser = createDeviceBrowser({ now: clock })
    await browser.fetch(one.app, '/login')
    clock.advance(700)
    const losing = async (request: Request): Promise<Response> => {
      const response = await one.app(request)
      if (request.url.endsWith(REFRESH)) throw new TypeError('network')
      return response
    }
    await browser.fetch(losing, '/')
    // Each request goes to another one, which knows nothing newer.
    let at = 0
    const response = await browser.fetch((request) => others[at++]!.app(request), '/')
    expect(await response.json()).toMatchObject({ subject: 'ada', bound: true })
    expect(browser.asked.slice(1).map(({ status }) => status)).toEqual([403, 200])
  })

  it.each([
    ['that was registered since', ['/login', '/regenerate', REFRESH], '/'],
    ['of a session that bind() has bound since', ['/unbound'], '/bind'],
  ])(
    'by a key %s is put off where a late response brought an older snapshot',
    async (_, before, then) => {
      const clock = createClock()
      const store = createMemoryStore({ now: clock })
      const options = { store, snapshot: { maxAge: 600 } }
      const [one, two] = [
        createBoundWorld(true, options, clock),
        createBoundWorld(true, options, clock),
      ]
      const browser = createDeviceBrowser({ now: clock })
      for (const path of before) {
        if (path === REFRESH) await browser.refresh(one.app)
        else if (path === '/unbound') await browser.jar.fetch(one.app, '/login')
        else await browser.fetch(one.app, path)
      }
      clock.advance(then === '/bind' ? 120 : 0)
      const late = browser.jar.cookies().find(({ name }) => name === SESSION)!
      await browser.fetch(one.app, then)
      const header = `${SESSION}=${late.value}; Path=/; Secure; HttpOnly; Max-Age=3600`
      browser.jar.store(new Response(null, { headers: { 'set-cookie': header } }))
      await browser.refresh(two.app)
      expect(browser.asked.at(-1)!.status).toBe(503)
      expect(browser.bound.size).toBe(1)
      clock.advance(600)
      await browser.refresh(two.app)
      expect(browser.asked.at(-1)!.status).toBe(200)
      expect(browser.bound.size).toBe(1)
    },
  )

  it('whose proof was written, and not answered yet, keeps its key where another one is registered meanwhile', async () => {
    const world = createBoundWorld()
    const { jar, prove, refresh } = await bind(world)
    const rotated = await jar.fetch(world.app, '/regenerate')
    const proven = await refresh(await prove(challengeIn(rotated, 'challenge')!))
    const asked = await jar.fetch(world.app, '/')
    const other = await createKey()
    const proof = await other(challengeIn(asked, 'registration')!)
    const { store } = world
    const { write } = store
    // The first answer is lost, and the store is asked again after the registration.
    store.write = async (...call) => {
      store.write = write
      await write.apply(store, call)
      const answer = await world.post(jar, REGISTER, { 'secure-session-response': proof })
      expect(statusOf(answer)).toEqual([400, false])
      return write.apply(store, call)
    }
    const late = await refresh(await prove(challengeIn(proven, 'challenge')!))
    expect([statusOf(late), world.refusals()]).toEqual([[200, true], ['former-key']])
    // With the bound cookie of that proof it is taken.
    const answer = await world.post(jar, REGISTER, { 'secure-session-response': proof })
    expect(statusOf(answer)).toEqual([200, true])
    const next = await other(challengeIn(answer, 'challenge')!, {})
    expect(statusOf(await refresh(next))).toEqual([200, true])
  })

  it('after bind() works where another isolate has a copy of the record from before', async () => {
    const clock = createClock()
    const [one, two] = createCachedWorlds(clock)
    const browser = createDeviceBrowser({ now: clock })
    await browser.jar.fetch(one.app, '/login')
    clock.advance(120)
    await browser.jar.fetch(two.app, '/')
    await browser.fetch(one.app, '/bind')
    await browser.refresh(two.app)
    expect(browser.asked.map(({ status }) => status)).toEqual([200, 200])
    expect(browser.bound.size).toBe(1)
  })

  it('whose answer is lost is made up for where another isolate has a copy of the record from before', async () => {
    const clock = createClock()
    const [one, two] = createCachedWorlds(clock)
    const browser = createDeviceBrowser({ now: clock })
    await browser.fetch(one.app, '/login')
    await browser.jar.fetch(two.app, '/')
    await browser
      .refresh(async (request) => {
        await one.app(request)
        throw new TypeError('network')
      })
      .catch(() => {})
    // The answers of one know of the proof, and the copy of two does not.
    const apps = [one, two, two]
    await browser.refresh((request) => apps.shift()!.app(request))
    expect(browser.asked.map(({ status }) => status)).toEqual([200, 403, 200])
    expect(browser.bound.size).toBe(1)
  })

  it('works where a failover has lost the proof before, and the cache of another isolate has it still', async () => {
    const clock = createClock()
    const store = createMemoryStore({ now: clock })
    const [one, two] = createCachedWorlds(clock, store)
    const browser = createDeviceBrowser({ now: clock })
    await browser.fetch(one.app, '/login')
    const [id] = [...browser.bound.keys()] as [string]
    const before = (await store.read(id))!
    await browser
      .refresh(async (request) => {
        await one.app(request)
        throw new TypeError('network')
      })
      .catch(() => {})
    await store.write(id, before, (await store.read(id))!.version)
    // The browser is asked for the number that one has cached, and the record counts one less.
    const apps = [one, two, one]
    await browser.refresh((request) => apps.shift()!.app(request))
    expect(browser.asked.map(({ status }) => status)).toEqual([200, 403, 200])
    expect(browser.bound.size).toBe(1)
    expect(await (await browser.fetch(one.app, '/')).json()).toMatchObject({ bound: true })
  })

  it('of a session that lost the answer to its registration cannot be: a sign-in binds anew', async () => {
    const { app, browser, clock, see } = createBoundWorld({ enforce: 'always' })
    await browser.fetch(async (request) => {
      const response = await app(request)
      return request.url.endsWith(REGISTER) ? new Response(null, { status: 502 }) : response
    }, '/login')
    // Whatever the browser has under way is let through.
    expect(await see()).toMatchObject({ subject: 'ada', bound: true })
    clock.advance(30)
    expect(await see()).toMatchObject({ subject: null, bound: false })
    await see('/login')
    clock.advance(3600)
    expect(await see()).toMatchObject({ subject: 'ada', bound: true })
  })

  it('is put off while the store is down, and keeps the key', async () => {
    const { app, browser, clock, only, paths, see, store } = createBoundWorld({
      enforce: 'always',
    })
    await browser.fetch(app, '/login')
    const { thumbprint } = only()
    clock.advance(700)
    const { read, write } = store
    const down = () => Promise.reject(new StoreUnavailableError('down'))
    for (const fault of [{ read: down }, { write: down }]) {
      Object.assign(store, fault)
      await browser.fetch(app, '/').catch(() => {})
      Object.assign(store, { read, write })
    }
    expect(paths().slice(1)).toEqual([`503 ${REFRESH}`, `503 ${REFRESH}`])
    expect(await see()).toMatchObject({ subject: 'ada', bound: true })
    expect(only().thumbprint).toBe(thumbprint)
  })

  it('is put off while the new cookie of a sign-in is on its way', async () => {
    const world = createBoundWorld()
    const { id, jar, next, prove, refresh } = await bind(world)
    const before = jar.header()!
    await world.seeWith(jar, '/login')
    // The browser has the new cookie, and has not registered yet.
    expect(statusOf(await refresh(await prove(next)))).toEqual([503, false])
    const late = await world.app(
      new Request(`https://example.com${REFRESH}`, {
        method: 'POST',
        headers: { cookie: before, 'sec-secure-session-id': `"${id}"` },
      }),
    )
    expect(late.status).toBe(503)
    world.clock.advance(59.999)
    expect((await refresh(await prove(next))).status).toBe(503)
    world.clock.advance(0.001)
    const over = await refresh(await prove(next))
    expect(await over.json()).toEqual({ continue: false })
  })

  it('works where clocks differ by two minutes either way', async () => {
    for (const skew of [-120, 120]) {
      const clock = createClock()
      const store = createMemoryStore({ now: clock })
      const deviceBound = { enforce: 'always' } as const
      const here = createBoundWorld(deviceBound, { store }, clock)
      const there = createBoundWorld(
        deviceBound,
        { store, now: () => clock() + 1000 * skew },
        clock,
      )
      const browser = createDeviceBrowser({ now: clock })
      const see = async (app: typeof here.app) => (await browser.fetch(app, '/')).json()
      await browser.fetch(here.app, '/login')
      for (let i = 0; i < 5; i++) {
        clock.advance(290)
        expect(await see(there.app)).toMatchObject({ subject: 'ada', bound: true })
        clock.advance(290)
        expect(await see(here.app)).toMatchObject({ subject: 'ada', bound: true })
      }
      expect(browser.asked.length).toBeLessThan(12)
    }
  })

  it('goes on under a former secret', async () => {
    const clock = createClock()
    const store = createMemoryStore({ now: clock })
    const before = createBoundWorld({ enforce: 'always' }, { store }, clock)
    const browser = createDeviceBrowser({ now: clock })
    await browser.fetch(before.app, '/login')
    const secret = ['a secret that came later, as long as it has to be', SECRET] as const
    const after = createBoundWorld({ enforce: 'always' }, { store, secret }, clock)
    for (const seconds of [60, 700, 36_000]) {
      clock.advance(seconds)
      const response = await browser.fetch(after.app, '/')
      expect(await response.json()).toMatchObject({ subject: 'ada', bound: true })
    }
  })
})

describe('a registration or a refresh whose write fails', () => {
  const snapshot = { maxAge: 0, staleIfError: 3600 }
  /** A session with a proof that only waits to be sent. */
  const setUp = async (task: string, options: Partial<SessionsOptions> = {}) => {
    const world = createBoundWorld({ enforce: 'always' }, options)
    const isRefresh = task === 'refresh'
    const own = isRefresh ? await bind(world) : { ...(await signIn(world)), next: '' }
    const proof = isRefresh ? await own.sign(own.next, {}) : await own.sign(own.challenge)
    const send = () => (isRefresh ? own.refresh(proof) : own.register(proof))
    const done = isRefresh ? 'device.refreshed' : 'device.registered'
    const told = () => world.types().filter((type) => type === done).length
    return { ...world, ...own, send, told }
  }

  it.each([
    ['register', {}],
    ['refresh', {}],
    ['register', { snapshot }],
    ['refresh', { snapshot }],
  ])(
    '(%s, %j) is answered 503 without a bound cookie, and can be repeated',
    async (task, options) => {
      const { send, store, told } = await setUp(task, options)
      const { write } = store
      for (const error of [new StoreUnavailableError('down'), new StoreTimeoutError('late')]) {
        store.write = () => Promise.reject(error)
        expect(statusOf(await send())).toEqual([503, false])
      }
      expect(told()).toBe(0)
      store.write = write
      expect(statusOf(await send())).toEqual([200, true])
      expect(told()).toBe(1)
    },
  )

  it.each(['register', 'refresh'])(
    '(%s) and was applied all the same gives no second cookie for one proof',
    async (task) => {
      const { refresh, refusals, send, store, told } = await setUp(task)
      const { write } = store
      store.write = async (...call) => {
        await write.apply(store, call)
        throw new StoreUnavailableError('the answer was lost')
      }
      expect(statusOf(await send())).toEqual([503, false])
      store.write = write
      const again = await send()
      expect(statusOf(again)).toEqual([task === 'refresh' ? 403 : 400, false])
      expect([refusals(), told()]).toEqual([['used-challenge'], 0])
      expect((await refresh()).status).toBe(403)
    },
  )

  it.each(['register', 'refresh'])(
    '(%s) because the session was rotated meanwhile is put off',
    async (task) => {
      const { jar, seeWith, send, store, told } = await setUp(task)
      const { write } = store
      store.write = async (...call) => {
        store.write = write
        await seeWith(jar, '/login')
        return write.apply(store, call)
      }
      expect(statusOf(await send())).toEqual([503, false])
      expect(told()).toBe(0)
    },
  )

  it.each(['register', 'refresh'])(
    '(%s) and was applied before a rotation is put off: the cookie is no longer for this browser',
    async (task) => {
      const { id, jar, seeWith, send, store, told } = await setUp(task)
      const { read, write } = store
      store.write = async (...call) => {
        store.write = write
        await write.apply(store, call)
        // The answer is lost, and the store's client tries again after a rotation.
        await seeWith(jar, '/regenerate')
        return { ok: false, current: (await read.call(store, id)) ?? null }
      }
      expect(statusOf(await send())).toEqual([503, false])
      expect(told()).toBe(0)
    },
  )

  it.each(['register', 'refresh'])(
    '(%s) because the session ended meanwhile gives nothing',
    async (task) => {
      const { id, send, sessions, store, told } = await setUp(task)
      const { write } = store
      store.write = async (...call) => {
        store.write = write
        await sessions.revoke(id)
        return write.apply(store, call)
      }
      const answer = await send()
      expect(statusOf(answer)).toEqual([task === 'refresh' ? 200 : 400, false])
      if (task === 'refresh') expect(await answer.json()).toEqual({ continue: false })
      expect(told()).toBe(0)
    },
  )
})

describe('a change of the device', () => {
  const first = { k: 'a.b', t: 'first' }
  const stateOf = (number: number, d?: object) =>
    ({ generation: { number }, claims: d && { a: 'actor', d } }) as never

  it('is judged by the record that it is replayed on', () => {
    const bound = bindKey(first, -1, 5)
    const made = bound.operation(stateOf(2))
    expect([bound.refusal(), made.claims?.d]).toEqual([null, { ...first, g: 2, r: 2, n: 0, p: 5 }])
    const other = bindKey({ k: 'c.d', t: 'second' }, 3, 6)
    expect(other.operation(made)).toBe(made)
    expect(other.refusal()).toBe('second-key')
    // The same change on another record.
    other.operation(stateOf(3))
    expect(other.refusal()).toBe(null)
    other.operation(stateOf(3, made.claims?.d))
    expect(other.refusal()).toBe('former-key')
    // One that was proven since, by a bound cookie of that proof or of the one before.
    for (const [n, refusal] of [
      [3, null],
      [4, 'former-key'],
    ] as const) {
      other.operation(stateOf(3, { ...first, g: 2, r: 3, n, p: 5 }))
      expect([n, other.refusal()]).toEqual([n, refusal])
    }
  })

  it('counts no proof of a key that another one has replaced, and none that was counted before', () => {
    const state = stateOf(2, { ...first, t: 'second', g: 2, r: 2, n: 4, p: 5 })
    const change = countProof('first', 4, 6)
    expect(change.operation(state)).toBe(state)
    expect(change.refusal()).toBe('signature')
    const none = countProof('first', 0, 6)
    none.operation(stateOf(2))
    expect(none.refusal()).toBe('signature')
    const own = countProof('second', 4, 6)
    expect(own.operation(state).claims).toMatchObject({ a: 'actor', d: { n: 5, p: 6, r: 2 } })
    const used = countProof('second', 3, 6)
    expect([used.operation(state), used.refusal()]).toEqual([state, 'used-challenge'])
    // The record has lost proofs.
    const ahead = countProof('second', 7, 6)
    expect(ahead.operation(state).claims).toMatchObject({ d: { n: 8 } })
  })
})

describe('the events of devices', () => {
  it('show no cookie, challenge, proof, key or id', async () => {
    const world = createBoundWorld({ enforce: 'always' })
    const { challenge, id, jar, next, prove, refresh, register, sign } = await bind(world)
    const proofs = [await sign(challenge), await prove(next), await prove('another challenge')]
    await refresh(proofs[1])
    for (const proof of proofs) await refresh(proof)
    for (const proof of proofs) await register(proof)
    world.clock.advance(3600)
    const cookies = jar.cookies().map(({ value }) => value)
    const headers = { 'secure-session-skipped': 'unreachable' }
    await world.seeWith(world.steal(jar), '/', { headers })
    const parts = proofs.join('.').split('.')
    const secrets = [id, challenge, next, ...proofs, ...parts, ...cookies, 'ada']
    const said = world.events.map((event) => JSON.stringify(event))
    const types = new Set(world.types().filter((type) => type.startsWith('device.')))
    expect(types.size).toBe(4)
    expect(said.filter((text) => secrets.some((one) => text.includes(one)))).toEqual([])
  })
})

describe('the paths of deviceBound', () => {
  it('are those of the application with any method but POST, and beside them', async () => {
    const world = createBoundWorld()
    const jar = createCookieJar()
    const own = async (path: string, method: string) =>
      (await jar.fetch(world.app, path, { method })).json()
    for (const [path, method] of [
      [REGISTER, 'GET'],
      [REFRESH, 'PUT'],
      ['/device-bound', 'POST'],
      [`${REFRESH}/more`, 'POST'],
      [`/x?${REFRESH}`, 'POST'],
      [`/app${REFRESH}`, 'POST'],
    ] as const) {
      expect(await own(path, method)).toMatchObject({ status: 'new' })
    }
    expect((await jar.fetch(world.app, REGISTER, { method: 'POST' })).status).toBe(400)
  })

  it('are those of the application where the address has no host that parses', async () => {
    const { app, sessions } = createBoundWorld()
    const handler = sessions.handler(async (request) => {
      await sessions.get(request)
      return new Response('page')
    })
    // What Bun and Deno make of a broken `Host`.
    for (const url of [REGISTER, `https://a b${REGISTER}`, `http://1.2.3.4.5${REFRESH}`, '']) {
      const request = { url, method: 'POST', headers: new Headers() } as Request
      expect([url, await (await handler(request)).text()]).toEqual([url, 'page'])
      expect((await sessions.commit(request, new Response('own'))).status).toBe(200)
    }
    expect((await app(new Request('https://example.com/', { method: 'POST' }))).status).toBe(200)
  })

  it('are answered by commit() too, for applications without an adapter', async () => {
    const world = createBoundWorld()
    const request = new Request(`https://example.com${REGISTER}`, { method: 'POST' })
    const answer = await world.sessions.commit(request, new Response('not found', { status: 404 }))
    expect(answer.status).toBe(400)
  })

  it('are answered 503 by commit() where the store failed, and whatever else failed is thrown', async () => {
    const store = createFaultyStore(createMemoryStore())
    const world = createBoundWorld(true, { store, onStoreFailure: 'throw', now: Date.now })
    const { jar } = await signIn(world)
    const commit = (signal?: AbortSignal) => {
      const request = jar.request(REGISTER, { method: 'POST', ...(signal && { signal }) })
      return world.sessions.commit(request, new Response())
    }
    store.down()
    const answer = await commit()
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1'])
    store.up()
    const reason = new Error('the browser has gone')
    expect(await errorOf(() => commit(AbortSignal.abort(reason)))).toBe(reason)
  })
})

describe('deviceBound costs', () => {
  it('nothing where it is not set: no header and no call', async () => {
    const clock = createClock()
    const { store, take } = createCountingStore(clock)
    const { visit } = createWorld({ store }, clock)
    const { response } = await visit((session) => session.login('ada'))
    const names = [...response.headers.keys()]
    expect(names.filter((name) => name.includes('secure-session'))).toEqual([])
    take()
    await visit()
    expect(take()).toEqual(['read'])
  })

  it('one WebCrypto call for a bound cookie that this isolate has not seen, and none for one it has', async () => {
    const clock = createClock()
    const { store, take } = createCountingStore(clock)
    const { browser, see } = createBoundWorld({ enforce: 'always' }, { store }, clock)
    await see('/login')
    expect(await see()).toMatchObject({ subject: 'ada', bound: true })
    const header = browser.jar.header()
    /** What it costs an isolate, whose keys are there, to open it twice. */
    const costOf = async (deviceBound: { enforce: 'always' } | undefined) => {
      const { sessions } = createWorld({ store, ...(deviceBound && { deviceBound }) }, clock)
      const jar = createCookieJar({ now: clock })
      const app = sessions.handler(async (request) => {
        const session = await sessions.get(request)
        session.login('bob')
        return new Response('ok')
      })
      await jar.fetch(app, '/')
      await sessions.open(jar.header())
      take()
      const first = await countCrypto(() => sessions.open(header))
      const second = await countCrypto(() => sessions.open(header))
      return { first, second, calls: take() }
    }
    const without = await costOf(undefined)
    const { calls, first, second } = await costOf({ enforce: 'always' })
    expect(calls).toEqual(without.calls)
    expect([first - without.first, second - without.second]).toEqual([1, 0])
  })

  it('no WebCrypto call for a value that is longer than any bound cookie', async () => {
    const { browser, see, sessions } = createBoundWorld()
    await see('/login')
    await sessions.open(browser.jar.header())
    const session = `${SESSION}=${browser.jar.get(SESSION)}`
    const costOf = (header: string) => countCrypto(() => sessions.open(header))
    const bound = (length: number) => `${BOUND}=${browser.jar.get(BOUND)!.padEnd(length, 'A')}`
    const without = await costOf(session)
    expect(await costOf(`${session}; ${bound(16_384)}`)).toBe(without + 1)
    expect(await costOf(`${session}; ${bound(16_385)}`)).toBe(without)
  })

  it('no WebCrypto call for a known bound cookie among more forged ones than an isolate remembers', async () => {
    const { browser, see, sessions } = createBoundWorld(true, { cache: { maxEntries: 16 } })
    await see('/login')
    const session = `${SESSION}=${browser.jar.get(SESSION)}`
    const forged = Array.from({ length: 20 }, (_, i) => `${BOUND}=forged${i}`).join('; ')
    const costOf = (header: string) => countCrypto(() => sessions.open(header))
    const header = `${session}; ${forged}; ${BOUND}=${browser.jar.get(BOUND)}`
    await sessions.open(header)
    expect(await costOf(header)).toBe(await costOf(session))
  })

  it('one read and one end of the store for a sign-out that does not prove the device', async () => {
    const clock = createClock()
    const { store, take } = createCountingStore(clock)
    const world = createBoundWorld({ enforce: 'always' }, { store }, clock)
    const { jar } = await bind(world)
    clock.advance(3600)
    take()
    await world.seeWith(jar, '/logout')
    expect(take()).toEqual(['read', 'end'])
  })

  it('one read and one write of the store for a refresh', async () => {
    const clock = createClock()
    const { store, take } = createCountingStore(clock)
    const world = createBoundWorld(true, { store }, clock)
    const { next, prove, refresh } = await bind(world)
    take()
    await refresh(await prove(next))
    expect(take()).toEqual(['read', 'write'])
  })
})
