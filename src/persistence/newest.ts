/**
 * How new the sessions are that this isolate wrote: copies from before are for outages only. Others'
 * writes are not known here.
 */
import { BoundedMap } from '../bounded-map.ts'
import { idOf, type SessionState } from '../codec/session-record.ts'
import type { FoundSession } from '../session/session.ts'

/** A session as the store has it. */
type Seen = Pick<FoundSession, 'state' | 'folded'>
type About = Pick<SessionState, 'key'>

/** What this isolate knows of its sessions. */
export interface Newest {
  /** A record's counter, and behind the point how many patches are in it; `Infinity`: it is dead. */
  of(about: About): number
  /** Whether something newer was written here, or the session ended. */
  isAfter(known: Seen): boolean
  /** That was written here, or was kept `beside` some record. */
  wrote(state: SessionState, beside: boolean): void
  /** That was read, by a call that began when so much was known. */
  saw(known: Seen, before: number): void
  /** The session with an id was ended here. */
  ended(id: string): void
  /** One with that id began, perhaps again: that of an import is always the same. */
  began(id: string): void
}

const MAX_SESSIONS = 1000
/** Newer than any record: which one a patch is beside is not known. */
const BESIDE = 2 ** 40

export function createNewest(): Newest {
  const sessions = new BoundedMap<string, number>(MAX_SESSIONS)
  let patches = 0
  const of = (about: About): number => sessions.get(idOf(about)) ?? 0
  return {
    of,
    isAfter: (known) => of(known.state) > newness(known),
    // Of writes at once any may end last.
    wrote(state, beside) {
      const now = beside ? BESIDE + ++patches : state.counter
      sessions.set(idOf(state), Math.max(of(state), now))
    },
    saw(known, before) {
      const isAll = of(known.state) === before && before > BESIDE && before < Infinity
      if (isAll) sessions.set(idOf(known.state), newness(known))
    },
    ended: (id) => sessions.set(id, Infinity),
    began: (id) => sessions.set(id, 0),
  }
}

function newness({ state, folded = 0 }: Seen): number {
  return state.counter + folded / 1000
}
