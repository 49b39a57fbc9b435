import { describe, expect, it } from 'vitest'
import type { CookieTooLargeError } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createFaultyStore } from '../../src/testing/index.ts'
import { markResponse } from '../../src/transport/response.ts'
import { createWorld, errorOf } from '../support/sessions.ts'

const commit = async (response: Response, write = true): Promise<Response> => {
  const { sessions } = createWorld()
  const request = new Request('https://example.com')
  const session = await sessions.get(request)
  if (write) session.set('a', 1)
  return sessions.commit(request, response)
}

/** A page of somebody with a session, who reads it only. */
const readSignedIn = async (response: Response): Promise<Response> => {
  const { sessions, visit, jar } = createWorld()
  await visit((session) => session.login('ann'))
  const request = jar.request('/')
  await sessions.get(request)
  return sessions.commit(request, response)
}

describe('commit()', () => {
  it('makes an error page private for whoever has a session, and leaves that of others as it is', async () => {
    const { jar, sessions, visit } = createWorld()
    const cacheControl = async (): Promise<string | null> => {
      const handler = sessions.handler(async (request) => {
        const { subject } = await sessions.get(request)
        const headers = { 'cache-control': 'public, max-age=60' }
        return new Response(`Sorry, ${subject}`, { status: 500, headers })
      })
      return (await handler(jar.request('/'))).headers.get('cache-control')
    }
    expect(await cacheControl()).toBe('public, max-age=60')
    await visit((session) => session.login('ada'))
    expect(await cacheControl()).toBe('private, max-age=60')
  })

  it('appends its cookie to those of others', async () => {
    const headers = new Headers({
      'set-cookie': 'theme=dark; Expires=Wed, 01 Jan 2031 00:00:00 GMT',
    })
    headers.append('set-cookie', 'lang=en')
    const response = await commit(new Response('ok', { headers }))
    const names = response.headers.getSetCookie().map((cookie) => cookie.split('=')[0])
    expect(names).toEqual(['theme', 'lang', '__Host-session'])
  })

  it('takes a response that sets a cookie out of every shared cache', async () => {
    const shared = { 'cache-control': 'public, max-age=600, s-maxage=600' }
    const response = await commit(new Response('ok', { headers: shared }))
    expect(response.headers.get('cache-control')).toBe('private, no-store')
    expect(response.headers.get('vary')).toBe('Cookie')
  })

  it('Cache-Control for CDNs alone does not win over that of a session', async () => {
    for (const name of [
      'CDN-Cache-Control',
      'Cloudflare-CDN-Cache-Control',
      'Surrogate-Control',
      'Edge-Control',
      'X-Accel-Expires',
      'X-LiteSpeed-Cache-Control',
    ]) {
      const response = () => new Response('ok', { headers: { [name]: 'max-age=600' } })
      expect((await commit(response())).headers.get(name)).toBe(null)
      expect((await readSignedIn(response())).headers.get(name)).toBe(null)
      expect((await commit(response(), false)).headers.get(name)).toBe('max-age=600')
    }
  })

  it('Cache-Control of a page that read a session and set none is private', async () => {
    for (const [given, expected] of [
      [null, 'private'],
      ['public', 'private'],
      ['public, max-age=60, s-maxage=600', 'private, max-age=60'],
      ['private="set-cookie", max-age=60', 'private, private="set-cookie", max-age=60'],
      ['max-age=60, Private', 'private, max-age=60'],
      ['no-cache', 'private, no-cache'],
      ['no-store', 'no-store'],
      ['x-no-store', 'private, x-no-store'],
      ['no-store-x', 'private, no-store-x'],
      // With it a cache may forget `no-store` (RFC 9111, 5.2.2.3).
      ['public, Must-Understand, no-store, max-age=60', 'private, no-store, max-age=60'],
    ] as const) {
      const response = new Response('ok', { headers: given ? { 'cache-control': given } : {} })
      const { headers } = await readSignedIn(response)
      expect(headers.get('cache-control')).toBe(expected)
      expect([headers.get('vary'), headers.getSetCookie()]).toEqual(['Cookie', []])
    }
  })

  it('keeps a stricter Cache-Control', async () => {
    const response = await commit(new Response('', { headers: { 'cache-control': 'No-Store' } }))
    expect(response.headers.get('cache-control')).toBe('No-Store')
    const looser = { 'cache-control': 'public, must-understand, no-store, max-age=60' }
    const { headers } = await commit(new Response('', { headers: looser }))
    expect(headers.get('cache-control')).toBe('private, no-store')
  })

  it('lets a response that was only read be cached, per cookie', async () => {
    const headers = { 'cache-control': 'public', vary: 'Accept-Encoding' }
    const response = await commit(new Response('ok', { headers }), false)
    expect(response.headers.get('cache-control')).toBe('public')
    expect(response.headers.get('vary')).toBe('Accept-Encoding, Cookie')
  })

  it('says so of what was answered because the session could not be opened', async () => {
    const store = createFaultyStore(createMemoryStore())
    const { visit, sessions, jar } = createWorld({ store, onStoreFailure: 'throw' })
    await visit((s) => s.set('a', 1))
    store.down()
    const handler = sessions.handler(async (request) => {
      const error = await errorOf(() => sessions.get(request))
      return new Response(error.code)
    })
    const response = await handler(jar.request('/'))
    expect(await response.text()).toBe('ERR_STORE_UNAVAILABLE')
    // It shows nothing of a session.
    const { headers } = response
    expect([headers.get('vary'), headers.get('cache-control')]).toEqual(['Cookie', null])
  })

  it('saves nothing with the page of an error, which may be about the session', async () => {
    const { sessions } = createWorld()
    const request = new Request('https://example.com')
    const session = await sessions.get(request)
    session.set('a', 1)
    const response = await sessions.commit(request, new Response('sorry'), { save: false })
    expect([response.headers.get('vary'), response.headers.getSetCookie()]).toEqual(['Cookie', []])
    session.set('a', 2)
    expect((await sessions.save(session)).length).toBe(1)
  })

  it('does not repeat itself in Vary', async () => {
    for (const vary of ['cookie', 'Accept, COOKIE', '*']) {
      const response = await commit(new Response('ok', { headers: { vary } }), false)
      expect(response.headers.get('vary')).toBe(vary)
    }
  })

  it('copies a response whose headers cannot be changed', async () => {
    const response = await commit(Response.redirect('https://example.com/next', 303))
    expect(response.status).toBe(303)
    expect(response.headers.get('location')).toBe('https://example.com/next')
    expect(response.headers.getSetCookie().length).toBe(1)
  })

  it('a response that gets a cookie is copied, one that could be sent twice is, no other is', async () => {
    const shared = [
      ...[204, 205, 304, 401, 200].map((status) => new Response(null, { status })),
      new Response(null, { status: 303, headers: { location: '/' } }),
      new Response('sorry', { status: 403 }),
      new Response(null, { status: 204, headers: { 'content-type': 'text/plain' } }),
      new Response(null, { headers: { 'content-type': 'text/plain', 'content-length': '0' } }),
      Response.redirect('https://example.com/'),
    ]
    const texts = [new Response('ok'), Response.json({}), new Response(new Blob(['ok']))]
    const headersOf = ({ headers }: Response) => JSON.stringify([...headers])
    for (const response of [...shared, ...texts]) {
      const before = headersOf(response)
      expect((await commit(response)).headers.getSetCookie()).toHaveLength(1)
      expect(headersOf(response)).toBe(before)
    }
    for (const response of shared) {
      const before = headersOf(response)
      const committed = await readSignedIn(response)
      expect(committed.headers.get('vary')).toBe('Cookie')
      expect(committed.headers.get('cache-control')).toBe('private')
      expect(headersOf(response)).toBe(before)
    }
    const page = Response.json({})
    expect(await readSignedIn(page)).toBe(page)
  })

  it('keeps a null body null', async () => {
    for (const status of [204, 205, 304]) {
      const response = await commit(new Response(null, { status }))
      expect([response.status, response.body]).toEqual([status, null])
      expect(response.headers.getSetCookie().length).toBe(1)
    }
  })

  it('sets a cookie once, and a header of one value, where a response has them already', async () => {
    for (const transport of ['cookie', { header: 'x-session' }] as const) {
      const { sessions } = createWorld({ transport })
      const request = new Request('https://example.com')
      ;(await sessions.get(request)).set('a', 1)
      const once = await sessions.commit(request, new Response('ok'))
      const twice = await sessions.commit(request, once)
      expect(twice.headers.getSetCookie()).toHaveLength(transport === 'cookie' ? 1 : 0)
      expect(twice.headers.get('x-session')).toBe(once.headers.get('x-session'))
    }
  })

  it('gives the answer 503 to a rotation of unknown outcome its cookie, and no log', async () => {
    const store = createFaultyStore(createMemoryStore())
    const { jar, sessions, visit } = createWorld({ store, now: Date.now })
    await visit((session) => session.login('ann'))
    const request = jar.request('/')
    const session = await sessions.get(request)
    session.regenerate()
    store.inject({ type: 'throw-after' }, 'write')
    const error = await errorOf(() => sessions.save(session))
    const response: Response = error.getResponse()
    const [cookie = ''] = response.headers.getSetCookie()
    expect([response.status, cookie.split('=')[0]]).toEqual([503, '__Host-session'])
    const token = cookie.slice('__Host-session='.length, 60)
    expect(Object.values({ ...error }).join() + error.stack).not.toContain(token)
    jar.store(response)
    // A failed write of data has rotated nothing.
    store.down({ type: 'throw-before' }, 'write')
    const { response: plain } = await visit((one) => one.set('a', 1))
    expect([plain.status, plain.headers.getSetCookie()]).toEqual([503, []])
  })

  it('throws where a response was read already, which nobody could send', async () => {
    const response = new Response('ok')
    await response.text()
    expect((await errorOf(() => commit(response))).name).toBe('TypeError')
  })

  it('leaves a network error as it is', async () => {
    const response = Response.error()
    expect(await commit(response)).toBe(response)
  })

  it('lets a stream go on after its headers have left', async () => {
    let push: (text: string) => void = () => {}
    let end: () => void = () => {}
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        push = (text) => controller.enqueue(new TextEncoder().encode(text))
        end = () => controller.close()
      },
    })
    const response = await commit(new Response(body))
    expect(response.headers.getSetCookie().length).toBe(1)
    push('one ')
    push('two')
    end()
    expect(await response.text()).toBe('one two')
  })
})

