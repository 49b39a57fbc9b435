import { describe, expect, it } from 'vitest'
import { readBody } from '../../src/resilience/body.ts'
import { type ResilientFetchOptions, resilientFetch } from '../../src/resilience/fetch.ts'
import { createWorld, outcomeOf } from './world.ts'

type Answer = Response | Error | ((signal: AbortSignal) => Promise<Response>)

interface Call {
  readonly url: string
  readonly method: string
  readonly body: string
  readonly redirect: string | undefined
}

function setUp(answers: readonly Answer[], options: ResilientFetchOptions = {}) {
  const world = createWorld()
  const calls: Call[] = []
  async function send(input: RequestInfo | URL, init: RequestInit = {}): Promise<Response> {
    const request = input instanceof Request ? input : new Request(input, { ...init, signal: null })
    const { url, method } = request
    calls.push({ url, method, body: await request.text(), redirect: init.redirect })
    const answer = answers[calls.length - 1]
    if (typeof answer === 'function') return await answer(init.signal as AbortSignal)
    if (answer instanceof Response) return answer
    throw answer ?? new Error('The script has no more answers')
  }
  return { ...world, calls, fetch: resilientFetch({ ...world.options, fetch: send, ...options }) }
}

const status = (code: number, headers: HeadersInit = {}): Response =>
  new Response(`status ${code}`, { status: code, headers })
const URL_ = 'https://example.com/a'

/** A body that never ends; tells when it is cancelled. */
function endless(chunk: Uint8Array<ArrayBuffer> | null) {
  const state = { cancelled: false }
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      if (chunk) controller.enqueue(chunk)
      else return new Promise(() => {})
    },
    cancel() {
      state.cancelled = true
    },
  })
  return { state, stream }
}

