import { StoreUnavailableError } from '../errors.ts'
import { MAX_ENTRIES, MAX_ENTRIES_LENGTH } from '../stores/limits.ts'
import type {
  SessionStore,
  StoredEntry,
  StoredPage,
  StoredRecord,
  WriteResult,
} from '../stores/store.ts'

/** The few parts of a test runner that {@link testStore} needs; vitest, bun and jest have them. */
export interface TestApi {
  describe(name: string, define: () => void): unknown
  it(name: string, test: () => Promise<void>): unknown
  expect(actual: unknown): { toBe(expected: unknown): void; toEqual(expected: unknown): void }
}

/** One store under test, created again for every test. */
export interface StoreUnderTest {
  store: SessionStore
  /** The clock that the store goes by, in epoch milliseconds. (default: Date.now) */
  now?: () => number
  /** Moves that clock; without it nothing is tested that has to wait. */
  advance?: (ms: number) => void | Promise<void>
  /** Called after each test. */
  close?: () => void | Promise<void>
}

/** Makes a {@link StoreUnderTest}, or just a store; stores made may share what is behind them. */
export type StoreFactory = () =>
  | StoreUnderTest
  | SessionStore
  | Promise<StoreUnderTest | SessionStore>

const MINUTE = 60_000

function randomText(length: number): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  let text = ''
  while (text.length < length) {
    const bytes = crypto.getRandomValues(new Uint8Array(Math.min(length - text.length, 65_536)))
    for (const byte of bytes) text += alphabet[byte % 64]
  }
  return text
}

/** The store under test, with records for it. */
class Bench {
  readonly id: string = randomText(22)
  readonly store: SessionStore
  readonly advance: StoreUnderTest['advance']
  readonly #now: () => number
  #count = 0

  constructor({ store, now = () => Date.now(), advance }: StoreUnderTest) {
    this.store = store
    this.advance = advance
    this.#now = now
  }

  record(more: Partial<StoredRecord> = {}): StoredRecord {
    const version = `${++this.#count}-${randomText(8)}`
    const expiresAt = Math.floor(this.#now()) + 60 * MINUTE
    return { value: randomText(120), version, epoch: '1.a', expiresAt, ...more }
  }

  async create(more?: Partial<StoredRecord>, id: string = this.id): Promise<StoredRecord> {
    const record = this.record(more)
    const result = await this.store.write(id, record, null)
    if (!result.ok) throw new Error('The store refused to create a record under a new id')
    return record
  }

  /** Reads; of a store that is not atomic `undefined` is as good as `null`. */
  async read(id: string = this.id): Promise<StoredRecord | null | undefined> {
    const record = await this.store.read(id)
    return this.store.atomic ? record : (record ?? null)
  }

  /**
   * Writes over a record that is gone. A store that is not atomic cannot always tell, and then says
   * that it is unavailable.
   */
  async writeOverNothing(record: StoredRecord, expected: string): Promise<WriteResult> {
    const entry = randomText(80)
    return await this.store.write(this.id, record, expected, { entry }).catch((error) => {
      if (this.store.atomic || !(error instanceof StoreUnavailableError)) throw error
      return { ok: false, current: null }
    })
  }

  /** Writes a record that expects a version which is not there, with an entry. */
  async append(entry: string, more: Partial<StoredRecord> = {}): Promise<WriteResult> {
    return this.store.write(this.id, this.record(more), 'another version', { entry })
  }
}

/** Returns what can be compared of a record: everything that the store was given. */
function essence(record: StoredRecord | null | undefined): unknown {
  if (!record) return record
  const { value, version, epoch, expiresAt, keys = [], entries = [] } = record
  return { value, version, epoch, expiresAt, keys, entries }
}

const currentOf = (result: WriteResult): StoredRecord | null => result.current ?? null

async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    (value) => ({ value }),
    (error) => ({ error }),
  )
}

type Test = (bench: Bench, expect: TestApi['expect']) => Promise<unknown>