describe('markResponse()', () => {
  const mark = (response: object) =>
    markResponse(response as Response, ['a=1'], ['Cookie', 'set-cookie'], true)

  it('marks a head that an adapter gives, and the answer to a handshake, in place', () => {
    for (const more of [
      { status: 200, ok: true, isOwn: true },
      { status: 401, ok: false, isOwn: true },
      { status: 101, ok: false },
    ]) {
      const response = { headers: new Headers(), ...more }
      expect(mark(response)).toBe(response)
      expect(response.headers.getSetCookie()).toEqual(['a=1'])
    }
  })

  it('leaves a handshake as it is whose headers cannot be changed, and which cannot be copied', () => {
    const { headers } = Response.redirect('https://example.com/')
    // Workers and Deno copy a 101, nobody a 100.
    const response = { headers, status: 100, ok: false }
    expect(mark(response)).toBe(response)
  })
})

describe('large sessions', () => {
  const text = (length: number): string => 'x'.repeat(length)

  it('sends nothing that a browser would drop without a word', async () => {
    const { visit, jar, types } = createWorld()
    await visit((s) => s.set('old', 'kept'))
    const error: CookieTooLargeError = await errorOf(() =>
      visit((s) => {
        s.set('tiny', 1)
        s.set('letter', text(3000))
        s.set('note', text(200))
      }),
    )
    expect(error.code).toBe('ERR_COOKIE_TOO_LARGE')
    expect(error.limit).toBe(4096)
    expect(error.size > 4096).toBe(true)
    expect(error.message).toContain(' keys are "letter" (3002), "note" (202), "old" (6). Keep')
    expect(types().includes('cookie.too-large')).toBe(true)
    expect(jar.cookies('/').length).toBe(1)
    expect((await visit()).session.data).toEqual({ old: 'kept' })
  })

  it('fills a cookie up to the last byte', async () => {
    const sizeOf = async (length: number) => {
      const { visit } = createWorld()
      const { setCookie } = await visit((s) => s.set('a', text(length)))
      return (setCookie[0] as string).split(';')[0]?.length ?? 0
    }
    let fits = 2900
    while ((await errorOrSize(fits + 1)) !== null) fits++
    expect((await sizeOf(fits)) - 1 <= 4096).toBe(true)
    expect((await sizeOf(fits)) - 1 > 4092).toBe(true)

    async function errorOrSize(length: number) {
      try {
        return await sizeOf(length)
      } catch {
        return null
      }
    }
  })

  it('splits over as many cookies as allowed, and removes those it no longer needs', async () => {
    const { visit, jar } = createWorld({ cookie: { maxChunks: 4 } })
    const names = () =>
      jar
        .cookies('/')
        .map(({ name }) => name)
        .sort()
    await visit((s) => s.set('a', text(11_000)))
    expect(names()).toEqual([
      '__Host-session',
      '__Host-session.1',
      '__Host-session.2',
      '__Host-session.3',
    ])
    expect((await visit()).session.get('a')).toBe(text(11_000))
    await visit((s) => s.set('a', text(5000)))
    expect(names()).toEqual(['__Host-session', '__Host-session.1'])
    await visit((s) => s.set('a', 'small'))
    expect(names()).toEqual(['__Host-session'])
    await visit((s) => s.set('a', text(5000)))
    await visit((s) => s.destroy())
    // What is left is the note that this session has ended.
    expect(names().filter((name) => !name.includes('.n'))).toEqual([])
    const error = await errorOf(() => visit((s) => s.set('a', text(13_000))))
    expect(error.code).toBe('ERR_COOKIE_TOO_LARGE')
  })

  it('says how much as many cookies as allowed can hold', async () => {
    for (const [maxChunks, limit] of [
      [1, 4096],
      [2, 8188],
      [4, 16_376],
    ] as const) {
      const { visit } = createWorld({ cookie: { maxChunks } })
      const error = await errorOf(() => visit((s) => s.set('a', text(20_000))))
      expect(error.limit).toBe(limit)
    }
  })

  it('says sizes that are over the limit by as much as is too much', async () => {
    for (const maxChunks of [1, 2, 3, 4]) {
      const { visit } = createWorld({ cookie: { maxChunks } })
      const fits = async (length: number) => {
        const error = await visit((s) => s.set('a', text(length))).catch((error) => error)
        if (error.code) expect(error.size > error.limit).toBe(true)
        return error.code ? error.size - error.limit : 0
      }
      let length = 2950 * maxChunks
      while ((await fits(length)) === 0) length += 1
      expect(await fits(length)).toBeLessThan(3)
    }
  })

  it('opens nothing when a chunk is missing, swapped or of another time', async () => {
    const { visit, jar, sessions } = createWorld({ cookie: { maxChunks: 3 } })
    await visit((s) => s.set('a', text(7000)))
    const [first, second, third] = jar.cookies('/').map(({ value }) => value)
    const status = async (...parts: (string | undefined)[]) => {
      const named = parts.map((part, i) => `__Host-session${i ? `.${i}` : ''}=${part}`)
      return (await sessions.open(named.filter((_, i) => parts[i] !== undefined).join('; '))).status
    }
    expect(await status(first, second, third)).toBe('active')
    expect(await status(first, second)).toBe('invalid')
    expect(await status(first, third, second)).toBe('invalid')
    expect(await status(first, undefined, third)).toBe('invalid')
    expect(await status(first)).toBe('invalid')
    await visit((s) => s.set('b', 1))
    expect(await status(jar.cookies('/')[0]?.value, second, third)).toBe('invalid')
  })
})