describe('resilientFetch()', () => {
  it('retries every status from 100 to 599 that may change, and no other', async () => {
    const retried: number[] = []
    for (let code = 200; code < 600; code++) {
      const body = [204, 205, 304].includes(code) ? null : 'x'
      const { fetch, calls } = setUp([new Response(body, { status: code }), status(200)])
      await fetch(URL_)
      if (calls.length > 1) retried.push(code)
    }
    expect(retried).toEqual([408, 425, 429, 500, 502, 503, 504])
  })

  it('retries a rejected fetch and returns the answer that comes', async () => {
    const { fetch, delays } = setUp([
      new TypeError('fetch failed'),
      new Error('reset'),
      status(200),
    ])
    const response = await fetch(URL_)
    expect([response.status, await response.text()]).toEqual([200, 'status 200'])
    expect(delays).toEqual([50, 100])
  })

  it('returns the last answer when attempts run out, as fetch does', async () => {
    const { fetch, calls } = setUp([status(503), status(502), status(500)])
    const response = await fetch(URL_)
    expect([response.status, await response.text(), calls.length]).toEqual([500, 'status 500', 3])
  })

  it('rejects with the last failure when there is no answer', async () => {
    const last = new Error('reset')
    const { fetch } = setUp([new Error('a'), new Error('b'), last])
    expect(await outcomeOf(fetch(URL_))).toEqual({ error: last })
  })

  it('waits for Retry-After, in seconds or as a date relative to Date', async () => {
    const dates = {
      date: 'Mon, 23 Nov 2026 08:00:00 GMT',
      'retry-after': 'Mon, 23 Nov 2026 08:00:01 GMT',
    }
    const { fetch, delays } = setUp([
      status(429, { 'retry-after': '0' }),
      status(503, dates),
      status(200),
    ])
    expect((await fetch(URL_)).status).toBe(200)
    expect(delays).toEqual([0, 1000])
  })

  it('returns a 429 at once when its Retry-After does not fit', async () => {
    const { fetch, calls } = setUp([status(429, { 'retry-after': '30' })])
    expect((await fetch(URL_)).status).toBe(429)
    expect(calls.length).toBe(1)
  })

  it('gives POST one attempt, unless told that everything may be done twice', async () => {
    const init = { method: 'POST', body: 'x' }
    const once = setUp([status(503), status(200)])
    expect((await once.fetch(URL_, init)).status).toBe(503)
    const twice = setUp([status(503), status(200)], { methods: 'all' })
    expect((await twice.fetch(URL_, init)).status).toBe(200)
    expect(twice.calls.map(({ body }) => body)).toEqual(['x', 'x'])
  })

  it('asks for its options with every call when they are a function', async () => {
    const { options } = createWorld()
    let attempts = 1
    let calls = 0
    const send = async () => {
      calls++
      return status(503)
    }
    const fetch = resilientFetch(() => ({ ...options, attempts, fetch: send }))
    await fetch(URL_)
    attempts = 3
    await fetch(URL_)
    expect(calls).toBe(4)
  })

  it('takes methods in lower case', async () => {
    const { fetch, calls } = setUp([status(503), status(200)], { methods: ['post'] })
    expect((await fetch(URL_, { method: 'post' })).status).toBe(200)
    expect(calls.length).toBe(2)
  })

  it.each([
    { redirects: 'no' },
    { maxBytes: '1' },
    { methods: 'get' },
    { fetch: 5 },
    { retries: 3 },
  ])('refuses %j', (options) => {
    expect(() => resilientFetch(options as unknown as ResilientFetchOptions)).toThrow(TypeError)
  })

  it.each([null, 5, 'all'])('refuses %j in place of options', (options) => {
    expect(() => resilientFetch(options as unknown as ResilientFetchOptions)).toThrow(
      /Argument "options" must be/,
    )
  })

  it('sends the same body again when it is a Request or a stream', async () => {
    const request = new Request(URL_, { method: 'PUT', body: 'again' })
    const first = setUp([status(503), status(200)])
    await first.fetch(request)
    expect(first.calls.map(({ method, body }) => `${method} ${body}`)).toEqual([
      'PUT again',
      'PUT again',
    ])
    const stream = new Response('again').body
    const second = setUp([status(503), status(200)])
    await second.fetch(URL_, { method: 'PUT', body: stream })
    expect(second.calls.map(({ body }) => body)).toEqual(['again', 'again'])
  })

  it('keeps status, headers, cookies and an empty body', async () => {
    const headers = new Headers({ 'x-one': '1' })
    headers.append('set-cookie', 'a=1')
    headers.append('set-cookie', 'b=2')
    const { fetch } = setUp([new Response(null, { status: 204, statusText: 'Nothing', headers })])
    const response = await fetch(URL_)
    expect([response.status, response.statusText, response.body]).toEqual([204, 'Nothing', null])
    expect(response.headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(response.headers.get('x-one')).toBe('1')
  })

  it('gives up a body that does not end within the time limit, and frees it', async () => {
    const slow = endless(null)
    const { fetch, clock, calls } = setUp([new Response(slow.stream), status(200)], { baseMs: 0 })
    const running = fetch(URL_)
    await clock.run(500)
    expect((await running).status).toBe(200)
    expect([slow.state.cancelled, calls.length, clock.waiting()]).toEqual([true, 2, 0])
  })

  it('retries a body that breaks off', async () => {
    const broken = new ReadableStream({
      start(controller) {
        controller.error(new TypeError('terminated'))
      },
    })
    const { fetch } = setUp([new Response(broken), status(200)])
    expect((await fetch(URL_)).status).toBe(200)
  })

  it('refuses a body over maxBytes, frees it and does not ask again', async () => {
    const large = endless(new Uint8Array(1000))
    const { fetch, calls } = setUp([new Response(large.stream)], { maxBytes: 10_000 })
    const { error } = await outcomeOf(fetch(URL_))
    expect(error instanceof TypeError).toBe(true)
    expect([large.state.cancelled, calls.length]).toEqual([true, 1])
  })

  it('follows redirects, or refuses them before anything is sent elsewhere', async () => {
    const away = (): Response => status(307, { location: 'https://evil.example/' })
    const follow = setUp([away()])
    expect((await follow.fetch(URL_)).status).toBe(307)
    expect(follow.calls[0]?.redirect).toBe(undefined)
    const refuse = setUp([away(), status(200)], { redirects: 'refuse' })
    expect((await outcomeOf(refuse.fetch(URL_))).error instanceof TypeError).toBe(true)
    expect([refuse.calls[0]?.redirect, refuse.calls.length]).toEqual(['manual', 1])
  })

  it('returns what is no redirect, and frees what is one, where redirects are refused', async () => {
    const refuse = { redirects: 'refuse' } as const
    expect((await setUp([status(200)], refuse).fetch(URL_)).status).toBe(200)
    // The runtime hides a redirect that is not followed, some with the status of none.
    const opaque = Object.defineProperty(status(200), 'type', { value: 'opaqueredirect' })
    const empty = new Response(null, { status: 302 })
    for (const redirect of [opaque, empty]) {
      const { error } = await outcomeOf(setUp([redirect], refuse).fetch(URL_))
      expect(error instanceof TypeError).toBe(true)
    }
    const large = endless(new Uint8Array(1000))
    await outcomeOf(setUp([new Response(large.stream, { status: 303 })], refuse).fetch(URL_))
    expect(large.state.cancelled).toBe(true)
  })

  it.each([101, 0])(
    'returns an answer of status %d as it is: it has no body to read',
    async (code) => {
      const answer = Object.defineProperty(new Response(), 'status', { value: code })
      expect(await setUp([answer]).fetch(URL_)).toBe(answer)
    },
  )

  it('returns an answer without a body where the runtime gives it an empty one', async () => {
    const answer = Object.defineProperty(new Response(''), 'status', { value: 204 })
    const { body, status: code } = await setUp([answer]).fetch(URL_)
    expect([body, code]).toEqual([null, 204])
  })

  it('keeps the address that answered', async () => {
    const answer = Object.defineProperty(status(200), 'url', { value: `${URL_}/b` })
    expect((await setUp([answer]).fetch(URL_)).url).toBe(`${URL_}/b`)
  })

  it('accepts a body of maxBytes', async () => {
    const { fetch } = setUp([new Response('x'.repeat(100))], { maxBytes: 100 })
    expect((await (await fetch(URL_)).text()).length).toBe(100)
  })

  it('makes one attempt when it is switched off', async () => {
    const { fetch, calls } = setUp([status(503), status(200)], { enabled: false })
    expect([(await fetch(URL_)).status, calls.length]).toEqual([503, 1])
  })

  it('hands the address and what belongs to it on as they were given', async () => {
    const seen: unknown[] = []
    const fetch = resilientFetch({
      fetch: async (input, init) => {
        seen.push(input, { ...init, signal: 'its own' })
        return status(200)
      },
    })
    const init = { method: 'PUT', body: 'x', cf: { cacheTtl: 5 } }
    await fetch(URL_, init)
    expect(seen).toEqual([URL_, { ...init, signal: 'its own' }])
  })

  it('goes by the clock of the runtime where it is given none', async () => {
    const seen: unknown[] = []
    const fetch = resilientFetch({
      fetch: async () => status(503, { 'retry-after': 'Sun, 06 Nov 1994 08:49:37 GMT' }),
      retryIf: (error) => {
        seen.push((error as { retryAfter: unknown }).retryAfter)
        return false
      },
    })
    await fetch(URL_)
    expect(seen).toEqual([0])
  })

  it("ends at once with the reason of the caller's signal", async () => {
    const reason = new Error('The caller has gone')
    const controller = new AbortController()
    const { fetch, clock } = setUp([() => new Promise<never>(() => {})])
    const running = outcomeOf(fetch(URL_, { signal: controller.signal }))
    await clock.run(100)
    controller.abort(reason)
    expect(await running).toEqual({ error: reason })
    expect(clock.waiting()).toBe(0)
  })
})

describe('readBody()', () => {
  it('gives no part of a body whose reading was ended, and frees it', async () => {
    const slow = endless(null)
    const caller = new AbortController()
    const running = readBody(new Response(slow.stream), 100, caller.signal, () => 'too large')
    await Promise.resolve()
    caller.abort('gone')
    expect(await outcomeOf(running)).toEqual({ error: 'gone' })
    expect(slow.state.cancelled).toBe(true)
  })

  it('leaves no listener behind', async () => {
    const { signal } = new AbortController()
    const names: string[] = []
    const remove = signal.removeEventListener.bind(signal)
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      names.push(args[0])
      remove(...args)
    }
    const body = await readBody(new Response('hello'), 100, signal, () => 'too large')
    expect([await body?.text(), names]).toEqual(['hello', ['abort']])
  })
})
