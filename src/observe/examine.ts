/** The thorough look at a store: what it says of itself, a record written and ended, a marker that stays. */
import { randomText } from '../crypto/base64url.ts'
import { pause } from '../resilience/deadline.ts'
import type { Instance } from '../session/instance.ts'
import type {
  SessionStore,
  StoreDetails,
  StoredRecord,
  StoreProblem,
  StoreWarning,
} from '../stores/store.ts'

/** The result of a thorough look. */
export interface Examination {
  readonly figures: StoreDetails
  readonly problems: readonly StoreProblem[]
  readonly warnings: readonly StoreWarning[]
  /** The first thing that went wrong. */
  readonly error?: unknown
}

/** The marker that this isolate has seen in the store. */
interface Marker {
  /** Its version; `null`: it was gone, and no other is there yet. */
  readonly version: string | null
  /** Epoch milliseconds at which it was found to be gone. */
  readonly emptiedAt?: number | undefined
}

const markers = new WeakMap<SessionStore, Marker>()

/** An id that no session can have: its last character is none of 16 random bytes. */
export const MARKER_ID = 'sojourn-store-marker-1'
const MARKER_MS = 315_360_000_000
/** Milliseconds for which a store that was emptied is reported so. */
const EMPTIED_MS = 600_000
/** Milliseconds within which a write must be seen by every read. */
const LAG_MS = 1000
const POLL_MS = 50
const PROBE_MS = 60_000

/** Examines a store. What goes wrong in one part is no reason to leave out the others. */
export async function examine(
  instance: Instance,
  store: SessionStore,
  signal: AbortSignal,
): Promise<Examination> {
  const problems = new Set<StoreProblem>()
  const warnings = new Set<StoreWarning>()
  const errors: unknown[] = []
  const attempt = async (part: () => Promise<void>): Promise<void> => {
    try {
      await part()
    } catch (error) {
      if (signal.aborted) throw error
      errors.push(error)
      const { reason } = Object(error) as { reason?: unknown }
      if (reason === 'full' || reason === 'read-only') problems.add(reason)
    }
  }
  let figures: StoreDetails = {}
  await attempt(async () => {
    const found = store.inspect ? await store.inspect({ signal }) : undefined
    if (!found) await store.health?.({ signal })
    figures = found?.figures ?? {}
    for (const problem of found?.problems ?? []) problems.add(problem)
    for (const warning of found?.warnings ?? []) warnings.add(warning)
  })
  await attempt(async () => {
    if (await isEmptied(instance, store, signal)) problems.add('emptied')
  })
  await attempt(async () => {
    if (await lags(instance, store, signal)) problems.add('lagging')
  })
  const [error] = errors
  return {
    figures,
    problems: [...problems],
    warnings: [...warnings],
    ...(errors.length && { error }),
  }
}

function recordFor({ options }: Instance, ms: number): StoredRecord {
  const expiresAt = options.now() + ms
  return { value: 'health', version: randomText(16), epoch: 'health', expiresAt }
}

/**
 * Looks for the marker, which the first look leaves in the store for good. Another one in its place means
 * that the store was empty for a while. In a store that is not atomic, two places may both have left one.
 */
async function isEmptied(
  instance: Instance,
  store: SessionStore,
  signal: AbortSignal,
): Promise<boolean> {
  const { emit, options } = instance
  const known = markers.get(store)
  let { emptiedAt = -Infinity } = known ?? {}
  let marker = await store.read(MARKER_ID, { signal, fresh: true })
  const isAnother = store.atomic && marker?.version !== known?.version
  if (known?.version && (!marker || isAnother)) {
    emptiedAt = options.now()
    emit({ type: 'store.emptied', store: store.name })
  }
  markers.set(store, { version: marker?.version ?? null, emptiedAt })
  if (!marker) {
    // With an index key, so that a store which evicts drops anonymous sessions first.
    const mine = { ...recordFor(instance, MARKER_MS), keys: [MARKER_ID] }
    const result = await store.write(MARKER_ID, mine, null, { signal })
    marker = result.ok ? mine : result.current
    markers.set(store, { version: marker?.version ?? null, emptiedAt })
  }
  return options.now() - emptiedAt < EMPTIED_MS
}

/** Writes a record and ends it. Tells whether an atomic store does not return at once what it acknowledged. */
async function lags(
  instance: Instance,
  store: SessionStore,
  signal: AbortSignal,
): Promise<boolean> {
  const id = randomText(16)
  const record = recordFor(instance, PROBE_MS)
  await store.write(id, record, null, { signal })
  try {
    const isThere = async (fresh: boolean): Promise<boolean> =>
      (await store.read(id, { signal, fresh }))?.version === record.version
    if (!store.atomic) return false
    if (!(await isThere(true))) return true
    for (let waited = 0; waited < LAG_MS; waited += POLL_MS) {
      if (await isThere(false)) return false
      await pause(POLL_MS)
    }
    return true
  } finally {
    await store.end(id, { signal, markFor: 0 })
  }
}
