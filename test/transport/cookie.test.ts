import { describe, expect, it } from 'vitest'
import { decodeBase64url, encodeBase64url } from '../../src/crypto/base64url.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createSessionCookie } from '../../src/transport/cookie.ts'
import { joinChunks } from '../../src/transport/too-large.ts'
import { countCrypto, createWorld } from '../support/sessions.ts'

/** Cookies of a session in several chunks: the value of each by its name. */
async function createChunked() {
  const world = createWorld({ cookie: { maxChunks: 4 } })
  await world.visit((s) => {
    s.login('ann')
    s.set('a', 'é'.repeat(2500))
  })
  const pairs = world.jar.cookies().map(({ name, value }) => [name, value] as const)
  expect(pairs.length).toBeGreaterThan(1)
  return { ...world, pairs }
}

const headerOf = (pairs: readonly (readonly [string, string])[]): string =>
  pairs.map(([name, value]) => `${name}=${value}`).join('; ')

describe('the Cookie header', () => {
  it('opens a session whose cookies a client has quoted, as RFC 2109 and RFC 6265 have it', async () => {
    const { sessions, pairs } = await createChunked()
    const quoted = pairs.map(([name, value]) => [name, `"${value}"`] as const)
    for (const header of [
      headerOf(quoted),
      `$Version=1; ${headerOf(quoted)}; $Path="/"; $Domain=app.example`,
      headerOf([...quoted].reverse()),
    ]) {
      expect((await sessions.open(header)).subject).toBe('ann')
    }
  })

  it('is not misled by quotes in the values of other cookies', async () => {
    const { sessions, jar, visit } = createWorld()
    await visit((s) => s.set('a', 1))
    const odd = `x="a; ${jar.header()}"; y="=\\"; z="; ${jar.header()}`
    expect((await sessions.open(odd)).get('a')).toBe(1)
  })

  it('tries chunks that are next to each other first, so that planted ones hide none', async () => {
    const { sessions, pairs } = await createChunked()
    const planted = Array.from({ length: 200 }, (_, i) => ['__Host-session.1', `x${i}`] as const)
    const decoy = ['__Host-session', '2.y'] as const
    for (const all of [
      [...planted.slice(0, 32), ...pairs],
      [...planted.slice(1), ...pairs],
      [...pairs, ...planted],
      [decoy, ...planted.slice(1), ...pairs],
      [decoy, decoy, decoy, ...pairs, ...planted],
      [...planted.slice(1), ...[...pairs].reverse(), ...planted],
    ]) {
      expect((await sessions.open(headerOf(all))).subject).toBe('ann')
    }
  })

  it('opens a session of one cookie beside chunks that are left over, or planted', async () => {
    const { sessions, pairs } = await createChunked()
    const { jar, visit } = createWorld({ cookie: { maxChunks: 4 } })
    await visit((s) => s.login('bob'))
    const one = jar.header()!
    const header = `${headerOf(pairs.slice(1))}; ${one}; __Host-session.1=x`
    expect((await sessions.open(header)).subject).toBe('bob')
  })

  it('names each join of chunks once, and only where the first one says how many there are', () => {
    const join = (header: string) =>
      joinChunks(createSessionCookie({ name: 's' }).find(header)).tokens
    expect(join('s=2.a; s.1=b; s.1=c; s.1=d; s.1=e')).toEqual(['ab', 'ac', 'ad'])
    expect(join('s=2.a; s=2.x; s.1=b; s.1=c')).toEqual(['ab', 'xb', 'ac', 'xc'])
    expect(join('s=a2.b; s=5.a; s=1.a; s=a; s.1=c')).toEqual(['a2.b', '5.a', '1.a', 'a'])
    expect(join('s=3.a; s.1=b; s=2.a')).toEqual(['', 'ab'])
    // As many of one name as a browser stores.
    const many = Array.from({ length: 201 }, (_, i) => `s.1=${i}; `).join('')
    expect(join(`${many}s=2.a`)).toEqual(['a199', 'a198', 'a197'])
  })

  it('tells of a session whose first chunk is missing', async () => {
    const { pairs } = await createChunked()
    const { events, sessions } = createWorld({ cookie: { maxChunks: 4 } })
    const session = await sessions.open(headerOf(pairs.slice(1)))
    expect([session.status, session.data]).toEqual(['invalid', {}])
    expect(events).toMatchObject([{ type: 'session.invalid', reason: 'malformed' }])
  })

  it('opens either of two sessions in chunks, however their cookies lie among each other', async () => {
    const { sessions, pairs } = await createChunked()
    const [first, second] = pairs
    const other = pairs.map(([name, value]) => [name, value.replace(/.{5}$/, '-----')] as const)
    for (const all of [
      [first!, other[0]!, other[1]!, second!, ...pairs.slice(2)],
      [other[0]!, first!, second!, other[1]!, ...pairs.slice(2)],
      [...other, ...pairs],
    ]) {
      expect((await sessions.open(headerOf(all))).subject).toBe('ann')
    }
  })

  it('names a bounded number of cookies to open, however many there are', () => {
    const cookie = createSessionCookie({ name: 's', maxChunks: 4 })
    const names = [
      's',
      's.1',
      's.2',
      's.3',
      's.nAAAA',
      's.dAAAA',
      'sx',
      's.',
      's.constructor',
      's.4',
    ]
    const header = Array.from({ length: 5000 }, (_, i) => names.map((name) => `${name}=4.${i}`))
    const found = joinChunks(cookie.find(header.flat().join('; ')))
    expect(found.tokens.length).toBe(32)
    expect(new Set(found.tokens).size).toBe(32)
    expect([found.notes.length, found.deferred.length]).toEqual([16, 16])
    expect(found.chunks).toEqual([1, 2, 3])
    const single = header.map(([first]) => first).join('; ')
    expect(cookie.find(single).tokens).toEqual(Array.from({ length: 32 }, (_, i) => `4.${i}`))
  })

  it('costs a bounded number of keys, however many hours its forgeries name', async () => {
    const { jar, sessions, visit } = createWorld()
    await visit((s) => s.login('ann'))
    const own = jar.get('__Host-session')!
    // The hour is in bytes 5 to 7.
    const forged = Array.from({ length: 30 }, (_, i) => {
      const bytes = decodeBase64url(own)!
      bytes[7]! -= i + 1
      return `__Host-session=${encodeBase64url(bytes)}`
    })
    const costOf = (count: number) =>
      countCrypto(async () => {
        const header = [...forged.slice(0, count), `__Host-session=${own}`].join('; ')
        expect((await sessions.open(header)).subject).toBe('ann')
      })
    const [none, four, all] = [await costOf(0), await costOf(4), await costOf(30)]
    expect(four).toBeGreaterThan(none)
    expect(all).toBe(four)
  })

  it('takes no blanks but spaces and tabs from names, where browsers would see no prefix', () => {
    const { find } = createSessionCookie({})
    for (const blank of ['\u00a0', '\u0085', '\u000b', '\f', '\ufeff', '\u2003']) {
      expect(find(`${blank}__Host-session=a`).tokens).toEqual([])
      expect(find(`__Host-session${blank}=a`).tokens).toEqual([])
    }
    expect(find(' \t__Host-session \t=\t a \t').tokens).toEqual(['a'])
  })

  it('takes quotes from a value that begins and ends with one', () => {
    const { find } = createSessionCookie({ name: 's' })
    const header = 's="a"; s="a; s=a"; s="; s=""; s=a"b; s="a" b; s= "a" ; s= '
    expect(find(header).tokens).toEqual(['a', '"a', 'a"', '"', '', 'a"b', '"a" b', 'a', ''])
  })

  it.each(['\uFEFF', '\u00A0', '\n', '\v', '\u2028'])(
    'leaves white space to a value that is no blank: %j',
    (space) => {
      const { find } = createSessionCookie({ name: 's' })
      const value = `${space}a${space}`
      expect(find(`s= ${value}\t`).tokens).toEqual([value])
    },
  )

  it('reads a megabyte of blanks and quotes to its end, which the square of that would never be', () => {
    const { find } = createSessionCookie({ name: 's' })
    for (const piece of [' ', '\t', '"', ' "', '=', ' = ', '="', 'a ']) {
      const long = piece.repeat(2 ** 20 / piece.length)
      for (const header of [
        `${long}s=a${long}`,
        `s${long}=${long}a${long}b`,
        `s=${long}x`,
        `s${long}`,
      ]) {
        expect(find(header).notes).toEqual([])
      }
    }
  })
})

