import { describe, expect, it } from 'vitest'
import { refuseCrossSite, requireSession, returnPath } from '../src/guard/guard.ts'
import {
  fromCookieSession,
  fromExpressSession,
  fromH3,
  fromHonoSession,
  fromIronSession,
  fromReactRouter,
} from '../src/migrate/index.ts'
import { parseRetryAfter } from '../src/resilience/retry-after.ts'
import { createSealer } from '../src/seal.ts'
import { createWorld, SECRET } from './support/sessions.ts'

/** Characters: the square of so many steps takes longer than a test may. */
const LENGTH = 2 ** 17
const PIECES = [
  ' ',
  '\t',
  'a',
  'A',
  '/',
  '.',
  '*',
  '=',
  ';',
  ',',
  '"',
  '%',
  '_',
  '~',
  '-',
  ' a',
  '; ',
]

const { sessions } = createWorld({
  cookie: { maxChunks: 4, name: 's' },
  binding: { userAgent: true },
})
const mobile = createWorld({ transport: { header: 'authorization' } }).sessions
const guard = requireSession(sessions, { onMissing: '/login' })
const sealer = createSealer({ secret: SECRET })
const load = (): unknown => null
const importing = createWorld({
  importFrom: [
    fromH3({ name: 'x', password: SECRET }),
    fromIronSession({ cookieName: 'x', password: SECRET }),
    fromHonoSession({ name: 'x', secret: SECRET }),
    fromExpressSession({ name: 'x', secret: SECRET, load }),
    fromCookieSession({ name: 'x', keys: [SECRET] }),
    fromReactRouter({ name: 'x', secrets: [SECRET] }),
  ],
}).sessions

/** A request as a server hands it over; what the platform refuses in a header is left out. */
function request(headers: Record<string, string>, url = 'https://app.example/a'): Request {
  try {
    return new Request(url, { headers })
  } catch {
    return new Request('https://app.example/a')
  }
}

describe('what a visitor sends is read in time that grows with its length, and no faster', () => {
  it.each<[string, (text: string) => unknown]>([
    [
      'session cookies',
      (text) => sessions.open(`s=${text}; s=4.${text}; s.1=${text}; s.n=${text}`),
    ],
    ['a header in place of cookies', (text) => mobile.get(request({ authorization: text }))],
    ['the user agent', (text) => sessions.get(request({ 'user-agent': text }))],
    [
      'old cookies',
      (text) => importing.open(`x=${text}; x=s:${text}; x=Fe26.2*${text}; x.sig=${text}`),
    ],
    [
      'old cookies in chunks',
      (text) => importing.open(`x=__chunked__100; x.1=${text}; x.0=${text}`),
    ],
    ['returnTo', (text) => returnPath(request({}, `https://app.example/?returnTo=/${text}`))],
    [
      'the address of a page',
      (text) => guard(request({ accept: 'text/html' }, `https://app.example/${text}`)),
    ],
    ['origin', (text) => refuseCrossSite(request({ origin: text, upgrade: text }))],
    ['Retry-After', (text) => parseRetryAfter(text, 0)],
    ['a sealed value', (text) => sealer.open(text, { purpose: 'link' })],
  ])('%s', async (_, read) => {
    for (const piece of PIECES) {
      const long = piece.repeat(LENGTH / piece.length)
      // Not signed in, refused, or nothing: never an error.
      for (const text of [long, `${long}!`]) {
        const found = (await read(text)) as { subject?: unknown } | null
        expect(found?.subject ?? null).toBe(null)
      }
    }
  })
})
