/**
 * A double of Cloudflare KV with what workerd leaves out: one write per second and key, locations
 * that see changes late, caches that also keep "not found", and faults. What both do is checked
 * against the real one by `kvBehaviours`, which both have to pass.
 */
import type { TestApi } from '../../src/testing/index.ts'

interface Version {
  readonly value: string | null
  /** Epoch milliseconds. */
  readonly endsAt: number
  readonly writtenAt: number
  readonly location: string
}

interface CacheEntry {
  readonly version: Version | null
  readonly until: number
}

type Operation = 'get' | 'put' | 'delete' | 'list'

/** What the next call of an operation does: throws, maybe after taking effect, or never answers. */
export interface KVFault {
  operation?: Operation
  error?: Error
  applied?: boolean
  hang?: boolean
}

/** One call, as it reached KV. */
export interface KVCall {
  readonly operation: Operation
  readonly key: string
  readonly location: string
  readonly expirationTtl?: number | undefined
}

/** The part of a namespace that the double has; the real one has more. */
export interface KVLike {
  get(key: string): Promise<string | null>
  put(
    key: string,
    value: string,
    options?: { expirationTtl?: number; metadata?: unknown },
  ): Promise<void>
  delete(key: string): Promise<void>
  list(options?: {
    prefix?: string
    cursor?: string
    limit?: number
  }): Promise<{ keys: { name: string }[]; list_complete: boolean; cursor?: string }>
}

export interface KVDoubleOptions {
  now: () => number
  /** Milliseconds until other locations see a change. (default: 0) */
  lagMs?: number | (() => number)
  /** Milliseconds for which a location keeps an answer, "not found" included. (default: 0) */
  cacheMs?: number
  /** Refuse a second write of a key within a second. (default: false) */
  rateLimit?: boolean
}

const encoder = new TextEncoder()
const bytes = (text: string): number => encoder.encode(text).length

export class KVDouble {
  readonly calls: KVCall[] = []
  readonly faults: KVFault[] = []
  readonly #options: KVDoubleOptions
  readonly #versions: Map<string, { readonly version: Version; readonly visibleAt: number }[]> =
    new Map()
  readonly #caches: Map<string, CacheEntry> = new Map()

  constructor(options: KVDoubleOptions) {
    this.#options = options
  }

