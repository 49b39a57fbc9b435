import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createKVStore } from '../../src/stores/kv.ts'
import { createUpstashStore } from '../../src/stores/upstash.ts'
import type { Clock } from '../../src/testing/index.ts'
import { KVDouble } from '../support/kv-double.ts'
import { type Place, surviveOutage } from '../support/outage.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { type Bridge, startBridge, TOKEN } from '../support/upstash-bridge.ts'

let redis: RedisServer
let bridge: Bridge

beforeAll(async () => {
  redis = await startRedis()
  bridge = await startBridge(redis.port)
})

afterAll(async () => {
  await bridge.close()
  await redis.stop()
})

function upstash(clock: Clock): Place {
  let down = false
  let dead = 0
  const store = createUpstashStore({
    url: bridge.url,
    token: TOKEN,
    now: clock,
    prefix: `${Math.random()}:`,
    async fetch(url, init) {
      if (!down) return await fetch(url, init)
      dead++
      throw new TypeError('fetch failed')
    },
  })
  return {
    store,
    cut(on) {
      down = on
    },
    dead: () => dead,
  }
}

function kv(clock: Clock): Place {
  let down = false
  let dead = 0
  const real = new KVDouble({ now: clock }).at('here')
  const cut = <A extends unknown[], T>(call: (...args: A) => Promise<T>) => {
    return async (...args: A): Promise<T> => {
      if (!down) return await call(...args)
      dead++
      throw new Error('Network connection lost')
    }
  }
  const namespace = {
    get: cut(real.get),
    put: cut(real.put),
    delete: cut(real.delete),
    list: cut(real.list),
  }
  return {
    store: createKVStore({ namespace, now: clock }),
    cut(on) {
      down = on
    },
    dead: () => dead,
  }
}

describe.each([
  ['Upstash', upstash],
  ['KV', kv],
])('60 seconds without %s, with a snapshot', (_, createPlace) => {
  it('fail no read, lose no write and spare the dead store', () =>
    surviveOutage(createPlace, expect))
})
