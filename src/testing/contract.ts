import {
  type SessionStore,
  type StoredPage,
  type StoredRecord,
  TOMBSTONE,
} from '../stores/store.ts'

/** The few parts of a test runner that {@link testStore} needs; vitest, bun and jest have them. */
export interface TestApi {
  describe(name: string, define: () => void): unknown
  it(name: string, test: () => Promise<void>): unknown
  expect(actual: unknown): { toBe(expected: unknown): void; toEqual(expected: unknown): void }
}

/** One store under test, made anew for every test. */
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

/** What one test works with. */
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
    return { value: randomText(120), version, expiresAt, ...more }
  }

  async create(more?: Partial<StoredRecord>, id: string = this.id): Promise<StoredRecord> {
    const record = this.record(more)
    const result = await this.store.write(id, record, null)
    if (!result.ok) throw new Error('The store refused to create a record under a new id')
    return record
  }
}

/** What can be compared of a record: everything that the store was given. */
function essence(record: StoredRecord | null): unknown {
  if (!record) return null
  const { value, version, expiresAt } = record
  return { value, version, expiresAt }
}

async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    (value) => ({ value }),
    (error) => ({ error }),
  )
}

type Test = (bench: Bench, expect: TestApi['expect']) => Promise<void>

const reading: Record<string, Test> = {
  'reads null for an id it never saw': async ({ store, id }, expect) => {
    expect(await store.read(id)).toBe(null)
  },

  'reads what was written': async (bench, expect) => {
    const record = await bench.create()
    expect(essence(await bench.store.read(bench.id))).toEqual(essence(record))
  },

  'keeps a value of 60 KB byte for byte': async (bench, expect) => {
    const { value } = await bench.create({ value: randomText(60 * 1024) })
    const read = await bench.store.read(bench.id)
    expect(read?.value === value).toBe(true)
  },

  'keeps the exact expiry, to the millisecond': async (bench, expect) => {
    const expiresAt = bench.record().expiresAt + 1
    await bench.create({ expiresAt })
    expect((await bench.store.read(bench.id))?.expiresAt).toBe(expiresAt)
  },

  'returns copies: changing one changes nothing in the store': async (bench, expect) => {
    const given = await bench.create()
    const kept = essence(given)
    given.value = 'changed after the write'
    const read = await bench.store.read(bench.id)
    if (read) read.value = 'changed after the read'
    expect(essence(await bench.store.read(bench.id))).toEqual(kept)
  },

  'keeps ids apart': async (bench, expect) => {
    const first = await bench.create()
    const second = await bench.create({}, randomText(22))
    expect((await bench.store.read(bench.id))?.value).toBe(first.value)
    expect(first.value === second.value).toBe(false)
  },
}

