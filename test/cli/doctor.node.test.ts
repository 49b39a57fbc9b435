import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { generateSecret } from '../../src/secret.ts'
import { createSessions, type Sessions } from '../../src/session/sessions.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { freePort } from '../support/free-port.ts'
import { forbid, sojourn } from './support.ts'

const secret = generateSecret()
const DATA = 'data-canary-77fe'
forbid(secret, DATA)

const folder = mkdtempSync(join(tmpdir(), 'sojourn-doctor-'))
const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
execFileSync(
  'openssl',
  ['req', '-x509', ...newKey, ...subject, '-days', '2', '-keyout', key, '-out', cert],
  { stdio: 'ignore' },
)

const servers: { close(): void; closeAllConnections(): void }[] = []

const stop = (): void => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
}
afterEach(stop)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

type Handler = (request: Request) => Response | Promise<Response>

/** Lets an answer through, changed. */
type Proxy = (headers: [string, string][], request: Request) => [string, string][]

async function requestOf(incoming: IncomingMessage): Promise<Request> {
  const headers = Object.entries(incoming.headers).map(([name, value]) => [name, String(value)])
  // What it sees behind a proxy that ends TLS.
  let body = ''
  for await (const chunk of incoming) body += chunk
  return new Request(`http://app.internal${incoming.url}`, {
    method: incoming.method ?? 'GET',
    headers: headers as [string, string][],
    ...(body && { body }),
  })
}

/** Serves over TLS, as a proxy before an application does, and returns the address. */
async function serve(
  handler: Handler,
  proxy: Proxy = (all) => all,
  isSecure = true,
): Promise<string> {
  const listener: RequestListener = async (incoming, outgoing) => {
    const request = await requestOf(incoming)
    const response = await handler(request)
    const headers = proxy([...response.headers], request)
    outgoing.sendDate = !headers.some(([name]) => name === 'date')
    for (const [name, value] of headers) outgoing.appendHeader(name, value)
    outgoing.writeHead(response.status).end(await response.text())
  }
  const options = { key: readFileSync(key), cert: readFileSync(cert) }
  const server = isSecure ? createTlsServer(options, listener) : createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => void server.listen(0, resolve))
  const { port } = server.address() as AddressInfo
  return `${isSecure ? 'https' : 'http'}://localhost:${port}/cart`
}

/** An application that begins a session on its first page, and writes to it on each. */
const app = (sessions: Sessions): Handler =>
  sessions.handler(async (request) => {
    const session = await sessions.get(request)
    session.update('visits', (n = 0) => n + 1)
    session.set('note', DATA)
    return new Response('a page')
  })

interface Finding {
  check: string
  level: string
  text: string
}

/** Runs the doctor, and returns what is wrong. */
async function examine(
  url: string,
  args: readonly string[] = [],
  env: Record<string, string> = { SESSION_SECRET: secret },
): Promise<{ code: number | null; findings: Finding[]; wrong: string[] }> {
  const given = { NODE_EXTRA_CA_CERTS: cert, ...env }
  const { code, json } = await sojourn(['doctor', url, '--json', ...args], { env: given })
  const findings = (json.findings ?? []) as Finding[]
  const wrong = findings.filter(({ level }) => level === 'wrong').map(({ text }) => text)
  expect(json.ok).toBe(code === 0)
  return { code, findings, wrong }
}

