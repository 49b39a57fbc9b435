import { describe, expect, it } from 'vitest'
import { createSessions, generateSecret, type SessionsOptions } from '../src/index.ts'
import {
  aal1,
  aal2,
  aal3,
  development,
  fromEnv,
  highSecurity,
  policyFromEnv,
  production,
  type SessionPreset,
  testing,
} from '../src/presets.ts'
import { createMemoryStore } from '../src/stores/memory.ts'
import { resilient } from '../src/stores/resilient.ts'
import { createClock, createCookieJar } from '../src/testing/index.ts'
import { createCountingStore, errorOf, SECRET } from './support/sessions.ts'

const presets: [name: string, preset: () => SessionPreset][] = [
  ['development', development],
  ['production', production],
  ['highSecurity', highSecurity],
  ['testing', testing],
]

/** Visits once, and again: what the first `Set-Cookie` says and what the second visit finds. */
async function visitTwice(options: Partial<SessionsOptions>, origin = 'https://example.com') {
  const clock = createClock()
  const sessions = createSessions({ secret: SECRET, now: clock, ...options })
  const jar = createCookieJar({ now: clock, origin })
  const visit = sessions.handler(async (request) => {
    const session = await sessions.get(request)
    session.set('seen', true)
    return new Response(session.status)
  })
  const first = await jar.fetch(visit, '/')
  const statusAfter = async (seconds: number): Promise<string> => {
    clock.advance(seconds)
    return (await jar.fetch(visit, '/')).text()
  }
  return { setCookie: first.headers.getSetCookie().join(), statusAfter }
}

describe('presets', () => {
  it.each(presets)('%s() is a new plain object that createSessions takes', async (_, preset) => {
    expect(preset()).not.toBe(preset())
    expect(preset().cookie).not.toBe(preset().cookie)
    expect(Object.getPrototypeOf(preset())).toBe(Object.prototype)
    const { statusAfter } = await visitTwice(preset())
    expect(await statusAfter(1)).toBe('active')
  })

  it('fit sessions of any data, whatever else is said', () => {
    interface Shop {
      cart: string[]
    }
    const env: { SESSION_SECRET?: string } = { SESSION_SECRET: SECRET }
    const { store } = createCountingStore()
    const made = [
      createSessions<Shop>({ ...production(), ...fromEnv(env) }),
      createSessions<Shop>({ ...highSecurity(), ...fromEnv(env), store, idleTimeout: 60 }),
      createSessions<Shop>({ ...development(), secret: SECRET }),
      createSessions<Shop>(fromEnv(env, highSecurity())),
      createSessions<Shop>(testing()),
    ]
    // @ts-expect-error no preset of a real application brings a secret
    expect(() => createSessions<Shop>(production())).toThrow('secret')
    expect(made.length).toBe(5)
  })
})

describe.each([
  ['aal1', aal1, 30 * 86_400, 30 * 86_400],
  ['aal2', aal2, 3600, 86_400],
  ['aal3', aal3, 900, 43_200],
])('%s()', (_name, preset, idleTimeout, absoluteTimeout) => {
  it('has the timeouts of NIST SP 800-63B-4, and nothing else', () => {
    expect(preset()).toEqual({ idleTimeout, absoluteTimeout })
    expect(fromEnv({ SESSION_SECRET: SECRET }, preset())).toMatchObject(preset())
  })

  it('ends an idle session, and one in use after the timeout in all', async () => {
    const idle = await visitTwice(preset())
    expect(await idle.statusAfter(idleTimeout - 1)).toBe('active')
    expect(await idle.statusAfter(idleTimeout)).toBe('expired')
    const used = await visitTwice(preset())
    const steps = (absoluteTimeout / idleTimeout) * 2
    for (let i = 1; i < steps; i++) {
      expect(await used.statusAfter(idleTimeout / 2)).toBe('active')
    }
    expect(await used.statusAfter(idleTimeout / 2)).toBe('expired')
  })
})

