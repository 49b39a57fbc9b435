/**
 * The story that every example and every adapter must be able to tell, in ten steps.
 *
 * An example is a shop with these routes. A page contains, anywhere, the one line
 * `user: Ada; cart: tent, rope; notice: Welcome, Ada; id: 5f…` (see `examples/story/shop.ts`);
 * nobody signed in is `nobody`.
 *
 * | | |
 * | --- | --- |
 * | `GET /` | the page, for everybody |
 * | `POST /cart` | `item`: opens the session, then reads the form and adds to the cart, with the flash message `tent is in your cart`; to `/` |
 * | `POST /sign-in` | `name`: signs in, with the flash message `Welcome, Ada`; to `/account` |
 * | `GET /account` | the page for who is signed in; others are redirected to `/` |
 * | `POST /sign-out` | ends the session; to `/` |
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CookieJar, createCookieJar } from '../../src/testing/index.ts'
import type { Server } from './server.ts'

/** What the place where the sessions live can do. */
export interface StoryOptions {
  /** Overlapping writes are merged. (default: `true`) */
  merges?: boolean
  /** A session that is over is over for copies of its cookie too. (default: `true`) */
  revokes?: boolean
  /** It has the request, and so sees which pages are fetched ahead, and answers caches. (default: `true`) */
  seesRequests?: boolean
  /**
   * It opens the session before it reads a form. Else one that was sent before a sign-out and is opened
   * after it starts a session of its own. (default: `true`)
   */
  opensFirst?: boolean
}

interface Answer {
  readonly status: number
  /** The path that a redirect leads to. */
  readonly location: string | null
  readonly setCookie: string[]
  readonly cacheControl: string | undefined
  readonly user?: string | undefined
  readonly cart: string[]
  readonly notice?: string | undefined
  readonly id?: string | undefined
}

interface Message {
  /** Sends this form with POST. */
  form?: Record<string, string>
  /** Holds the second half of the form back until this resolves. */
  until?: Promise<unknown>
  /** Sent in place of what the jar holds. */
  cookie?: string | null
  /** The page is fetched ahead of a click. */
  isAhead?: boolean
}

/** A browser at a server: every tab of it shares the jar. */
class Browser {
  readonly jar: CookieJar
  readonly #origin: string

  constructor(origin: string) {
    this.#origin = origin
    this.jar = createCookieJar({ origin })
  }

