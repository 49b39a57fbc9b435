/**
 * While many commits of one session collide, those that call `update` take turns in this isolate,
 * and each goes on from what the last one wrote. Between isolates compare-and-set decides; this
 * only spares it conflicts.
 *
 * Nobody waits for another request's promise, which on Workers may never settle: they look again
 * after a while, and a turn whose request died is over soon.
 */
import { BoundedMap } from '../bounded-map.ts'
import type { SessionStore, StoredRecord } from '../stores/store.ts'

/** One commit's place among those of its session. */
export interface Turn {
  /**
   * Waits for the turn if commits of this session collide, or have just done so (`collided`), and
   * returns what was last written here, if that is known. Whoever has the turn keeps it.
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
  /** Who has the turn, and until when, epoch milliseconds. */
  readonly holder: Turn | null
  readonly until: number
  /** What was written last. */
  readonly latest: StoredRecord | null
  /** Epoch milliseconds until which it is worth waiting. */
  readonly busyUntil: number
}

/** Longer than most attempts take; whoever is slower is only more likely to collide. */
const TURN_MS = 500
/** After a collision. */
const BUSY_MS = 2000
const PATIENCE_MS = 5000
const MAX_SESSIONS = 1000
const NOTHING: Known = { holder: null, until: 0, latest: null, busyUntil: 0 }

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
      const get = (): Known => sessions.get(id) ?? NOTHING
      const put = (change: Partial<Known>): void => sessions.set(id, { ...get(), ...change })
      const turn: Turn = {
        async take(collided) {
          const since = Date.now()
          if (collided) put({ busyUntil: since + BUSY_MS })
          for (let now = since; ; now = Date.now()) {
            const { busyUntil, holder, latest, until } = get()
            if (now > busyUntil) return null
            if (holder === turn || now >= until || now > since + PATIENCE_MS) {
              put({ holder: turn, until: now + TURN_MS })
              return latest
            }
            put({ busyUntil: now + BUSY_MS })
            await pause(1 + 4 * Math.random())
          }
        },
        pass(latest) {
          const isMine = get().holder === turn
          if (latest || isMine) put({ latest, ...(isMine && { holder: null, until: 0 }) })
        },
      }
      return turn
    },
  }
}

/** Waits, for so many milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
