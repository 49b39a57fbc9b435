import { bytesOf } from './copy.ts'
import { throttled } from './kv-call.ts'
import type { KVRecord } from './kv-value.ts'
import { LAG_SECONDS } from './limits.ts'

/** The latest state that this isolate read or wrote under an id. */
export interface Known {
  readonly record: KVRecord | null
  /** Epoch milliseconds at which the call began. */
  readonly at: number
  /** Versions (`null`: nothing) that this isolate replaced: an answer with one of them is old. */
  readonly replaced: readonly (string | null)[]
  /** The write is still under way. */
  isPending: boolean
}

/** Time for which a write counts as under way; its request may have been cancelled. */
const PENDING_MS = 5000
/** The latest states that are remembered, and their bytes: two per character. */
const MAX_STATES = 500
const MAX_BYTES = 4 * 1024 * 1024

/** Nothing is known: it was never seen, or a write of it failed. */
export const UNKNOWN: Known = { record: null, at: -Infinity, replaced: [], isPending: false }

/** The latest states of sessions in this isolate, bounded by bytes; KV's answers may be older. */
export class KnownStates {
  readonly #states = new Map<string, Known>()
  readonly #now: () => number
  #bytes = 0

  constructor(now: () => number) {
    this.#now = now
  }

  get(id: string): Known {
    const known = this.#states.get(id) ?? UNKNOWN
    return known.isPending && this.#now() - known.at >= PENDING_MS ? UNKNOWN : known
  }

  /** Records an answer of KV, asked for at `at`. */
  read(id: string, record: KVRecord | null, at: number): void {
    const replaced = record ? this.get(id).replaced : []
    this.#set(id, { record, at, replaced, isPending: false })
  }

  /** Tells whether this isolate wrote something newer than what KV answers. */
  isOld(found: KVRecord | null, { at, replaced }: Known, meanwhile: boolean): boolean {
    if (replaced.length === 0 || this.#now() - at >= LAG_SECONDS * 1000) return false
    return meanwhile || replaced.includes(found?.version ?? null)
  }

  /** Makes a change known in this isolate while it is under way, and forgets it when it fails. */
  async change(
    id: string,
    record: KVRecord | null,
    current: KVRecord | null,
    write: () => Promise<unknown>,
  ): Promise<void> {
    const replaced = [current?.version ?? null, ...this.get(id).replaced].slice(0, 8)
    const known: Known = { record, at: this.#now(), replaced, isPending: true }
    this.#set(id, known)
    try {
      await write()
    } catch (error) {
      if (this.#states.get(id) === known) this.#forget(id)
      throw error
    }
    known.isPending = false
  }

  #set(id: string, known: Known): void {
    this.#forget(id)
    this.#states.set(id, known)
    this.#bytes += sizeOf(id, known)
    for (const oldest of this.#states.keys()) {
      if (this.#states.size <= MAX_STATES && this.#bytes <= MAX_BYTES) break
      this.#forget(oldest)
    }
  }

  #forget(id: string): void {
    const known = this.#states.get(id)
    if (known && this.#states.delete(id)) this.#bytes -= sizeOf(id, known)
  }
}

function sizeOf(id: string, { record }: Known): number {
  return record ? bytesOf(id, record) : 2 * id.length
}

/** Refuses a second write of one key at once: either may land last, and KV would throttle it anyway. */
export function refuseOverlap({ isPending }: Known): void {
  if (isPending) throw throttled('KV takes one write per second and key')
}
