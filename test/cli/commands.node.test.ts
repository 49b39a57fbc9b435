import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { COMMANDS } from '../../src/cli/commands/index.ts'
import { generateSecret } from '../../src/secret.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import { freePort } from '../support/free-port.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { startBridge, TOKEN } from '../support/upstash-bridge.ts'
import { begin, createSessions, forbid, RUNTIMES, sojourn } from './support.ts'

const secret = generateSecret()
const DATA = 'data-canary-5c21'
const PASSWORD = 'password-canary-90ab'
forbid(secret, DATA, PASSWORD, TOKEN)

const root = fileURLToPath(new URL('../..', import.meta.url))
const main = `${root}src/cli/main.ts`
/** Outside of the project, so that nothing is found there by chance. */
const folder = mkdtempSync(join(tmpdir(), 'sojourn-cli-'))

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

beforeEach(async () => {
  await client.flushall()
})

const UPSTASH = {
  SESSION_SECRET: secret,
  UPSTASH_REDIS_REST_URL: 'https://example.com',
  UPSTASH_REDIS_REST_TOKEN: TOKEN,
}

const sessionsOf = () =>
  createSessions({
    secret,
    store: createRedisStore({ send: ([name, ...args]) => client.call(name, ...args) }),
  })

const env = (): Record<string, string> => ({ SESSION_SECRET: secret, SESSION_STORE: url })

/** Writes a config module and returns its path. */
function config(code: string, name = `${crypto.randomUUID()}.config.mjs`): string {
  writeFileSync(join(folder, name), code)
  return join(folder, name)
}

const importOf = (path: string): string => JSON.stringify(`${root}src/${path}`)