describe('sojourn doctor', () => {
  it.each([
    ['in cookies', () => createSessions({ secret })],
    ['in a store', () => createSessions({ secret, store: createMemoryStore() })],
    ['with another name', () => createSessions({ secret, cookie: { name: '__Host-sid' } })],
  ])('finds nothing wrong with sessions %s', async (title, make) => {
    const args = title === 'with another name' ? ['--cookie', '__Host-sid'] : []
    const env = args.length ? { SESSION_COOKIE_NAME: '__Host-sid' } : {}
    const url = await serve(app(make()))
    const { code, findings, wrong } = await examine(url, [], { SESSION_SECRET: secret, ...env })
    expect([wrong, code]).toEqual([[], 0])
    const texts = findings.map(({ text }) => text)
    expect(texts).toContain('It is Secure, and came over https')
    expect(texts).toContain('The session cookie came: a browser keeps it until it is closed')
    expect(texts.some((text) => /It comes back, and is (the same session|taken)/.test(text))).toBe(
      true,
    )
    expect(texts).toContain('The page says "Vary: Cookie"')
    expect(findings.every(({ level }) => level === 'fine')).toBe(true)
    // Without a secret everything but the session itself is known.
    const outside = await examine(url, args, {})
    expect([outside.wrong, outside.code]).toEqual([[], 0])
  })

  describe('--form', () => {
    const FORM = 'name=ada&password=form-canary-11d2'
    forbid('form-canary-11d2')

    /** An application that starts a session by its form alone, and takes it from its own pages only. */
    const shop = (sessions: Sessions, status = 303): Handler =>
      sessions.handler(async (request) => {
        const session = await sessions.get(request)
        if (request.method === 'GET') return new Response(session.subject)
        const isOwn = request.headers.get('sec-fetch-site') === 'same-origin'
        const form = new URLSearchParams(await request.text())
        if (!isOwn || form.get('password') !== 'form-canary-11d2') return new Response('no')
        session.login(String(form.get('name')))
        if (new URL(request.url).pathname === '/cart') {
          return new Response(null, { status, headers: { location: '/account' } })
        }
        return new Response('signed in')
      })

    const told = async (url: string, input: string, args: readonly string[] = []) => {
      const env = { NODE_EXTRA_CA_CERTS: cert, SESSION_SECRET: secret }
      return await sojourn(['doctor', url, '--json', ...args], { env, input })
    }

    it.each([303, 307])(
      'starts a session where no page does, and follows it (%i)',
      async (status) => {
        const url = await serve(
          shop(createSessions({ secret, store: createMemoryStore() }), status),
        )
        expect((await told(url, '')).json.ok).toBe(false)
        const { code, json } = await told(url, FORM, ['--form'])
        expect([code, json.ok]).toEqual([0, true])
        expect(JSON.stringify(json)).toContain('It comes back, and is taken')
        expect((await told(url, 'name=ada&password=x', ['--form'])).json.ok).toBe(false)
      },
    )

    /** An application whose form needs the token that its page has, and the cookie that came with it. */
    const protectedShop = (sessions: Sessions): Handler =>
      sessions.handler(async (request) => {
        const session = await sessions.get(request)
        const { pathname } = new URL(request.url)
        if (pathname === '/account') return new Response(session.subject)
        if (request.method === 'GET') {
          session.set('csrf', `a"'&>${'t'.repeat(20)}`)
          const token = `a&quot;&#39;&amp;&#x3e;${'t'.repeat(20)}`
          return new Response(
            `<form action="/search"><input type="hidden" name="csrf" value="other"><input name="q"></form>
            <FORM class='a > b' method=post action="/sign-in?from=a&amp;to=b">
              <input TYPE='hidden' value="${token}" name=csrf><input type=hidden name="name" value=eve>
              <input name="password" type="password"></FORM>`,
          )
        }
        const form = new URLSearchParams(await request.text())
        const isRight = form.get('csrf') === session.get('csrf') && pathname === '/sign-in'
        if (!isRight || form.get('password') !== 'form-canary-11d2') return new Response('no')
        session.login(String(form.get('name')))
        return new Response(null, { status: 303, headers: { location: '/account' } })
      })

    it('sends the hidden fields of the form on its page, such as a CSRF token', async () => {
      const url = await serve(protectedShop(createSessions({ secret, store: createMemoryStore() })))
      const { code, json } = await told(url, FORM, ['--form'])
      expect([code, json.ok]).toEqual([0, true])
      expect(JSON.stringify(json)).toContain('It comes back, and is taken')
    })

    it('is refused where it is no form', async () => {
      for (const input of ['', '{"name":"ada"}', 'ada']) {
        const { code, json } = await told('https://localhost:1', input, ['--form'])
        expect([code, json.error]).toEqual([2, expect.stringContaining('percent-encoded')])
      }
    })
  })

  it('says it in sentences, with what to do', async () => {
    const url = await serve(
      app(createSessions({ secret, cookie: { name: 'session', secure: false } })),
    )
    const env = { NODE_EXTRA_CA_CERTS: cert, SESSION_SECRET: secret }
    const args = ['doctor', `${url}?token=${DATA}`, '--cookie', 'session']
    const { code, stderr, stdout } = await sojourn(args, { env })
    expect([code, stderr]).toEqual([1, ''])
    expect(stdout.split('\n')[0]).toBe(`${url}, cookie session`)
    expect(stdout).toMatch(
      /^WRONG {2}It is not Secure.*\n {7}Leave cookie.secure at its default.*\.$/m,
    )
    expect(stdout).toMatch(/1 thing to put right\.\n$/)
  })

  it('finds a cookie that is not Secure behind a proxy that ends TLS', async () => {
    // The mistake: the application sees http, since the proxy speaks https for it.
    const handler: Handler = (request) => {
      const isSecure = request.url.startsWith('https:')
      const cookie = { name: 'session', secure: isSecure }
      return app(createSessions({ secret, cookie }))(request)
    }
    const { code, wrong } = await examine(await serve(handler), ['--cookie', 'session'], {})
    expect(code).toBe(1)
    expect(wrong).toEqual([
      expect.stringContaining('not Secure, although the page came over https'),
    ])
  })

  it('finds a page whose cookie may be cached, and one that is cached', async () => {
    const cacheable: Proxy = (all) => [
      ...all.filter(([name]) => !['cache-control', 'vary'].includes(name)),
      ['cache-control', 'public, max-age=600'],
    ]
    const first = await examine(await serve(app(createSessions({ secret })), cacheable))
    expect([first.code, first.wrong]).toEqual([
      1,
      [
        expect.stringContaining('lets caches store it'),
        expect.stringContaining('does not say "Vary: Cookie"'),
      ],
    ])
    let stored: [string, string][] | undefined
    const cache: Proxy = (all, request) => {
      if (request.headers.has('cookie')) return all
      stored ??= all
      return stored
    }
    const second = await examine(await serve(app(createSessions({ secret })), cache))
    expect(second.wrong).toEqual([expect.stringContaining('Two visitors got the same cookie')])
  })

  it.each([
    ['a copy', ['x-cache', 'Hit from cloudfront'], 'comes from a cache'],
    ['an age', ['age', '30'], 'comes from a cache'],
    ['another rule for a CDN', ['cdn-cache-control', 'max-age=60'], 'lets a CDN store it'],
    ['one of Vercel', ['vercel-cdn-cache-control', 'max-age=60'], 'lets a CDN store it'],
    ['one of nginx', ['x-accel-expires', '60'], 'lets a CDN store it'],
    ['too much', ['x-long', 'x'.repeat(9000)], 'many proxies refuse more than 8 KB'],
  ] as const)('finds %s in the headers', async (_, header, sentence) => {
    const proxy: Proxy = (all) => [...all, [...header]]
    const { wrong } = await examine(await serve(app(createSessions({ secret })), proxy))
    expect(wrong).toEqual([expect.stringContaining(sentence)])
  })

  it('findings print no character of a header that would steer a terminal', async () => {
    // CSI as one character of Latin-1, which Node lets pass in headers.
    const steer = '\x9b2J'
    const proxy: Proxy = (all) => [
      ...all
        .filter(([name]) => name !== 'vary')
        .map(([name, value]): [string, string] => {
          if (name === 'cache-control') return [name, `${value}, ${steer}`]
          return [name, name === 'set-cookie' ? value.replace('=Lax', `=Lax${steer}`) : value]
        }),
    ]
    const url = await serve(app(createSessions({ secret })), proxy)
    const { findings } = await examine(url)
    const texts = findings.map(({ text }) => text).join()
    expect(texts).toContain('SameSite=lax?2j')
    expect(texts).toContain('it is private, no-store, ?2j')
    const { stdout } = await sojourn(['doctor', url], { env: { NODE_EXTRA_CA_CERTS: cert } })
    expect(stdout).toContain('?2j')
    expect(stdout.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u)
  })

  it('finds something in between that renames cookies', async () => {
    const rename: Proxy = (all) =>
      all.map(([name, value]) => [
        name,
        name === 'set-cookie' ? value.replace(/^__Host-/, 'app1_') : value,
      ])
    const url = await serve(app(createSessions({ secret })), rename)
    for (const env of [{ SESSION_SECRET: secret }, {}] as Record<string, string>[]) {
      const { wrong } = await examine(url, [], env)
      expect(wrong).toEqual([
        expect.stringContaining(
          'under the name app1_session, and the application reads __Host-session',
        ),
        expect.stringContaining('The application does not find it'),
      ])
    }
  })

  it.each([
    ['removes Secure', /; Secure/, '', ['needs Secure', 'not Secure', 'does not send it back']],
    [
      'adds a Domain',
      /$/,
      '; Domain=example.org',
      ['needs no Domain', 'not that of the page', 'does not send'],
    ],
    [
      'changes the Path',
      /Path=\//,
      'Path=/app',
      ['needs Path=/', 'not that of the page', 'does not send'],
    ],
    ['removes HttpOnly', /; HttpOnly/, '', ['not HttpOnly']],
    ['removes SameSite', /; SameSite=Lax/, '', ['no SameSite']],
    ['lengthens it', /;/, `${'x'.repeat(5000)};`, ['browsers drop cookies', 'does not send']],
  ] as const)('finds something in between that %s', async (_, pattern, text, sentences) => {
    const proxy: Proxy = (all) =>
      all.map(([name, value]) => [
        name,
        name === 'set-cookie' ? value.replace(pattern, text) : value,
      ])
    const { wrong } = await examine(await serve(app(createSessions({ secret })), proxy))
    expect(wrong.length).toBeGreaterThanOrEqual(sentences.length)
    for (const sentence of sentences) expect(wrong.join('\n')).toContain(sentence)
  })

  it('finds a proxy that does not pass cookies on, and instances with different secrets', async () => {
    const sessions = createSessions({ secret })
    const deaf: Handler = (request) => app(sessions)(new Request(request.url))
    const lost = await examine(await serve(deaf))
    expect(lost.wrong).toEqual([expect.stringContaining('another session takes its place')])
    const other = generateSecret()
    forbid(other)
    const instances = [sessions, createSessions({ secret: other })]
    let requests = 0
    const balanced: Handler = (request) => app(instances[requests++ % 2]!)(request)
    const divided = await examine(await serve(balanced))
    expect(divided.wrong).toEqual([
      expect.stringContaining('another session takes its place'),
      expect.stringMatching(
        /different keys \([0-9a-f]{8}, [0-9a-f]{8}\): instances have different/,
      ),
    ])
    // The ids of keys are told without a secret, too.
    const outside = await examine(await serve(balanced), [], {})
    expect(outside.wrong).toEqual([expect.stringContaining('different keys')])
    const unknown = await examine(await serve(app(instances[1]!)))
    expect(unknown.wrong).toEqual([expect.stringContaining('does not open with the secret')])
  })

  it('says how long a browser keeps the cookie', async () => {
    const sessions = createSessions({ secret, cookie: { maxAge: 7200 } })
    const signIn = sessions.handler(async (request) => {
      ;(await sessions.get(request)).login('ann', { persistent: true })
      return new Response()
    })
    const { findings } = await examine(await serve(signIn))
    expect(findings.map(({ text }) => text)).toContain(
      'The session cookie came: a browser keeps it for 2 hours',
    )
  })

  it('finds a server that refuses the cookie it has set', async () => {
    const sessions = createSessions({ secret })
    const handler: Handler = async (request) => {
      const { name } = { name: '__Host-session' }
      if (!request.headers.has('cookie')) return app(sessions)(request)
      const removal = `${name}=; Max-Age=0; Path=/; Secure; HttpOnly; SameSite=Lax`
      return new Response('', { headers: { 'set-cookie': removal, vary: 'Cookie' } })
    }
    const { wrong } = await examine(await serve(handler))
    expect(wrong).toEqual([expect.stringContaining('the second answer removes it')])
  })

  it('finds a clock that is two minutes off: that of the answer, and that of the application alone', async () => {
    for (const offset of [120_000, -120_000]) {
      const way = offset > 0 ? 'ahead of' : 'behind'
      // A slow machine adds or takes seconds.
      const words = `(1 minute [345]\\d seconds|2 minutes( \\d+ seconds?)?) ${way} that`
      const sessions = createSessions({ secret, now: () => Date.now() + offset })
      const own = await examine(await serve(app(sessions)))
      const application = new RegExp(`clock of the application is ${words}`)
      expect(own.wrong).toEqual([expect.stringMatching(application)])
      const date: Proxy = (all) => [...all, ['date', new Date(Date.now() + offset).toUTCString()]]
      const answer = await examine(await serve(app(createSessions({ secret })), date), [], {})
      const whoever = new RegExp(`clock of whoever answers is ${words}`)
      expect(answer.wrong).toEqual([expect.stringMatching(whoever)])
    }
  })

  it('follows redirects, and looks at the cookie that came on the way', async () => {
    const sessions = createSessions({ secret })
    const handler: Handler = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      const { pathname } = new URL(request.url)
      if (pathname === '/loop') return Response.redirect(request.url, 302)
      if (session.status === 'active') return new Response('in')
      session.set('visits', 1)
      return new Response(null, { status: 302, headers: { location: '/home' } })
    })
    const url = await serve(handler)
    const { wrong } = await examine(url)
    expect(wrong).toEqual([])
    const endless = await serve(
      () => new Response(null, { status: 302, headers: { location: '/cart' } }),
    )
    const env = { NODE_EXTRA_CA_CERTS: cert }
    const { code, stderr } = await sojourn(['doctor', endless], { env })
    expect([code, stderr]).toEqual([1, expect.stringContaining('redirects more than 10 times')])
  })

  it('says of a page without a session, and of one that fails, what to do', async () => {
    const none = await examine(
      await serve(() => new Response('a page', { headers: { 'set-cookie': 'a=b' } })),
    )
    expect(none.wrong).toEqual(['No cookie of the name __Host-session came, and 1 other'])
    const failing = await serve(() => new Response('', { status: 502 }))
    expect((await examine(failing)).wrong[0]).toBe('The page answers with status 502')
  })

  it('says of plain http what browsers do', async () => {
    const url = await serve(app(createSessions({ secret })), undefined, false)
    const { findings, wrong } = await examine(url)
    expect(wrong).toEqual([])
    expect(findings.find(({ check }) => check === 'secure')?.level).toBe('note')
  })

  it.each([
    ['nobody is there', async () => `http://localhost:${await freePort()}/`, 'cannot be reached'],
    ['there is no such host', async () => 'https://nowhere.invalid/', 'cannot be reached'],
    [
      'the certificate is not trusted',
      () => serve(() => new Response('')),
      'certificate is not trusted',
    ],
  ])('says when %s', async (_, address, sentence) => {
    const { code, stderr } = await sojourn(['doctor', await address()], { env: {} })
    expect([code, stderr]).toEqual([1, expect.stringContaining(sentence)])
    expect(stderr.trim().split('\n')).toHaveLength(2)
  })

  it.each([
    ['no URL', 'example.com', 'must begin with https:// or http://'],
    ['another scheme', 'ftp://example.com', 'must begin with https:// or http://'],
    ['a password', `https://ann:${DATA}@example.com`, 'has a password in it'],
  ])('refuses %s', async (_, url, sentence) => {
    const { code, stderr } = await sojourn(['doctor', url])
    expect([code, stderr]).toEqual([2, expect.stringContaining(sentence)])
  })

  it('runs on Deno and Bun', async () => {
    const url = await serve(
      app(createSessions({ secret, cookie: { name: 'session', secure: false } })),
      undefined,
      false,
    )
    for (const runtime of ['deno', 'bun'] as const) {
      const args = ['doctor', url, '--cookie', 'session', '--json']
      const { code, json } = await sojourn(args, { runtime, env: {} })
      expect([runtime, code, json.ok]).toEqual([runtime, 0, true])
    }
  })
})