const reading: Record<string, Test> = {
  'read() of an id it never saw is null': async (bench, expect) => {
    expect(await bench.read()).toBe(null)
  },

  'read() returns what was written, epoch and index keys included': async (bench, expect) => {
    const record = await bench.create({ epoch: '7.nonce', keys: [randomText(16), randomText(16)] })
    expect(essence(await bench.read())).toEqual(essence(record))
  },

  'a value of 60 KB is saved byte for byte': async (bench, expect) => {
    const { value } = await bench.create({ value: randomText(60 * 1024) })
    const read = await bench.read()
    expect(read?.value === value).toBe(true)
  },

  'the expiry is exact, to the millisecond': async (bench, expect) => {
    const expiresAt = bench.record().expiresAt + 1
    await bench.create({ expiresAt })
    expect((await bench.read())?.expiresAt).toBe(expiresAt)
  },

  'records are copies: changing one changes nothing in the store': async (bench, expect) => {
    const keys = [randomText(16)]
    const given = await bench.create({ keys })
    const written = essence({ ...given, keys: [...keys] })
    given.value = 'changed after the write'
    keys.push('changed after the write')
    const read = await bench.read()
    if (read) read.value = 'changed after the read'
    expect(essence(await bench.read())).toEqual(written)
  },

  'ids are kept apart, those that differ only in case included': async (bench, expect) => {
    const [first, second] = [`${bench.id}a`, `${bench.id}A`]
    const record = await bench.create({}, first)
    const other = await bench.create({}, second)
    expect((await bench.read(first))?.value).toBe(record.value)
    expect((await bench.read(second))?.value).toBe(other.value)
  },

  'read() with fresh returns the same': async (bench, expect) => {
    const record = await bench.create()
    expect(essence(await bench.store.read(bench.id, { fresh: true }))).toEqual(essence(record))
  },
}

const writing: Record<string, Test> = {
  'write() replaces the version it expects': async (bench, expect) => {
    const first = await bench.create()
    const second = bench.record({ epoch: '2.b' })
    expect(await bench.store.write(bench.id, second, first.version)).toEqual({ ok: true })
    expect(essence(await bench.read())).toEqual(essence(second))
  },

  'write() that expects another version is refused, with the current record': async (
    bench,
    expect,
  ) => {
    const first = await bench.create()
    const second = bench.record()
    await bench.store.write(bench.id, second, first.version)
    const result = await bench.store.write(bench.id, bench.record(), first.version)
    expect(result.ok).toBe(false)
    expect(essence(currentOf(result))).toEqual(essence(second))
    expect(essence(await bench.read())).toEqual(essence(second))
  },

  'write() that expects a version never creates': async (bench, expect) => {
    const result = await bench.writeOverNothing(bench.record(), '1-gone')
    expect(result).toEqual({ ok: false, current: null })
    expect(await bench.read()).toBe(null)
  },

  'creating is refused where a record is; a store that is not atomic may replace it': async (
    bench,
    expect,
  ) => {
    const first = await bench.create()
    const second = bench.record()
    const result = await bench.store.write(bench.id, second, null)
    if (bench.store.atomic) expect(result.ok).toBe(false)
    if (!result.ok) expect(essence(result.current)).toEqual(essence(first))
    const winner = result.ok ? second : first
    expect(essence(await bench.read())).toEqual(essence(winner))
  },

  'a repeated write is ok and changes nothing': async (bench, expect) => {
    const first = await bench.create()
    expect((await bench.store.write(bench.id, first, null)).ok).toBe(true)
    const second = bench.record()
    await bench.store.write(bench.id, second, first.version)
    expect((await bench.store.write(bench.id, second, first.version)).ok).toBe(true)
    expect(essence(await bench.read())).toEqual(essence(second))
  },

  'exactly one of ten overlapping writes wins, if the store is atomic': async (bench, expect) => {
    const first = await bench.create()
    const rivals = Array.from({ length: 10 }, () => bench.record())
    const results = await Promise.all(
      rivals.map((rival) => bench.store.write(bench.id, rival, first.version)),
    )
    const winners = rivals.filter((_, i) => results[i]?.ok)
    if (bench.store.atomic) expect(winners.length).toBe(1)
    const read = await bench.read()
    expect(winners.some(({ version }) => version === read?.version)).toBe(true)
  },

  'exactly one of ten overlapping creations wins, if the store is atomic': async (
    bench,
    expect,
  ) => {
    const rivals = Array.from({ length: 10 }, () => bench.record())
    const results = await Promise.all(
      rivals.map((rival) => bench.store.write(bench.id, rival, null)),
    )
    const winners = rivals.filter((_, i) => results[i]?.ok)
    if (bench.store.atomic) expect(winners.length).toBe(1)
    const read = await bench.read()
    expect(winners.some(({ version }) => version === read?.version)).toBe(true)
  },
}

