import { readFileSync } from 'node:fs'
import {
  createLocalJWKSet,
  exportJWK,
  generateKeyPair,
  type JWTHeaderParameters,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import { backChannelLogout, sharedSignals, tagsOf } from '../../examples/provider-logout/receive.ts'
import { createSessions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createFaultyStore } from '../../src/testing/index.ts'
import { errorOf, SECRET } from '../support/sessions.ts'

const ISSUER = 'https://op.example'
const CLIENT = 's6BhdRkqt3'
const LOGOUT = 'http://schemas.openid.net/event/backchannel-logout'
const REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'

let own: CryptoKeyPair
let foreign: CryptoKeyPair
let keys: ReturnType<typeof createLocalJWKSet>

beforeAll(async () => {
  own = await generateKeyPair('ES256')
  foreign = await generateKeyPair('ES256')
  keys = createLocalJWKSet({
    keys: [{ ...(await exportJWK(own.publicKey)), kid: 'k', alg: 'ES256' }],
  })
})

const now = (): number => Math.floor(Date.now() / 1000)

let count = 0
const sign = (claims: JWTPayload, header: object = {}, { privateKey } = own): Promise<string> =>
  new SignJWT({ iss: ISSUER, aud: CLIENT, iat: now(), jti: `t${++count}`, ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: 'k', ...header } as JWTHeaderParameters & {
      alg: string
    })
    .sign(privateKey)

const logout = (claims: JWTPayload, header: object = { typ: 'logout+jwt' }, pair = own) =>
  sign({ exp: now() + 120, events: { [LOGOUT]: {} }, ...claims }, header, pair)
const revoked = (
  sub_id: unknown,
  claims: JWTPayload = {},
  header: object = { typ: 'secevent+jwt' },
) => sign({ sub_id, events: { [REVOKED]: { event_timestamp: now() } }, ...claims }, header)

/** Waits for the next millisecond: a timer may be early. */
async function nextMillisecond(): Promise<void> {
  for (const before = Date.now(); Date.now() <= before; )
    await new Promise((resolve) => setTimeout(resolve, 1))
}

/** An application with three sessions of two users at the provider. */
async function createApplication(inCookies: boolean) {
  const store = createFaultyStore(createMemoryStore())
  const sessions = createSessions({
    secret: SECRET,
    ...(inCookies ? { revocations: { store, ttl: 0 } } : { store }),
  })
  const signIn = async (sub: string, sid: string) => {
    const session = await sessions.open(null)
    session.login(`user of ${sub}`, { tags: await tagsOf({ iss: ISSUER, sub, sid }) })
    return (await sessions.save(session))[0]!.split(';')[0]!
  }
  const headers = [await signIn('ann', 's1'), await signIn('ann', 's2'), await signIn('bob', 's3')]
  // A mark is of a later millisecond than what it ends.
  await nextMillisecond()
  const live = async (): Promise<string> => {
    const opened = await Promise.all(headers.map((header) => sessions.open(header)))
    return opened.map(({ status }) => (status === 'active' ? 'x' : '-')).join('')
  }
  const provider = { sessions, store, issuer: ISSUER, audience: CLIENT, keys }
  const receiveLogout = backChannelLogout(provider)
  const receiveSet = sharedSignals(provider)
  const post = (body: BodyInit, type?: string) =>
    new Request('https://app.example/', {
      method: 'POST',
      body,
      ...(type && { headers: { 'content-type': type } }),
    })
  return {
    live,
    signIn,
    store,
    sessions,
    logout: (token: string) => receiveLogout(post(new URLSearchParams({ logout_token: token }))),
    logoutWith: (body: BodyInit, type?: string) => receiveLogout(post(body, type)),
    push: (token: string) => receiveSet(post(token, 'application/secevent+jwt')),
  }
}

describe.each([
  ['in a store', false],
  ['in cookies', true],
])('back-channel logout of sessions %s', (_, inCookies) => {
  it('ends the session of a sid, and no other of its user', async () => {
    const { live, logout: send } = await createApplication(inCookies)
    const response = await send(await logout({ sid: 's1', sub: 'ann' }))
    expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(await live()).toBe('-xx')
  })

  it('ends all sessions of a sub', async () => {
    const { live, logout: send } = await createApplication(inCookies)
    expect((await send(await logout({ sub: 'ann' }, { typ: 'JWT' }))).status).toBe(200)
    expect(await live()).toBe('--x')
  })

  it('answers 200 for a session that nobody has here', async () => {
    const { live, logout: send } = await createApplication(inCookies)
    expect((await send(await logout({ sid: 'unknown' }))).status).toBe(200)
    expect(await live()).toBe('xxx')
  })

  it('refuses a token that came before, which ends no later sign-in', async () => {
    const { live, logout: send, sessions, signIn } = await createApplication(inCookies)
    const token = await logout({ sub: 'ann' })
    await send(token)
    const again = await signIn('ann', 's4')
    await nextMillisecond()
    const response = await send(token)
    expect([response.status, await response.json()]).toEqual([
      400,
      { error: 'invalid_request', error_description: 'this token came before' },
    ])
    expect((await sessions.open(again)).status).toBe('active')
    expect(await live()).toBe('--x')
  })

  const hostile: Record<string, () => Promise<string> | string> = {
    'from another issuer': () => logout({ sid: 's1', iss: 'https://evil.example' }),
    'for another client': () => logout({ sid: 's1', aud: 'other' }),
    'without sid and sub': () => logout({}),
    'with an empty sid': () => logout({ sid: '' }),
    'with a sid that is no text': () => logout({ sid: { a: 1 } }),
    'with a nonce': () => logout({ sid: 's1', nonce: 'n' }),
    'without the event': () => logout({ sid: 's1', events: {} }),
    'with an event that is no object': () => logout({ sid: 's1', events: { [LOGOUT]: true } }),
    'with events that are a list': () => logout({ sid: 's1', events: [LOGOUT] }),
    'an ID token': () => logout({ sid: 's1', events: undefined as never, nonce: 'n' }),
    'without exp': () => logout({ sid: 's1', exp: undefined as never }),
    'that has expired': () => logout({ sid: 's1', exp: now() - 61 }),
    'of a year ago that expires next year': () =>
      logout({ sid: 's1', iat: now() - 1e7, exp: now() + 1e7 }),
    'of the future': () => logout({ sid: 's1', iat: now() + 3600 }),
    'without jti': () => logout({ sid: 's1', jti: undefined as never }),
    'with a jti that is no text': () => logout({ sid: 's1', jti: 5 as never }),
    'signed by somebody else': () => logout({ sid: 's1' }, {}, foreign),
    'signed with a key that is not there': () => logout({ sid: 's1' }, { kid: 'other' }, foreign),
    'signed with none': () =>
      new UnsecuredJWT({ iss: ISSUER, aud: CLIENT, jti: 'n', sid: 's1', events: { [LOGOUT]: {} } })
        .setIssuedAt()
        .setExpirationTime('1m')
        .encode(),
    'that is none': () => 'not.a.token',
    'that is empty': () => '',
  }
  it.each(Object.entries(hostile))(
    'answers 400 to a token %s, and ends nothing',
    async (_, make) => {
      const { live, logout: send } = await createApplication(inCookies)
      const response = await send(await make())
      const { error } = (await response.json()) as { error: string }
      expect([response.status, error, await live()]).toEqual([400, 'invalid_request', 'xxx'])
    },
  )

  it('answers 400 to a body that is no form', async () => {
    const { live, logoutWith } = await createApplication(inCookies)
    for (const type of ['application/json', 'text/plain', 'multipart/form-data']) {
      expect((await logoutWith(await logout({ sid: 's1' }), type)).status).toBe(400)
    }
    expect(await live()).toBe('xxx')
  })

  it('takes the same token again after the store failed', async () => {
    const { live, logout: send, store } = await createApplication(inCookies)
    const token = await logout({ sid: 's1' })
    // The jti is written, and then the end fails.
    store.inject([{ type: 'pass' }, { type: 'throw-before' }])
    expect((await errorOf(() => send(token))).code).toBe('ERR_STORE_UNAVAILABLE')
    expect((await send(token)).status).toBe(200)
    expect(await live()).toBe('-xx')
  })
})

describe('session-revoked of CAEP', () => {
  const sub = (value: string) => ({ format: 'iss_sub', iss: ISSUER, sub: value })

  it.each([
    ['a user', sub('ann'), '--x'],
    ['a session', { format: 'opaque', id: 's2' }, 'x-x'],
    [
      'a session of a user',
      { format: 'complex', session: { format: 'opaque', id: 's1' }, user: sub('ann') },
      '-xx',
    ],
    ['a user, in a complex subject', { format: 'complex', user: sub('bob') }, 'xx-'],
    ['a user of another issuer', { ...sub('ann'), iss: 'https://other.example' }, 'xxx'],
  ])('ends the sessions of %s, and answers 202', async (_, subject, left) => {
    const { live, push } = await createApplication(false)
    const response = await push(await revoked(subject))
    expect([response.status, await response.text()]).toEqual([202, ''])
    expect(await live()).toBe(left)
  })

  it('acknowledges a token that is sent again, and ends nothing by it', async () => {
    const { push, sessions, signIn } = await createApplication(false)
    const token = await revoked(sub('ann'))
    await push(token)
    const again = await signIn('ann', 's4')
    expect((await push(token)).status).toBe(202)
    expect((await sessions.open(again)).status).toBe('active')
  })

  it('acknowledges the verification of a stream, and events that it does not act on', async () => {
    const { live, push } = await createApplication(false)
    for (const type of ['https://schemas.openid.net/secevent/ssf/event-type/verification', 'x:y']) {
      expect((await push(await revoked(sub('ann'), { events: { [type]: {} } }))).status).toBe(202)
    }
    expect(await live()).toBe('xxx')
  })

  it.each([
    [
      'from another issuer',
      () => revoked(sub('ann'), { iss: 'https://evil.example' }),
      'invalid_issuer',
    ],
    ['for somebody else', () => revoked(sub('ann'), { aud: 'other' }), 'invalid_audience'],
    ['without a subject', () => revoked(undefined), 'invalid_request'],
    [
      'with an unknown subject',
      () => revoked({ format: 'email', email: 'a@b.c' }),
      'invalid_request',
    ],
    [
      'of a user on one device',
      () => revoked({ format: 'complex', user: sub('ann'), device: {} }),
      'invalid_request',
    ],
    ['that is a logout token', () => logout({ sub: 'ann' }), 'invalid_request'],
    ['without jti', () => revoked(sub('ann'), { jti: undefined as never }), 'invalid_request'],
    ['of last week', () => revoked(sub('ann'), { iat: now() - 604_800 }), 'invalid_request'],
    [
      'signed by somebody else',
      () =>
        sign({ sub_id: sub('ann'), events: { [REVOKED]: {} } }, { typ: 'secevent+jwt' }, foreign),
      'invalid_key',
    ],
    ['that is none', () => 'x', 'invalid_request'],
  ])('answers 400 to a token %s, and ends nothing', async (_, make, err) => {
    const { live, push } = await createApplication(false)
    const response = await push(await make())
    expect([response.status, await response.json(), await live()]).toEqual([
      400,
      { err, description: expect.any(String) },
      'xxx',
    ])
  })
})

describe('the page about logout by a provider', () => {
  it('shows the receivers that are tested here', () => {
    const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
    const page = read('docs/guides/provider-logout.md')
    expect(page).toContain(`\n${read('examples/provider-logout/receive.ts').trimEnd()}\n`)
  })
})
