/** Looks over the library's shoulder: its events, and the calls of one request. */
import type { SessionEvent, SessionStore } from 'sojourn'
import { defaultLevels } from 'sojourn/log'

/** One request as the page shows it. */
export interface Observed {
  readonly request: string
  readonly events: SessionEvent[]
  cryptoCalls: number
  /** Without those of `health`. */
  storeCalls: number
  setCookie: boolean
  status: number
}

const HISTORY = 6
const METHODS = ['encrypt', 'decrypt', 'digest', 'importKey', 'deriveBits', 'deriveKey', 'sign']
const history: Observed[] = []

/** The newest request first. One visitor at a time: a playground, not a monitor. */
export function observed(): readonly Observed[] {
  return history
}

/** Begins to observe a request. */
export function observe(request: string): Observed {
  watchCrypto()
  const current: Observed = {
    request,
    events: [],
    cryptoCalls: 0,
    storeCalls: 0,
    setCookie: false,
    status: 0,
  }
  history.unshift(current)
  history.length = Math.min(history.length, HISTORY)
  return current
}

/** An `onEvent` that notes what happens, and leaves out what comes with every request. */
export function note(event: SessionEvent): void {
  if (defaultLevels[event.type]) history[0]?.events.push(event)
}

/** Counts what reaches a store. */
export function countCalls(store: SessionStore): SessionStore {
  const counted = <T>(call: T): T => {
    if (history[0]) history[0].storeCalls++
    return call
  }
  const { index } = store
  return {
    ...store,
    read: (...args) => counted(store.read(...args)),
    write: (...args) => counted(store.write(...args)),
    end: (...args) => counted(store.end(...args)),
    ...(index && {
      index: {
        list: (...args) => counted(index.list(...args)),
        end: (...args) => counted(index.end(...args)),
      },
    }),
  }
}

let watching = false

function watchCrypto(): void {
  if (watching) return
  watching = true
  const subtle = Object.getPrototypeOf(crypto.subtle)
  for (const method of METHODS) {
    const original = subtle[method]
    subtle[method] = function (...args: unknown[]) {
      if (history[0]) history[0].cryptoCalls++
      return original.apply(this, args)
    }
  }
}
