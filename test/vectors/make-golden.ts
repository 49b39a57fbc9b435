/**
 * Makes golden.json: tokens and cookies sealed by the code as it is, to be opened for ever.
 *
 * `node test/vectors/make-golden.ts > test/vectors/golden.json`, but see README.md first.
 */
import { encodeBase64url } from '../../src/crypto/base64url.ts'
import { createKeyRing, type KeyPurpose } from '../../src/crypto/keyring.ts'
import { sealToken } from '../../src/crypto/token.ts'
import { createSessions, type Session } from '../../src/index.ts'
import { FIRST as FIRST_GENERATION } from '../../src/codec/generation.ts'
import { encodeRecord, idOf, type OpenedRecord } from '../../src/codec/session-record.ts'

const FIRST = 'a fixed secret for golden tokens, number 1'
const SECOND = 'a fixed secret for golden tokens, number 2'
const NOW = Date.UTC(2026, 10, 23, 12, 34, 56)

async function token(
  description: string,
  purpose: KeyPurpose,
  label: string,
  length: number,
  secrets = [FIRST],
): Promise<object> {
  const plaintext = Uint8Array.from({ length }, (_, i) => 7 * i)
  const sealed = await sealToken(createKeyRing(secrets, purpose), label, plaintext, NOW)
  // The plaintext is the multiples of 7, modulo 256.
  return { description, secrets, purpose, label, length, token: sealed }
}

async function cookie(
  description: string,
  fill: (session: Session) => void,
  {
    name = '__Host-session',
    maxChunks = 1,
    version = 1,
    secrets = [FIRST] as [string, ...string[]],
    notice = null as unknown,
  } = {},
): Promise<object> {
  const sessions = createSessions({
    secret: secrets,
    version,
    cookie: { name, maxChunks },
    now: () => NOW,
  })
  const session = await sessions.open(null)
  fill(session)
  if (notice) session.flash('notice', notice)
  const lines = await sessions.save(session)
  const header = lines.map((line) => line.slice(0, line.indexOf(';'))).join('; ')
  const { id, subject, authenticatedAt, createdAt, expiresAt } = session
  // As text, because not every reader of JSON takes lone surrogates and a key "__proto__".
  const data = JSON.stringify(session.data)
  const persistent = lines[0]!.includes('; Max-Age=')
  const expected = { id, subject, authenticatedAt, createdAt, expiresAt, persistent, data }
  return { description, secrets, name, maxChunks, version, header, expected, notice }
}

const login = (session: Session): void => {
  session.login('user-1', { persistent: true, idleTimeout: 3600, absoluteTimeout: 7200 })
}

const record: OpenedRecord = {
  key: Uint8Array.from({ length: 16 }, (_, i) => i),
  generation: {
    number: 3,
    nonce: 'AAECAwQF',
    replaced: ['2.BgcICQoL', '1.'],
    rotatedAt: NOW + 3000,
    signedInAt: 12,
  },
  writes: 'aaaaaaAB',
  markFor: 600,
  createdAt: NOW,
  renewedAt: NOW + 1000,
  subject: 'user-1',
  authenticatedAt: NOW + 2000,
  idleTimeout: 3600,
  absoluteTimeout: 7200,
  persistent: true,
  counter: 12,
  version: 7,
  text: '[{"a":"ä"},{"notice":1}]',
  hasFlash: true,
}

function recordOf(description: string, changes: Partial<OpenedRecord>): object {
  const { key, ...fields } = { ...record, ...changes }
  const bytes = encodeBase64url(encodeRecord({ key, ...fields }))
  return { description, bytes, expected: { id: idOf({ key }), ...fields } }
}

const golden = {
  about: 'Sealed by Sojourn 0.1.0, format version 1. Never made again; see README.md',
  now: NOW,
  tokens: [
    await token('empty', 'cookie', 'cookie:__Host-session', 0),
    await token('one byte', 'cookie', 'cookie:__Host-session', 1),
    await token('two bytes', 'cookie', 'cookie:__Host-session', 2),
    await token('for a store', 'store', 'store:some-id', 100),
    await token('a sealed value, a label beyond ASCII', 'seal', 'seal:bestätigen', 33),
    await token('the first of two keys', 'cookie', 'cookie:sid', 40, [SECOND, FIRST]),
    await token('as large as a store allows', 'store', 'store:large', 5000),
  ],
  records: [
    recordOf('every field, data and flash', {}),
    recordOf('every field, the data are in a store', { text: null, hasFlash: false }),
    recordOf('of the first generation', { generation: FIRST_GENERATION, writes: undefined, markFor: undefined }),
    recordOf('a line feed in the text of a codec', { text: 'a\nb\n', hasFlash: false }),
  ],
  cookies: [
    await cookie('one value', (session) => session.set('visits', 1)),
    await cookie('the first of two keys', (session) => session.set('visits', 2), {
      secrets: [SECOND, FIRST],
    }),
    await cookie('signed in, with every field and no data', login),
    await cookie('signed in, with data', (session) => {
      login(session)
      session.set('cart', [
        { sku: 'ä-1', count: 2, price: 9.99 },
        { sku: '\ud800', count: 0 },
      ])
      session.set('nested', { a: { b: { c: [null, true, false, -1e21, ''] } } })
    }),
    await cookie('with flash', (session) => session.set('visits', 3), {
      notice: { text: 'Saved', at: [1, 2, 3] },
    }),
    await cookie('flash alone', () => {}, { notice: 'Welcome' }),
    await cookie('emptied', (session) => {
      login(session)
      session.set('gone', 1)
      session.unset('gone')
    }),
    await cookie('hostile keys', (session) => {
      session.set('__proto__', { polluted: true })
      session.set('constructor', { prototype: { polluted: true } })
      session.set('toString', JSON.parse('{"__proto__":{"polluted":true}}'))
    }),
    await cookie('of a newer shape', (session) => session.set('visits', 5), { version: 7 }),
    await cookie('of another name', (session) => session.set('visits', 4), { name: 'sid' }),
    await cookie('as large as one cookie can be', (session) => session.set('x', 'x'.repeat(2992))),
    await cookie(
      'as large as four cookies can be',
      (session) => session.set('x', 'x'.repeat(12_171)),
      {
        maxChunks: 4,
      },
    ),
  ],
}

console.log(JSON.stringify(golden, null, 2))