const appending: Record<string, Test> = {
  'an entry is appended to a record of another version and the same epoch': async (
    bench,
    expect,
  ) => {
    const [one, two] = [randomText(80), randomText(80)]
    const record = await bench.create({ keys: [randomText(16)] })
    const appended = await bench.append(one, { expiresAt: record.expiresAt + MINUTE })
    expect(appended.ok).toBe(true)
    const first = { ...record, version: `${record.version}+1.${one.slice(-8)}`, entries: [one] }
    expect(essence(currentOf(appended))).toEqual(essence(first))
    expect(essence(await bench.read())).toEqual(essence(first))
    const second = {
      ...record,
      version: `${record.version}+2.${two.slice(-8)}`,
      entries: [one, two],
    }
    expect(essence(currentOf(await bench.append(two)))).toEqual(essence(second))
    expect(essence(await bench.read())).toEqual(essence(second))
  },

  'a write that expects as many other entries is refused': async (bench, expect) => {
    const { version } = await bench.create()
    const entry = randomText(80)
    await bench.append(entry)
    const expected = `${version}+1.${randomText(8)}`
    expect((await bench.store.write(bench.id, bench.record(), expected)).ok).toBe(false)
    expect((await bench.read())?.entries).toEqual([entry])
  },

  'an entry is not appended where the record can be replaced': async (bench, expect) => {
    const first = await bench.create()
    const second = bench.record()
    const entry = randomText(80)
    expect(await bench.store.write(bench.id, second, first.version, { entry })).toEqual({
      ok: true,
    })
    expect(essence(await bench.read())).toEqual(essence(second))
  },

  'an entry is refused by a record of another epoch': async (bench, expect) => {
    const record = await bench.create({ epoch: '2.b' })
    const result = await bench.append(randomText(80), { epoch: '1.a' })
    expect(result.ok).toBe(false)
    expect(essence(currentOf(result))).toEqual(essence(record))
    expect(essence(await bench.read())).toEqual(essence(record))
  },

  'a repeated entry is ok and appended once': async (bench, expect) => {
    const { version } = await bench.create()
    const [one, two] = [randomText(80), randomText(80)]
    await bench.append(one)
    await bench.append(two)
    const again = await bench.append(one)
    expect(again.ok).toBe(true)
    expect(currentOf(again)?.version).toBe(`${version}+2.${two.slice(-8)}`)
    expect((await bench.read())?.entries).toEqual([one, two])
  },

  'a repeated write with entries appended since is ok, and returns them': async (bench, expect) => {
    const record = await bench.create()
    const entry = randomText(80)
    await bench.append(entry)
    const again = await bench.store.write(bench.id, record, null)
    expect(again.ok).toBe(true)
    expect(currentOf(again)?.entries).toEqual([entry])
    expect((await bench.read())?.entries).toEqual([entry])
  },

  'a write replaces a record with its entries only if it knows all of them': async (
    bench,
    expect,
  ) => {
    const { version } = await bench.create()
    const entry = randomText(80)
    await bench.append(entry)
    const known = `${version}+1.${entry.slice(-8)}`
    const early = await bench.store.write(bench.id, bench.record(), version)
    expect(early.ok).toBe(false)
    expect(currentOf(early)?.version).toBe(known)
    const merged = bench.record()
    expect(await bench.store.write(bench.id, merged, known)).toEqual({ ok: true })
    expect(essence(await bench.read())).toEqual(essence(merged))
  },

  'there is room for 64 entries': async (bench, expect) => {
    await bench.create()
    for (let i = 0; i < MAX_ENTRIES; i++) await bench.append(randomText(80))
    expect((await bench.append(randomText(80))).ok).toBe(false)
    expect((await bench.read())?.entries?.length).toBe(MAX_ENTRIES)
  },

  'there is room for 64 KB of entries': async (bench, expect) => {
    await bench.create()
    const half = MAX_ENTRIES_LENGTH / 2
    expect((await bench.append(randomText(half))).ok).toBe(true)
    expect((await bench.append(randomText(half + 1))).ok).toBe(false)
    expect((await bench.append(randomText(half))).ok).toBe(true)
    expect((await bench.append('x')).ok).toBe(false)
  },

  'ten overlapping appended entries are all there': async (bench, expect) => {
    await bench.create()
    const entries = Array.from({ length: 10 }, () => randomText(80))
    const results = await Promise.all(entries.map((entry) => bench.append(entry)))
    expect(results.every(({ ok }) => ok)).toBe(true)
    const appended = new Set((await bench.read())?.entries)
    expect(entries.filter((entry) => !appended.has(entry))).toEqual([])
  },
}