  /** The namespace as a Worker at this location sees it. */
  at(location: string): KVLike {
    return {
      get: (key) => this.#run({ operation: 'get', key, location }, () => this.#get(key, location)),
      put: (key, value, options = {}) => {
        const { expirationTtl } = options
        const call = { operation: 'put', key, location, expirationTtl } as const
        return this.#run(call, () => this.#put(key, value, location, options))
      },
      delete: (key) =>
        this.#run({ operation: 'delete', key, location }, () =>
          this.#write('DELETE', key, null, Infinity, location),
        ),
      list: (options = {}) =>
        this.#run({ operation: 'list', key: options.prefix ?? '', location }, () =>
          this.#list(options, location),
        ),
    }
  }

  /** Calls so far, by operation. */
  count(operation: Operation): number {
    return this.calls.filter((call) => call.operation === operation).length
  }

  /** What is stored under a key in the end, as every location will see it. */
  stored(key: string): string | null {
    return this.#versions.get(key)?.at(-1)?.version.value ?? null
  }

  async #run<T>(call: KVCall, apply: () => T): Promise<T> {
    this.calls.push(call)
    await Promise.resolve()
    const place = this.faults.findIndex(
      ({ operation = call.operation }) => operation === call.operation,
    )
    const [fault] = place < 0 ? [] : this.faults.splice(place, 1)
    if (!fault) return apply()
    if (fault.applied) apply()
    if (fault.hang) return await new Promise<never>(() => {})
    throw fault.error ?? new Error('Network connection lost')
  }

  #visible(key: string, location: string): Version | null {
    const now = this.#options.now()
    const history = this.#versions.get(key) ?? []
    const seen = history.findLast(
      ({ version, visibleAt }) => version.location === location || visibleAt <= now,
    )
    return seen && seen.version.endsAt > now ? seen.version : null
  }

  #get(key: string, location: string): string | null {
    checkKey('GET', key)
    const now = this.#options.now()
    const cacheKey = `${location}\n${key}`
    const hit = this.#caches.get(cacheKey)
    if (hit && now < hit.until) return alive(hit.version, now)
    const version = this.#visible(key, location)
    this.#caches.set(cacheKey, { version, until: now + (this.#options.cacheMs ?? 0) })
    return alive(version, now)
  }

  #put(
    key: string,
    value: string,
    location: string,
    { expirationTtl, metadata }: { expirationTtl?: number; metadata?: unknown },
  ): void {
    checkKey('PUT', key)
    const ttl = expirationTtl === undefined ? Infinity : Math.trunc(expirationTtl)
    if (ttl < 60) {
      throw new Error(
        `KV PUT failed: 400 Invalid expiration_ttl of ${ttl}. Expiration TTL must be at least 60.`,
      )
    }
    if (bytes(value) > 26_214_400) {
      throw new Error(
        `KV PUT failed: 413 Value length of ${bytes(value)} exceeds limit of 26214400.`,
      )
    }
    const extra = metadata === undefined ? 0 : bytes(JSON.stringify(metadata))
    if (extra > 1024) {
      throw new Error(`KV PUT failed: 413 Metadata length of ${extra} exceeds limit of 1024.`)
    }
    this.#write('PUT', key, value, this.#options.now() + ttl * 1000, location)
  }

  #write(
    name: 'PUT' | 'DELETE',
    key: string,
    value: string | null,
    endsAt: number,
    location: string,
  ): void {
    checkKey(name, key)
    const now = this.#options.now()
    const history = this.#versions.get(key) ?? []
    const last = history.at(-1)
    if (this.#options.rateLimit && last && now - last.version.writtenAt < 1000) {
      throw new Error(`KV ${name} failed: 429 Too Many Requests`)
    }
    const { lagMs = 0 } = this.#options
    const visibleAt = now + (typeof lagMs === 'number' ? lagMs : lagMs())
    history.push({ version: { value, endsAt, writtenAt: now, location }, visibleAt })
    this.#versions.set(key, history)
    this.#caches.delete(`${location}\n${key}`)
  }

  #list(
    {
      prefix = '',
      cursor = '',
      limit = 1000,
    }: { prefix?: string; cursor?: string; limit?: number },
    location: string,
  ): { keys: { name: string }[]; list_complete: boolean; cursor?: string } {
    if (limit > 1000) {
      throw new Error(
        `KV GET failed: 400 Invalid key_count_limit of ${limit}. Please specify an integer less than 1000.`,
      )
    }
    const names = [...this.#versions.keys()]
      .filter((key) => key.startsWith(prefix) && key > cursor)
      .filter((key) => alive(this.#visible(key, location), this.#options.now()) !== null)
      .sort((a, b) => (a < b ? -1 : 1))
    const keys = names.slice(0, limit).map((name) => ({ name }))
    if (names.length <= limit) return { keys, list_complete: true }
    return { keys, list_complete: false, cursor: keys.at(-1)?.name ?? '' }
  }
}

function alive(version: Version | null, now: number): string | null {
  return version && version.endsAt > now ? version.value : null
}

function checkKey(operation: 'GET' | 'PUT' | 'DELETE', key: string): void {
  if (key === '') throw new TypeError('Key name cannot be empty.')
  if (key === '.' || key === '..') throw new TypeError(`"${key}" is not allowed as a key name.`)
  const length = bytes(key)
  if (length <= 512) return
  throw new Error(
    `KV ${operation} failed: 414 UTF-8 encoded length of ${length} exceeds key length limit of 512.`,
  )
}

const failure = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'resolved',
    (error: unknown) => String(error),
  )

/** What KV does in workerd, word for word: the double has to do the same. */
export function kvBehaviours(
  name: string,
  open: () => { kv: KVLike; prefix: string },
  { describe, it, expect }: TestApi,
): void {
  describe(`${name} behaves like KV in workerd`, () => {
    it('keeps a value, replaces it, and forgets it', async () => {
      const { kv, prefix } = open()
      const key = `${prefix}a`
      expect(await kv.get(key)).toBe(null)
      await kv.put(key, 'one')
      await kv.put(key, 'two', { expirationTtl: 60 })
      expect(await kv.get(key)).toBe('two')
      await kv.delete(key)
      await kv.delete(key)
      expect(await kv.get(key)).toBe(null)
    })

    it('keeps the empty string and every other text', async () => {
      const { kv, prefix } = open()
      for (const value of ['', 'ü€😀', '\u0000\n', 'x'.repeat(100_000)]) {
        await kv.put(`${prefix}text`, value)
        expect((await kv.get(`${prefix}text`)) === value).toBe(true)
      }
    })

    it('does not limit writes per second', async () => {
      const { kv, prefix } = open()
      await Promise.all(['1', '2', '3'].map((value) => kv.put(`${prefix}busy`, value)))
      expect(typeof (await kv.get(`${prefix}busy`))).toBe('string')
    })

    it('refuses to keep anything for less than 60 seconds', async () => {
      const { kv, prefix } = open()
      for (const expirationTtl of [59, 1, 59.9]) {
        expect(await failure(kv.put(`${prefix}short`, 'x', { expirationTtl }))).toBe(
          `Error: KV PUT failed: 400 Invalid expiration_ttl of ${Math.trunc(expirationTtl)}. Expiration TTL must be at least 60.`,
        )
      }
      expect(await failure(kv.put(`${prefix}fraction`, 'x', { expirationTtl: 61.7 }))).toBe(
        'resolved',
      )
    })

    it('refuses keys longer than 512 bytes', async () => {
      const { kv } = open()
      const key = 'é'.repeat(257)
      const rule = 'failed: 414 UTF-8 encoded length of 514 exceeds key length limit of 512.'
      expect(await failure(kv.get(key))).toBe(`Error: KV GET ${rule}`)
      expect(await failure(kv.put(key, 'x'))).toBe(`Error: KV PUT ${rule}`)
      expect(await failure(kv.delete(key))).toBe(`Error: KV DELETE ${rule}`)
      expect(await failure(kv.get('x'.repeat(512)))).toBe('resolved')
    })

    it('refuses empty and dotted keys', async () => {
      const { kv } = open()
      expect(await failure(kv.get(''))).toBe('TypeError: Key name cannot be empty.')
      expect(await failure(kv.put('..', 'x'))).toBe('TypeError: ".." is not allowed as a key name.')
    })

    it('refuses values over 25 MiB and metadata over 1024 bytes', async () => {
      const { kv, prefix } = open()
      expect(await failure(kv.put(`${prefix}big`, 'x'.repeat(26_214_401)))).toBe(
        'Error: KV PUT failed: 413 Value length of 26214401 exceeds limit of 26214400.',
      )
      const metadata = { text: 'x'.repeat(1024) }
      expect(await failure(kv.put(`${prefix}meta`, 'x', { metadata }))).toBe(
        'Error: KV PUT failed: 413 Metadata length of 1035 exceeds limit of 1024.',
      )
    })

    it('lists names by prefix, sorted, in pages', async () => {
      const { kv, prefix } = open()
      for (const letter of ['c', 'a', 'b']) await kv.put(`${prefix}list:${letter}`, letter)
      await kv.put(`${prefix}other`, 'x')
      const first = await kv.list({ prefix: `${prefix}list:`, limit: 2 })
      expect(first.keys.map((key) => key.name)).toEqual([`${prefix}list:a`, `${prefix}list:b`])
      expect(first.list_complete).toBe(false)
      const cursor = first.cursor ?? ''
      const last = await kv.list({ prefix: `${prefix}list:`, limit: 2, cursor })
      expect(last.keys.map((key) => key.name)).toEqual([`${prefix}list:c`])
      expect(last.list_complete).toBe(true)
      expect((await kv.list({ prefix: `${prefix}none` })).keys).toEqual([])
    })
  })
}
