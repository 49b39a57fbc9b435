import { describe, expect, it } from 'vitest'
import { StoreError, StoreUnavailableError } from '../../src/errors.ts'
import { createSessions } from '../../src/index.ts'
import { createKVStore } from '../../src/stores/kv.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { createClock, createFaultyStore, type FaultyCall } from '../../src/testing/index.ts'
import { KVDouble } from '../support/kv-double.ts'
import { createWorld, errorOf, SECRET } from '../support/sessions.ts'

const CANARY = 'canary-5f2c'

function setUp(policy = {}) {
  const clock = createClock()
  let behind = createMemoryStore({ now: clock })
  const switching: SessionStore = {
    name: 'far',
    atomic: true,
    read: (...call) => behind.read(...call),
    write: (...call) => behind.write(...call),
    end: (...call) => behind.end(...call),
    page: (...call) => behind.page!(...call),
    health: (...call) => behind.health!(...call),
  }
  const faulty = createFaultyStore(switching)
  const store = resilient(faulty, { attempts: 1, now: clock, random: () => 1, ...policy })
  const world = createWorld({ store }, clock)
  const empty = (): void => {
    behind = createMemoryStore({ now: clock })
  }
  const operations = (): string[] =>
    (faulty.calls as FaultyCall[]).splice(0).map(({ operation }) => operation)
  return { ...world, empty, faulty, operations, store, stats: () => behind.stats() }
}

const change = (session: { set(key: string, value: unknown): void }): void => session.set('n', 1)
const refusal = (reason: 'full' | 'read-only', word: string): StoreError =>
  new StoreError('refused', { reason, word })

describe('health()', () => {
  it('is ok and ready in cookie mode, deep too', async () => {
    const { sessions } = createWorld()
    const well = { ok: true, ready: true, store: null }
    expect(await sessions.health()).toEqual(well)
    expect(await sessions.health({ deep: true })).toEqual(well)
  })

  it('refuses an option that it does not know', async () => {
    const { sessions } = createWorld()
    expect(await errorOf(() => sessions.health({ deeep: true } as object))).toBeInstanceOf(
      TypeError,
    )
    expect(await errorOf(() => sessions.health({ deep: 1 } as never))).toBeInstanceOf(TypeError)
  })

  it('writes nothing and reads nothing', async () => {
    const { operations, sessions } = setUp()
    expect(await sessions.health()).toEqual({
      ok: true,
      ready: true,
      store: {
        name: 'faulty(far)',
        ok: true,
        latencyMs: 0,
        details: { readBreaker: 'closed', writeBreaker: 'closed', retriesLeft: 10 },
      },
    })
    expect(operations()).toEqual(['health'])
  })

  it.each(['read', 'write'] as const)(
    'is not ready while the breaker of its %ss is open, and ready again without traffic',
    async (direction) => {
      const { clock, sessions, store } = setUp({ breaker: { openMs: 10_000 } })
      for (let i = 0; i < 5; i++) store.breakers[direction]?.acquire().failure()
      const { ok, ready, store: about } = await sessions.health()
      expect([ok, ready, about?.details?.[`${direction}Breaker`]]).toEqual([true, false, 'open'])
      // Nobody is sent here meanwhile, so that nothing but time can make it ready.
      clock.advance(10)
      expect((await sessions.health()).ready).toBe(true)
    },
  )

  it('is not ready while a breaker is held open by hand', async () => {
    const { clock, sessions, store } = setUp()
    store.breakers.write?.open()
    clock.advance(3600)
    expect((await sessions.health()).ready).toBe(false)
    store.breakers.write?.close()
    expect((await sessions.health()).ready).toBe(true)
  })

  it('is not ready for half a minute after a write that failed, unless another one succeeds', async () => {
    const { clock, faulty, sessions, visit } = setUp({ breaker: false })
    await visit(change)
    faulty.inject({ type: 'throw-before', error: refusal('full', 'OOM') }, 'write')
    await visit((session) => session.set('n', 2)).catch(() => {})
    const { ok, ready, store } = await sessions.health()
    expect([ok, ready, store?.details?.lastWrite]).toEqual([true, false, 'failed'])
    // A read says nothing about writes.
    await visit()
    clock.advance(29)
    expect((await sessions.health()).ready).toBe(false)
    clock.advance(1)
    expect((await sessions.health()).ready).toBe(true)
    faulty.inject({ type: 'throw-before' }, 'write')
    await visit((session) => session.set('n', 3))
    expect((await sessions.health()).ready).toBe(false)
    await visit((session) => session.set('n', 3))
    expect((await sessions.health()).ready).toBe(true)
  })

  it('does not mind one session that is throttled, nor a client that goes away', async () => {
    const { faulty, sessions, visit } = setUp()
    const busy = Object.assign(new StoreUnavailableError('busy'), { perKey: true })
    faulty.inject({ type: 'throw-before', error: busy }, 'write')
    await visit(change)
    expect((await sessions.health()).ready).toBe(true)
  })

  it('tells the class of a failure and the word of the store, and nothing else', async () => {
    const { faulty, sessions } = setUp()
    const error = new StoreError(CANARY, { reason: 'auth', word: 'NOAUTH' })
    faulty.inject({ type: 'throw-before', error }, 'health')
    const report = await sessions.health()
    expect(report).toMatchObject({ ok: false, ready: false })
    expect(report.store).toMatchObject({ error: 'ERR_STORE', reason: 'auth', word: 'NOAUTH' })
    expect(JSON.stringify(report).includes(CANARY)).toBe(false)
  })
})