describe('sojourn', () => {
  it('without a command lists the commands', async () => {
    const { code, stdout } = await sojourn([])
    expect(code).toBe(0)
    for (const { name } of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'))
    expect((await sojourn(['--help'])).stdout).toBe(stdout)
  })

  it.each(COMMANDS.map((command) => [command.name, command] as const))(
    'help %s shows its options and examples that run it',
    async (name, { examples, options }) => {
      const { code, stdout } = await sojourn(['help', name])
      expect(code).toBe(0)
      expect((await sojourn([name, '--help'])).stdout).toBe(stdout)
      for (const option of [...options, 'json']) expect(stdout).toContain(`--${option}`)
      expect(examples.length).toBeGreaterThan(0)
      for (const [line] of examples) {
        expect(line).toContain(`npx sojourn ${name}`)
        expect(stdout).toContain(line)
      }
    },
  )

  it.each([
    ['an unknown command', ['frobnicate'], 'no such command'],
    ['an unknown option', ['stats', '--frobnicate'], 'no option --frobnicate'],
    ['a short option', ['stats', '-x'], 'no option -x'],
    ['no argument', ['list'], 'needs <subject>'],
    ['too many arguments', ['list', 'a', 'b'], 'one argument'],
    ['an argument for nothing', ['stats', 'a'], 'no argument'],
    ['an option without its value', ['list', 'a', '--config'], 'no value'],
    ['what is no id', ['revoke', 'user-1'], 'no id of a session'],
    ['what is no number', ['stats', '--limit', 'many', '--store', 'URL'], '--limit must be'],
    ['two sources', ['stats', '--config', 'a.js', '--store', 'redis://a'], 'exclude each other'],
  ])('answers %s with exit code 2 and what to do', async (_, args, sentence) => {
    const given = args.map((text) => (text === 'URL' ? url : text))
    const { code, stderr, stdout } = await sojourn(given)
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain(sentence)
    expect(stderr.trim().split('\n')).toHaveLength(2)
    const { code: again, json } = await sojourn([...given, '--json'])
    expect([again, json.ok]).toEqual([2, false])
    expect(`${json.error}.\n${json.advice}.\n`).toBe(stderr)
  })

  it('refuses secrets and cookies among its arguments, and repeats none', async () => {
    const header = await begin(sessionsOf(), 'user-1')
    const cookie = /=([^;]*)/.exec(header)![1]!
    const iron = `Fe26.2*1*${cookie}`
    const signed = `s%3A${cookie.slice(0, 32)}.${cookie.slice(0, 20)}`
    forbid(iron, signed, 'hunter2')
    for (const args of [
      ['list', secret],
      ['list', `-${secret.slice(1)}`],
      ['list', `--${secret.slice(2)}`],
      ['revoke-all', cookie],
      ['revoke-all', header],
      ['list', `__Host-session=${cookie}`],
      ['list', iron],
      ['list', signed],
      [secret],
      ['list', 'user-1', '--secret', 'hunter2'],
      ['list', 'user-1', '--password=hunter2'],
      ['list', `--secret=${secret}`, 'user-1'],
      ['stats', '--token', cookie],
      ['stats', '--store', `redis://:${PASSWORD}@127.0.0.1:${server.port}`],
      ['stats', '--store', `redis://127.0.0.1:${server.port}?password=${PASSWORD}`],
    ]) {
      const { code, stderr } = await sojourn(args, { env: env() })
      expect([args[0], code]).toEqual([args[0], 2])
      expect(stderr).toContain('can be read by every process')
    }
  })

  it('takes ids, UUIDs and names of Auth0 and Clerk for what they are', async () => {
    const names = [crypto.randomUUID(), 'auth0|5f7c8ec7c33c6c004bbafe82', 'ann@example.com']
    for (const name of [...names, 'user_29w83sxmDNGwOuEthce5gg56FcC']) {
      expect((await sojourn(['list', name], { env: env() })).code).toBe(0)
    }
  })

  it('says of a Node that is too old which one it needs', async () => {
    const code = `Object.defineProperty(process.versions, 'node', { value: '20.11.0' })
      await import(${JSON.stringify(main)})`
    const outcome = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code])
      .then(() => null)
      .catch((error) => error)
    expect([outcome.code, outcome.stdout]).toEqual([1, ''])
    expect(outcome.stderr).toContain('needs Node 22 or newer, and this is Node 20.11.0')
    expect(outcome.stderr.trim().split('\n')).toHaveLength(1)
  })

  it.each(Object.keys(RUNTIMES) as (keyof typeof RUNTIMES)[])('runs on %s', async (runtime) => {
    const { code, stdout } = await sojourn(['secret'], { runtime })
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^[\w-]{43}\n$/)])
    await begin(sessionsOf(), 'user-1', { note: DATA }, 'a telephone')
    const listed = await sojourn(['list', 'user-1'], { runtime, env: env() })
    expect([listed.code, listed.stderr]).toEqual([0, ''])
    expect(listed.stdout).toContain('a telephone')
    const ended = await sojourn(['revoke-all', 'user-1', '--yes'], { runtime, env: env() })
    expect([ended.code, ended.stdout]).toEqual([0, '1 session ended.\n'])
    const stopped = await sojourn(['list'], { runtime })
    expect(stopped.code).toBe(2)
  })
})

describe('sojourn secret', () => {
  it('prints 32 random bytes and nothing else, so that it can be piped', async () => {
    const { code, json } = await sojourn(['secret', '--json'])
    const { stderr, stdout } = await sojourn(['secret'])
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/^[\w-]{43}\n$/)
    expect(json.secret).not.toBe(stdout.trim())
    createSessions({ secret: stdout.trim() })
  })
})

