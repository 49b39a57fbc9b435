import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { sealData } from 'iron-session'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { generateSecret } from '../../src/secret.ts'
import type { Sessions } from '../../src/session/sessions.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import { createDeviceBrowser } from '../../src/testing/index.ts'
import { freePort } from '../support/free-port.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { begin, type Circumstances, createSessions, forbid, headerOf, sojourn } from './support.ts'

const { sign } = createRequire(import.meta.url)('cookie-signature') as {
  sign(text: string, secret: string): string
}
const [secret, former, other] = [generateSecret(), generateSecret(), generateSecret()]
const DATA = 'data-canary-1e07'
const SUBJECT = 'subject-canary@example.com'
const PASSWORD = 'password-canary-of-another-library'
forbid(secret, former, other, DATA, PASSWORD)

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'sojourn-explain-'))
const HOUR = 3600
const DAY = 24 * HOUR

let server: RedisServer
let client: Redis
let url: string

beforeAll(async () => {
  server = await startRedis()
  client = new Redis(server.port)
  url = `redis://127.0.0.1:${server.port}`
})

afterAll(async () => {
  client.disconnect()
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
})

const store = (now = Date.now) =>
  createRedisStore({ send: ([name, ...args]) => client.call(name, ...args), now })

/** Sessions as they were `seconds` ago. */
const ago = (seconds: number, options: object = {}): Sessions =>
  createSessions({ secret, now: () => Date.now() - 1000 * seconds, ...options })

interface Explained {
  code: number | null
  reason: unknown
  text: string
  advice: string
  json: Record<string, unknown>
}

/** Explains what was pasted, in JSON and in words, and expects one story. Nobody is named unless asked for. */
async function explain(
  input: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
  more: Circumstances = {},
): Promise<Explained> {
  const given = { env: { SESSION_SECRET: secret, ...env }, input, ...more }
  const { code, json, all } = await sojourn(['explain', ...args, '--json'], given)
  if (!args.includes('--show')) expect(all).not.toContain(SUBJECT)
  const { reason, text = '', advice = '' } = json as Record<string, string>
  expect(json.ok).toBe(code === 0)
  return { code, reason, text, advice, json }
}