const writing: Record<string, Test> = {
  'replaces the version it is told to': async (bench, expect) => {
    const first = await bench.create()
    const second = bench.record()
    expect(await bench.store.write(bench.id, second, first.version)).toEqual({ ok: true })
    expect(essence(await bench.store.read(bench.id))).toEqual(essence(second))
  },

  'refuses a version that is not the current one, and says what is': async (bench, expect) => {
    const first = await bench.create()
    const second = bench.record()
    await bench.store.write(bench.id, second, first.version)
    const result = await bench.store.write(bench.id, bench.record(), first.version)
    expect(result.ok).toBe(false)
    expect(result.ok ? null : essence(result.current)).toEqual(essence(second))
    expect(essence(await bench.store.read(bench.id))).toEqual(essence(second))
  },

  'never creates when it is told a version': async (bench, expect) => {
    const result = await bench.store.write(bench.id, bench.record(), '1-gone')
    expect(result).toEqual({ ok: false, current: null })
    expect(await bench.store.read(bench.id)).toBe(null)
  },

  'creating refuses an id that is there; a store that is not atomic may replace it': async (
    bench,
    expect,
  ) => {
    const first = await bench.create()
    const second = bench.record()
    const result = await bench.store.write(bench.id, second, null)
    if (bench.store.atomic) expect(result.ok).toBe(false)
    if (!result.ok) expect(essence(result.current)).toEqual(essence(first))
    const kept = result.ok ? second : first
    expect(essence(await bench.store.read(bench.id))).toEqual(essence(kept))
  },

  'a repeated write either finds itself done or is refused with itself': async (bench, expect) => {
    const first = await bench.create()
    const second = bench.record()
    await bench.store.write(bench.id, second, first.version)
    const again = await bench.store.write(bench.id, second, first.version)
    if (!again.ok) expect(essence(again.current)).toEqual(essence(second))
    expect(essence(await bench.store.read(bench.id))).toEqual(essence(second))
  },

  'of ten overlapping writes exactly one wins, if it is atomic': async (bench, expect) => {
    const first = await bench.create()
    const rivals = Array.from({ length: 10 }, () => bench.record())
    const results = await Promise.all(
      rivals.map((rival) => bench.store.write(bench.id, rival, first.version)),
    )
    const winners = rivals.filter((_, i) => results[i]?.ok)
    if (bench.store.atomic) expect(winners.length).toBe(1)
    const read = await bench.store.read(bench.id)
    expect(winners.some(({ version }) => version === read?.version)).toBe(true)
  },

  'of ten overlapping creations exactly one wins, if it is atomic': async (bench, expect) => {
    const rivals = Array.from({ length: 10 }, () => bench.record())
    const results = await Promise.all(
      rivals.map((rival) => bench.store.write(bench.id, rival, null)),
    )
    const winners = rivals.filter((_, i) => results[i]?.ok)
    if (bench.store.atomic) expect(winners.length).toBe(1)
    const read = await bench.store.read(bench.id)
    expect(winners.some(({ version }) => version === read?.version)).toBe(true)
  },
}

const ending: Record<string, Test> = {
  'deletes, and deleting again is no error': async (bench, expect) => {
    await bench.create()
    await bench.store.delete(bench.id)
    await bench.store.delete(bench.id)
    expect(await bench.store.read(bench.id)).toBe(null)
  },

  'an update after a delete does not bring the record back': async (bench, expect) => {
    const { version } = await bench.create()
    await bench.store.delete(bench.id)
    const result = await bench.store.write(bench.id, bench.record(), version)
    expect(result).toEqual({ ok: false, current: null })
    expect(await bench.store.read(bench.id)).toBe(null)
  },

  'a tombstone is a record like any other': async (bench, expect) => {
    const { version } = await bench.create()
    const grave = bench.record({ value: TOMBSTONE })
    expect(await bench.store.write(bench.id, grave, version)).toEqual({ ok: true })
    expect(essence(await bench.store.read(bench.id))).toEqual(essence(grave))
  },

  'a tombstone refuses whoever was late': async (bench, expect) => {
    const { version } = await bench.create()
    const grave = bench.record({ value: TOMBSTONE })
    await bench.store.write(bench.id, grave, version)
    const update = await bench.store.write(bench.id, bench.record(), version)
    expect(update.ok ? null : update.current?.value).toBe(TOMBSTONE)
    if (!bench.store.atomic) return
    expect((await bench.store.write(bench.id, bench.record(), null)).ok).toBe(false)
    expect(essence(await bench.store.read(bench.id))).toEqual(essence(grave))
  },

  'is there one millisecond before it expires, and absent when it does': async (bench, expect) => {
    if (!bench.advance) return
    const { expiresAt, version } = bench.record()
    const record = await bench.create({ expiresAt })
    await bench.advance(60 * MINUTE - 1)
    expect(essence(await bench.store.read(bench.id))).toEqual(essence(record))
    await bench.advance(1)
    expect(await bench.store.read(bench.id)).toBe(null)
    const late = bench.record({ version })
    expect((await bench.store.write(bench.id, late, record.version)).ok).toBe(false)
  },

  'an update may prolong a record': async (bench, expect) => {
    if (!bench.advance) return
    const first = await bench.create()
    await bench.advance(30 * MINUTE)
    const second = bench.record()
    await bench.store.write(bench.id, second, first.version)
    await bench.advance(45 * MINUTE)
    expect(essence(await bench.store.read(bench.id))).toEqual(essence(second))
  },

  'an expired id may be created again': async (bench, expect) => {
    if (!bench.advance) return
    await bench.create()
    await bench.advance(60 * MINUTE)
    const again = await bench.create()
    expect(essence(await bench.store.read(bench.id))).toEqual(essence(again))
  },
}