describe('development()', () => {
  it('works over plain http, in browsers that refuse Secure there too', async () => {
    const { setCookie, statusAfter } = await visitTwice(development(), 'http://dev.example.com')
    expect(setCookie).not.toContain('Secure')
    expect(await statusAfter(3 * 86_400)).toBe('active')
  })
})

describe('production()', () => {
  it('is what createSessions does by itself', async () => {
    const cookieOf = async (options: Partial<SessionsOptions>): Promise<string> =>
      (await visitTwice(options)).setCookie.replace(/=[\w-]+/, '=')
    expect(await cookieOf(production())).toBe(await cookieOf({}))
    for (const [seconds, status] of [
      [86_399, 'active'],
      [86_400, 'expired'],
    ] as const) {
      expect(await (await visitTwice(production())).statusAfter(seconds)).toBe(status)
      expect(await (await visitTwice({})).statusAfter(seconds)).toBe(status)
    }
  })
})

describe('highSecurity()', () => {
  it('sends the strictest cookie', async () => {
    const { setCookie } = await visitTwice(highSecurity())
    expect(setCookie.startsWith('__Host-Http-session=')).toBe(true)
    const attributes = setCookie.split('; ').slice(1)
    expect(attributes.sort()).toEqual(['HttpOnly', 'Path=/', 'SameSite=Strict', 'Secure'])
  })

  it('gives the session to no other browser', async () => {
    const sessions = createSessions({ secret: SECRET, ...highSecurity() })
    const jar = createCookieJar()
    const visit = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      session.set('seen', true)
      return new Response(session.status)
    })
    const from = async (agent: string) =>
      (await jar.fetch(visit, '/', { headers: { 'user-agent': agent } })).text()
    expect([await from('Firefox'), await from('Firefox')]).toEqual(['new', 'active'])
    expect(await from('curl')).not.toBe('active')
  })

  it('ends after five idle minutes, and after four hours of use', async () => {
    expect(await (await visitTwice(highSecurity())).statusAfter(299)).toBe('active')
    expect(await (await visitTwice(highSecurity())).statusAfter(300)).toBe('expired')
    const { statusAfter } = await visitTwice(highSecurity())
    for (let minutes = 4; minutes < 240; minutes += 4) {
      expect(await statusAfter(240)).toBe('active')
    }
    expect(await statusAfter(240)).toBe('expired')
  })
})

describe('testing()', () => {
  it('works over plain http', async () => {
    const { setCookie, statusAfter } = await visitTwice(testing(), 'http://localhost:3000')
    expect(setCookie).toMatch(/^session=/)
    expect(setCookie).not.toContain('Secure')
    expect(await statusAfter(1)).toBe('active')
  })

  it('makes a secret of its own each time', () => {
    expect(testing().secret).not.toEqual(testing().secret)
  })
})

