/** What happened in a run, as the checks look at it. */
import type { RequestAction, Use } from './actions.ts'
import type { Activity } from './world.ts'

/** A session as a handler found it. */
export interface Seen {
  /** When the handler got it, epoch milliseconds. */
  readonly at: number
  readonly status: string
  readonly subject: string | null
  /** What changes with every credential of it, and not otherwise. */
  readonly rotationId: string
  /** Fingerprint of its id, as events have it. */
  readonly print: string
  readonly data: Readonly<Record<string, unknown>>
  /** When each factor was proven, by the isolate's clock. */
  readonly factors: Readonly<Record<string, number>>
  readonly flash: string | undefined
  /** With `deviceBound`: as `session.bound` has it. */
  readonly bound: boolean | null
  /** Thumbprint of the key that it is bound to. */
  readonly key: string | null
  /** How many events there had been. */
  readonly events: number
}

/** What one use of a session should have done. */
export interface Effect {
  /** Unique in the run. */
  readonly token: string
  readonly use: Use
  readonly exchange: Exchange
  /**
   * When somebody was told that it is done, epoch milliseconds. `Infinity`: nobody was; it may have
   * been done, or be done later.
   */
  acked: number
  /** Left behind with the data of somebody else, by a sign-in of the same request. */
  isLeft: boolean
}

export type Outcome = 'pending' | 'ok' | 'failed' | 'broken'

/** What a browser, or a thief, asked for with a key. */
export interface DeviceAsk {
  readonly task: 'register' | 'refresh'
  /** Thumbprint of the key that signed; `null`: there is no proof. */
  readonly key: string | null
  readonly proof: string | null
  /** When the challenge was given out; `Infinity`: nobody has seen it. */
  readonly challengedAt: number
  /** What the server answered; `null`: nothing. */
  told: 'granted' | 'challenged' | 'refused' | 'over' | 'later' | null
  /** The browser has thrown its key away because of the answer. */
  gaveUp: boolean
}

/** One request and its response. */
export interface Exchange {
  readonly id: number
  readonly action: RequestAction
  readonly jar: number
  /** Fresh for every isolate that was started. */
  readonly isolate: number
  readonly activity: Activity
  readonly sent: number
  /** Rotations whose responses this browser had received. */
  readonly knows: ReadonlySet<number>
  /** Effects that waited in the cookies it was sent with. */
  readonly waits: readonly Effect[]
  /** The request that its browser had the bound cookie of. */
  readonly holds: Exchange | null
  /** What it asks for, where it is a request of the browser's own. */
  readonly device: DeviceAsk | null
  seen: Seen | null
  readonly effects: Effect[]
  /** Fingerprint of the id that the handler left the session with. */
  aims: string | null
  outcome: Outcome
  /** Of the error it ended with. */
  code: string | null
  /** When the server was done with it; `Infinity`: never. */
  done: number
  /** When the browser had the response; `Infinity`: never. */
  received: number
  /** What became of its own writes, as the response said. */
  fate: 'unknown' | 'kept' | 'deferred' | 'dropped'
}

/** An attempt to end sessions. */
export interface EndAttempt {
  readonly kind: 'revoke' | 'revokeAll'
  readonly from: number
  /** When it was acknowledged; `Infinity`: it failed, and may have ended them all the same. */
  to: number
  /** When whoever tried was done with it; `Infinity`: never. */
  done: number
  /** Fingerprint of the session, for `revoke`. */
  readonly print: string | null
  readonly user: string | null
  readonly except: string | null
  /** Number of the place, or of the isolate, that tried. */
  readonly place: number
}

/** One answer of `list`. */
export interface Listing {
  readonly user: string
  readonly from: number
  readonly at: number
  readonly prints: readonly string[]
  /** Those that the user's tag finds, where that was asked. */
  readonly tagged?: { readonly byTag: readonly string[]; readonly byUser: readonly string[] }
  readonly isFinal: boolean
}

/** One time that `once` ran its work. */
export interface OnceRun {
  readonly key: number
  readonly user: string
  readonly exchange: Exchange
  readonly from: number
  to: number
}

/** One result of `once`. */
export interface OnceResult {
  readonly exchange: Exchange
  /** Who asked, and for whom the work was done. */
  readonly users: readonly [string, string]
}

/** One proof of a factor. */
export interface Proof {
  readonly user: string
  /** By the clock of the isolate, epoch milliseconds. */
  readonly at: number
  readonly jar: number
}

export interface Failover {
  readonly at: number
  readonly loses: number
}

export interface History {
  readonly exchanges: Exchange[]
  readonly ends: EndAttempt[]
  readonly listings: Listing[]
  readonly onceRuns: OnceRun[]
  readonly onceResults: OnceResult[]
  readonly proofs: Proof[]
  readonly failovers: Failover[]
  /** Copies of jars: `thief` was made from `jar` then. */
  readonly thefts: { readonly thief: number; readonly jar: number; readonly at: number }[]
  readonly troubles: { readonly from: number; to: number }[]
  readonly problems: Problem[]
  /** Numbers of the isolates that ended. */
  readonly restarted: Set<number>
  /** Whether isolates of two versions of the data ran. */
  hasVersions: boolean
  /** Ids of sessions by their fingerprint. */
  readonly ids: Map<string, string>
}

/** Something that must not happen. */
export interface Problem {
  /** Number of the invariant in the list of `invariants.ts`, and its name. */
  readonly rule: string
  readonly text: string
  readonly at: number
}

/** Whether a request replaces the credential of its session. */
export function rotates({ action }: Exchange): boolean {
  return action.uses.some(({ op }) => op === 'login' || op === 'regenerate')
}

/** FNV-1a, 32 bits, of an id: as in the library's events. */
export function fingerprint(id: string): string {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(id, 'base64url')) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash >>> 0).toString(36)
}

/** Returns the history of a run in which nothing has happened yet. */
export function emptyHistory(): History {
  return {
    exchanges: [],
    ends: [],
    listings: [],
    onceRuns: [],
    onceResults: [],
    proofs: [],
    failovers: [],
    thefts: [],
    troubles: [],
    problems: [],
    hasVersions: false,
    ids: new Map(),
    restarted: new Set(),
  }
}