const aborting: Record<string, Test> = {
  'rejects with the reason of a signal that is aborted already': async (bench, expect) => {
    await bench.create()
    const reason = new Error('The caller has gone')
    const options = { signal: AbortSignal.abort(reason) }
    const { store, id } = bench
    expect(await outcome(store.read(id, options))).toEqual({ error: reason })
    expect(await outcome(store.write(randomText(22), bench.record(), null, options))).toEqual({
      error: reason,
    })
    expect(await outcome(store.delete(id, options))).toEqual({ error: reason })
    expect((await store.read(id)) === null).toBe(false)
  },

  'health resolves': async ({ store }, expect) => {
    expect(await outcome(store.health?.() ?? Promise.resolve())).toEqual({ value: undefined })
  },
}

const listing: Record<string, Test> = {
  'lists the live records of one subject, tombstones and others left out': async (
    bench,
    expect,
  ) => {
    const { index } = bench.store
    if (!index) return
    const subject = randomText(16)
    const ids = [randomText(22), randomText(22), randomText(22)].sort()
    for (const id of ids) await bench.create({ subject }, id)
    await bench.create({ subject: randomText(16) })
    const grave = randomText(22)
    const { version } = await bench.create({ subject }, grave)
    await bench.store.write(grave, bench.record({ subject, value: TOMBSTONE }), version)
    const deleted = randomText(22)
    await bench.create({ subject }, deleted)
    await bench.store.delete(deleted)
    const listed = await index.list(subject)
    expect(listed.map(({ id }) => id).sort()).toEqual(ids)
  },

  'an update keeps the record listed, with what is in it now': async (bench, expect) => {
    const { index } = bench.store
    if (!index) return
    const subject = randomText(16)
    const { version } = await bench.create({ subject })
    const second = bench.record({ subject })
    await bench.store.write(bench.id, second, version)
    const listed = await index.list(subject)
    expect(listed.map(({ record }) => essence(record))).toEqual([essence(second)])
  },

  'lists nothing for a subject it never saw, and nothing expired': async (bench, expect) => {
    const { index } = bench.store
    if (!index) return
    const subject = randomText(16)
    expect(await index.list(subject)).toEqual([])
    if (!bench.advance) return
    await bench.create({ subject })
    await bench.advance(60 * MINUTE)
    expect(await index.list(subject)).toEqual([])
  },
}

