import { describe, expect, it } from 'vitest'
import { createSessions, generateSecret } from '../src/index.ts'
import { fromEnv } from '../src/presets.ts'
import { createSealer } from '../src/seal.ts'
import { createMemoryStore } from '../src/stores/memory.ts'
import { SECRET } from './support/sessions.ts'

/** Seconds. */
const DAY = 86_400

const refusal = (options: unknown): Error | null => {
  try {
    createSessions(options as never)
    return null
  } catch (error) {
    return error as Error
  }
}

describe('createSessions() refuses', () => {
  const cases: [what: string, options: object, kind: string, option: string][] = [
    ['no secret', {}, 'TypeError', 'secret'],
    ['an empty secret', { secret: '' }, 'RangeError', 'secret'],
    ['a short secret', { secret: 'changeme' }, 'RangeError', 'secret'],
    ['a secret of 31 bytes', { secret: 'x'.repeat(31) }, 'RangeError', 'secret'],
    ['a secret of one letter', { secret: 'a'.repeat(32) }, 'RangeError', 'secret'],
    [
      'a secret of few letters',
      { secret: 'aabbaccaddaabbccaddbbaaccddaabbcca' },
      'RangeError',
      'secret',
    ],
    ['a secret repeated', { secret: '0123456789abcdef0123456789abcdef' }, 'RangeError', 'secret'],
    ['a secret of white space', { secret: ' \n'.repeat(32) }, 'RangeError', 'secret'],
    [
      'a secret too short without the white space around it',
      { secret: `${generateSecret().slice(12)}\n` },
      'RangeError',
      'secret',
    ],
    [
      'a secret that is a placeholder',
      { secret: 'your-secret-here-0123456789-abcdefgh' },
      'RangeError',
      'secret',
    ],
    [
      'an older secret that repeats itself',
      { secret: [SECRET, 'correct horse '.repeat(4)] },
      'RangeError',
      'secret[1]',
    ],
    ['a secret that is no string', { secret: 42 }, 'TypeError', 'secret'],
    ['a secret that is null', { secret: null }, 'TypeError', 'secret'],
    ['a timeout that is null', { idleTimeout: null }, 'TypeError', 'idleTimeout'],
    ['a clock that is a number', { now: 5 }, 'TypeError', 'now'],
    ['a list without a secret', { secret: [] }, 'TypeError', 'secret'],
    ['a list with a short one', { secret: [SECRET, 'short'] }, 'RangeError', 'secret[1]'],
    ['a list whose first is not set', { secret: [undefined, SECRET] }, 'TypeError', 'secret[0]'],
    ['a list whose last is not set', { secret: [SECRET, undefined] }, 'TypeError', 'secret[1]'],
    ['a list whose last is empty', { secret: [SECRET, ' '] }, 'RangeError', 'secret[1]'],
    ['an option that does not exist', { idleTimeOut: 5 }, 'TypeError', 'idleTimeOut'],
    ['a negative timeout', { idleTimeout: -1 }, 'RangeError', 'idleTimeout'],
    ['a timeout that is NaN', { absoluteTimeout: Number.NaN }, 'RangeError', 'absoluteTimeout'],
    ['a timeout in words', { idleTimeout: '1d' }, 'TypeError', 'idleTimeout'],
    ['an endless timeout', { idleTimeout: Infinity }, 'RangeError', 'idleTimeout'],
    [
      'an idle timeout over the absolute one',
      { idleTimeout: 2 * DAY, absoluteTimeout: DAY },
      'RangeError',
      'idleTimeout',
    ],
    [
      'a cookie that outlives idleness',
      { cookie: { maxAge: 30 * DAY } },
      'RangeError',
      'cookie.maxAge',
    ],
    ['a day in milliseconds', { idleTimeout: 86_400_000 }, 'RangeError', 'idleTimeout'],
    ['half an hour in milliseconds', { idleTimeout: 1_800_000 }, 'RangeError', 'idleTimeout'],
    ['a week in milliseconds', { absoluteTimeout: 604_800_000 }, 'RangeError', 'absoluteTimeout'],
    ['an hour in milliseconds', { absoluteTimeout: 3_600_000 }, 'RangeError', 'absoluteTimeout'],
    [
      'renewals that come too late',
      { idleTimeout: 60, renewAfter: 60 },
      'RangeError',
      'renewAfter',
    ],
    [
      'a snapshot that is never read',
      { store: createMemoryStore(), snapshot: { maxAge: 0 } },
      'TypeError',
      'snapshot',
    ],
    [
      'SameSite=None without Secure',
      { cookie: { name: 'a', sameSite: 'none', secure: false } },
      'TypeError',
      'cookie.secure',
    ],
    ['renewals after the end', { idleTimeout: 60, renewAfter: 61 }, 'RangeError', 'renewAfter'],
    ['an importer that reads nothing', { importFrom: [{}] }, 'TypeError', 'importFrom'],
    ['a store without methods', { store: {} }, 'TypeError', 'store'],
    ['a schema that is none', { schema: {} }, 'TypeError', 'schema'],
    ['half a codec', { codec: { parse: JSON.parse } }, 'TypeError', 'codec'],
    ['version 0', { version: 0 }, 'RangeError', 'version'],
    ['a listener that is none', { onEvent: 'log' }, 'TypeError', 'onEvent'],
    ['an unknown policy', { onStoreFailure: 'ignore' }, 'TypeError', 'onStoreFailure'],
    ['a cache of unknown size', { cache: { size: 5 } }, 'TypeError', 'cache.size'],
    ['a negative maxAge', { cookie: { maxAge: -1 } }, 'RangeError', 'cookie.maxAge'],
    ['a maxAge that is NaN', { cookie: { maxAge: Number.NaN } }, 'RangeError', 'cookie.maxAge'],
    ['a maxAge over 400 days', { cookie: { maxAge: 34_560_001 } }, 'RangeError', 'cookie.maxAge'],
    ['five chunks', { cookie: { maxChunks: 5 } }, 'RangeError', 'cookie.maxChunks'],
    ['__Host- with a domain', { cookie: { domain: 'a.com' } }, 'TypeError', 'cookie.domain'],
    ['__Host- with a path', { cookie: { path: '/app' } }, 'TypeError', 'cookie.path'],
    ['__Host- without Secure', { cookie: { secure: false } }, 'TypeError', 'cookie.secure'],
    [
      'a prefix in capitals without Secure',
      { cookie: { name: '__SECURE-a', secure: false } },
      'TypeError',
      'cookie.secure',
    ],
    [
      '__Http- without HttpOnly',
      { cookie: { name: '__Http-a', httpOnly: false } },
      'TypeError',
      'cookie.httpOnly',
    ],
    [
      'SameSite=None without Secure',
      { cookie: { name: 'a', secure: false, sameSite: 'none' } },
      'TypeError',
      'cookie.secure',
    ],
    [
      'Partitioned without Secure',
      { cookie: { name: 'a', secure: false, partitioned: true } },
      'TypeError',
      'cookie.secure',
    ],
    ['a snapshot in words', { snapshot: { maxAge: '5' } }, 'TypeError', 'snapshot.maxAge'],
    ['a snapshot without age', { snapshot: { staleIfError: 5 } }, 'TypeError', 'snapshot.maxAge'],
    [
      'an endless outage',
      { snapshot: { maxAge: 5, staleIfError: NaN } },
      'RangeError',
      'snapshot.staleIfError',
    ],
    [
      'a misspelt outage',
      { snapshot: { maxAge: 5, staleOnError: 9 } },
      'TypeError',
      'snapshot.staleOnError',
    ],
    ['a misspelt binding', { binding: { useragent: true } }, 'TypeError', 'binding.useragent'],
    ['a binding in words', { binding: { userAgent: 'yes' } }, 'TypeError', 'binding.userAgent'],
    ['an address that is none', { binding: { ip: '127.0.0.1' } }, 'TypeError', 'binding.ip'],
    ['an unknown mismatch', { binding: { onMismatch: 'ask' } }, 'TypeError', 'binding.onMismatch'],
    ['a size in words', { compress: { above: '1 KB' } }, 'TypeError', 'compress.above'],
    ['a header that is a number', { transport: { header: 5 } }, 'TypeError', 'transport.header'],
    ['the header of cookies', { transport: { header: 'Cookie' } }, 'TypeError', 'transport.header'],
    ['a misspelt transport', { transport: { headers: 'a' } }, 'TypeError', 'transport.header'],
    ['a name that is a number', { cookie: { name: 5 } }, 'TypeError', 'cookie.name'],
    [
      'a name that leaves no room',
      { cookie: { name: 'a'.repeat(201) } },
      'TypeError',
      'cookie.name',
    ],
    ['a path that is an object', { cookie: { name: 'a', path: {} } }, 'TypeError', 'cookie.path'],
    [
      'a domain with a port',
      { cookie: { name: 'a', domain: 'a.com:80' } },
      'TypeError',
      'cookie.domain',
    ],
    ...['snapshot', 'compress', 'transport', 'schema', 'cookie', 'binding', 'cache', 'codec'].map(
      (name): [string, object, string, string] => [
        `null as ${name}`,
        { [name]: null },
        'TypeError',
        name,
      ],
    ),
    ['an unknown sameSite', { cookie: { sameSite: 'loose' } }, 'TypeError', 'cookie.sameSite'],
    ['an unknown priority', { cookie: { priority: 'top' } }, 'TypeError', 'cookie.priority'],
  ]
  it.each(cases)('%s', (_what, options, kind, option) => {
    const error = refusal(
      'secret' in options || option === 'secret' ? options : { secret: SECRET, ...options },
    )
    expect(error?.name).toBe(kind)
    expect(error?.message.includes(`"${option}"`)).toBe(true)
    expect(error?.message).not.toMatch(/changeme|42/)
  })

  it('no options at all', () => {
    expect(refusal(undefined)?.message).toContain('"secret"')
  })

  it('says how to make a secret', () => {
    expect(refusal({ secret: 'short' })?.message.includes('generateSecret()')).toBe(true)
    expect(refusal({ secret: '' })?.message).toMatch(/got none: is its variable set\?$/)
  })

  it('a secret whose variable is not set, and asks for that', () => {
    for (const secret of [undefined, '']) {
      expect(() => createSessions({ secret })).toThrow('got none: is its variable set?')
      expect(() => createSealer({ secret })).toThrow('got none: is its variable set?')
    }
  })

  it('a browser, whatever the secret, and does not ask for one there', () => {
    const world = globalThis as { document?: unknown }
    const makers = [
      () => createSessions({ secret: undefined as never }),
      () => createSessions({ secret: SECRET }),
      () => createSealer({ secret: SECRET }),
      () => fromEnv({}),
    ]
    world.document = {}
    try {
      for (const make of makers) {
        expect(make).toThrow(/run on servers only: never put the secret into the browser/)
      }
    } finally {
      delete world.document
    }
    expect(() => createSessions({ secret: SECRET })).not.toThrow()
  })

  for (const character of [';', '\r', '\n', '\0', ',', ' ']) {
    it(`a cookie attribute with ${JSON.stringify(character)} in it`, () => {
      const cookie = (more: object) => refusal({ secret: SECRET, cookie: { name: 'a', ...more } })
      expect(cookie({ name: `a${character}b` })).not.toBe(null)
      expect(cookie({ domain: `a${character}b` })).not.toBe(null)
      expect(cookie({ sameSite: `lax${character}` })).not.toBe(null)
      expect(cookie({ priority: `low${character}` })).not.toBe(null)
      if (character !== ',' && character !== ' ') {
        expect(cookie({ path: `/${character}b` })).not.toBe(null)
      }
    })
  }
})