/** Skips tests of what a store that is not atomic does not do. */
function onlyIfAtomic(tests: Record<string, Test>): Record<string, Test> {
  return Object.fromEntries(
    Object.entries(tests).map(([title, test]): [string, Test] => [
      title,
      async (bench, expect) => bench.store.atomic && (await test(bench, expect)),
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

  'a record is there one millisecond before it expires, and absent when it does': async (
    bench,
    expect,
  ) => {
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

const idsIn = (entries: readonly StoredEntry[]): string[] => entries.map(({ id }) => id).sort()

const listing: Record<string, Test> = {
  'index.list() returns the live records of one key, under any of their keys': async (
    bench,
    expect,
  ) => {
    const { index } = bench.store
    if (!index) return
    const [user, tag] = [randomText(16), randomText(16)]
    const ids = [randomText(22), randomText(22), randomText(22)].sort()
    for (const id of ids) await bench.create({ keys: [user] }, id)
    await bench.create({ keys: [randomText(16), tag] })
    await bench.create({}, randomText(22))
    const ended = randomText(22)
    await bench.create({ keys: [user, tag] }, ended)
    await bench.store.end(ended)
    expect(idsIn(await index.list(user))).toEqual(ids)
    expect(idsIn(await index.list(tag))).toEqual([bench.id])
  },

  'index.list() returns the record as it is now, entries included': async (bench, expect) => {
    const { index } = bench.store
    if (!index) return
    const keys = [randomText(16)]
    const { version } = await bench.create({ keys })
    const second = bench.record({ keys })
    await bench.store.write(bench.id, second, version)
    const entry = randomText(80)
    const isAppended = (await bench.append(entry)).ok
    expect(isAppended).toBe(bench.store.atomic)
    const appended = {
      ...second,
      version: `${second.version}+1.${entry.slice(-8)}`,
      entries: [entry],
    }
    const whole = isAppended ? appended : second
    const listed = await index.list(keys[0]!)
    expect(listed.map(({ record }) => essence(record))).toEqual([essence(whole)])
  },

  'index.list() follows the keys of a record as they change': async (bench, expect) => {
    const { index } = bench.store
    if (!index) return
    const [user, one, two] = [randomText(16), randomText(16), randomText(16)]
    const first = await bench.create({ keys: [user, one] })
    const second = bench.record({ keys: [user, two] })
    await bench.store.write(bench.id, second, first.version)
    expect(await index.list(one)).toEqual([])
    for (const key of [user, two]) expect(idsIn(await index.list(key))).toEqual([bench.id])
    await bench.store.write(bench.id, bench.record(), second.version)
    for (const key of [user, two]) expect(await index.list(key)).toEqual([])
  },

  'index.list() returns nothing for a key it never saw, and nothing expired': async (
    bench,
    expect,
  ) => {
    const { index } = bench.store
    if (!index) return
    const key = randomText(16)
    expect(await index.list(key)).toEqual([])
    if (!bench.advance) return
    await bench.create({ keys: [key] })
    await bench.advance(60 * MINUTE)
    expect(await index.list(key)).toEqual([])
    expect(await index.end(key)).toBe(0)
  },

  'page() has every live record on one of its pages': async (bench, expect) => {
    const { store } = bench
    if (!store.page) return
    const ids = Array.from({ length: 30 }, () => randomText(22))
    for (const id of ids) await bench.create({}, id)
    await bench.create()
    await store.end(bench.id)
    const seen = new Set<string>()
    let cursor: string | null = null
    do {
      const page: StoredPage = await store.page(cursor)
      for (const { id } of page.records) seen.add(id)
      cursor = page.cursor
    } while (cursor !== null)
    expect(ids.filter((id) => !seen.has(id))).toEqual([])
    expect(seen.has(bench.id)).toBe(false)
  },
}

const endingAll: Record<string, Test> = {
  'index.end() ends all records of one key, and spares one if told to': async (bench, expect) => {
    const { store, id } = bench
    if (!store.index) return
    const key = randomText(16)
    const ids = [id, randomText(22), randomText(22)]
    for (const one of ids) await bench.create({ keys: [key, randomText(16)] }, one)
    const foreign = randomText(22)
    await bench.create({ keys: [randomText(16)] }, foreign)
    await bench.append(randomText(80))
    expect(await store.index.end(key, { except: id })).toBe(2)
    const records = await Promise.all([...ids, foreign].map((one) => bench.read(one)))
    expect(records.map((record) => !!record)).toEqual([true, false, false, true])
    expect(idsIn(await store.index.list(key))).toEqual([id])
    expect(await store.index.end(key)).toBe(1)
    expect(await bench.read()).toBe(null)
    expect(await store.index.list(key)).toEqual([])
    expect(await store.index.end(key)).toBe(0)
  },

  'index.end() takes its records out of their other keys': async (bench, expect) => {
    const { index } = bench.store
    if (!index) return
    const [user, tag] = [randomText(16), randomText(16)]
    await bench.create({ keys: [user, tag] })
    expect(await index.end(tag)).toBe(1)
    expect(await index.list(user)).toEqual([])
    expect(await index.end(user)).toBe(0)
  },

  'a write after index.end() is refused, and so is a creation, if the store is atomic': async (
    bench,
    expect,
  ) => {
    const { store, id } = bench
    if (!store.index) return
    const keys = [randomText(16)]
    const record = await bench.create({ keys })
    await store.index.end(keys[0]!)
    const late = await bench.writeOverNothing(bench.record({ keys }), record.version)
    expect(late).toEqual({ ok: false, current: null })
    if (!store.atomic) return
    expect(await store.write(id, record, null)).toEqual({ ok: false, current: null })
    expect(await store.index.list(keys[0]!)).toEqual([])
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
    ...onlyIfAtomic(appending),
    ...ending,
    ...aborting,
    ...listing,
    ...endingAll,
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
