/**
 * While many commits of one session collide, those that call `update` take turns in this isolate,
 * and each goes on from what the last one wrote. Between isolates compare-and-set decides; this only spares it conflicts.
 *
 * Nobody waits for another request's promise, which on Workers may never settle: they look again
 * after a while, and a turn whose request died is over soon.
 */
import { BoundedMap } from '../bounded-map.ts'
import type { SessionStore, StoredRecord } from '../stores/store.ts'

/** One commit's place among those of its session. */
export interface Turn {
  /**
   * Waits for the turn if commits of this session collide, or have just done so (`collided`).
   * Returns what was last written here, if that is known.
   */
  take(collided: boolean): Promise<StoredRecord | null>
  /** Passes it on, with what was written. */
  pass(latest: StoredRecord | null): void
}

/** The turns of one store. */
export interface Turns {
  of(id: string): Turn
}

/** What is known of one session. */
interface Known {
  /** Epoch milliseconds until which somebody has the turn. */
  readonly until: number
  /** What was written last. */
  readonly latest: StoredRecord | null
  /** Epoch milliseconds until which it is worth waiting. */
  readonly busyUntil: number
}

/** Longer than most writes take; whoever is slower is only more likely to collide. */
const TURN_MS = 100
/** After a collision. */
const BUSY_MS = 2000
const PATIENCE_MS = 2000
const MAX_SESSIONS = 1000
const NOTHING: Known = { until: 0, latest: null, busyUntil: 0 }

const known = new WeakMap<SessionStore, Turns>()

/** The turns of a store; the same for everybody who uses it in this isolate. */
export function turnsOf(store: SessionStore): Turns {
  const turns = known.get(store) ?? createTurns()
  known.set(store, turns)
  return turns
}

function createTurns(): Turns {
  const sessions = new BoundedMap<string, Known>(MAX_SESSIONS)
  return {
    of(id) {
      let isMine = false
      const get = (): Known => sessions.get(id) ?? NOTHING
      const put = (change: Partial<Known>): void => sessions.set(id, { ...get(), ...change })
      return {
        async take(collided) {
          if (isMine) return null
          if (collided) put({ busyUntil: Date.now() + BUSY_MS })
          const patience = Date.now() + PATIENCE_MS
          for (;;) {
            const { busyUntil, latest, until } = get()
            const now = Date.now()
            if (now > busyUntil) return null
            if (now >= until || now > patience) {
              isMine = true
              put({ until: now + TURN_MS })
              return latest
            }
            put({ busyUntil: now + BUSY_MS })
            await pause(1 + 4 * Math.random())
          }
        },
        pass(latest) {
          if (latest || isMine) put({ latest, ...(isMine && { until: 0 }) })
        },
      }
    },
  }
}

/** Waits, for so many milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