describe('sojourn list', () => {
  it('shows ids, times and labels of a user, and nothing of the data', async () => {
    const sessions = sessionsOf()
    await begin(sessions, 'user-1', { note: DATA }, 'telephone \u001b[31m\u202e\u009b2J\u{e0001}')
    await begin(sessions, 'user-1', {}, 'laptop')
    await begin(sessions, 'user-2')
    const { code, stdout } = await sojourn(['list', 'user-1'], { env: env() })
    expect(code).toBe(0)
    for (const { id } of await sessions.list('user-1')) expect(stdout).toContain(id)
    expect(stdout).toContain('2 sessions.')
    expect(stdout).toContain('telephone ?[31m?')
    const { json, stdout: line } = await sojourn(['list', 'user-1', '--json'], { env: env() })
    // A person may look at it, too.
    expect(line.trimEnd()).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    const infos = json.sessions as Record<string, unknown>[]
    expect(new Set(infos.map(({ label }) => label))).toEqual(
      new Set(['laptop', 'telephone \u001b[31m\u202e\u009b2J\u{e0001}']),
    )
    expect(Object.keys(infos[0]!).sort((a, b) => (a < b ? -1 : 1))).toEqual([
      'actor',
      'authenticatedAt',
      'bound',
      'createdAt',
      'expiresAt',
      'factors',
      'id',
      'label',
      'lastSeenAt',
      'tags',
    ])
  })

  it('shows the factors that were proven and who acts, where there are any', async () => {
    const sessions = sessionsOf()
    await begin(sessions, 'user-1')
    const plain = await sojourn(['list', 'user-1'], { env: env() })
    expect(plain.stdout).not.toMatch(/factors|actor/)
    const session = await sessions.open(null)
    session.login('user-1', { actor: 'support-7' })
    session.elevate('passkey')
    await sessions.save(session)
    const { stdout } = await sojourn(['list', 'user-1'], { env: env() })
    expect(stdout).toMatch(/label +factors +actor$/m)
    expect(stdout).toMatch(/passkey \S.* support-7$/m)
  })

  it('reads the name of the user from standard input', async () => {
    await begin(sessionsOf(), 'ann@example.com')
    const { stdout } = await sojourn(['list', '-'], { env: env(), input: 'ann@example.com\n' })
    expect(stdout).toContain('1 session.')
    const none = await sojourn(['list', 'somebody'], { env: env() })
    expect([none.code, none.stdout]).toEqual([0, 'This user has no session.\n'])
  })

  it.each([
    ['no secret', {}, 'SESSION_SECRET is missing'],
    ['a weak secret', { SESSION_SECRET: `${DATA}-change-me-`.repeat(3) }, 'printed in examples'],
    ['no store', { SESSION_SECRET: secret, SESSION_STORE: '' }, 'need the option "store"'],
    ['no URL', { SESSION_SECRET: secret, SESSION_STORE: PASSWORD }, 'is no URL'],
    [
      'another kind of URL',
      { SESSION_SECRET: secret, SESSION_STORE: `ftp://a:${PASSWORD}@b` },
      'no store for addresses',
    ],
    [
      'half of Upstash',
      { SESSION_SECRET: secret, UPSTASH_REDIS_REST_TOKEN: TOKEN },
      'UPSTASH_REDIS_REST_URL is not',
    ],
    [
      'a wrong address of Upstash',
      { ...UPSTASH, UPSTASH_REDIS_REST_URL: `http://ann:${PASSWORD}@example.com` },
      'url must be an https URL',
    ],
    ['no https', { ...UPSTASH, UPSTASH_REDIS_REST_URL: PASSWORD }, 'url must be an https URL'],
    [
      'a token that is none',
      { ...UPSTASH, UPSTASH_REDIS_REST_TOKEN: `${TOKEN} ` },
      'token must be',
    ],
  ])('says with %s what to do', async (_, given, sentence) => {
    const { code, stderr } = await sojourn(['list', 'user-1'], { env: given })
    expect(code).toBe(1)
    expect(stderr).toContain(sentence)
    expect(stderr.trim().split('\n')).toHaveLength(2)
  })

  it('says of an empty name what to do', async () => {
    for (const name of ['', '-']) {
      const { code, stderr } = await sojourn(['list', name], { env: env() })
      expect([code, stderr]).toEqual([1, expect.stringContaining('Argument "subject" must be')])
    }
  })

  it('finds nobody with a wrong secret, and shows neither', async () => {
    await begin(sessionsOf(), 'user-1')
    const other = generateSecret()
    forbid(other)
    const given = { ...env(), SESSION_SECRET: other }
    const { code, stdout } = await sojourn(['list', 'user-1'], { env: given })
    expect([code, stdout]).toEqual([0, 'This user has no session.\n'])
  })
})