describe('cookies of the same name', () => {
  it('takes the newest of those in chunks, and finds it among planted ones', async () => {
    const { visit, jar, sessions, clock } = createWorld({ cookie: { maxChunks: 4 } })
    await visit((s) => s.set('n', `old${'x'.repeat(9000)}`))
    const older = jar.header()
    clock.advance(10)
    await visit((s) => s.set('n', `new${'x'.repeat(9000)}`))
    const newer = jar.header()
    const planted = '__Host-session.1=AAAA; __Host-session.2=BBBB'
    for (const header of [
      `${older}; ${newer}`,
      `${newer}; ${older}`,
      `${planted}; ${older}; ${newer}`,
      `${newer}; ${planted}`,
    ]) {
      const session = await sessions.open(header)
      expect(session.status).toBe('active')
      expect(session.get('n')).toMatch(/^new/)
    }
    const flood = '__Host-session.1=A; __Host-session=4.B; __Host-session.3=C; '.repeat(1000)
    expect((await sessions.open(flood)).status).toBe('invalid')
  })

  it('takes the newest that opens, wherever it stands', async () => {
    const { visit, jar, sessions, clock } = createWorld()
    await visit((s) => s.set('n', 1))
    const older = jar.header()
    clock.advance(10)
    await visit((s) => s.set('n', 2))
    const newer = jar.header()
    const forged = '__Host-session=AAAA'
    for (const header of [
      `${older}; ${newer}; ${forged}`,
      `${forged}; ${newer}; ${older}`,
      `theme=dark; ${newer}; ${forged}; ${forged}; ${older}`,
    ]) {
      expect((await sessions.open(header)).get('n')).toBe(2)
    }
  })

  it('takes the first of those that are equally new', async () => {
    const { sessions } = createWorld()
    const pairs: string[] = []
    for (const name of ['first', 'second']) {
      const session = await sessions.open(null)
      session.set('name', name)
      pairs.push((await sessions.save(session))[0]!.split(';')[0]!)
    }
    expect((await sessions.open(pairs.join('; '))).get('name')).toBe('first')
    expect((await sessions.open(pairs.reverse().join('; '))).get('name')).toBe('second')
  })

  it('is not fooled by a name that only looks the same', async () => {
    const { visit, jar, sessions } = createWorld()
    await visit((s) => s.set('n', 1))
    const good = jar.header()
    for (const space of ['\u00a0', '\ufeff', '\u2003', '\u000b']) {
      const session = await sessions.open(`${space}__Host-session=evil; ${good}`)
      expect(session.get('n')).toBe(1)
    }
  })
})
