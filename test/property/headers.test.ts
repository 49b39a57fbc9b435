import { describe, expect, it } from 'vitest'
import { createSessions } from '../../src/index.ts'
import { subtleCalls } from '../crypto/support.ts'
import { createRandomBelow } from '../support/schedule.ts'

const SECRET = 'one secret for the tests of hostile headers'
const NAME = '__Host-session'
const MEGABYTE = 1_000_000
/** What `cookie.ts` tries at most. */
const MAX_TOKENS = 32

const sessions = createSessions({ secret: SECRET, cache: false })

async function makeToken(): Promise<{ id: string; token: string }> {
  const session = await sessions.open(null)
  session.set('good', true)
  const [line] = await sessions.save(session)
  return { id: session.id, token: line!.slice(NAME.length + 1, line!.indexOf(';')) }
}

/** The values of the session cookie, by the words of RFC 6265: only space and tab are trimmed. */
function valuesIn(header: string): string[] {
  const trim = (text: string): string => text.replace(/^[ \t]+/, '').replace(/[ \t]+$/, '')
  return header
    .split(';')
    .filter((pair) => pair.includes('='))
    .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)] as const)
    .filter(([name]) => trim(name) === NAME)
    .map(([, value]) => trim(value))
}

/** Opens a hostile header and compares with what a reader of the RFC would expect. */
async function expectSane(header: string, good: { id: string; token: string }): Promise<string> {
  const session = await sessions.open(header)
  const values = valuesIn(header)
  const isGood = values.slice(0, MAX_TOKENS).includes(good.token)
  const expected = isGood ? 'active' : values.length ? 'invalid' : 'new'
  const shown = header.slice(0, 500)
  expect([shown, session.status]).toEqual([shown, expected])
  if (isGood) expect([session.id, session.data]).toEqual([good.id, { good: true }])
  else {
    expect([shown, session.data, session.subject]).toEqual([shown, {}, null])
    expect(session.id).not.toBe(good.id)
  }
  return session.status
}

describe('sessions.open()', () => {
  it('never throws for random bytes', async () => {
    const good = await makeToken()
    const random = createRandomBelow(1)
    for (let round = 0; round < 10_000; round++) {
      const length = random(300)
      const header = Array.from({ length }, () => String.fromCharCode(random(256))).join('')
      await expectSane(header, good)
    }
  })

  it('never throws for pieces of cookies in any order', async () => {
    const good = await makeToken()
    const random = createRandomBelow(2)
    const pieces = [
      ...[NAME, NAME, `${NAME}=`, `${NAME}=${good.token}`, `; ${NAME}=${good.token}; `, good.token],
      ...['=', '=', ';', ';', '; ', ' ', '\t', ',', '"', '%', '%3B', '\\', '\0', '\n', '\r\n', '.'],
      ...['\u00a0', '\ufeff', '\u2028', '\u3000', 'é', '😀', '\ud800', '__host-session', '__HOST-'],
      ...[
        `${NAME}2=`,
        `X${NAME}=`,
        `${NAME} =`,
        `\u00a0${NAME}=`,
        `\ufeff${NAME}=`,
        `${NAME}\u00a0=`,
      ],
      ...[
        'AAAA',
        'A',
        'a=b',
        '__proto__=1',
        'constructor=1',
        '$Version=1',
        '-',
        '_',
        '9999.',
        '0.',
      ],
      ...[good.token.slice(0, 40), good.token.slice(1), `${good.token}A`, `"${good.token}"`],
    ]
    const statuses: Record<string, number> = {}
    for (let round = 0; round < 10_000; round++) {
      const length = random(12)
      const header = Array.from({ length }, () => pieces[random(pieces.length)]).join('')
      const status = await expectSane(header, good)
      statuses[status] = (statuses[status] ?? 0) + 1
    }
    // All of them really happened.
    for (const status of ['new', 'invalid', 'active']) {
      expect(statuses[status]).toBeGreaterThan(500)
    }
  })

  it('does not take a name with other white space before it for its own', async () => {
    const { token } = await makeToken()
    for (const space of [
      '\u00a0',
      '\ufeff',
      '\u2003',
      '\u3000',
      '\u2028',
      '\v',
      '\f',
      '\n',
      '\0',
    ]) {
      for (const name of [space + NAME, NAME + space]) {
        for (const header of [`${name}=${token}`, `a=b; ${name}=${token}`]) {
          expect([header, (await sessions.open(header)).status]).toEqual([header, 'new'])
        }
      }
    }
    for (const header of [`__host-session=${token}`, `__HOST-SESSION=${token}`]) {
      expect([header, (await sessions.open(header)).status]).toEqual([header, 'new'])
    }
  })

  it('finds its cookie beside shadowing ones', async () => {
    const good = await makeToken()
    const pair = `${NAME}=${good.token}`
    for (const shadow of [
      `\u00a0${NAME}=x`,
      `\ufeff${NAME}=x`,
      `${NAME}=x`,
      `${NAME}=`,
      `${NAME}`,
      `=${NAME}`,
      `=${NAME}=x`,
      `X${NAME}=x`,
      `a=${NAME}=x`,
      '=',
      '"',
      '%',
    ]) {
      for (const header of [
        `${shadow}; ${pair}`,
        `${pair}; ${shadow}`,
        `${shadow};${pair};${shadow}`,
      ]) {
        const { status, id } = await sessions.open(header)
        expect([header, status, id]).toEqual([header, 'active', good.id])
      }
    }
  })

  it('does not fall for counts of chunks', async () => {
    const { token } = await makeToken()
    const many = '9'.repeat(10_000)
    for (const value of [
      ...['9999.', '4.', '3.', '2.', '1.', '0.', '-1.', '4', '.', '..', '4.4.4.', '1e9.', '٤.'],
      ...[`9999.${token}`, `1.${token}`, `0.${token}`, `5.${token}`, `${many}.`, `4.${token}A`],
    ]) {
      for (const rest of [
        '',
        `; ${NAME}.1=`,
        `; ${NAME}.1=x; ${NAME}.2=y; ${NAME}.3=z; ${NAME}.9999=a`,
      ]) {
        const header = `${NAME}=${value}${rest}`
        const session = await sessions.open(header)
        expect([header, session.status, session.data]).toEqual([header, 'invalid', {}])
      }
    }
    // Chunks without a first were a session, which does not open.
    expect((await sessions.open(`${NAME}.1=${token}; ${NAME}.0=${token}`)).status).toBe('invalid')
  })

  it('prefers the newest of its cookies, in any order', async () => {
    let now = Date.UTC(2026, 0, 1)
    const clocked = createSessions({ secret: SECRET, cache: false, now: () => now })
    const pairs: string[] = []
    for (let visit = 0; visit < 3; visit++) {
      const session = await clocked.open(null)
      session.set('visit', visit)
      const [line] = await clocked.save(session)
      pairs.push(line!.slice(0, line!.indexOf(';')))
      now += 1000
    }
    const [a, b, c] = pairs
    for (const header of [`${a}; ${b}; ${c}`, `${c}; ${a}; ${b}`, `${b}; ${NAME}=x; ${c}; ${a}`]) {
      expect((await clocked.open(header)).data).toEqual({ visit: 2 })
    }
  })
})