describe('sojourn revoke', () => {
  it('ends one session, and no other', async () => {
    const sessions = sessionsOf()
    await begin(sessions, 'user-1', {}, 'stolen')
    await begin(sessions, 'user-1', {}, 'own')
    const { id } = (await sessions.list('user-1')).find(({ label }) => label === 'stolen')!
    // Without a secret: nothing is opened.
    const given = { SESSION_STORE: url }
    const { code, stdout } = await sojourn(['revoke', id, '--yes'], { env: given })
    expect([code, stdout]).toEqual([0, 'The session has ended.\n'])
    expect((await sessions.list('user-1')).map(({ label }) => label)).toEqual(['own'])
    const again = await sojourn(['revoke', id, '--yes', '--json'], { env: given })
    expect([again.code, again.json]).toEqual([1, expect.objectContaining({ ok: false, ended: 0 })])
  })

  it('takes an id that begins with a dash', async () => {
    for (const id of ['-secretAAAAAAAAAAAAAAA', '--yesAAAAAAAAAAAAAAAAA']) {
      const { code, stderr } = await sojourn(['revoke', id, '--yes'], { env: env() })
      expect([code, stderr]).toEqual([1, expect.stringContaining('no live session with this id')])
    }
  })
})

describe('sojourn revoke-all', () => {
  it('ends all sessions of a user, and of no other', async () => {
    const sessions = sessionsOf()
    for (const subject of ['user-1', 'user-1', 'user-2']) await begin(sessions, subject)
    const { code, json } = await sojourn(['revoke-all', 'user-1', '--yes', '--json'], {
      env: env(),
    })
    expect([code, json]).toEqual([0, { ok: true, ended: 2 }])
    expect(await sessions.list('user-2')).toHaveLength(1)
  })

  it('with --tag ends the sessions of a tag, whoever the users are', async () => {
    const sessions = sessionsOf()
    for (const [subject, tags] of [
      ['user-1', ['tenant:7']],
      ['user-2', ['tenant:7']],
      ['tenant:7'],
    ]) {
      const session = await sessions.open(null)
      session.login(subject as string, { tags: (tags ?? []) as string[] })
      await sessions.save(session)
    }
    const { code, json } = await sojourn(['revoke-all', 'tenant:7', '--tag', '--yes', '--json'], {
      env: env(),
    })
    expect([code, json]).toEqual([0, { ok: true, ended: 2 }])
    expect(await sessions.list('tenant:7')).toHaveLength(1)
  })

  it('ends sessions in cookies that have the option revocations, and so does revoke', async () => {
    const path = config(`import { createSessions } from ${importOf('index.ts')}
      import { createMemoryStore } from ${importOf('stores/memory.ts')}
      export const sessions = createSessions({
        secret: '${secret}', revocations: { store: createMemoryStore() },
      })`)
    const given = ['--yes', '--json', '--config', path]
    for (const tag of [[], ['--tag']]) {
      const { code, json } = await sojourn(['revoke-all', 'user-1', ...tag, ...given], { env: {} })
      expect([code, json]).toEqual([0, { ok: true, ended: null }])
    }
    const asked = await sojourn(['revoke', 'A'.repeat(22), '--config', path], { env: {} })
    expect([asked.code, asked.stderr]).toEqual([2, expect.stringContaining('--yes')])
    const { code, json } = await sojourn(['revoke', 'A'.repeat(22), ...given], { env: {} })
    expect([code, json]).toEqual([0, { ok: true, ended: 1 }])
  })

  it('says for sessions in cookies what notBefore has to return', async () => {
    const given = { SESSION_SECRET: secret }
    const { code, json } = await sojourn(['revoke-all', 'user-1', '--yes', '--json'], {
      env: given,
    })
    expect(code).toBe(1)
    expect(Math.abs(Number(json.notBefore) - Date.now())).toBeLessThan(60_000)
    expect(json.advice).toContain(`notBefore return ${json.notBefore}`)
  })
})

