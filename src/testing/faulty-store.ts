import { applyRules, expectArgument, functionRule, type Rule } from '../check.ts'
import { StoreUnavailableError } from '../errors.ts'
import type {
  SessionIndex,
  SessionStore,
  StoreCallOptions,
  StoreOperation,
} from '../stores/store.ts'

/** The calls of a store; `list` and `endAll` are those of its index. */
export type FaultyOperation = Exclude<StoreOperation, 'prune'> | 'health' | 'inspect'

/** One thing that goes wrong with one call. */
export type Fault =
  /** Nothing: the call goes through. */
  | { type: 'pass' }
  /** Never answers; only the caller's own signal ends it. `applied`: after it took effect. */
  | { type: 'hang'; applied?: boolean }
  /** Fails before anything happened. */
  | { type: 'throw-before'; error?: unknown }
  /** Takes effect, then fails: the answer was lost on the way. */
  | { type: 'throw-after'; error?: unknown }
  /** Goes through after this long. */
  | { type: 'delay'; ms: number }
  /**
   * A read, `fresh` or not, returns what this wrapper knew before the last write or end: the record
   * before it, or nothing, like a cached "not found". Other calls go through.
   */
  | { type: 'stale' }

/** One call, in the order they came. */
export interface FaultyCall {
  readonly operation: FaultyOperation
  readonly id: string | null
  readonly fault: Fault['type']
}

/** Options for {@link createFaultyStore}. */
export interface FaultyStoreOptions {
  /** One fault for each of the next calls, in order; then calls go through. (default: none) */
  script?: readonly Fault[]
  /** Waits for `delay`; a fake clock's `sleep` fits. (default: setTimeout) */
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>
}

/** A fake for tests: a store in front of another one that fails when told to. */
export interface FaultyStore extends SessionStore {
  /** So that nobody takes it for a real store. */
  readonly fake: true
  /** Every call so far. */
  readonly calls: readonly FaultyCall[]
  /** Adds faults for the next calls, optionally only for calls of one operation. */
  inject(faults: Fault | readonly Fault[], operation?: FaultyOperation): void
  /** Every call without an injected fault fails like this, until `up`. */
  down(fault?: Fault, operation?: FaultyOperation): void
  /** Ends what `down` began, and forgets injected faults. */
  up(): void
}

type Found = Awaited<ReturnType<SessionStore['read']>>

interface Planned {
  readonly fault: Fault
  readonly operation: FaultyOperation | undefined
}

const realSleep = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const timer = setTimeout(resolve, ms)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason)
    })
  })

function hang(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.throwIfAborted()
    signal?.addEventListener('abort', () => reject(signal.reason))
  })
}

const RULES: Record<string, Rule> = {
  script: [undefined, 'a list of faults', Array.isArray],
  sleep: functionRule(realSleep),
}
const FAULTS: readonly unknown[] = 'pass hang throw-before throw-after delay stale'.split(' ')
const OPERATIONS = 'read write end list endAll page health inspect'.split(' ')

/** Checks a fault: one that is misspelt would never happen, and its test would pass. */
function planned(fault: Fault, operation: FaultyOperation | undefined): Planned {
  const type: unknown = fault?.type
  expectArgument(FAULTS.includes(type), 'fault', `of a type of ${FAULTS.join(', ')}`, type)
  const isKnown = operation === undefined || OPERATIONS.includes(operation)
  expectArgument(isKnown, 'operation', `one of ${OPERATIONS.join(', ')}`, operation)
  return { fault, operation }
}

class Faulty implements FaultyStore {
  readonly fake = true
  readonly calls: FaultyCall[] = []
  readonly name: string
  readonly atomic: boolean
  readonly index?: SessionIndex
  readonly inspect?: NonNullable<SessionStore['inspect']>
  readonly page?: NonNullable<SessionStore['page']>
  readonly prune?: NonNullable<SessionStore['prune']>
  readonly #store: SessionStore
  readonly #sleep: NonNullable<FaultyStoreOptions['sleep']>
  readonly #planned: Planned[] = []
  readonly #standing: Planned[] = []
  readonly #latest: Map<string, Found> = new Map()
  readonly #previous: Map<string, Found> = new Map()