describe('createSessions() accepts', () => {
  it('a generated secret, and no two are alike', () => {
    const [a, b] = [generateSecret(), generateSecret()]
    expect(a === b).toBe(false)
    expect(a.length).toBe(43)
    expect(refusal({ secret: a })).toBe(null)
  })

  it('options that are undefined as if they were left out', () => {
    expect(refusal({ secret: SECRET, idleTimeout: undefined, cookie: { name: undefined } })).toBe(
      null,
    )
  })

  it('a cookie shared with subdomains, and one for plain http', () => {
    const shared = { name: '__Secure-a', domain: 'example.com' }
    expect(refusal({ secret: SECRET, cookie: shared })).toBe(null)
    expect(refusal({ secret: SECRET, cookie: { name: 'a', secure: false } })).toBe(null)
  })

  it.each([
    { idleTimeout: 30 * DAY },
    { absoluteTimeout: 600 },
    { idleTimeout: DAY, absoluteTimeout: DAY },
    { idleTimeout: 3650 * DAY },
    { idleTimeout: 250 * DAY, absoluteTimeout: 31_557_600 },
    { idleTimeout: 2_629_800, cookie: { maxAge: 2_629_800 } },
    { store: createMemoryStore(), snapshot: { maxAge: 0, staleIfError: 600 } },
    { cookie: { name: 'a', sameSite: 'none' } },
  ])('times that go together (%j)', (options) => {
    expect(refusal({ secret: SECRET, ...options })).toBe(null)
  })
})

describe('an option that contradicts another one', () => {
  it.each([
    [
      { idleTimeout: 2 * DAY, absoluteTimeout: DAY },
      /idleTimeout.*absoluteTimeout \(86400\), got 172800/,
    ],
    [
      { cookie: { maxAge: 2 * DAY } },
      /cookie\.maxAge.*idleTimeout \(86400\), got 172800: .* ends first/,
    ],
    [{ idleTimeout: 60, renewAfter: 60 }, /renewAfter.*idleTimeout - 1 \(59\), got 60: /],
    [
      {
        importFrom: [{ name: 'old', read: async () => null }],
        transport: { header: 'x-session' },
      },
      /importFrom.*transport \{ header \}: importers read and remove cookies/,
    ],
    [{ idleTimeout: 86_400_000 }, /idleTimeout.*seconds, not milliseconds, got 86400000/],
  ])('is refused by a message that names both, and says why: %j', (options, words) => {
    expect(refusal({ secret: SECRET, ...options })?.message).toMatch(words)
  })
})