describe('what signs people out', () => {
  const commands = [['revoke', 'A'.repeat(22)], ['revoke-all', 'user-1'], ['sign-everybody-out']]

  it.each(commands.map((args) => [args[0]!, args] as const))(
    'is refused by %s without a terminal and without --yes',
    async (_, args) => {
      await begin(sessionsOf(), 'user-1')
      for (const input of ['', 'yes\n']) {
        const { code, stderr } = await sojourn(args, { env: env(), input })
        expect([code, stderr]).toEqual([2, expect.stringContaining('In a script say so: --yes')])
      }
      expect(await sessionsOf().list('user-1')).toHaveLength(1)
    },
  )

  it('is asked about on a terminal, in colours there alone', async () => {
    await begin(sessionsOf(), 'user-1')
    const onTerminal = async (command: string, answer: string): Promise<string> => {
      // `script` gives it a terminal of its own.
      const line = `${process.execPath} ${main} ${command}`
      const { NO_COLOR: _, NODE_DISABLE_COLORS: __, CI: ___, ...here } = process.env
      const child = execFile('script', ['-qec', line, '/dev/null'], {
        // A build server may have no terminal, or one that it calls dumb.
        env: { ...here, TERM: 'xterm-256color', FORCE_COLOR: undefined, ...env() },
      })
      let output = ''
      child.stdout!.on('data', (chunk) => {
        output += chunk
        if (output.includes('to go on:')) child.stdin!.end(answer)
      })
      await new Promise((resolve) => child.on('close', resolve))
      return output
    }
    expect(await onTerminal('revoke-all user-1', 'no\n')).toContain('Nothing was changed')
    expect(await sessionsOf().list('user-1')).toHaveLength(1)
    expect(await onTerminal('revoke-all user-1', 'yes\n')).toContain('1 session ended.')
    expect(await sessionsOf().list('user-1')).toEqual([])
    expect(await onTerminal('help secret', '')).toContain('\u001b[1mUsage')
    expect((await sojourn(['help', 'secret'])).stdout).not.toContain('\u001b')
  })
})

describe('sojourn sign-everybody-out', () => {
  it('ends every session of the store, of former secrets too', async () => {
    const sessions = sessionsOf()
    for (let i = 0; i < 40; i++) await begin(sessions, i % 2 ? `user-${i}` : undefined, { i })
    const cookie = await begin(sessions, 'user-1')
    const given = { SESSION_STORE: url }
    const { code, json } = await sojourn(['sign-everybody-out', '--yes', '--json'], { env: given })
    expect([code, json]).toEqual([0, { ok: true, ended: 41 }])
    expect((await sessionsOf().open(cookie)).status).toBe('missing')
    const again = await sojourn(['sign-everybody-out', '--yes'], { env: given })
    expect([again.code, again.stdout]).toEqual([0, '0 sessions ended.\n'])
  })

  it('leaves the marker by which health() knows a store that was emptied', async () => {
    await begin(sessionsOf(), 'user-1')
    const given = { SESSION_STORE: url }
    expect((await sojourn(['stats', '--json'], { env: given })).json).toMatchObject({ sessions: 1 })
    const sessions = sessionsOf()
    expect((await sessions.health({ deep: true })).ok).toBe(true)
    const { json } = await sojourn(['sign-everybody-out', '--yes', '--json'], { env: given })
    expect(json.ended).toBe(1)
    expect((await sessions.health({ deep: true })).store).toMatchObject({ ok: true, problems: [] })
  })

  it('says which control to set for sessions in cookies, and for a store that has no pages', async () => {
    const path = config(`import { createMemoryStore } from ${importOf('stores/memory.ts')}
      const { page, ...store } = createMemoryStore()
      export const options = { store: { ...store, name: 'pageless' } }`)
    for (const args of [[], ['--config', path]]) {
      const command = ['sign-everybody-out', '--yes', '--json', ...args]
      const { code, json } = await sojourn(command, { env: { SESSION_SECRET: secret } })
      expect(code).toBe(1)
      expect(json.advice).toContain(`{ notBefore: ${json.notBefore} }`)
      if (args.length) expect(json.error).toContain('"pageless"')
    }
  })
})

