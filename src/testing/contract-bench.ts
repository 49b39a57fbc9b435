/** A store under test, and records for it. */
import { ALPHABET } from '../crypto/base64url.ts'
import { StoreUnavailableError } from '../errors.ts'
import type {
  SessionIndex,
  SessionStore,
  StoredRecord,
  WriteOptions,
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

export const MINUTE = 60_000

export function randomText(length: number): string {
  let text = ''
  while (text.length < length) {
    const bytes = crypto.getRandomValues(new Uint8Array(Math.min(length - text.length, 65_536)))
    for (const byte of bytes) text += ALPHABET[byte % 64]
  }
  return text
}

export class Bench {
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

  /** The index, in tests of stores that have one. */
  get index(): SessionIndex {
    return this.store.index!
  }

  write(
    record: StoredRecord,
    expected: string | null,
    options?: WriteOptions,
  ): Promise<WriteResult> {
    return this.store.write(this.id, record, expected, options)
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
    return await this.write(record, expected, { entry }).catch((error) => {
      if (this.store.atomic || !(error instanceof StoreUnavailableError)) throw error
      return { ok: false, current: null }
    })
  }

  /** Writes a record that expects a version which is not there, with an entry. */
  async append(entry: string, more: Partial<StoredRecord> = {}): Promise<WriteResult> {
    return this.write(this.record(more), 'another version', { entry })
  }
}

/** Returns what can be compared of a record: everything that the store was given. */
export function essence(record: StoredRecord | null | undefined): unknown {
  if (!record) return record
  const { value, version, epoch, expiresAt, keys = [], entries = [] } = record
  return { value, version, epoch, expiresAt, keys, entries }
}

export const currentOf = (result: WriteResult): StoredRecord | null => result.current ?? null

export async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    (value) => ({ value }),
    (error) => ({ error }),
  )
}

export type Test = (bench: Bench, expect: TestApi['expect']) => Promise<unknown>
