import { describe, expect, it } from 'vitest'
import { encodeBase64url } from '../../src/crypto/base64url.ts'
import { createSessions } from '../../src/index.ts'
import { importSession } from '../../src/migrate/import.ts'
import {
  type CookieImporter,
  fromCookieSession,
  fromExpressSession,
  fromH3,
  fromHonoSession,
  fromIronSession,
} from '../../src/migrate/index.ts'
import { createClock } from '../../src/testing/index.ts'
import { createWorld, errorOf } from '../support/sessions.ts'
import frozen from '../vectors/migrate.json' with { type: 'json' }

const { secret, data } = frozen
const NOW = Date.UTC(2040, 0)
const importers: Record<string, CookieImporter> = {
  iron: fromIronSession({ password: secret, cookieName: 'app' }),
  h3Version1: fromH3({ password: secret }),
  hono: fromHonoSession({ secret }),
  express: fromExpressSession({ secret, load: () => data }),
  cookie: fromCookieSession({ keys: [secret] }),
}

/** The tag of a seal under the password. */
async function tagOf(signed: string, salt: string): Promise<string> {
  const { subtle } = crypto
  const bytes = (text: string) => new TextEncoder().encode(text)
  const password = await subtle.importKey('raw', bytes(secret), 'PBKDF2', false, ['deriveKey'])
  const derivation = { name: 'PBKDF2', hash: 'SHA-1', salt: bytes(salt), iterations: 1 }
  const type = { name: 'HMAC', hash: 'SHA-256', length: 256 }
  const key = await subtle.deriveKey(derivation, password, type, false, ['sign'])
  return encodeBase64url(new Uint8Array(await subtle.sign('HMAC', key, bytes(signed))))
}

/** The rounds of PBKDF2 of each key that is derived meanwhile. */
async function roundsOf(run: () => Promise<void>): Promise<number[]> {
  const subtle: SubtleCrypto = Object.getPrototypeOf(crypto.subtle)
  const { deriveKey } = subtle
  const rounds: number[] = []
  subtle.deriveKey = function (this: SubtleCrypto, ...call: Parameters<typeof deriveKey>) {
    rounds.push((call[0] as Pbkdf2Params).iterations)
    return deriveKey.apply(this, call)
  } as typeof deriveKey
  try {
    await run()
  } finally {
    subtle.deriveKey = deriveKey
  }
  return rounds
}