describe('fromEnv()', () => {
  const SESSION_SECRET = SECRET
  const BASE64 = 'q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k='

  it('reads every variable', () => {
    const env = {
      SESSION_SECRET,
      SESSION_IDLE_TIMEOUT: '1800',
      SESSION_ABSOLUTE_TIMEOUT: '28800',
      SESSION_RENEW_AFTER: '0.5',
      SESSION_ON_STORE_FAILURE: 'throw',
      SESSION_ON_CORRUPTION: 'throw',
      SESSION_COOKIE_NAME: 'sid',
      SESSION_COOKIE_DOMAIN: 'example.com',
      SESSION_COOKIE_PATH: '/app',
      SESSION_COOKIE_SECURE: 'false',
      SESSION_COOKIE_MAX_AGE: '60',
      SESSION_COOKIE_MAX_CHUNKS: '4',
      SESSION_SAME_SITE: 'strict',
    }
    const options = fromEnv(env)
    expect(options).toEqual({
      secret: [SECRET],
      idleTimeout: 1800,
      absoluteTimeout: 28_800,
      renewAfter: 0.5,
      onStoreFailure: 'throw',
      onCorruption: 'throw',
      cookie: {
        name: 'sid',
        domain: 'example.com',
        path: '/app',
        secure: false,
        maxAge: 60,
        maxChunks: 4,
        sameSite: 'strict',
      },
    })
    expect(() => createSessions(options)).not.toThrow()
  })

  it('sets nothing that the environment does not', () => {
    expect(fromEnv({ SESSION_SECRET })).toEqual({ secret: [SECRET] })
  })

  it('takes several secrets, first the one that seals', async () => {
    const [last, next] = [generateSecret(), generateSecret()]
    const old = createSessions({ secret: last })
    const rotated = createSessions(fromEnv({ SESSION_SECRET: `${next}, ${last}\n` }))
    const alone = createSessions({ secret: next })
    const jar = createCookieJar()
    const visitOf = (sessions: typeof old) =>
      sessions.handler(async (request) => {
        const session = await sessions.get(request)
        session.update('visits', (n = 0) => n + 1)
        return new Response(session.status)
      })
    for (const [sessions, status] of [
      [old, 'new'],
      [rotated, 'active'],
      [alone, 'active'],
    ] as const) {
      expect(await (await jar.fetch(visitOf(sessions), '/')).text()).toBe(status)
    }
  })

  it('takes text with commas for one secret, and standard base64 for a list', () => {
    expect(fromEnv({ SESSION_SECRET: SECRET }).secret).toEqual([SECRET])
    expect(SECRET).toContain(',')
    const secret = [BASE64, BASE64.replace('q', '/')]
    expect(fromEnv({ SESSION_SECRET: secret.join() }).secret).toEqual(secret)
  })

  it('takes no notice of bindings, functions and empty variables', () => {
    const env = {
      SESSION_SECRET,
      SESSION_IDLE_TIMEOUT: '',
      SESSION_COOKIE_NAME: '  ',
      SESSION_SAME_SITE: undefined,
      SESSION_COOKIE_MAX_AGE: 5,
      SESSION_RENEW_AFTER: { get() {} },
      SESSIONS: { get() {} },
    }
    expect(fromEnv(env)).toEqual({ secret: [SECRET] })
  })

  it('puts single cookie options over those of a preset, where spreading replaces them', () => {
    const env = { SESSION_SECRET, SESSION_COOKIE_NAME: 'sid', SESSION_IDLE_TIMEOUT: '60' }
    const preset = highSecurity()
    const options = fromEnv(env, preset)
    expect(options).toEqual({
      ...highSecurity(),
      idleTimeout: 60,
      secret: [SECRET],
      cookie: { ...highSecurity().cookie, name: 'sid' },
    })
    expect(preset).toEqual(highSecurity())
    expect({ ...preset, ...fromEnv(env) }.cookie).toEqual({ name: 'sid' })
  })

  const refused: [variable: string, value: string, kind: string][] = [
    ['SESSION_SECRET', '', 'TypeError'],
    ['SESSION_SECRET', 'canary', 'RangeError'],
    ['SESSION_SECRET', 'canary, and 31 bytes of it: 456', 'RangeError'],
    ['SESSION_SECRET', `${BASE64},`, 'RangeError'],
    ['SESSION_SECRET', `${BASE64},canary`, 'RangeError'],
    ['SESSION_SECRET', `${BASE64},${SECRET}`, 'RangeError'],
    ['SESSION_IDLE_TIMEOUT', '0', 'RangeError'],
    ['SESSION_IDLE_TIMEOUT', '315360001', 'RangeError'],
    ['SESSION_IDLE_TIMEOUT', '30m', 'TypeError'],
    ['SESSION_IDLE_TIMEOUT', '-1', 'TypeError'],
    ['SESSION_IDLE_TIMEOUT', 'Infinity', 'TypeError'],
    ['SESSION_ABSOLUTE_TIMEOUT', '1e9', 'TypeError'],
    ['SESSION_RENEW_AFTER', 'canary', 'TypeError'],
    ['SESSION_ON_STORE_FAILURE', 'canary', 'TypeError'],
    ['SESSION_ON_CORRUPTION', 'degrade', 'TypeError'],
    ['SESSION_COOKIE_NAME', 'canary;', 'TypeError'],
    ['SESSION_COOKIE_DOMAIN', 'canary; Path=/', 'TypeError'],
    ['SESSION_COOKIE_PATH', 'canary', 'TypeError'],
    ['SESSION_COOKIE_SECURE', 'yes', 'TypeError'],
    ['SESSION_COOKIE_MAX_AGE', '34560001', 'RangeError'],
    ['SESSION_COOKIE_MAX_AGE', '1.5', 'RangeError'],
    ['SESSION_COOKIE_MAX_CHUNKS', '5', 'RangeError'],
    ['SESSION_SAME_SITE', 'Strict', 'TypeError'],
  ]
  it.each(refused)('refuses %s=%s', async (variable, value, kind) => {
    const error = await errorOf(() => fromEnv({ SESSION_SECRET, [variable]: value }))
    expect(error.name).toBe(kind)
    expect(error.message.startsWith(`Variable ${variable} `)).toBe(true)
    expect(error.message.includes('canary')).toBe(false)
    if (value.length > 3) expect(`${error.message} ${error.stack}`.includes(value)).toBe(false)
  })

  it.each([
    ['SESSION_IDLE_TIMEOUT', '1'],
    ['SESSION_IDLE_TIMEOUT', '315360000'],
    ['SESSION_RENEW_AFTER', '0'],
    ['SESSION_COOKIE_MAX_AGE', '86400'],
    ['SESSION_COOKIE_NAME', "!#$%&'*+.^_`|~-"],
    ['SESSION_COOKIE_NAME', 'true'],
    ['SESSION_COOKIE_NAME', '7'],
    ['SESSION_IDLE_TIMEOUT', '90.25'],
    ['SESSION_SECRET', 'a secret of exactly 32: 56789012'],
  ])('takes %s=%s, and so does createSessions', (variable, value) => {
    expect(() => createSessions(fromEnv({ SESSION_SECRET, [variable]: value }))).not.toThrow()
  })

  it.each(['changeme', 'CHANGE_THIS', 'replace me', 'your-secret', 'placeholder'])(
    'refuses a secret that is a placeholder (%s) or repeats itself, however long',
    async (word) => {
      const secrets = [`${word}-and-a-long-tail-of-it-0123456789`, `${word}-`.repeat(8)]
      for (const SESSION_SECRET of [...secrets, `${generateSecret()},${'A'.repeat(43)}`]) {
        const { name, message } = await errorOf(() => fromEnv({ SESSION_SECRET }))
        expect(name).toBe('RangeError')
        expect(message).toMatch(
          /^Variable SESSION_SECRET is (a repetition|printed in examples); make one with "openssl rand/,
        )
        expect(message.includes(word)).toBe(false)
      }
    },
  )

  it('says that the secret is missing, not that it is short', async () => {
    expect((await errorOf(() => fromEnv({}))).message).toBe(
      'Variable SESSION_SECRET is missing or empty',
    )
  })
})