  async send(path: string, { form, until, cookie, isAhead }: Message = {}): Promise<Answer> {
    const sent = cookie === undefined ? this.jar.header(path) : cookie
    const body = new URLSearchParams(form).toString()
    const headers = {
      accept: 'text/html',
      ...(sent === null ? {} : { cookie: sent }),
      ...(isAhead && { 'sec-purpose': 'prefetch' }),
      ...(form && {
        origin: this.#origin,
        'content-type': 'application/x-www-form-urlencoded',
        'content-length': String(body.length),
      }),
    }
    const message = await new Promise<IncomingMessage>((resolve, reject) => {
      const method = form ? 'POST' : 'GET'
      const outgoing = httpRequest(new URL(this.#origin + path), { method, headers }, resolve)
      outgoing.on('error', reject)
      if (!until) outgoing.end(body)
      else {
        outgoing.write(body.slice(0, 3))
        until.then(() => outgoing.end(body.slice(3)), reject)
      }
    })
    return this.#read(path, message)
  }

  async #read(path: string, message: IncomingMessage): Promise<Answer> {
    let text = ''
    for await (const part of message.setEncoding('utf8')) text += part
    const headers = new Headers()
    // An empty one says nothing to a browser: so a `SessionStorage` returns a string always.
    const setCookie = (message.headers['set-cookie'] ?? []).filter(Boolean)
    for (const value of setCookie) headers.append('set-cookie', value)
    this.jar.store(new Response(null, { headers }), path)
    const { location } = message.headers
    const [, user, cart, notice, id] =
      /user: (.*?); cart: (.*?); notice: (.*?); id: ([\w-]*)/.exec(text) ?? []
    return {
      status: message.statusCode ?? 0,
      location: location ? new URL(location, this.#origin).pathname : null,
      setCookie,
      cacheControl: message.headers['cache-control'],
      user,
      cart: cart ? cart.split(', ') : [],
      notice,
      id,
    }
  }

  add(item: string, more: Message = {}): Promise<Answer> {
    return this.send('/cart', { form: { item }, ...more })
  }
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
/** Milliseconds after which a server has most likely begun with a request. */
const BEGUN = 300

const expectRedirect = ({ status, location }: Answer, to: string): void => {
  expect([302, 303]).toContain(status)
  expect(location).toBe(to)
}

/** Registers the ten steps as tests of one suite, against the server that `start` starts. */
export function tellStory(
  name: string,
  start: () => Promise<Server>,
  { merges = true, revokes = true, seesRequests = true, opensFirst = true }: StoryOptions = {},
): void {
  describe(`the story, told by ${name}`, () => {
    let server: Server | undefined
    let browser: Browser
    let anonymous: Answer
    let anonymousCookie: string | null
    let welcome: Answer
    let signedInCookie: string | null

    beforeAll(async () => {
      server = await start()
      browser = new Browser(server.origin)
    }, 180_000)
    afterAll(() => server?.stop())

    it('1: a stranger fills a cart', async () => {
      const empty = await browser.send('/')
      expect(empty).toMatchObject({ status: 200, user: 'nobody', cart: [], setCookie: [] })
      expectRedirect(await browser.add('tent'), '/')
      anonymous = await browser.send('/')
      expect(anonymous).toMatchObject({ status: 200, user: 'nobody', cart: ['tent'] })
      anonymousCookie = browser.jar.header()
    })

    it('2: signs in', async () => {
      const answer = await browser.send('/sign-in', { form: { name: 'Ada' } })
      expectRedirect(answer, '/account')
      welcome = await browser.send('/account')
      expect(welcome).toMatchObject({ status: 200, user: 'Ada', notice: 'Welcome, Ada' })
    })

    it('3: with a new credential: the former cookie opens nothing', async () => {
      expect(anonymous.id).toMatch(/^[\w-]{8,}$/)
      expect(welcome.id).toBe(anonymous.id)
      const before = await browser.send('/', { cookie: anonymousCookie })
      expect(before).toMatchObject({ user: 'nobody', cart: revokes ? [] : ['tent'] })
    })

    it('4: with the cart as it was', () => {
      expect(welcome.cart).toEqual(['tent'])
    })

    it('5: a second tab adds to the cart at the same time', async () => {
      const first = browser.add('rope', { until: wait(BEGUN) })
      const second = browser.add('lamp', { until: wait(BEGUN) })
      for (const answer of await Promise.all([first, second])) expectRedirect(answer, '/')
      const { cart, user } = await browser.send('/')
      expect(user).toBe('Ada')
      expect(cart[0]).toBe('tent')
      if (merges) expect(new Set(cart)).toEqual(new Set(['tent', 'rope', 'lamp']))
      else expect(cart.length).toBeGreaterThan(1)
    })

    it('6: a message is there after the redirect, once', async () => {
      await browser.add('map')
      if (seesRequests) {
        const ahead = await browser.send('/', { isAhead: true })
        expect(ahead).toMatchObject({ user: 'Ada', notice: '' })
        expect(ahead.cacheControl).toMatch(/^private/)
      }
      expect(await browser.send('/')).toMatchObject({ notice: 'map is in your cart' })
      expect(await browser.send('/')).toMatchObject({ notice: '' })
    })

    it('7: the account is for who is signed in', async () => {
      expect(await browser.send('/account')).toMatchObject({ status: 200, user: 'Ada', notice: '' })
      expectRedirect(await browser.send('/account', { cookie: null }), '/')
      signedInCookie = browser.jar.header()
    })

    it.each(['/account?a=1', '/account/', '/%61ccount', '/%61ccount/', '/ACCOUNT', '//account'])(
      '7: also at the address %s, however a router reads it',
      async (path) => {
        const { status, user } = await browser.send(path, { cookie: null })
        expect([status === 200, user]).toEqual([false, undefined])
      },
    )

    it('8: signs out in one tab while the other is still sending', async () => {
      for (let begun = BEGUN; ; begun *= 4) {
        const signedOut = wait(begun).then(() => browser.send('/sign-out', { form: {} }))
        // Without a store the last response wins: it would bring the cookie back.
        const late = revokes && browser.add('late', { until: signedOut.then(() => wait(50)) })
        expectRedirect(await signedOut, '/')
        const { setCookie = [] } = (await late) || {}
        if (!opensFirst || !setCookie.length) return
        // On a slow machine the sign-out may have overtaken it: once more, with more time.
        if (begun > 10_000) throw new Error('The other tab has a session again')
        await browser.send('/sign-in', { form: { name: 'Ada' } })
      }
    })

    it('9: the other tab is signed out', async () => {
      expectRedirect(await browser.send('/account'), '/')
      const cart = opensFirst ? [] : ['late']
      expect(await browser.send('/')).toMatchObject({ user: 'nobody', cart })
    })

    it('10: the back button brings nothing back', async () => {
      const cookie = revokes ? { cookie: signedInCookie } : {}
      expectRedirect(await browser.add('ghost', cookie), '/')
      expectRedirect(await browser.send('/account', cookie), '/')
      expectRedirect(await browser.send('/account'), '/')
      expect((await browser.send('/')).cart).not.toContain('tent')
    })
  })
}
