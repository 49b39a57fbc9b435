/** What reads what nobody vouches for: each takes any text, and throws only if something is wrong. */

import { StoreError } from '../../src/errors.ts'
import { createSessions, StoreUnavailableError } from '../../src/index.ts'
import {
  fromCookieSession,
  fromH3,
  fromHonoSession,
  fromIronSession,
} from '../../src/migrate/index.ts'
import { parseHttpDate, parseRetryAfter } from '../../src/resilience/retry-after.ts'
import { createSealer } from '../../src/seal.ts'
import { createKVStore } from '../../src/stores/kv.ts'
import { createUnstorageStore } from '../../src/stores/unstorage.ts'
import { createUpstashStore } from '../../src/stores/upstash.ts'
import frozen from '../vectors/migrate.json' with { type: 'json' }
import corpus from './corpus.json' with { type: 'json' }

/** Feeds one text to a reader. */
export type Target = (text: string) => Promise<void>

const SECRET = 'a secret of the fuzzer, long enough for anybody'
const RECORD = { value: 'value', version: '1.a', epoch: '1', expiresAt: 99_999_999_999_999 }

function assert(holds: unknown, what: string): void {
  if (!holds) throw new Error(what)
}

/** The one reply that says that there is nothing. */
function isEmpty(text: string): boolean {
  try {
    return JSON.parse(text).result === ''
  } catch {
    return false
  }
}

/** Either an answer, or the failure of a store: nothing else, and no text of what it was given. */
async function settles(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return await call()
  } catch (error) {
    assert(error instanceof StoreError || error instanceof StoreUnavailableError, String(error))
    assert((error as Error).message.length < 100, 'A message quotes what came')
    return undefined
  }
}

/** The targets, each with what it starts from: what is kept was once found to be worth it. */
export async function createTargets(): Promise<
  Record<string, { seeds: readonly string[]; run: Target }>
> {
  const sessions = createSessions({ secret: SECRET, cookie: { maxChunks: 4 }, cache: false })
  const importing = createSessions({
    secret: SECRET,
    importFrom: [
      fromIronSession({ password: frozen.secret, cookieName: 'app' }),
      fromH3({ password: frozen.secret, iterations: 1 }),
      fromHonoSession({ secret: frozen.secret }),
      fromCookieSession({ keys: [frozen.secret] }),
    ],
  })
  const session = await sessions.open(null)
  session.login('ann')
  const header = (await sessions.save(session))[0]!.split(';')[0]!
  const token = header.slice(header.indexOf('=') + 1)
  const sealer = createSealer({ secret: SECRET })
  const sealed = await sealer.seal({ a: 1 }, { purpose: 'fuzz', ttl: 1e6 })
  let reply = ''
  const upstash = createUpstashStore({
    url: 'https://example.com',
    token: 'fuzz',
    fetch: async () => new Response(reply),
  })
  const kv = createKVStore({
    namespace: {
      get: async () => reply,
      put: async () => {},
      delete: async () => {},
      list: async () => ({ keys: [{ name: 'sojourn:r:a' }], list_complete: true }),
    },
  })
  const unstorage = createUnstorageStore({
    storage: {
      getItem: async () => reply,
      setItem: async () => {},
      removeItem: async () => {},
      getKeys: async () => ['sojourn:a'],
    },
  })

  return {
    'the header of cookies': {
      seeds: [...corpus.headers, header, ...Object.values(frozen.cookies)],
      async run(text) {
        const { status, subject } = await sessions.open(text)
        assert(status === 'active' ? text.includes(token) : subject === null, 'Opened a forgery')
        await importing.open(text)
      },
    },
    'a sealed value': {
      seeds: [...corpus.tokens, token, sealed],
      async run(text) {
        const value = text.replace(/[;\s]/g, '')
        const { status } = await sessions.open(`__Host-session=${value}`)
        assert(status !== 'active' || value.includes(token), 'Opened a forgery')
        const opened = await sealer.open(text, { purpose: 'fuzz' })
        assert(opened === null || text === sealed, 'Opened a forgery')
      },
    },
    'the reply of a store': {
      seeds: corpus.replies,
      async run(text) {
        reply = text
        for (const store of [upstash, kv, unstorage]) {
          const record = await settles(() => store.read(`${Math.random()}`))
          // An expired record, and the mark of a session that has ended, are not there either.
          assert(record !== null || isEmpty(text) || /\d/.test(text), 'Took it for nothing')
          await settles(() => store.write('id', RECORD, '0.a'))
          await settles(() => store.end('id'))
          await settles(() => store.page!(null))
          if (store.index) await settles(() => store.index!.list('ann'))
          if (store.index) await settles(() => store.index!.end('ann'))
        }
      },
    },
    'Retry-After': {
      seeds: corpus.retryAfter,
      async run(text) {
        const now = Date.UTC(2026, 10, 26)
        const seconds = parseRetryAfter(text, now)
        assert(seconds === undefined || seconds >= 0, 'Waits for less than nothing')
        const date = parseHttpDate(text, now)
        assert(date === undefined || Number.isFinite(date), 'A date that is none')
      },
    },
  }
}

/** A text somewhat different from one of the seeds. */
export function mutate(seeds: readonly string[], random: (below: number) => number): string {
  const pick = (from: readonly string[]): string => from[random(from.length)]!
  let text = pick(seeds)
  for (let left = 1 + random(4); left > 0; left--) {
    const at = random(text.length + 1)
    const [before, after] = [text.slice(0, at), text.slice(at)]
    const ways = [
      () => before + pick(corpus.words) + after,
      () => before + after.slice(random(8)),
      () => before + String.fromCharCode(random(256)) + after.slice(1),
      () => before + pick(seeds).slice(random(40)),
      () => before + before.slice(random(at + 1)) + after,
      () => after + before,
    ]
    text = ways[random(ways.length)]!().slice(0, 20_000)
  }
  return text
}