describe('fromEnv() with controls', () => {
  const SESSION_SECRET = generateSecret()

  it('signs everybody out, and allows no changes, by a variable each', async () => {
    for (const time of ['2026-11-28T17:00:00Z', '1795885200000', '2026-11-28T18:00:00+01:00']) {
      const { controls } = fromEnv({ SESSION_SECRET, SESSION_NOT_BEFORE: time })
      expect(await controls?.()).toEqual({ notBefore: 1_795_885_200_000 })
    }
    const { controls } = fromEnv({ SESSION_SECRET, SESSION_READ_ONLY: 'true' })
    expect(await controls?.()).toEqual({ readOnly: true })
    expect('controls' in fromEnv({ SESSION_SECRET })).toBe(false)
  })

  it('is asked again: a process may change its environment', async () => {
    const env = { SESSION_SECRET, SESSION_READ_ONLY: 'true' }
    const { controls } = fromEnv(env)
    env.SESSION_READ_ONLY = 'false'
    expect(await controls?.()).toEqual({ readOnly: false })
  })

  it.each([
    ['SESSION_NOT_BEFORE', '2026-11-28'],
    ['SESSION_NOT_BEFORE', '1795885200'],
    ['SESSION_READ_ONLY', 'yes'],
  ])('refuses a wrong %s', (name, value) => {
    expect(() => fromEnv({ SESSION_SECRET, [name]: value })).toThrow(
      new RegExp(`Variable ${name} must be`),
    )
  })
})

