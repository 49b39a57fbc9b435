import { createHook } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import { createSessions, type Session, type SessionsOptions } from '../src/index.ts'
import { createMemoryStore } from '../src/stores/memory.ts'
import { SECRET } from './support/sessions.ts'

let made = 0
const hook = createHook({
  init(_, type) {
    if (type === 'PROMISE') made++
  },
})

/** Promises that a request makes beyond those of one that uses no session; the least of some, as others may run meanwhile. */
async function promisesOf(
  options: Partial<SessionsOptions>,
  use: (session: Session) => unknown,
): Promise<number> {
  const sessions = createSessions({ secret: SECRET, ...options })
  const unused = sessions.handler(async () => new Response('ok'))
  const used = sessions.handler(async (request) => {
    use(await sessions.get(request))
    return new Response('ok')
  })
  const begin = sessions.handler(async (request) => {
    ;(await sessions.get(request)).set('count', 1)
    return new Response('ok')
  })
  const [setCookie = ''] = (await begin(new Request('https://a.example/'))).headers.getSetCookie()
  const headers = { cookie: setCookie.split(';', 1)[0]! }
  const count = async (handler: typeof used): Promise<number> => {
    const counts: number[] = []
    for (let i = 0; i < 10; i++) {
      const request = new Request('https://a.example/', { headers })
      const before = made
      await handler(request)
      counts.push(made - before)
    }
    return Math.min(...counts)
  }
  hook.enable()
  try {
    return (await count(used)) - (await count(unused))
  } finally {
    hook.disable()
  }
}

// What is there is not awaited (`lazy.ts`). Some are left for another version of Node, whose `Response` makes promises too.
describe('promises of a request', () => {
  const read = (session: Session): unknown => session.get('count')
  const write = (session: Session): void => session.update('count', (n: number) => n + 1)

  it.each([
    ['reads a session in a known cookie', {}, read, 9],
    ['writes a session in a known cookie', {}, write, 18],
    ['reads a session in a cookie', { cache: false }, read, 19],
    ['reads a session in memory', { store: createMemoryStore() }, read, 39],
    ['writes a session in memory', { store: createMemoryStore() }, write, 65],
  ] as const)('that %s', async (_, options, use, most) => {
    expect(await promisesOf(options, use)).toBeLessThanOrEqual(most)
  })
})