describe('cookies of the application whose names begin like ours', () => {
  it('are no notes, no deferred writes and no chunks', () => {
    const { find } = createSessionCookie({ name: 's', maxChunks: 4 })
    const others = [
      'sx.nAAAA',
      's.nAAA',
      's.nAAAAA',
      's.n-AA.',
      's.xAAAA',
      's.NAAAA',
      's.10',
      'xs.1',
    ]
    const found = find(others.map((name) => `${name}=1`).join('; '))
    expect([found.tokens, found.chunks, found.notes, found.deferred]).toEqual([[], [], [], []])
    expect(find('s.nA-_9=1; s.dAAAA=2')).toMatchObject({
      notes: [['nA-_9', '1']],
      deferred: [['dAAAA', '2']],
    })
  })

  it('are neither opened nor removed', async () => {
    const store = createMemoryStore()
    const { jar, sessions, visit } = createWorld({ store, cookie: { name: 'session' } })
    await visit((s) => s.login('ada'))
    const others = 'session.dark-mode=1; session.name=x; session.nights=2; session.d=3'
    const headers = { cookie: `${jar.header()}; ${others}` }
    const request = new Request('https://example.com/', { headers })
    const session = await sessions.get(request)
    session.regenerate()
    const names = (await sessions.save(session)).map((one) => one.split('=', 1)[0])
    for (const name of names) expect(name).toMatch(/^session(\.n[\w-]{4})?$/)
  })
})
