import {
  createSessions,
  type Session,
  type SessionEvent,
  type SessionsOptions,
} from '../../src/index.ts'
import { defaultLevels } from '../../src/observe/log.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { type Clock, createClock, createCookieJar } from '../../src/testing/index.ts'

/** A secret for tests. */
export const SECRET = 'a secret of the tests, long enough for anybody'
/** Another one. */
export const OTHER_SECRET = 'another secret of the tests, just as long as the first'

/** Tells whether an event comes with every request. */
export const isFrequent = ({ type }: SessionEvent): boolean => defaultLevels[type] === false

/** Sessions, a browser and a clock that belong together, and what happened so far. */
export function createWorld(options: Partial<SessionsOptions> = {}, clock: Clock = createClock()) {
  const events: SessionEvent[] = []
  const frequent: SessionEvent[] = []
  const sessions = createSessions({
    secret: SECRET,
    now: clock,
    onEvent: (event) => (isFrequent(event) ? frequent : events).push(event),
    ...options,
  })
  const jar = createCookieJar({ now: clock })
  /** One request of the browser, whose handler does `use` with the session. */
  const visit = async (
    use: (session: Session) => unknown = () => {},
  ): Promise<{ response: Response; session: Session; setCookie: string[] }> => {
    let session: Session | undefined
    const handler = sessions.handler(async (request) => {
      session = await sessions.get(request)
      await use(session)
      return new Response('ok')
    })
    const response = await jar.fetch(handler, '/')
    return { response, session: session as Session, setCookie: response.headers.getSetCookie() }
  }
  const types = (): string[] => events.map(({ type }) => type)
  return { sessions, jar, clock, events, frequent, types, visit }
}

/** A memory store that counts its calls. */
export function createCountingStore(now?: () => number) {
  const store = createMemoryStore(now ? { now } : {})
  const calls: string[] = []
  const counting: SessionStore = {
    name: 'counting',
    index: {
      list: (key, options) => {
        calls.push('list')
        return store.index.list(key, options)
      },
      end: (key, options) => {
        calls.push('index.end')
        return store.index.end(key, options)
      },
    },
    atomic: true,
    read: (id, options) => {
      calls.push('read')
      return store.read(id, options)
    },
    write: (id, record, expected, options) => {
      calls.push('write')
      return store.write(id, record, expected, options)
    },
    end: (id, options) => {
      calls.push('end')
      return store.end(id, options)
    },
  }
  /** The calls since the last time. */
  const take = (): string[] => calls.splice(0)
  return { store: counting, memory: store, take }
}

/** A memory store as if it were a round trip away: the first write of a commit sends an entry along. */
export const asRemote = (memory: SessionStore): SessionStore => ({
  ...memory,
  write: (...args) => memory.write(...args),
})

/** Counts the WebCrypto calls that `run` makes. */
export async function countCrypto(run: () => Promise<unknown>): Promise<number> {
  const subtle = Object.getPrototypeOf(crypto.subtle)
  const names = ['encrypt', 'decrypt', 'digest', 'importKey', 'deriveBits', 'deriveKey', 'sign']
  const originals = names.map((name) => [name, subtle[name]] as const)
  let calls = 0
  for (const [name, original] of originals) {
    subtle[name] = function (...args: unknown[]) {
      calls++
      return original.apply(this, args)
    }
  }
  try {
    await run()
  } finally {
    for (const [name, original] of originals) subtle[name] = original
  }
  return calls
}

/** The error that `run` throws or rejects with. */
// biome-ignore lint/suspicious/noExplicitAny: tests look at properties of whatever was thrown.
export async function errorOf(run: () => unknown): Promise<any> {
  try {
    await run()
  } catch (error) {
    return error
  }
  throw new Error('Expected an error')
}