const burying: Record<string, Test> = {
  'buries all live records of one subject, and spares one if told to': async (bench, expect) => {
    const { store, id } = bench
    if (!store.index) return
    const subject = randomText(16)
    const ids = [id, randomText(22), randomText(22)]
    for (const one of ids) await bench.create({ subject }, one)
    const foreign = randomText(22)
    await bench.create({ subject: randomText(16) }, foreign)
    const grave = bench.record({ value: TOMBSTONE })
    expect(await store.index.bury(subject, grave, { except: id })).toBe(2)
    const values = await Promise.all([...ids, foreign].map((one) => store.read(one)))
    const buried = values.map((record) => record?.value === TOMBSTONE)
    expect(buried).toEqual([false, true, true, false])
    expect((await store.index.list(subject)).map((entry) => entry.id)).toEqual([id])
    expect(await store.index.bury(subject, bench.record({ value: TOMBSTONE }))).toBe(1)
    expect(await store.index.list(subject)).toEqual([])
    expect(await store.index.bury(subject, bench.record({ value: TOMBSTONE }))).toBe(0)
  },

  'a renewal that comes after a burial is refused': async (bench, expect) => {
    const { store, id } = bench
    if (!store.index) return
    const subject = randomText(16)
    const { version } = await bench.create({ subject })
    await store.index.bury(subject, bench.record({ value: TOMBSTONE }))
    const late = await store.write(id, bench.record({ subject }), version)
    expect(late.ok ? null : late.current?.value).toBe(TOMBSTONE)
  },

  'has every live record on one of its pages': async (bench, expect) => {
    const { store } = bench
    if (!store.page) return
    const ids = Array.from({ length: 30 }, () => randomText(22))
    for (const id of ids) await bench.create({}, id)
    const { version } = await bench.create()
    await store.write(bench.id, bench.record({ value: TOMBSTONE }), version)
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

const patching: Record<string, Test> = {
  'keeps a patch beside a record that others changed meanwhile': async (bench, expect) => {
    const { store, id } = bench
    if (!store.patches) return
    const [one, two] = [randomText(80), randomText(80)]
    const first = await bench.create()
    const second = bench.record()
    await store.write(id, second, first.version)
    const late = await store.write(id, bench.record(), first.version, { patch: one })
    expect(late).toEqual({ ok: true, patched: true })
    await store.write(id, bench.record(), first.version, { patch: two })
    const read = await store.read(id)
    expect(essence(read)).toEqual(essence(second))
    expect(read?.patches).toEqual([one, two])
  },

  'a write takes the patches it has folded with it, and no others': async (bench, expect) => {
    const { store, id } = bench
    if (!store.patches) return
    const [one, two] = [randomText(80), randomText(80)]
    const first = await bench.create()
    const second = bench.record()
    await store.write(id, second, first.version)
    await store.write(id, bench.record(), first.version, { patch: one })
    await store.write(id, bench.record(), first.version, { patch: two })
    const third = bench.record()
    expect(await store.write(id, third, second.version, { folded: 1 })).toEqual({ ok: true })
    const read = await store.read(id)
    expect(essence(read)).toEqual(essence(third))
    expect(read?.patches).toEqual([two])
  },

  'a repeated patch is kept once, even after it was folded': async (bench, expect) => {
    const { store, id } = bench
    if (!store.patches) return
    const one = randomText(80)
    const first = await bench.create()
    const second = bench.record()
    await store.write(id, second, first.version)
    const late = bench.record()
    const patch = { patch: one }
    await store.write(id, late, first.version, patch)
    expect((await store.write(id, late, first.version, patch)).ok).toBe(true)
    expect((await store.read(id))?.patches).toEqual([one])
    await store.write(id, bench.record(), second.version, { folded: 1 })
    expect((await store.write(id, late, first.version, patch)).ok).toBe(true)
    expect((await store.read(id))?.patches ?? []).toEqual([])
  },

  'no tombstone goes over a patch that nobody has seen': async (bench, expect) => {
    const { store, id } = bench
    if (!store.patches) return
    const first = await bench.create()
    const second = bench.record()
    await store.write(id, second, first.version)
    await store.write(id, bench.record(), first.version, { patch: randomText(80) })
    const grave = bench.record({ value: TOMBSTONE })
    const result = await store.write(id, grave, second.version)
    expect(result.ok ? null : result.current?.patches?.length).toBe(1)
    expect(await store.write(id, grave, second.version, { folded: 1 })).toEqual({ ok: true })
    expect((await store.read(id))?.value).toBe(TOMBSTONE)
  },

  'takes no patch for the dead, nor more than it said': async (bench, expect) => {
    const { store, id } = bench
    if (!store.patches) return
    const first = await bench.create()
    const second = bench.record()
    await store.write(id, second, first.version)
    for (let i = 0; i < store.patches; i++) {
      await store.write(id, bench.record(), first.version, { patch: randomText(80) })
    }
    const full = await store.write(id, bench.record(), first.version, { patch: 'more' })
    expect(full.ok).toBe(false)
    expect((await store.read(id))?.patches?.length).toBe(store.patches)
    const folded = store.patches
    await store.write(id, bench.record({ value: TOMBSTONE }), second.version, { folded })
    const dead = await store.write(id, bench.record(), second.version, { patch: 'late' })
    expect(dead.ok ? null : dead.current?.value).toBe(TOMBSTONE)
    expect((await store.read(id))?.patches ?? []).toEqual([])
    const gone = await store.write(randomText(22), bench.record(), 'x', { patch: 'late' })
    expect(gone).toEqual({ ok: false, current: null })
  },
}

/**
 * Defines the tests that every {@link SessionStore} must pass.
 *
 * What a store does not offer is not tested: `index` when it has none, expiry when there is no
 * `advance`, and that of rivals only one wins when `atomic` is `false`.
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
    ...ending,
    ...aborting,
    ...listing,
    ...burying,
    ...patching,
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

/** Where runners keep what their tests import, besides in globals. */
interface Runners extends Partial<TestApi> {
  /** What vitest has for `import.meta.vitest`. */
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