  constructor(store: SessionStore, options: FaultyStoreOptions) {
    const { script = [], sleep } = applyRules<FaultyStoreOptions>('', RULES, options)
    this.name = `faulty(${store.name})`
    this.atomic = store.atomic
    this.#store = store
    this.#sleep = sleep!
    this.inject(script)
    const { index, inspect, page, prune } = store
    if (inspect) {
      this.inspect = (options) =>
        this.#call('inspect', null, options, () => inspect.call(store, options))
    }
    if (prune) this.prune = (limit) => prune.call(store, limit)
    if (page) {
      this.page = (cursor, options) =>
        this.#call('page', null, options, () => page.call(store, cursor, options))
    }
    if (!index) return
    this.index = {
      list: (key, options) => this.#call('list', null, options, () => index.list(key, options)),
      end: (key, options) => this.#call('endAll', null, options, () => index.end(key, options)),
    }
  }

  inject(faults: Fault | readonly Fault[], operation?: FaultyOperation): void {
    const all = [faults].flat() as Fault[]
    this.#planned.push(...all.map((fault) => planned(fault, operation)))
  }

  down(fault: Fault = { type: 'throw-before' }, operation?: FaultyOperation): void {
    this.#standing.unshift(planned(fault, operation))
  }

  up(): void {
    this.#planned.length = 0
    this.#standing.length = 0
  }

  readonly read: SessionStore['read'] = (id, options) =>
    this.#call('read', id, options, async (fault) => {
      if (fault.type === 'stale') return this.#previous.get(id) ?? this.#nothing
      const record = await this.#store.read(id, options)
      this.#latest.set(id, record)
      return record
    })

  readonly write: SessionStore['write'] = (id, record, expected, options) =>
    this.#call('write', id, options, async () => {
      const result = await this.#store.write(id, record, expected, options)
      if (result.ok) this.#changed(id, result.current ?? record)
      return result
    })

  readonly end: SessionStore['end'] = (id, options) =>
    this.#call('end', id, options, async () => {
      const wasLive = await this.#store.end(id, options)
      this.#changed(id, this.#nothing)
      return wasLive
    })

  health(options?: StoreCallOptions): Promise<void> {
    return this.#call('health', null, options, async () => await this.#store.health?.(options))
  }

  async close(): Promise<void> {
    await this.#store.close?.()
  }

  get #nothing(): null | undefined {
    return this.atomic ? null : undefined
  }

  #changed(id: string, record: Found): void {
    this.#previous.set(id, this.#latest.get(id) ?? this.#nothing)
    this.#latest.set(id, record)
  }

  #next(operation: FaultyOperation): Fault {
    const fits = (planned: Planned): boolean => (planned.operation ?? operation) === operation
    const place = this.#planned.findIndex(fits)
    const planned = place < 0 ? this.#standing.find(fits) : this.#planned.splice(place, 1)[0]
    return planned?.fault ?? { type: 'pass' }
  }

  async #call<T>(
    operation: FaultyOperation,
    id: string | null,
    options: StoreCallOptions | undefined,
    apply: (fault: Fault) => Promise<T>,
  ): Promise<T> {
    const fault = this.#next(operation)
    this.calls.push({ operation, id, fault: fault.type })
    const unavailable = (): Error => new StoreUnavailableError('Fake fault: store not reachable')
    if (fault.type === 'throw-before') throw fault.error ?? unavailable()
    if (fault.type === 'hang' && !fault.applied) return await hang(options?.signal)
    if (fault.type === 'delay') await this.#sleep(fault.ms, options?.signal)
    const result = await apply(fault)
    if (fault.type === 'throw-after') throw fault.error ?? unavailable()
    return fault.type === 'hang' ? await hang(options?.signal) : result
  }
}

/**
 * Makes a fake: it puts scripted faults in front of `store`, for tests of what happens when a
 * store hangs, fails, loses its answer or answers with old data. Never use it outside tests.
 * It makes no calls of its own, and remembers every record that passes: it grows.
 *
 * @example
 * const store = createFaultyStore(createMemoryStore())
 * store.inject({ type: 'throw-after' }, 'write')   // the next write is applied, its answer lost
 * store.down({ type: 'hang' })                     // and now nothing answers
 */
export function createFaultyStore(
  store: SessionStore,
  options: FaultyStoreOptions = {},
): FaultyStore {
  expectArgument(typeof store?.read === 'function', 'store', 'a session store', store)
  return new Faulty(store, options)
}
