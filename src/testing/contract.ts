import {
  Bench,
  essence,
  MINUTE,
  outcome,
  randomText,
  type StoreFactory,
  type Test,
  type TestApi,
} from './contract-bench.ts'
import { endingAll, listing, paging } from './contract-index.ts'
import { appending, reading, writing } from './contract-records.ts'

export type { StoreFactory, StoreUnderTest, TestApi } from './contract-bench.ts'

/** Skips tests of what a store without this member does not do. */
function onlyWith(member: 'atomic' | 'index', tests: Record<string, Test>): Record<string, Test> {
  return Object.fromEntries(
    Object.entries(tests).map(([title, test]): [string, Test] => [
      title,
      async (bench, expect) => bench.store[member] && (await test(bench, expect)),
    ]),
  )
}

const ending: Record<string, Test> = {
  'end() ends whatever is there, and says whether a live record was': async (bench, expect) => {
    await bench.create()
    await bench.append(randomText(80))
    expect(await bench.store.end(bench.id)).toBe(true)
    expect(await bench.read()).toBe(null)
    expect(await bench.store.end(bench.id)).toBe(false)
    expect(await bench.store.end(randomText(22))).toBe(false)
  },

  'a write after an end is refused: nothing is there': async (bench, expect) => {
    const { version } = await bench.create()
    await bench.store.end(bench.id)
    const result = await bench.writeOverNothing(bench.record(), version)
    expect(result).toEqual({ ok: false, current: null })
    expect(await bench.read()).toBe(null)
  },

  'a creation after an end is refused, if the store is atomic': async (bench, expect) => {
    if (!bench.store.atomic) return
    const record = await bench.create()
    await bench.store.end(bench.id)
    const never = randomText(22)
    await bench.store.end(never)
    for (const [id, late] of [
      [bench.id, record],
      [never, bench.record()],
    ] as const) {
      const result = await bench.store.write(id, late, null)
      expect(result).toEqual({ ok: false, current: null })
      expect(await bench.read(id)).toBe(null)
    }
  },

  'an end with markFor 0 leaves no mark': async (bench, expect) => {
    await bench.create()
    await bench.store.end(bench.id, { markFor: 0 })
    const again = await bench.create()
    expect(essence(await bench.read())).toEqual(essence(again))
  },

  'a mark is over after markFor seconds, ten minutes by default': async (bench, expect) => {
    if (!bench.advance || !bench.store.atomic) return
    const { id, store } = bench
    const longer = randomText(22)
    await store.end(id)
    await store.end(longer, { markFor: 1200 })
    await bench.advance(10 * MINUTE - 1)
    expect((await store.write(id, bench.record(), null)).ok).toBe(false)
    await bench.advance(1)
    expect((await store.write(id, bench.record(), null)).ok).toBe(true)
    expect((await store.write(longer, bench.record(), null)).ok).toBe(false)
    await bench.advance(10 * MINUTE)
    expect((await store.write(longer, bench.record(), null)).ok).toBe(true)
  },

  'a record can ask for a longer mark than its end does': async (bench, expect) => {
    if (!bench.advance || !bench.store.atomic) return
    const { id, store } = bench
    await bench.create({ markFor: 1200 })
    await bench.append(randomText(80))
    await store.end(id, { markFor: 0 })
    await bench.advance(20 * MINUTE - 1)
    expect((await store.write(id, bench.record(), null)).ok).toBe(false)
    await bench.advance(1)
    expect((await store.write(id, bench.record(), null)).ok).toBe(true)
  },

  'a record is there a millisecond before it expires, and not after it': async (bench, expect) => {
    if (!bench.advance) return
    const record = await bench.create()
    await bench.advance(60 * MINUTE - 1)
    expect(essence(await bench.read())).toEqual(essence(record))
    await bench.advance(1)
    expect(await bench.read()).toBe(null)
    const late = await bench.writeOverNothing(bench.record(), record.version)
    expect(late).toEqual({ ok: false, current: null })
    expect(await bench.store.end(bench.id)).toBe(false)
  },

  'a write may prolong a record': async (bench, expect) => {
    if (!bench.advance) return
    const first = await bench.create()
    await bench.advance(30 * MINUTE)
    const second = bench.record()
    await bench.store.write(bench.id, second, first.version)
    await bench.advance(45 * MINUTE)
    expect(essence(await bench.read())).toEqual(essence(second))
  },

  'an expired id may be created again, without what was there': async (bench, expect) => {
    if (!bench.advance) return
    const key = randomText(16)
    await bench.create({ keys: [key] })
    await bench.append(randomText(80))
    await bench.advance(60 * MINUTE)
    const again = await bench.create()
    expect(essence(await bench.read())).toEqual(essence(again))
    if (bench.store.index) expect(await bench.store.index.list(key)).toEqual([])
  },
}