describe('health({ deep: true })', () => {
  const deep = { deep: true }

  it('writes, reads and ends a record of its own, and leaves a marker that nobody sees', async () => {
    const { operations, sessions, stats, visit } = setUp()
    await visit((session) => session.login('ada'))
    operations()
    const report = await sessions.health(deep)
    expect(report).toMatchObject({ ok: true, ready: true })
    expect(report.store).toMatchObject({ problems: [], warnings: [] })
    expect(operations()).toEqual(['health', 'read', 'write', 'write', 'read', 'read', 'end'])
    expect(stats().live).toBe(2)
    await sessions.health(deep)
    expect(operations()).toEqual(['health', 'read', 'write', 'read', 'read', 'end'])
    expect(stats().live).toBe(2)
    const all: (string | null)[] = []
    for await (const { subject } of sessions.all()) all.push(subject)
    expect(all).toEqual(['ada'])
  })

  it.each([
    ['full', 'OOM'],
    ['read-only', 'READONLY'],
  ] as const)('says that a store is %s which can be read and not written', async (reason, word) => {
    const { faulty, sessions } = setUp()
    faulty.down({ type: 'throw-before', error: refusal(reason, word) }, 'write')
    expect((await sessions.health()).ok).toBe(true)
    const { ok, ready, store } = await sessions.health(deep)
    expect([ok, ready, store?.problems, store?.error, store?.reason, store?.word]).toEqual([
      false,
      false,
      [reason],
      'ERR_STORE',
      reason,
      word,
    ])
  })

  it('tells once that a store was emptied, and is not ok for ten minutes', async () => {
    const { clock, empty, events, sessions } = setUp()
    await sessions.health(deep)
    empty()
    const told = () => events.filter(({ type }) => type === 'store.emptied')
    for (let i = 0; i < 3; i++) {
      const { ok, store } = await sessions.health(deep)
      expect([ok, store?.problems, store?.error]).toEqual([false, ['emptied'], undefined])
    }
    expect(told()).toEqual([{ at: clock(), type: 'store.emptied', store: 'faulty(far)' }])
    clock.advance(600)
    expect((await sessions.health(deep)).ok).toBe(true)
    expect(told().length).toBe(1)
  })

  it('tells that a store was emptied although another isolate has left a new marker', async () => {
    const clock = createClock()
    let behind = createMemoryStore({ now: clock })
    const isolates = [1, 2].map(() => {
      const store: SessionStore = {
        name: 'far',
        atomic: true,
        read: (...call) => behind.read(...call),
        write: (...call) => behind.write(...call),
        end: (...call) => behind.end(...call),
      }
      return createSessions({ secret: SECRET, store, now: clock })
    })
    const look = async () => {
      const all: boolean[] = []
      for (const one of isolates) all.push((await one.health(deep)).ok)
      return all
    }
    expect([await look(), await look()]).toEqual([
      [true, true],
      [true, true],
    ])
    behind = createMemoryStore({ now: clock })
    expect(await look()).toEqual([false, false])
  })

  it('says that a store lags whose reads do not return what was written', async () => {
    const behind = createMemoryStore({ now: createClock() })
    const lagging = { ...behind, read: async () => null }
    const replica: SessionStore = {
      ...behind,
      read: async (id, options) => (options?.fresh ? behind.read(id) : null),
    }
    for (const store of [lagging, replica]) {
      const { sessions } = createWorld({ store })
      const { ok, store: about } = await sessions.health(deep)
      expect([ok, about?.problems]).toEqual([false, ['lagging']])
    }
  })

  it('does not mind a replica that is there within a second', async () => {
    const behind = createMemoryStore({ now: createClock() })
    let reads = 0
    const store: SessionStore = {
      ...behind,
      read: async (id, options) => (options?.fresh || ++reads > 3 ? behind.read(id) : null),
    }
    expect((await createWorld({ store }).sessions.health(deep)).store?.problems).toEqual([])
  })

  it('is ok for a store that is not atomic', async () => {
    const namespace = new KVDouble({ now: Date.now }).at('here')
    const { sessions } = createWorld({ store: createKVStore({ namespace }) })
    for (let i = 0; i < 2; i++) {
      const { ok, store } = await sessions.health(deep)
      expect([ok, store?.problems]).toEqual([true, []])
    }
  })

  it('takes no other marker for an emptied store where two places may have left one each', async () => {
    const behind = createMemoryStore({ now: createClock() })
    let place = 0
    const store: SessionStore = {
      ...behind,
      atomic: false,
      read: async (id) => {
        const record = await behind.read(id)
        return record && { ...record, version: `${record.version} of ${place}` }
      },
    }
    const { sessions } = createWorld({ store })
    for (; place < 3; place++) {
      expect((await sessions.health(deep)).store?.problems).toEqual([])
    }
  })

  it('is full or read-only where the store says so, and nothing of the kind otherwise', async () => {
    const { faulty, sessions } = setUp()
    const error = new StoreUnavailableError('gone', { reason: 'network' })
    faulty.down({ type: 'throw-before', error }, 'write')
    const { store } = await sessions.health(deep)
    expect([store?.problems, store?.reason]).toEqual([[], 'network'])
  })

  it('asks a store that inspects itself for nothing else but its own reads and writes', async () => {
    const behind = createMemoryStore({ now: createClock() })
    const calls: [name: string, signal: unknown, more?: unknown][] = []
    const inspect = async (options?: { signal?: AbortSignal }) => {
      calls.push(['inspect', options?.signal])
      return { figures: {}, problems: [], warnings: [] }
    }
    const store: SessionStore = {
      name: 'far',
      atomic: true,
      read: (id, options) => {
        calls.push(['read', options?.signal, options?.fresh])
        return behind.read(id)
      },
      write: (id, record, expected, options) => {
        calls.push(['write', options?.signal, record.keys ?? id])
        return behind.write(id, record, expected)
      },
      end: (id, options) => {
        calls.push(['end', options?.signal])
        return behind.end(id, options)
      },
      health: async (options) => void calls.push(['health', options?.signal]),
      inspect,
    }
    const { sessions } = createWorld({ store })
    await sessions.health()
    await sessions.health(deep)
    expect(calls.map(([name]) => name).join(' ')).toBe(
      'health inspect read write write read read end',
    )
    for (const [, signal] of calls) expect(signal).toBeInstanceOf(AbortSignal)
    // The marker, with an index key, and what is written and ended.
    const [, , marker, markerWrite, probe, ...reads] = calls.map(([, , more]) => more)
    expect([marker, reads.slice(0, 2)]).toEqual([true, [true, false]])
    expect(markerWrite).toHaveLength(1)
    await sessions.health(deep)
    const written = calls.filter(([name]) => name === 'write').map(([, , id]) => id)
    expect(written.at(-1)).toMatch(/^[\w-]{22}$/)
    expect(written.at(-1)).not.toBe(probe)
  })

  it('is ok for a store that has neither health nor details', async () => {
    const { read, write, end } = createMemoryStore({ now: createClock() })
    const store: SessionStore = { name: 'plain', atomic: true, read, write, end }
    const { sessions } = createWorld({ store })
    const expected = { ok: true, ready: true, store: { name: 'plain', ok: true, latencyMs: 0 } }
    expect(await sessions.health()).toEqual(expected)
    expect(await sessions.health(deep)).toMatchObject(expected)
  })

  it('leaves no mark of its record in the store', async () => {
    const behind = createMemoryStore({ now: createClock() })
    const marks: unknown[] = []
    const store: SessionStore = {
      ...behind,
      end: (id, options) => {
        marks.push(options?.markFor)
        return behind.end(id, options)
      },
    }
    await createWorld({ store }).sessions.health(deep)
    expect(marks).toEqual([0])
  })

  it('passes on what a store says of itself, in words that everybody knows', async () => {
    const store: SessionStore = {
      ...createMemoryStore({ now: createClock() }),
      inspect: async () => ({
        figures: { role: 'primary', evicted: 7 },
        problems: ['migrations'],
        warnings: ['eviction-policy'],
      }),
    }
    const { ok, store: about } = await createWorld({ store }).sessions.health(deep)
    expect(ok).toBe(false)
    expect(about).toMatchObject({
      details: { role: 'primary', evicted: 7 },
      problems: ['migrations'],
      warnings: ['eviction-policy'],
    })
  })

  it('never throws, and quotes nothing of what a client says', async () => {
    const fail = async (): Promise<never> => {
      throw new Error(CANARY)
    }
    const broken: SessionStore = {
      ...createMemoryStore({ now: createClock() }),
      read: fail,
      write: fail,
      inspect: fail,
      details: () => {
        throw new Error(CANARY)
      },
    }
    const report = await createWorld({ store: broken }).sessions.health(deep)
    expect([report.ok, report.store?.error]).toEqual([false, 'ERR_STORE_UNAVAILABLE'])
    expect(JSON.stringify(report).includes(CANARY)).toBe(false)
  })

  it('does not wait for a store that hangs, nor goes on asking it', async () => {
    const behind = createMemoryStore({ now: createClock() })
    let reads = 0
    const { sessions } = createWorld({
      store: {
        ...behind,
        read: (...call) => {
          reads++
          return behind.read(...call)
        },
        inspect: (options) =>
          new Promise<never>((_, reject) => {
            options?.signal?.addEventListener('abort', () => reject(new Error('late')))
          }),
      },
    })
    const { ok, store } = await sessions.health(deep)
    expect([ok, store?.error]).toEqual([false, 'ERR_STORE_TIMEOUT'])
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(reads).toBe(0)
  })
})
