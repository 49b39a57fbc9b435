/** Cloudflare KV as its double has it, seen from a place of its own by every isolate. */
import { createKVStore } from '../../src/stores/kv.ts'
import { KVDouble } from '../support/kv-double.ts'
import { type Network, wrapMethods } from './network.ts'
import type { Plant } from './plant-source.ts'
import type { StorePlace } from './stores.ts'
import type { World } from './world.ts'

/** Cloudflare KV: every isolate is at a place of its own, and places see changes late. */
export function createKVPlaces(
  world: World,
  network: Network,
  clockOf: (isolate: number) => () => number,
  plant: Plant | null,
): StorePlace {
  const kv = new KVDouble({
    now: world.now,
    lagMs: () => 60_000 * world.current.random(),
    cacheMs: 30_000,
    rateLimit: true,
  })
  return {
    connect(isolate) {
      const at = kv.at(`place ${isolate}`)
      const namespace = wrapMethods(at, (name, args, run) =>
        network.send(
          `kv.${name}`,
          KV_KINDS[name] ?? 'read',
          undefined,
          () => run(args),
          name === 'get' ? garble : undefined,
        ),
      )
      const store = createKVStore({ namespace, now: clockOf(isolate) })
      return plant?.store ? plant.store(store) : store
    },
    failover: async () => {},
  }
}

/** Half of a value, or the page of a proxy. */
function garble(value: unknown): unknown {
  return typeof value === 'string' ? value.slice(0, value.length >> 1) : '<html>502</html>'
}

const KV_KINDS: Record<string, 'write' | 'end'> = { put: 'write', delete: 'end' }