describe('sojourn explain, sessions in cookies', () => {
  const fresh = (sessions = createSessions({ secret })): Promise<string> =>
    begin(sessions, SUBJECT, { note: DATA })

  it('of a live session tells key, age, timeouts and verdict in words', async () => {
    const input = await begin(ago(2 * HOUR), SUBJECT, { note: DATA })
    const env = { SESSION_SECRET: secret, SESSION_ABSOLUTE_TIMEOUT: String(3 * DAY) }
    const { code, stderr, stdout } = await sojourn(['explain'], { env, input })
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^Key +[0-9a-f]{8}: secret 1 of 1, which seals and opens$/m)
    expect(stdout).toMatch(/^Age +began 2 hours( \d+ \w+)? ago, last renewed 2 hours/m)
    expect(stdout).toMatch(
      /^Timeouts +idle 1 day: ends in (22 hours|21 hours \d+ minutes); absolute 3 days: ends in 2 days (22|21) hours$/m,
    )
    expect(stdout).toMatch(/^Store +none: the cookie carries the session$/m)
    expect(stdout).toMatch(/^Signed in +somebody \(--show subject\), 2 hours/m)
    expect(stdout).toMatch(/^live: The session is live/m)
    expect(stdout).not.toContain(SUBJECT)
  })

  it('takes a value, a header, and what browsers and curl copy', async () => {
    const header = await fresh()
    const value = /=([^;]*)/.exec(header)![1]!
    for (const input of [
      value,
      `"${value}"`,
      `Cookie: theme=dark; ${header}`,
      `> cookie: ${header}\r\n> accept: */*`,
      `Set-Cookie: ${header}; Path=/; Secure; HttpOnly`,
      `theme=dark; ${header}\n`,
    ]) {
      expect((await explain(input)).reason).toBe('active')
    }
  })

  it('shows subject and id only when asked to', async () => {
    const sessions = createSessions({ secret })
    const header = await begin(sessions, SUBJECT)
    const { id } = await sessions.open(header)
    for (const [show, isSubject, isId] of [
      ['subject', true, false],
      ['id', false, true],
      ['subject,id', true, true],
    ] as const) {
      const env = { SESSION_SECRET: secret }
      for (const more of [[], ['--json']]) {
        const { stdout } = await sojourn(['explain', '--show', show, ...more], {
          env,
          input: header,
        })
        expect([stdout.includes(SUBJECT), stdout.includes(id)]).toEqual([isSubject, isId])
      }
    }
    const wrong = await sojourn(['explain', '--show', 'data'], { input: header })
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('"subject", "id"')])
  })

  it('names the session as events and logs do', async () => {
    const sessions: string[] = []
    const listening = createSessions({
      secret,
      onEvent: (event) => 'session' in event && event.session && sessions.push(event.session),
    })
    const { json } = await explain(await fresh(listening))
    expect((json.session as { fingerprint: string }).fingerprint).toBe(sessions[0])
  })

  it.each([
    ['idle', 2 * DAY, {}, 'last renewed 2 days ago, and the idle timeout is 1 day', 'idleTimeout'],
    [
      'absolute',
      8 * DAY,
      { idleTimeout: 30 * DAY, absoluteTimeout: 7 * DAY + 1 },
      'began 8 days ago',
      'absoluteTimeout',
    ],
  ] as const)(
    'of one that has expired says which timeout: %s',
    async (reason, age, options, words, advice) => {
      const timeouts = Object.keys(options).length
        ? { SESSION_IDLE_TIMEOUT: String(7 * DAY), SESSION_ABSOLUTE_TIMEOUT: String(7 * DAY) }
        : {}
      let header = await begin(ago(age), SUBJECT, { note: DATA })
      if (reason === 'absolute') {
        // It was in use until an hour ago.
        const sessions = ago(HOUR, { idleTimeout: 30 * DAY, absoluteTimeout: 30 * DAY })
        const session = await sessions.open(header)
        session.set('seen', true)
        header = headerOf(await sessions.save(session))
      }
      const explained = await explain(header, [], timeouts)
      expect([explained.code, explained.reason]).toEqual([1, reason])
      expect(explained.text).toContain(words)
      expect(explained.advice).toContain(advice)
    },
  )

  it('of one that notBefore ended says so', async () => {
    const path = join(folder, 'not-before.config.mjs')
    writeFileSync(path, 'export const options = { notBefore: () => Date.now() - 3600_000 }')
    const explained = await explain(await begin(ago(2 * HOUR), SUBJECT), ['--config', path])
    expect([explained.code, explained.reason]).toEqual([1, 'not-before'])
    expect(explained.text).toContain('notBefore says that sessions from 2 hours')
    expect((await explain(await begin(ago(HOUR / 2), SUBJECT), ['--config', path])).code).toBe(0)
    const controlled = join(folder, 'controls.config.mjs')
    writeFileSync(
      controlled,
      'export const options = { controls: () => ({ notBefore: Date.now() - 3600_000 }) }',
    )
    const header = await begin(ago(2 * HOUR), SUBJECT)
    expect((await explain(header, ['--config', controlled])).reason).toBe('not-before')
    const given = { SESSION_NOT_BEFORE: String(Date.now() - 1000 * HOUR) }
    expect((await explain(header, [], given)).reason).toBe('not-before')
  })

  it('of one under a wrong or a former secret says which key', async () => {
    const header = await fresh()
    const wrong = await explain(header, [], { SESSION_SECRET: other })
    expect([wrong.code, wrong.reason]).toEqual([1, 'unknown-key'])
    expect(wrong.text).toMatch(
      /sealed under the key [0-9a-f]{8}, which is that of none of the 1 secret/,
    )
    expect(wrong.advice).toContain('put the former one back behind the new one')
    const rotated = await explain(header, [], { SESSION_SECRET: `${other},${secret}` })
    expect([rotated.code, rotated.json.cookies]).toEqual([
      0,
      [expect.objectContaining({ position: 1 })],
    ])
    const { stdout } = await sojourn(['explain'], {
      env: { SESSION_SECRET: `${other},${secret}` },
      input: header,
    })
    expect(stdout).toContain('secret 2 of 2, which opens and no longer seals')
    // Which ids are those of the secrets here is said, too.
    const { keyId } = (
      await explain(await fresh(createSessions({ secret: other })), [], { SESSION_SECRET: other })
    ).json.cookies![0 as never] as { keyId: string }
    expect(wrong.text).toContain(`the 1 secret known here (${keyId})`)
    const told = await sojourn(['explain'], { env: { SESSION_SECRET: other }, input: header })
    expect(told.stdout).toContain(`: of none of 1 secret here (${keyId})`)
  })

  it('of a note without its cookie says so, and the timeout of its session', async () => {
    const sessions = ago(HOUR / 2, { store: createMemoryStore() })
    const session = await sessions.open(await begin(sessions, SUBJECT))
    session.regenerate()
    const note = headerOf(await sessions.save(session))
      .split('; ')
      .find((pair) => /^[^=]+\.n/.test(pair))
    const input = `theme=dark; ${note}`
    for (const idle of ['1200', '7200']) {
      const env = { SESSION_IDLE_TIMEOUT: idle }
      const { code, json, reason, text } = await explain(input, [], env)
      expect([code, reason]).toEqual([1, 'no-cookie'])
      expect(text).toContain('Only the note of a sign-in')
      expect(json.session).toMatchObject({ idleTimeout: Number(idle) })
    }
  })

  it('of a note without its name says what it is, and calls nobody a forger', async () => {
    const sessions = ago(HOUR / 2, { store: createMemoryStore() })
    const session = await sessions.open(await begin(sessions, SUBJECT))
    session.regenerate()
    const [, note = ''] = /\.n[^=]+=([^;]+)/.exec(headerOf(await sessions.save(session))) ?? []
    const { advice, code, reason, text } = await explain(note)
    expect([code, reason]).toEqual([1, 'no-cookie'])
    expect(text).toContain('the note of a sign-in or sign-out')
    expect(advice).toContain('whole Cookie header')
    const last = note.at(-1) === 'A' ? 'Q' : 'A'
    expect((await explain(note.slice(0, -1) + last)).reason).toBe('forged')
  })

  it('marks timeouts that nobody has given as defaults', async () => {
    const input = await fresh()
    const told = async (env: object, ...args: string[]) => {
      const given = { env: { SESSION_SECRET: secret, ...env }, input }
      return (await sojourn(['explain', ...args], given)).stdout.includes('these are defaults')
    }
    const path = join(folder, 'timeouts.config.mjs')
    writeFileSync(path, 'export const options = { idleTimeout: 600 }')
    expect(await told({})).toBe(true)
    expect(await told({ SESSION_IDLE_TIMEOUT: '600' })).toBe(false)
    expect(await told({}, '--config', path)).toBe(false)
  })

  it('of one from the future says how far the clock is ahead', async () => {
    const explained = await explain(await begin(ago(-3 * HOUR), SUBJECT))
    expect([explained.code, explained.reason]).toEqual([1, 'future'])
    expect(explained.text).toMatch(/clock of a server is (2|3) hours/)
    expect(explained.advice).toContain('NTP')
  })

  it('of one that was cut or changed, or has another name, says so', async () => {
    const header = await fresh()
    const value = /=([^;]*)/.exec(header)![1]!
    const cut = value.slice(0, 30)
    const changed = `${value.slice(0, -4)}${value.endsWith('AAAA') ? 'BBBB' : 'AAAA'}`
    forbid(cut, changed)
    expect(await explain(cut)).toMatchObject({ code: 1, reason: 'malformed' })
    expect(await explain(changed)).toMatchObject({ code: 1, reason: 'forged' })
    const renamed = await explain(header.replaceAll('__Host-session', 'sid'))
    expect([renamed.code, renamed.reason]).toEqual([1, 'no-cookie'])
    expect(renamed.text).toMatch(/looked for is __Host-session$/)
    expect(renamed.advice).toContain('--cookie sid, or SESSION_COOKIE_NAME')
    const asked = await explain('sid=abc', ['--cookie', 'app'])
    expect([asked.reason, asked.text]).toEqual([
      'no-cookie',
      expect.stringMatching(/looked for is app$/),
    ])
    const named = await explain(header.replaceAll('__Host-session', 'sid'), ['--cookie', 'sid'])
    expect([named.reason, named.text]).toEqual([
      'forged',
      expect.stringContaining('cookie of another name'),
    ])
    const own = await begin(createSessions({ secret, cookie: { name: 'sid' } }), SUBJECT)
    expect((await explain(own, ['--cookie', 'sid'])).code).toBe(0)
    expect((await explain(own, [], { SESSION_COOKIE_NAME: 'sid' })).code).toBe(0)
  })

  it('of one whose sign-out overtook it says that it has ended', async () => {
    const sessions = createSessions({ secret })
    const header = await fresh(sessions)
    const session = await sessions.open(header)
    session.destroy()
    const note = headerOf((await sessions.save(session)).filter((one) => !one.includes('=;')))
    const explained = await explain(`${header}; ${note}`)
    expect([explained.code, explained.reason]).toEqual([1, 'missing'])
    expect(explained.text).toContain('has ended')
  })

  it('of a large one needs all of its cookies', async () => {
    const sessions = createSessions({ secret, cookie: { maxChunks: 3 } })
    const header = await begin(sessions, SUBJECT, { note: DATA.repeat(400) })
    const whole = await explain(header)
    expect([whole.reason, whole.json.cookies]).toEqual([
      'active',
      [expect.objectContaining({ position: 0, isPart: false })],
    ])
    const [first = ''] = header.split('; ')
    const half = await explain(first)
    expect([half.reason, half.advice]).toEqual(['malformed', 'Paste the whole Cookie header'])
  })

  it.each([
    [
      'iron-session',
      async () => `app=${await sealData({ note: DATA }, { password: PASSWORD })}`,
      'iron-session',
    ],
    ['iron-session, alone', () => sealData({ note: DATA }, { password: PASSWORD }), 'iron-session'],
    [
      'express-session',
      async () => `connect.sid=${encodeURIComponent(`s:${sign(DATA.repeat(2), PASSWORD)}`)}`,
      'express-session',
    ],
    [
      'Auth.js',
      async () =>
        `authjs.session-token=${btoa('{"alg":"dir"}').replace(/=/g, '')}..${DATA}.${DATA}.${DATA}`,
      'JWT',
    ],
    [
      'cookie-session',
      async () => `session=${btoa(JSON.stringify({ note: DATA }))}`,
      'cookie-session',
    ],
  ] as const)('of a cookie of %s says whose it is', async (_, make, whose) => {
    const input = await make()
    for (const pair of input.split('; ')) forbid(pair.slice(pair.indexOf('=') + 1))
    const { advice, code } = await explain(input)
    expect([code, advice]).toEqual([1, expect.stringContaining(whose)])
    expect(advice).toContain('docs/migrating.md')
  })

  it.each([
    ['nothing', '', 'Nothing came on standard input'],
    ['blanks', ' \n ', 'Nothing came on standard input'],
    ['other cookies', 'theme=dark; lang=en', 'There is no session cookie in it'],
    ['words', `my password is ${PASSWORD}`, 'It is cut, or nothing that Sojourn made'],
    ['its own secret', secret, 'It is cut, or nothing that Sojourn made'],
  ])('of %s says what to do', async (_, input, sentence) => {
    const { code, all } = await sojourn(['explain'], { env: { SESSION_SECRET: secret }, input })
    expect([code, all]).toEqual([1, expect.stringContaining(sentence)])
  })

  it.each([
    ['no secret', {}, 'SESSION_SECRET is missing or empty'],
    ['a short one', { SESSION_SECRET: PASSWORD.slice(0, 16) }, 'at least 32 bytes'],
  ])('needs a secret: %s', async (_, env, sentence) => {
    const { code, stderr } = await sojourn(['explain'], { env, input: await fresh() })
    expect([code, stderr]).toEqual([1, expect.stringContaining(sentence)])
  })

  it('takes a cookie as no argument', async () => {
    const header = await fresh()
    for (const argument of [header, /=([^;]*)/.exec(header)![1]!, 'theme=dark']) {
      const { code, stderr } = await sojourn(['explain', argument])
      expect([code, stderr]).toEqual([2, expect.stringMatching(/standard input|takes no argument/)])
    }
  })

  it('knows a token that travels in a header', async () => {
    const path = join(folder, 'header.config.mjs')
    writeFileSync(path, "export const options = { transport: { header: 'authorization' } }")
    const sessions = createSessions({ secret, transport: { header: 'authorization' } })
    const session = await sessions.open(null)
    session.login(SUBJECT)
    const [token = ''] = await sessions.save(session)
    forbid(token)
    for (const input of [token, `Bearer ${token}`, `Authorization: Bearer ${token}`]) {
      expect((await explain(input, ['--config', path])).reason).toBe('active')
    }
  })

  it('runs on Deno and Bun', async () => {
    const header = await fresh()
    for (const runtime of ['deno', 'bun'] as const) {
      expect((await explain(header, [], {}, { runtime })).code).toBe(0)
      expect((await explain(header, [], { SESSION_SECRET: other }, { runtime })).reason).toBe(
        'unknown-key',
      )
    }
  })
})

