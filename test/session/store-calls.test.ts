import { describe, expect, it } from 'vitest'
import { startTimer } from '../../src/resilience/deadline.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createRedisStore } from '../../src/stores/redis.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock } from '../../src/testing/index.ts'
import { createWorld } from '../support/sessions.ts'

const isLive = (signal: unknown): boolean => signal instanceof AbortSignal && !signal.aborted

describe('sessions in a store of somebody else', () => {
  it('give each call a signal, however the store takes it', async () => {
    const memory = createMemoryStore()
    const signals: unknown[] = []
    const store: SessionStore = {
      ...memory,
      read(id, { signal, ...rest } = {}) {
        signals.push(signal)
        return memory.read(id, { ...rest, signal })
      },
      async write(id, record, expected, options) {
        const copy = Object.assign({}, options)
        await undefined
        signals.push(options?.signal, copy.signal, { ...options }.signal)
        return await memory.write(id, record, expected, copy)
      },
      async end(id, options) {
        for (let turn = 0; turn < 50; turn++) await undefined
        signals.push(options?.signal)
        return await memory.end(id, { ...options })
      },
    }
    const { visit } = createWorld({ store, now: Date.now })
    await visit((session) => session.set('name', 'ann'))
    await visit((session) => session.destroy())
    expect([signals.length, signals.every(isLive)]).toEqual([5, true])
  })

  it('give a Redis client a signal with each command', async () => {
    const signals: unknown[] = []
    const store = createRedisStore({
      send: async (_, { signal }) => {
        signals.push(signal)
        return ''
      },
    })
    const { sessions } = createWorld({ store, now: Date.now })
    const other = createWorld({ store: createMemoryStore(), now: Date.now })
    await other.visit((session) => session.set('name', 'ann'))
    await sessions.open(other.jar.header())
    expect([signals.length > 0, signals.every(isLive)]).toEqual([true, true])
  })
})

describe('storeTimeout', () => {
  it('of a store that keeps the event loop busy for all of it lets what has arrived be read', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    let busy = 0
    const store: SessionStore = {
      ...memory,
      read(id) {
        clock.advance(busy)
        return new Promise((resolve) => startTimer(4, () => resolve(memory.read(id))))
      },
    }
    const { visit } = createWorld({ store }, clock)
    await visit((session) => session.set('name', 'ann'))
    busy = 60
    const { session } = await visit()
    expect([session.status, session.get('name')]).toEqual(['active', 'ann'])
  })
})
