/**
 * Commits of one session that call `update` take turns in this isolate, and each goes on from what
 * the last one wrote. Between isolates compare-and-set decides; this only spares it conflicts.
 *
 * Nobody waits for another request's promise, which on Workers may never settle: they look again
 * after a while, and a turn whose request died is over soon.
 */
import { BoundedMap } from '../bounded-map.ts'
import type { SessionStore, StoredRecord } from '../stores/store.ts'

/** What is known of one session. */
interface Turn {
  /** Epoch milliseconds until which somebody has the turn; 0: nobody. */
  until: number
  /** What was written last. */
  latest: StoredRecord | null
}

/** The turns of one store. */
export interface Turns {
  /** Waits for the turn; returns what was written while it waited. */
  take(id: string): Promise<StoredRecord | null>
  /** Passes it on, with what was written. */
  pass(id: string, latest: StoredRecord | null): void
}

const TURN_MS = 500
const PATIENCE_MS = 2000
const MAX_SESSIONS = 1000

const known = new WeakMap<SessionStore, Turns>()

/** The turns of a store; the same for everybody who uses it in this isolate. */
export function turnsOf(store: SessionStore): Turns {
  const turns = known.get(store) ?? createTurns()
  known.set(store, turns)
  return turns
}

function createTurns(): Turns {
  const turns = new BoundedMap<string, Turn>(MAX_SESSIONS)
  return {
    async take(id) {
      const patience = Date.now() + PATIENCE_MS
      const before = turns.get(id)?.latest
      for (;;) {
        const turn = turns.get(id)
        const now = Date.now()
        if (!turn || now >= turn.until || now > patience) break
        await pause(1 + 4 * Math.random())
      }
      const latest = turns.get(id)?.latest ?? null
      turns.set(id, { until: Date.now() + TURN_MS, latest })
      return latest === before ? null : latest
    },
    pass: (id, latest) => turns.set(id, { until: 0, latest }),
  }
}

/** Waits, for so many milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