describe('cookies that nobody honest sends', () => {
  for (const [name, importer] of Object.entries(importers)) {
    const header = frozen.cookies[name as keyof typeof frozen.cookies]

    it(`are nothing to the importer of ${name}, whatever part of them is broken`, async () => {
      const at = header.indexOf('=') + 1
      const [before, value] = [header.slice(0, at), header.slice(at)]
      for (const separator of ['*', '.', '=', ';', '%', '-']) {
        const parts = value.split(separator)
        for (const i of parts.keys()) {
          for (const part of ['', '!', '%', 'A', 'AAAA', '__proto__', '\u00e4', '9'.repeat(400)]) {
            const forged = before + parts.with(i, part).join(separator)
            if (forged !== header) expect(await importSession([importer], forged, NOW)).toBe(null)
          }
          const cut = before + parts.toSpliced(i, 1).join(separator)
          if (cut !== header) expect(await importSession([importer], cut, NOW)).toBe(null)
        }
      }
    })

    // In quadratic time it would take longer than a test may, on any machine.
    it(`cost the importer of ${name} linear time`, async () => {
      const parts = header.split(/(?<==)/, 2)
      for (const text of ['=', '==a', '*', '.', '%', '%3D', 'A=', '~', '"']) {
        const long = `${text.repeat(500_000 / text.length)}!`
        await importSession([importer], `${parts[0]}${long}; ${importer.name}.sig=${long}`, NOW)
        await importSession([importer], `${header.slice(0, -1)}${long}`, NOW)
      }
    })
  }

  it.each([
    ['by itself', undefined, 8192 + 2],
    ['of version 1', 1, 2],
    ['of version 2', 2, 8192],
  ] as const)(
    'cost an importer of h3 %s at most one key of many rounds',
    async (_, version, most) => {
      const importer = fromH3({ password: secret, ...(version && { version }) })
      const forged = `Fe26.2**${'a'.repeat(64)}*AAAA*AAAA**${'b'.repeat(64)}*AAAA`
      const header = Array.from({ length: 4 }, () => `h3=${forged}`).join('; ')
      const rounds = await roundsOf(async () => {
        expect(await importSession([importer], header, NOW)).toBe(null)
      })
      expect(rounds.reduce((sum, one) => sum + one, 0)).toBeLessThanOrEqual(most)
      expect(rounds.filter((one) => one > 100).length).toBeLessThanOrEqual(1)
    },
  )

  it.each([
    ['a cipher of another kind', 16, 20],
    ['padding that is wrong', 16, 32],
    ['a vector that is too short', 12, 32],
    ['no ciphertext', 16, 0],
  ])(
    'are nothing to an importer of iron-session with the right password, and %s',
    async (...of) => {
      const [, vector, ciphertext] = of
      const text = (bytes: number) => encodeBase64url(new Uint8Array(bytes).fill(7))
      const signed = `Fe26.2*1*salt*${text(vector)}*${text(ciphertext)}*`
      const header = `app=${signed}*salt*${await tagOf(signed, 'salt')}`
      expect(await importSession([importers.iron!], header, NOW)).toBe(null)
    },
  )

  it('cost an importer of iron-session keys of one round, and few of them', async () => {
    const forged = `Fe26.2*1*${'a'.repeat(64)}*AAAA*AAAA**${'b'.repeat(64)}*AAAA`
    const header = [0, 1, 2, 3].map((i) => `app=${forged}; app.${i}=${forged}`).join('; ')
    const rounds = await roundsOf(async () => {
      expect(await importSession([importers.iron!], header, NOW)).toBe(null)
    })
    expect(rounds).toEqual([1, 1])
  })

  it('cost no cryptography where they have not the form of a seal', async () => {
    const [, value = ''] = frozen.cookies.iron.split(/=(.*)/)
    const [seal = ''] = value.split('~')
    const parts = seal.split('*')
    const wrong = [
      `${seal}*`,
      parts.slice(0, 7).join('*'),
      parts.with(0, 'Fe26.3').join('*'),
      ...[2, 6].map((at) => parts.with(at, '').join('*')),
      ...[3, 4, 7].map((at) => parts.with(at, '!').join('*')),
      ...['1e20', ' 9999999999999', '9999999999999 '].map((end) => parts.with(5, end).join('*')),
    ]
    const rounds = await roundsOf(async () => {
      for (const one of wrong) {
        expect(await importSession([importers.iron!], `app=${one}`, NOW)).toBe(null)
      }
    })
    expect(rounds).toEqual([])
  })

  it('are corrupt where a schema refuses what they hold', async () => {
    const schema = {
      '~standard': {
        version: 1 as const,
        vendor: 'test',
        validate: (value: unknown) =>
          Object.keys(Object(value)).length ? { issues: [{ message: 'no' }] } : { value: {} },
      },
    }
    const options = { importFrom: [importers.iron!], schema }
    const { sessions, events } = createWorld(options)
    expect((await sessions.open(frozen.cookies.iron)).status).toBe('new')
    expect(events).toMatchObject([{ type: 'session.corrupt', code: 'ERR_SESSION_VALIDATION' }])
    const strict = createWorld({ ...options, onCorruption: 'throw' })
    const error = await errorOf(() => strict.sessions.open(frozen.cookies.iron))
    expect(error.code).toBe('ERR_SESSION_VALIDATION')
  })

  it('go on as sessions that began now where a clock was ahead', async () => {
    const clock = createClock()
    const ahead: CookieImporter = {
      name: 'old',
      read: async (_, now) => ({ data: { a: 1 }, createdAt: now + 7_200_000, remove: ['old'] }),
    }
    const { sessions } = createWorld({ importFrom: [ahead] }, clock)
    const session = await sessions.open('old=1')
    const [cookie] = await sessions.save(session)
    expect(session.createdAt).toBe(clock())
    expect((await sessions.open(cookie!.split(';')[0]!)).data).toEqual({ a: 1 })
  })

  it('go on as sessions as old as they say, in whole seconds', async () => {
    const clock = createClock()
    const old: CookieImporter = {
      name: 'old',
      read: async (_, now) => ({ data: { a: 1 }, createdAt: now - 5500, remove: ['old'] }),
    }
    const { sessions } = createWorld({ importFrom: [old] }, clock)
    const session = await sessions.open('old=1')
    expect(session.createdAt).toBe(clock() - 6000)
  })

  it('go on as no session that is too old, or whose age is no time', async () => {
    for (const createdAt of [Date.now() - 8 * 86_400_000, Number.NaN]) {
      const old: CookieImporter = {
        name: 'old',
        read: async () => ({ data: { a: 1 }, subject: 'ann', createdAt, remove: ['old'] }),
      }
      const sessions = createSessions({ secret, importFrom: [old] })
      const session = await sessions.open('old=1')
      expect([session.status, session.subject]).toEqual(['new', null])
      expect(await sessions.save(session)).toEqual([])
    }
  })

  it('need secrets as long as the old library wanted, and no longer', async () => {
    const create = (password: string | Record<string, string>) =>
      fromIronSession({ password, cookieName: 'app' })
    const [long, short] = ['x'.repeat(32), 'x'.repeat(31)]
    expect(create(long).name).toBe('app')
    for (const wrong of [short, { 1: long, 2: short }, {}]) {
      const error = await errorOf(() => create(wrong))
      expect(error.message).toContain('at least 32 characters')
    }
  })
})