describe('sojourn prune', () => {
  it('removes what has expired, and says where there is nothing to do', async () => {
    const path = config(`import { createMemoryStore } from ${importOf('stores/memory.ts')}
      let ahead = 0
      const now = () => Date.now() + ahead
      const store = createMemoryStore({ now })
      for (const id of ['one', 'two', 'live']) {
        const expiresAt = now() + (id === 'live' ? 600_000 : 60_000)
        await store.write(id, { value: 'value', version: 'v', epoch: '1..0.1', expiresAt }, null)
      }
      ahead = 120_000
      export const options = { store }`)
    const { code, json } = await sojourn(['prune', '--json', '--config', path])
    expect([code, json]).toEqual([0, { ok: true, removed: 2 }])
    const redis = await sojourn(['prune'], { env: { SESSION_STORE: url } })
    expect([redis.code, redis.stdout]).toEqual([0, expect.stringContaining('nothing to do')])
    const none = await sojourn(['prune'])
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('No store is named')])
  })
})

describe('sojourn stats', () => {
  it('counts sessions and signed-in users', async () => {
    const sessions = sessionsOf()
    for (let i = 0; i < 30; i++)
      await begin(sessions, i < 10 ? 'user-1' : undefined, { note: DATA })
    const given = { SESSION_STORE: url }
    const { code, json } = await sojourn(['stats', '--json'], { env: given })
    expect(code).toBe(0)
    expect(json).toMatchObject({ store: 'redis', sessions: 30, signedIn: 10, isComplete: true })
    const { stdout } = await sojourn(['stats'], { env: given })
    expect(stdout).toMatch(/answers in \d+ ms\.\n.*\n30 sessions, 10 with a user\./)
    const none = await sojourn(['stats'])
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('No store is named')])
  })

  it('says how the store is: full, or about to drop sessions', async () => {
    const given = { SESSION_STORE: url }
    await client.config('SET', 'maxmemory', '1')
    const full = await sojourn(['stats'], { env: given })
    expect([full.code, full.stdout]).toEqual([1, expect.stringContaining('It is full: sign-ins')])
    await client.config('SET', 'maxmemory', '0')
    await client.config('SET', 'maxmemory-policy', 'allkeys-lru')
    const lru = await sojourn(['stats'], { env: given })
    expect([lru.code, lru.stdout]).toEqual([0, expect.stringContaining('It drops sessions')])
    await client.config('SET', 'maxmemory-policy', 'noeviction')
    expect((await sojourn(['stats'], { env: given })).stdout).not.toContain('It drops sessions')
  })

  it('stops at its limit', async () => {
    const path =
      config(`const record = { value: 'v', version: 'v', epoch: '1..0.1', expiresAt: Date.now() + 1e6 }
      const page = async (cursor) => ({
        records: Array.from({ length: 50 }, (_, i) => ({ id: cursor + '-' + i, record })),
        cursor: String(Number(cursor) + 1),
      })
      const [read, write, end] = [async () => null, async () => ({ ok: true }), async () => false]
      export const options = { store: { name: 'endless', atomic: true, read, write, end, page } }`)
    const { stdout } = await sojourn(['stats', '--limit', '120', '--config', path])
    expect(stdout).toContain('At least 150 sessions')
  })
})