describe('sojourn explain, sessions in a store', () => {
  const stored = (seconds = 0): Sessions => {
    const now = (): number => Date.now() - 1000 * seconds
    return createSessions({ secret, store: store(now), now })
  }
  const env = (): Record<string, string> => ({ SESSION_STORE: url })

  it('of a live session says that the store has it, and writes nothing', async () => {
    const header = await begin(stored(), SUBJECT, { note: DATA })
    const before = await client.dbsize()
    const [key = ''] = await client.keys('sojourn:s:*')
    const record = await client.get(key)
    const explained = await explain(header, [], env())
    expect([explained.code, explained.reason, explained.json.store]).toEqual([
      0,
      'active',
      ['"redis" answered'],
    ])
    expect([await client.dbsize(), await client.get(key)]).toEqual([before, record])
  })

  it('of one that was revoked, or that the store lost, says that it is not there', async () => {
    const sessions = stored()
    const header = await begin(sessions, SUBJECT)
    await sessions.revokeAll(SUBJECT)
    const explained = await explain(header, [], env())
    expect([explained.code, explained.reason]).toEqual([1, 'missing'])
    expect(explained.json.store).toEqual(['"redis" does not have it'])
    expect(explained.advice).toContain('another database or prefix')
  })

  it('of one whose credential was replaced tells how long ago: superseded, then reused', async () => {
    for (const [seconds, reason, words] of [
      [5, 'superseded', 'the new one is on its way'],
      [600, 'reused', 'it is a copy, or its replacement never arrived'],
    ] as const) {
      const header = await begin(stored(seconds), undefined, { note: DATA })
      const sessions = stored(seconds)
      const session = await sessions.open(header)
      session.regenerate()
      headerOf(await sessions.save(session))
      const explained = await explain(header, [], env())
      expect([explained.code, explained.reason]).toEqual([1, reason])
      expect(explained.text).toContain(words)
      expect(explained.json.store).toEqual(['"redis" has it, with a newer credential'])
    }
  })

  it('of a note without its cookie says that no session cookie came, and the timeout of its session', async () => {
    const sessions = stored(1800)
    const session = await sessions.open(await begin(sessions, SUBJECT))
    session.regenerate()
    const pairs = headerOf(await sessions.save(session)).split('; ')
    const note = pairs.find((pair) => /^[^=]+\.n/.test(pair)) ?? ''
    expect((await explain(note, [], env())).reason).toBe('active')
    const short = await explain(note, [], { ...env(), SESSION_IDLE_TIMEOUT: '1200' })
    await stored().revokeAll(SUBJECT)
    const ended = await explain(note, [], env())
    for (const { code, reason, text } of [short, ended]) {
      expect([code, reason]).toEqual([1, 'no-cookie'])
      expect(text).toContain('Only the note of a sign-in')
    }
    expect(short.json.session).toMatchObject({ idleTimeout: 1200 })
    expect(ended.json.session).toMatchObject({ idleTimeout: DAY })
  })

  it('does not end a session that was reused, whatever the application does', async () => {
    const path = join(folder, 'revoke.config.mjs')
    const importOf = (file: string): string => JSON.stringify(`${root}${file}`)
    writeFileSync(
      path,
      `import { Redis } from ${importOf('node_modules/ioredis/built/index.js')}
      import { createRedisStore } from ${importOf('src/stores/redis.ts')}
      const client = new Redis(${server.port})
      const store = createRedisStore({ send: ([name, ...args]) => client.call(name, ...args) })
      export const options = { onReuse: 'revoke', store }`,
    )
    const sessions = stored(600)
    const header = await begin(sessions, SUBJECT)
    const session = await sessions.open(header)
    session.regenerate()
    const replacement = headerOf(await sessions.save(session))
    expect((await explain(header, ['--config', path])).reason).toBe('reused')
    expect((await stored().open(replacement)).status).toBe('active')
  })

  it('asks the store, whatever a snapshot in the cookie says', async () => {
    const path = join(folder, 'snapshot.config.mjs')
    const importOf = (file: string): string => JSON.stringify(`${root}${file}`)
    writeFileSync(
      path,
      `import { Redis } from ${importOf('node_modules/ioredis/built/index.js')}
      import { createRedisStore } from ${importOf('src/stores/redis.ts')}
      const client = new Redis(${server.port})
      const store = createRedisStore({ send: ([name, ...args]) => client.call(name, ...args) })
      export const options = { snapshot: { maxAge: 600 }, store }`,
    )
    const sessions = createSessions({ secret, store: store(), snapshot: { maxAge: 600 } })
    const header = await begin(sessions, SUBJECT, { note: DATA })
    await stored().revokeAll(SUBJECT)
    expect(
      (await createSessions({ secret, store: store(), snapshot: { maxAge: 600 } }).open(header))
        .status,
    ).toBe('active')
    expect((await explain(header, ['--config', path])).reason).toBe('missing')
  })

  it('of one that is bound to a device says that, and does not ask for its proof', async () => {
    const path = join(folder, 'bound.config.mjs')
    const importOf = (file: string): string => JSON.stringify(`${root}${file}`)
    writeFileSync(
      path,
      `import { Redis } from ${importOf('node_modules/ioredis/built/index.js')}
      import { createRedisStore } from ${importOf('src/stores/redis.ts')}
      const client = new Redis(${server.port})
      const store = createRedisStore({ send: ([name, ...args]) => client.call(name, ...args) })
      export const options = { deviceBound: { enforce: 'always' }, store }`,
    )
    const deviceBound = { enforce: 'always' } as const
    const sessions = createSessions({ secret, store: store(), deviceBound })
    // Longer ago than requests may be under way without the bound cookie.
    const before = ago(60, { store: store(() => Date.now() - 60_000), deviceBound })
    const browser = createDeviceBrowser()
    const signIn = before.handler(async (request) => {
      ;(await before.get(request)).login(SUBJECT)
      return new Response('in')
    })
    await browser.fetch(signIn, '/sign-in', { method: 'POST' })
    expect(browser.bound.size).toBe(1)
    const header = `__Host-session=${browser.jar.get('__Host-session')}`
    expect((await sessions.open(header)).status).toBe('unproven')
    const explained = await explain(header, ['--config', path])
    expect([explained.code, explained.reason]).toEqual([0, 'active'])
    expect(explained.json.session).toMatchObject({ bound: true })
    const { stdout } = await sojourn(['explain', '--config', path], {
      env: { SESSION_SECRET: secret },
      input: header,
    })
    expect(stdout).toContain('bound to a key of its device, which is not looked at here')
  })

  it('of one in a store says when no store is named', async () => {
    const explained = await explain(await begin(stored(), SUBJECT))
    expect([explained.code, explained.reason]).toEqual([1, 'no-store'])
    expect(explained.advice).toContain('SESSION_STORE')
  })

  it('of one whose store is down says why, and what the cookie says all the same', async () => {
    const header = await begin(stored(), SUBJECT)
    const down = { SESSION_STORE: `redis://:${PASSWORD}@127.0.0.1:${await freePort()}` }
    const explained = await explain(header, [], down)
    expect([explained.code, explained.reason]).toEqual([1, 'network'])
    expect(explained.text).toContain('ECONNREFUSED')
    expect(explained.json.session).toMatchObject({ idleTimeout: DAY })
    await client.config('SET', 'requirepass', PASSWORD)
    const refused = await explain(header, [], env())
    await client.config('SET', 'requirepass', '')
    expect([refused.code, refused.reason]).toEqual([1, 'auth'])
  })

  it('of one whose record does not open says that, and never what is in it', async () => {
    const path = join(folder, 'schema.config.mjs')
    writeFileSync(
      path,
      `export const options = { schema: { '~standard': { version: 1, vendor: 'test', validate: (value) =>
        ({ issues: [{ message: 'not ' + JSON.stringify(value) }] }) } } }`,
    )
    const sessions = createSessions({ secret })
    const header = await begin(sessions, SUBJECT, { note: DATA })
    const explained = await explain(header, ['--config', path])
    expect([explained.code, explained.reason]).toEqual([1, 'ERR_SESSION_VALIDATION'])
  })
})

it('sojourn explain asks on a terminal for what it waits for', async () => {
  const line = `${process.execPath} ${root}src/cli/main.ts explain`
  const env = { ...process.env, SESSION_SECRET: secret }
  const run = promisify(execFile)
  // Ctrl-D ends the input of the terminal.
  const { stdout } = await run(
    'sh',
    ['-c', `printf '\\004' | script -qec '${line}' /dev/null || true`],
    { env },
  )
  expect(stdout).toContain(
    'Paste a session cookie, or a Cookie header, then press Enter and Ctrl-D',
  )
})
