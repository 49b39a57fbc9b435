import v8 from 'node:v8'
import vm from 'node:vm'
import { describe, expect, it } from 'vitest'
import { createSessions } from '../../src/index.ts'
import { cached } from '../../src/stores/cached.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { SECRET } from '../support/sessions.ts'

const SESSIONS = 1000
const CHARACTERS = 200_000
const LIMIT_MB = 32
/** It takes 15 seconds of processor time, and longer on a machine that is busy. */
const TIMEOUT_MS = 600_000

/** Megabytes in use after a collection. */
function heap(): number {
  v8.setFlagsFromString('--expose-gc')
  const gc = vm.runInNewContext('gc') as () => void
  gc()
  gc()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 1e6
}

describe('an isolate through which many large sessions pass', () => {
  it.each([false, { maxAge: 10, staleIfError: 600 }] as const)(
    `keeps at most ${LIMIT_MB} MB of them, in every layer together (snapshot: %j)`,
    async (snapshot) => {
      let behind = createMemoryStore({ maxBytes: 1e12 })
      const far: SessionStore = {
        name: 'far',
        atomic: true,
        read: (...args) => behind.read(...args),
        write: (...args) => behind.write(...args),
        end: (...args) => behind.end(...args),
      }
      const store = cached(resilient(far), { ttl: 60, staleIfError: 600 })
      const sessions = createSessions({ secret: SECRET, store, snapshot })
      const before = heap()
      for (let i = 0; i < SESSIONS; i++) {
        const jar = createCookieJar()
        const visit = sessions.handler(async (request) => {
          const session = await sessions.get(request)
          session.update('n', (n = 0) => n + 1)
          if (!session.has('text')) session.set('text', `${i} ${'x'.repeat(CHARACTERS)}`)
          await session.once('work', async () => session.get('text'))
          return new Response('')
        })
        await jar.fetch(visit, '/')
        await jar.fetch(visit, '/')
        // What is far away takes no memory here.
        if (i % 20 === 0) behind = createMemoryStore({ maxBytes: 1e12 })
      }
      behind = createMemoryStore()
      expect(heap() - before).toBeLessThan(LIMIT_MB)
      expect((await sessions.open(null)).status).toBe('new')
    },
    TIMEOUT_MS,
  )
})