describe('the store of a command', () => {
  it('is reached through Upstash by its two variables', async () => {
    await begin(sessionsOf(), 'user-1')
    const bridge = await startBridge(server.port)
    const given = { UPSTASH_REDIS_REST_URL: bridge.url, UPSTASH_REDIS_REST_TOKEN: TOKEN }
    const { stdout } = await sojourn(['list', 'user-1'], {
      env: { SESSION_SECRET: secret, ...given },
    })
    await bridge.close()
    expect(stdout).toContain('1 session.')
  })

  it('says of a server that is not there, and of a wrong password, what to do', async () => {
    const port = await freePort()
    for (const runtime of ['node', 'bun'] as const) {
      const given = {
        SESSION_SECRET: secret,
        SESSION_STORE: `redis://user:${PASSWORD}@127.0.0.1:${port}`,
      }
      const { code, stderr } = await sojourn(['list', 'user-1'], { env: given, runtime })
      expect([code, stderr]).toEqual([
        1,
        expect.stringContaining(`127.0.0.1:${port} cannot be reached`),
      ])
    }
    await client.config('SET', 'requirepass', PASSWORD)
    for (const userinfo of ['', `:${PASSWORD}-wrong@`]) {
      const given = { SESSION_SECRET: secret, SESSION_STORE: url.replace('//', `//${userinfo}`) }
      const { code, stderr } = await sojourn(['list', 'user-1'], { env: given })
      expect([code, stderr]).toEqual([1, expect.stringMatching(/password|NOAUTH/)])
    }
    const given = { SESSION_SECRET: secret, SESSION_STORE: url.replace('//', `//:${PASSWORD}@`) }
    expect((await sojourn(['list', 'user-1'], { env: given })).code).toBe(0)
    await client.config('SET', 'requirepass', '')
  })

  it('comes from a config module that exports sessions or options', async () => {
    const store = `import { Redis } from ${JSON.stringify(`${root}node_modules/ioredis/built/index.js`)}
      import { createRedisStore } from ${importOf('stores/redis.ts')}
      import { createSessions } from ${importOf('index.ts')}
      const client = new Redis(${server.port})
      const store = { ...createRedisStore({ send: ([name, ...args]) => client.call(name, ...args) }) }`
    await begin(sessionsOf(), 'user-1')
    const withSecret = 'secret: process.env.APP_SECRET'
    for (const [name, end] of [
      ['sessions.config.mjs', `export const sessions = createSessions({ ${withSecret}, store })`],
      ['default.config.mjs', `export default createSessions({ ${withSecret}, store })`],
      ['options.config.mjs', `export const options = { ${withSecret}, store }`],
      ['plain.config.mjs', 'export default { store }'],
      ['typed.config.ts', `export const options: { store: object } = { store }`],
    ] as const) {
      const path = config(`${store}\n${end}`, name)
      const given = { APP_SECRET: secret, SESSION_SECRET: secret }
      const { all, code } = await sojourn(['list', 'user-1', '--config', path], { env: given })
      expect([name, code, all]).toEqual([name, 0, expect.stringContaining('1 session.')])
    }
  })

  it.each([
    ['is not there', null, 'no file'],
    ['exports neither', 'export const nothing = 1', 'exports no sessions and no options'],
    ['exports a function', 'export default () => ({})', 'exports no sessions and no options'],
    ['throws', `throw new Error('connect redis://user:${PASSWORD}@db')`, 'does not load: Error'],
    ['does not parse', `const a = '${PASSWORD}`, 'does not load: SyntaxError'],
    [
      'imports what is not there',
      `import '${PASSWORD}'`,
      'does not load: Error ERR_MODULE_NOT_FOUND',
    ],
    [
      'has no secret',
      `import { createSessions } from ${importOf('index.ts')}
      export const sessions = createSessions({ secret: process.env.NOT_SET })`,
      'is its variable set?',
    ],
    [
      'has a wrong option',
      `export const options = { idleTimeout: '${PASSWORD}' }`,
      '"idleTimeout" must be',
    ],
    [
      'makes sessions by another copy',
      'export const sessions = { get() {}, commit() {}, revokeAll() {}, close: async () => {} }',
      'another copy of sojourn',
    ],
  ])('is refused where its config module %s', async (_, code, sentence) => {
    const path = code === null ? join(folder, 'none.js') : config(code)
    const outcome = await sojourn(['list', 'a', '--config', path], {
      env: { SESSION_SECRET: secret },
    })
    expect([outcome.code, outcome.stderr]).toEqual([1, expect.stringContaining(sentence)])
    expect(outcome.stderr.trim().split('\n')).toHaveLength(2)
  })

  it('that fails while it is asked says so, in the words of the store alone', async () => {
    const path = config(`const fail = async () => { throw new Error('${PASSWORD}') }
      export const options = { store: { name: 'broken', atomic: true, read: fail, write: fail, end: fail,
        page: fail, health: fail, index: { list: fail, end: fail } } }`)
    for (const args of [
      ['list', 'user-1'],
      ['revoke-all', 'user-1', '--yes'],
      ['revoke', 'A'.repeat(22), '--yes'],
      ['sign-everybody-out', '--yes'],
      ['stats'],
    ]) {
      const outcome = await sojourn([...args, '--config', path], {
        env: { SESSION_SECRET: secret },
      })
      expect([args[0], outcome.code]).toEqual([args[0], 1])
      expect(outcome.all).toContain('The store "broken"')
    }
  })
})
