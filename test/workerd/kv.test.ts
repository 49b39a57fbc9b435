import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { createKVStore } from '../../src/stores/kv.ts'
import type { SessionStore, StoredRecord } from '../../src/stores/store.ts'
import { createClock, testStore } from '../../src/testing/index.ts'
import { type KVLike, kvBehaviours } from '../support/kv-double.ts'

const namespace = env.SESSIONS_KV as KVLike
const api = { describe, it, expect }

let prefixes = 0
const nextPrefix = (): string => `test-${++prefixes}:`

kvBehaviours('KV', () => ({ kv: namespace, prefix: nextPrefix() }), api)

testStore(
  'createKVStore() on real KV',
  () => {
    const clock = createClock(Date.now())
    const store = createKVStore({ namespace, prefix: nextPrefix(), now: clock })
    return { store, now: clock, advance: (ms) => void clock.advanceMs(ms) }
  },
  api,
)

testStore(
  'createKVStore() on real KV, in another isolate for every call',
  () => {
    const clock = createClock(Date.now())
    const options = { namespace, prefix: nextPrefix(), now: clock }
    const fresh = () => createKVStore(options)
    const store: SessionStore = {
      ...fresh(),
      index: {
        list: (...call) => fresh().index!.list(...call),
        end: (...call) => fresh().index!.end(...call),
      },
      page: (...call) => fresh().page!(...call),
      read: (...call) => fresh().read(...call),
      write: (...call) => fresh().write(...call),
      end: (...call) => fresh().end(...call),
    }
    return { store, now: clock, advance: (ms) => void clock.advanceMs(ms) }
  },
  api,
)

describe('createKVStore() on real KV', () => {
  it('is healthy', async () => {
    expect(await createKVStore({ namespace }).health?.()).toBe(undefined)
  })

  it('keeps a record for at least a minute, whatever is left of it', async () => {
    const prefix = nextPrefix()
    const store = createKVStore({ namespace, prefix })
    const record: StoredRecord = {
      value: 'v',
      version: '1',
      epoch: '1',
      expiresAt: Date.now() + 100,
    }
    expect(await store.write('a', record, null)).toEqual({ ok: true })
    const { keys } = await namespace.list({ prefix })
    const [{ expiration } = { expiration: 0 }] = keys as { name: string; expiration?: number }[]
    expect(Number(expiration) * 1000 - Date.now() > 30_000).toBe(true)
    await new Promise((resolve) => setTimeout(resolve, 120))
    expect(await store.read('a')).toBe(undefined)
  })

  it('throws typed errors for what KV refuses', async () => {
    const store = createKVStore({ namespace, prefix: nextPrefix() })
    const record: StoredRecord = {
      value: 'x'.repeat(26_214_400),
      version: '1',
      epoch: '1',
      expiresAt: Date.now() + 60_000,
    }
    const codeOf = (promise: Promise<unknown>) => promise.catch((error) => error.code)
    expect(await codeOf(store.write('a', record, null))).toBe('ERR_STORE')
    expect(await codeOf(store.read('x'.repeat(600)))).toBe('ERR_STORE')
  })
})