/** Headers of any size that would take a careless parser too long. */
const LARGE: readonly (readonly [string, (size: number) => string])[] = [
  ['one value', (size) => `${NAME}=${'A'.repeat(size)}`],
  ['its name and nothing else', (size) => NAME.repeat(size / NAME.length)],
  ['its name, a thousand-fold', (size) => `${NAME}=x; `.repeat(size / 18)],
  ['its name without a value', (size) => `${NAME}=;`.repeat(size / 16)],
  ['its name without "="', (size) => `${NAME};`.repeat(size / 15)],
  ['chunks', (size) => `${NAME}=4.x; ${NAME}.1=`.repeat(size / 37)],
  [
    'many counts and one large chunk',
    (size) => `${`${NAME}=2.x;`.repeat(99)}${NAME}.1=${'A'.repeat(size)}`,
  ],
  ['names that end like its own', (size) => `X${NAME}=x; `.repeat(size / 19)],
  ['other cookies, then its own', (size) => `${'a=b; '.repeat(size / 5)}${NAME}=x`],
  ['semicolons', (size) => `${NAME}${';'.repeat(size)}`],
  ['equals signs', (size) => `${NAME}${'='.repeat(size)}`],
  ['spaces before', (size) => `${' '.repeat(size)}${NAME}=x`],
  ['spaces within', (size) => `${NAME}${' '.repeat(size)}=${' '.repeat(size)}x`],
  ['spaces after', (size) => `${NAME}=x${' '.repeat(size)}`],
  ['spaces around everything', (size) => `  ${NAME}  =  x  ;  `.repeat(size / 26)],
  ['quotes', (size) => `${NAME}=${'"'.repeat(size)}`],
  ['percent signs', (size) => `${NAME}=${'%'.repeat(size)}`],
  ['characters beyond Latin-1', (size) => `${NAME}=${'😀'.repeat(size / 2)}`],
  ['dots', (size) => `${NAME}=4${'.'.repeat(size)}`],
]

describe('the cost of a large header', () => {
  // In quadratic time it would take longer than a test may, on any machine.
  it.each(LARGE)('grows no faster than the header: %s', async (_kind, headerOf) => {
    const { status, data } = await sessions.open(headerOf(MEGABYTE))
    expect([['new', 'invalid'].includes(status), data]).toEqual([true, {}])
  })

  it('is no more than 32 tokens tried, however many there are', async () => {
    const { token } = await makeToken()
    const forged = Array.from({ length: 10_000 }, (_, i) => {
      const tag = `${i.toString(36).padStart(4, '0')}AAAA`
      return `${NAME}=${token.slice(0, -tag.length)}${tag}`
    })
    for (const count of [100, 1000, 10_000]) {
      const header = forged.slice(0, count).join('; ')
      const calls = await subtleCalls(async () => {
        expect((await sessions.open(header)).status).toBe('invalid')
      })
      expect(calls).toEqual(Array.from({ length: MAX_TOKENS }, () => 'decrypt'))
    }
  })

  it('is nothing without a token that could be ours', async () => {
    await sessions.open(`${NAME}=x`)
    for (const [kind, headerOf] of LARGE) {
      const calls = await subtleCalls(() => sessions.open(headerOf(MEGABYTE / 10)))
      expect([kind, calls]).toEqual([kind, []])
    }
  })
})
