import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, it } from 'vitest'
import { createSessions } from '../../src/index.ts'
import { createD1Store, type D1Binding } from '../../src/stores/d1.ts'
import {
  createDurableObjectStore,
  type SessionObjectNamespace,
} from '../../src/stores/durable-object.ts'
import { createKVStore, type KVBinding } from '../../src/stores/kv.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { SECRET } from '../support/sessions.ts'
import { migrate } from './migrate.ts'

const stores = {
  D1: () => createD1Store({ database: env.DB as D1Binding }),
  KV: () => createKVStore({ namespace: env.SESSIONS_KV as KVBinding }),
  'Durable Objects': () =>
    createDurableObjectStore({ namespace: env.SESSIONS as SessionObjectNamespace }),
}

describe('health({ deep: true }) in workerd', () => {
  beforeAll(() => migrate(env.DB as D1Binding))

  it.each(Object.entries(stores))('is ok with %s, twice', async (_, create) => {
    const sessions = createSessions({ secret: SECRET, store: resilient(create()) })
    for (let i = 0; i < 2; i++) {
      const { ok, ready, store } = await sessions.health({ deep: true })
      expect([ok, ready, store?.problems, store?.error]).toEqual([true, true, [], undefined])
    }
  })
})
