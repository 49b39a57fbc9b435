// One store for all libraries: it keeps JSON as Redis and KV stores do, notes every operation,
// takes its time, and fails on request.
import { setTimeout } from 'node:timers/promises'

/**
 * @param latency Milliseconds that every operation takes.
 * @returns The store. `down` is false, 'reads', 'writes' or 'all'. `op` runs anything else under
 *   the same log, latency and failure.
 */
export function createStore({ latency = 2 } = {}) {
  const records = new Map()
  let running = 0
  const store = { log: [], down: false, latency, op, idle, get, set, update, delete: remove }

  async function op(name, run) {
    store.log.push(name)
    running++
    await setTimeout(store.latency)
    running--
    const kind = name === 'get' || name === 'read' ? 'reads' : 'writes'
    if (store.down === 'all' || store.down === kind) throw new Error('the store is down')
    return run()
  }
  /** Resolves when nothing is under way, not even what nobody waited for. */
  async function idle() {
    do await setTimeout(store.latency)
    while (running > 0)
  }
  /** `null` for what is not there. */
  function get(id) {
    return op('get', () => JSON.parse(records.get(id) ?? 'null'))
  }
  function set(id, value, name = 'set') {
    const json = JSON.stringify(value)
    return op(name, () => void records.set(id, json))
  }
  function update(id, value) {
    const json = JSON.stringify(value)
    return op('update', () => void (records.has(id) && records.set(id, json)))
  }
  function remove(id) {
    return op('delete', () => void records.delete(id))
  }
  return store
}
