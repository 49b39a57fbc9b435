import { env } from 'cloudflare:workers'
import { describe, expect, it } from 'vitest'
import { writeEvents } from '../../examples/analytics-engine/writer.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { createFaultyStore } from '../../src/testing/index.ts'
import { createWorld } from '../support/sessions.ts'

interface Point {
  readonly indexes: readonly string[]
  readonly blobs: readonly string[]
  readonly doubles: readonly number[]
}

const { EVENTS } = env as unknown as { EVENTS: { writeDataPoint(point: Point): void } }

/** Sessions whose events go to a dataset of this workerd, and what went there. */
function setUp() {
  const points: Point[] = []
  const dataset = {
    writeDataPoint(point: Point): void {
      points.push(point)
      EVENTS.writeDataPoint(point)
    },
  }
  const faulty = createFaultyStore(createMemoryStore())
  const store = resilient(faulty, { sleep: async () => {}, attempts: 2 })
  const world = createWorld({ store, now: Date.now, onEvent: writeEvents(dataset) })
  return { ...world, faulty, points, take: () => points.splice(0) }
}

describe('writeEvents() of examples/analytics-engine', () => {
  it('writes words and figures of each event into columns of their own', async () => {
    const { faulty, take, visit } = setUp()
    const { setCookie } = await visit((s) => s.login('ann'))
    const written = take()
    expect(written.map(({ blobs }) => blobs)).toEqual([
      ['session.opened', 'new', '', '', '', ''],
      ['store.call', 'ok', 'faulty(memory)', 'write', '', ''],
      ['session.created', '', '', '', '', ''],
      ['session.login', '', '', '', '', ''],
      ['session.saved', 'written', '', '', '', ''],
    ])
    expect(written.at(-1)?.doubles).toEqual([1, 0, 0, setCookie.join('').length, 0])
    expect(written[1]?.doubles).toEqual([1, expect.any(Number), 1, 0, 0])
    faulty.down()
    await visit((s) => s.get('n'))
    const call = take().find(({ indexes }) => indexes[0] === 'store.call')
    const code = 'ERR_STORE_UNAVAILABLE'
    expect(call?.blobs).toEqual([
      'store.call',
      'failed',
      'faulty(memory)',
      'read',
      code,
      expect.any(String),
    ])
    expect(call?.doubles[2]).toBe(2)
  })

  it('stays within the limits of Analytics Engine, in an outage too', async () => {
    const { faulty, take, visit } = setUp()
    await visit((s) => s.login('ann'))
    faulty.down()
    take()
    await visit((s) => s.set('n', 1)).catch(() => {})
    const points = take()
    expect(points.length).toBeGreaterThan(2)
    expect(points.length).toBeLessThan(20)
    for (const { blobs, doubles, indexes } of points) {
      expect([blobs.length <= 20, doubles.length <= 20, indexes.length]).toEqual([true, true, 1])
      expect(new TextEncoder().encode(indexes[0]).length).toBeLessThanOrEqual(96)
    }
  })

  it('writes no cookie, id, user or data', async () => {
    const { jar, points, visit } = setUp()
    const { session } = await visit((s) => {
      s.login('canary-ann')
      s.set('canary-key', 'canary-value')
    })
    const all = JSON.stringify(points)
    for (const one of ['canary', session.id ?? 'none', jar.cookies()[0]?.value ?? 'none']) {
      expect(all).not.toContain(one)
    }
  })
})