describe('policyFromEnv()', () => {
  it('puts variables over a policy, which resilient() takes', () => {
    const env = {
      SESSION_STORE_RETRY: 'false',
      SESSION_STORE_ATTEMPTS: '2',
      SESSION_STORE_ATTEMPT_TIMEOUT_MS: '300',
      SESSION_STORE_DEADLINE_MS: '900',
      SESSION_STORE_BREAKER: 'false',
    }
    const policy = policyFromEnv(env, { attempts: 5, baseMs: 20 })
    expect(policy).toEqual({
      enabled: false,
      attempts: 2,
      attemptTimeoutMs: 300,
      deadlineMs: 900,
      breaker: false,
      baseMs: 20,
    })
    expect(resilient(createMemoryStore(), policy).details?.().readBreaker).toBe('off')
    expect(policyFromEnv({ SESSION_STORE_BREAKER: 'true' })).toEqual({})
    expect(policyFromEnv({})).toEqual({})
  })

  it.each([
    ['SESSION_STORE_ATTEMPTS', '0'],
    ['SESSION_STORE_ATTEMPTS', 'two'],
    ['SESSION_STORE_BREAKER', 'off'],
    ['SESSION_STORE_DEADLINE_MS', '1.5'],
  ])('refuses a wrong %s: %s', (name, value) => {
    expect(() => policyFromEnv({ [name]: value })).toThrow(new RegExp(`Variable ${name} must be`))
  })
})

describe('a misspelt variable', () => {
  const base = { SESSION_SECRET: SECRET }

  it.each([
    ['SESSION_IDEL_TIMEOUT', 'SESSION_IDLE_TIMEOUT'],
    ['SESSION_IDLE_TIMEOUTS', 'SESSION_IDLE_TIMEOUT'],
    ['SESSIONS_IDLE_TIMEOUT', 'SESSION_IDLE_TIMEOUT'],
    ['session_idle_timeout', 'SESSION_IDLE_TIMEOUT'],
    ['SESSION_COOKIE_SAMESITE', 'SESSION_SAME_SITE'],
    ['SESSION_MAX_AGE', 'SESSION_COOKIE_MAX_AGE'],
    ['SESSION_STORE_ATEMPTS', 'SESSION_STORE_ATTEMPTS'],
  ])('%s is refused, with the name that is meant', (name, meant) => {
    const env = { ...base, [name]: '4711' }
    const message = `Unknown variable "${name}": ${meant} is meant`
    expect(() => fromEnv(env)).toThrow(new TypeError(message))
    expect(() => policyFromEnv(env)).toThrow(new TypeError(message))
  })

  it('is none where the right one is set too, or where it is empty', () => {
    const env = { ...base, SESSION_SECRETS: 'x', SESSION_IDEL_TIMEOUT: ' ' }
    expect(fromEnv(env)).toEqual({ secret: [SECRET] })
  })

  it('is none where somebody else may well have a variable of that name', () => {
    const others = {
      SESSION_MANAGER: 'local/x:@/tmp/.ICE-unix/1',
      SESSIONNAME: 'Console',
      SESSION_STORE: 'redis://localhost',
      SESSION_TIMEOUT: '5',
      SESSION_STORE_URL: 'x',
      SESSION_SECRET_OLD: 'x',
      SESSIONS_KV: 'x',
      XDG_SESSION_ID: '2',
      XSESSION_IDLE_TIMEOUT: '5',
    }
    expect(fromEnv({ ...base, ...others })).toEqual({ secret: [SECRET] })
    expect(policyFromEnv(others)).toEqual({})
  })
})

it('fromEnv and policyFromEnv refuse a preset that was not called', () => {
  const message = 'Argument "preset" must be a plain object: is it called?'
  expect(() => fromEnv({ SESSION_SECRET: SECRET }, production as never)).toThrow(message)
  expect(() => policyFromEnv({}, (() => ({})) as never)).toThrow('Argument "policy" must be')
})