const aborting: Record<string, Test> = {
  'calls reject with the reason of a signal that is aborted already': async (bench, expect) => {
    await bench.create()
    const reason = new Error('The caller has gone')
    const options = { signal: AbortSignal.abort(reason) }
    const { store, id } = bench
    expect(await outcome(store.read(id, options))).toEqual({ error: reason })
    expect(await outcome(store.write(randomText(22), bench.record(), null, options))).toEqual({
      error: reason,
    })
    expect(await outcome(store.end(id, options))).toEqual({ error: reason })
    expect((await bench.read()) === null).toBe(false)
  },

  'inspect() finds no problem with a store that is well': async ({ store }, expect) => {
    if (!store.inspect) return
    const { figures, problems } = await store.inspect()
    expect(problems).toEqual([])
    expect(Object.values(figures).filter((figure) => Object(figure) === figure)).toEqual([])
  },

  'health() resolves': async ({ store }, expect) => {
    expect(await outcome(store.health?.() ?? Promise.resolve())).toEqual({ value: undefined })
  },
}
/**
 * Defines the tests that every {@link SessionStore} must pass.
 *
 * They skip `index` and `page` where the store has none, expiry and marks where there is no
 * `advance`, and what only an atomic store can promise where `atomic` is `false`.
 *
 * @param name What to call the store in the test report.
 * @param factory Called once for each test.
 * @param api `describe`, `it` and `expect` of the runner. (default: vitest's, or globals)
 * @throws TypeError when there is no runner.
 *
 * @example
 * testStore('my store', () => {
 *   const clock = createClock()
 *   return { store: createMyStore({ now: clock }), now: clock, advance: (ms) => void clock.advanceMs(ms) }
 * })
 */
export function testStore(name: string, factory: StoreFactory, api: TestApi = runner()): void {
  const tests = {
    ...reading,
    ...writing,
    ...onlyWith('atomic', appending),
    ...ending,
    ...aborting,
    ...onlyWith('index', listing),
    ...paging,
    ...onlyWith('index', endingAll),
  }
  api.describe(`${name} keeps the contract of a session store`, () => {
    for (const [title, test] of Object.entries(tests)) {
      api.it(title, async () => {
        const made = await factory()
        const underTest = 'store' in made ? made : { store: made }
        try {
          await test(new Bench(underTest), api.expect)
        } finally {
          await underTest.close?.()
        }
      })
    }
  })
}

/** The places beside globals where runners have what their tests import. */
interface Runners extends Partial<TestApi> {
  /** The value of `import.meta.vitest`. */
  readonly __vitest_index__?: Partial<TestApi>
  readonly Bun?: { readonly jest?: (path: string) => Partial<TestApi> }
}

function runnerOfBun({ Bun }: Runners): Partial<TestApi> | undefined {
  try {
    return Bun?.jest?.('/')
  } catch {
    // Outside of `bun test`.
    return undefined
  }
}

/** Finds the runner these tests are in. Imports and awaits nothing, so that `require` works too. */
function runner(): TestApi {
  const all = globalThis as Runners
  const { describe, it, expect } = all.__vitest_index__ ?? runnerOfBun(all) ?? all
  if (describe && it && expect) return { describe, it, expect }
  throw new TypeError(
    'testStore needs a test runner: pass { describe, it, expect } as its third argument',
  )
}
