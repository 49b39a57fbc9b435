import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { OPTIONS } from '../../src/cli/command.ts'
import { COMMANDS } from '../../src/cli/commands/index.ts'
import { generateSecret } from '../../src/secret.ts'
import type { Sessions } from '../../src/session/sessions.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { begin, createSessions, forbid, sojourn } from './support.ts'

const secret = generateSecret()
const DATA = 'data-canary-0d44'
forbid(secret, DATA)

const guide = readFileSync(
  fileURLToPath(new URL('../../docs/operations.md', import.meta.url)),
  'utf8',
)
const sectionOf = (title: string): string =>
  guide.split(/\n#{2,3} /).find((text) => text.startsWith(`${title}\n`)) ?? ''

describe('docs/operations.md', () => {
  const lines = [...guide.matchAll(/npx sojourn ([a-z-]+)([^`\n]*)/g)]

  it('has an example of every command, and names no other', () => {
    const names = new Set<string>(COMMANDS.map(({ name }) => name))
    const named = new Set(lines.map(([, name = '']) => name).filter((name) => name !== 'help'))
    expect(named).toEqual(names)
    for (const name of names)
      expect(guide).toMatch(new RegExp(`^\\| \`${name}\\b.*npx sojourn ${name}`, 'm'))
  })

  it('gives commands no option that they do not have', () => {
    for (const [line, name, rest = ''] of lines) {
      const known = [...(COMMANDS.find((one) => one.name === name)?.options ?? []), 'json', 'help']
      for (const [, option = ''] of rest.matchAll(/--([a-z]+)/g)) {
        expect([line, option in OPTIONS, known.includes(option as never)]).toEqual([
          line,
          true,
          true,
        ])
      }
    }
  })
})

describe('incidents', () => {
  let server: RedisServer
  let client: Redis
  let env: Record<string, string>
  const sessionsOf = (own = secret): Sessions =>
    createSessions({
      secret: own,
      store: createRedisStore({ send: ([name, ...args]) => client.call(name, ...args) }),
    })
  const statusOf = async (header: string, sessions = sessionsOf()): Promise<string> =>
    (await sessions.open(header)).status

  beforeAll(async () => {
    server = await startRedis()
    client = new Redis(server.port)
    env = { SESSION_SECRET: secret, SESSION_STORE: `redis://127.0.0.1:${server.port}` }
  })
  beforeEach(async () => {
    await client.flushall()
  })
  afterAll(async () => {
    client.disconnect()
    await server.stop()
  })

  it('one stolen cookie: its session ends, found by the cookie or by the list, and no other', async () => {
    expect(sectionOf('One stolen cookie')).toContain('npx sojourn revoke <id>')
    const sessions = sessionsOf()
    const [stolen, own] = [
      await begin(sessions, 'user-1', { note: DATA }, 'telephone'),
      await begin(sessions, 'user-1', { note: DATA }, 'laptop'),
    ]
    const args = ['explain', '--show', 'id', '--json']
    const { session } = (await sojourn(args, { env, input: stolen })).json as {
      session: { id: string }
    }
    const { json } = await sojourn(['list', 'user-1', '--json'], { env })
    const listed = (json.sessions as { id: string; label: string }[]).find(
      ({ label }) => label === 'telephone',
    )
    expect(listed?.id).toBe(session.id)
    expect((await sojourn(['revoke', session.id, '--yes'], { env })).code).toBe(0)
    expect([await statusOf(stolen), await statusOf(own)]).toEqual(['missing', 'active'])
    expect((await sojourn(['explain', '--json'], { env, input: stolen })).json.reason).toBe(
      'missing',
    )
  })

  it('a leaked database: the dump opens nothing, and is worth nothing afterwards', async () => {
    expect(sectionOf('A leaked database')).toContain('npx sojourn sign-everybody-out')
    const cookies = [
      await begin(sessionsOf(), 'user-1', { note: DATA }),
      await begin(sessionsOf(), 'user-2'),
    ]
    const keys = await client.keys('*')
    const dump = await Promise.all(keys.map((key) => client.dumpBuffer(key)))
    expect(Buffer.concat(dump).includes(DATA)).toBe(false)
    expect(keys.some((key) => key.includes('user-1'))).toBe(false)
    const { json } = await sojourn(['sign-everybody-out', '--yes', '--json'], { env })
    expect(json.ended).toBe(2)
    for (const cookie of cookies) expect(await statusOf(cookie)).toBe('missing')
  })

  it('a leaked secret: a new one alone refuses what was made with the former one', async () => {
    expect(sectionOf('A leaked secret')).toContain('npx sojourn secret')
    const honest = await begin(sessionsOf(), 'user-1', { note: DATA })
    // Whoever has the secret makes a session in a cookie.
    const forged = await begin(createSessions({ secret }), 'admin')
    const next = (await sojourn(['secret'])).stdout.trim()
    forbid(next)
    const replaced = { ...env, SESSION_SECRET: next }
    for (const input of [honest, forged]) {
      expect(await statusOf(input, sessionsOf(next))).toBe('invalid')
      const { json } = await sojourn(['explain', '--json'], { env: replaced, input })
      expect(json.reason).toBe('unknown-key')
    }
    const { json } = await sojourn(['sign-everybody-out', '--yes', '--json'], { env: replaced })
    expect(json.ended).toBe(1)
    expect((await sojourn(['stats', '--json'], { env: replaced })).json.sessions).toBe(0)
  })

  it('everybody: in a store all end; for cookies the command says which notBefore does the same', async () => {
    expect(sectionOf('Everybody')).toContain('npx sojourn sign-everybody-out')
    const stored = await begin(sessionsOf(), 'user-1')
    expect((await sojourn(['sign-everybody-out', '--yes'], { env })).code).toBe(0)
    expect(await statusOf(stored)).toBe('missing')
    const cookie = await begin(createSessions({ secret, now: () => Date.now() - 60_000 }), 'user-1')
    const inCookies = { SESSION_SECRET: secret }
    const { code, json } = await sojourn(['sign-everybody-out', '--yes', '--json'], {
      env: inCookies,
    })
    expect(code).toBe(1)
    expect(json.advice).toContain(`{ notBefore: ${json.notBefore} }`)
    const controls = () => ({ notBefore: json.notBefore as number })
    expect(await statusOf(cookie, createSessions({ secret, controls }))).toBe('expired')
  })
})
