/** The health of the store: whether it answers. */
import { SessionError } from '../errors.ts'
import type { SessionStore, StoreDetails } from '../stores/store.ts'

/** The result of `health()`. */
export interface HealthReport {
  /** `true`: the store answers, so sessions can be read and written. */
  readonly ok: boolean
  /** `null` in cookie mode: there is nothing that can fail. */
  readonly store: StoreHealth | null
}

/** The health of one store. */
export interface StoreHealth {
  readonly name: string
  readonly ok: boolean
  /** Milliseconds until it answered or was given up. */
  readonly latencyMs: number
  /** Code of what went wrong. */
  readonly error?: string
  /** Figures of its wrappers: breaker state, retry budget. */
  readonly details?: StoreDetails
}

const DEADLINE_MS = 1000

/** Asks the store for a sign of life, for at most a second. Never throws. */
export async function reportHealth(store: SessionStore, now: () => number): Promise<HealthReport> {
  const started = now()
  const error = await probe(store)
  const details = detailsOf(store)
  const report: StoreHealth = {
    name: store.name,
    ok: error === null,
    latencyMs: now() - started,
    ...(error === null ? {} : { error }),
    ...(details ? { details } : {}),
  }
  return { ok: report.ok, store: report }
}

function detailsOf(store: SessionStore): StoreDetails | undefined {
  try {
    return store.details?.()
  } catch {
    return undefined
  }
}

async function probe(store: SessionStore): Promise<string | null> {
  const controller = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => {
      resolve('ERR_STORE_TIMEOUT')
      controller.abort()
    }, DEADLINE_MS)
  })
  const ask = async (): Promise<void> => store.health?.({ signal: controller.signal })
  const answer = ask().then(
    () => null,
    (error) => (error instanceof SessionError ? error.code : 'ERR_STORE_UNAVAILABLE'),
  )
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
