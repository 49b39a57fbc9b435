/** Looks over the library's shoulder: its events, and the calls of each request, also of requests that overlap. */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { SessionEvent, SessionStore } from 'sojourn'
import { defaultLevels } from 'sojourn/log'
import type { BrowserName } from './jars.ts'

/** One request as the timeline shows it. */
export interface Observed {
  readonly browser: BrowserName
  readonly method: string
  readonly path: string
  /** Epoch milliseconds. */
  readonly at: number
  readonly events: SessionEvent[]
  ms: number
  status: number
  storeCalls: number
  cryptoCalls: number
  /** Bytes of the `Set-Cookie` values. */
  cookieBytes: number
  /** Status of the breaker of reads at the end; `off` without a store. */
  breaker: string
}

const underWay = new AsyncLocalStorage<Observed>()
const METHODS = ['encrypt', 'decrypt', 'digest', 'importKey', 'deriveBits', 'deriveKey', 'sign']

/** Runs a request, and writes down what it cost. */
export async function observe(
  about: Pick<Observed, 'browser' | 'method' | 'path'>,
  run: () => Promise<Response>,
): Promise<[Observed, Response]> {
  watchCrypto()
  const counts = { ms: 0, status: 0, storeCalls: 0, cryptoCalls: 0, cookieBytes: 0 }
  const seen: Observed = { ...about, ...counts, at: Date.now(), events: [], breaker: 'off' }
  const response = await underWay.run(seen, run)
  seen.ms = Date.now() - seen.at
  seen.status = response.status
  seen.cookieBytes = response.headers.getSetCookie().join('').length
  return [seen, response]
}

/** An `onEvent` that notes what happens, and leaves out what comes with every request. */
export function note(event: SessionEvent): void {
  if (defaultLevels[event.type]) underWay.getStore()?.events.push(event)
}

/** Counts what reaches a store. */
export function countCalls(store: SessionStore): SessionStore {
  const counted = <T>(call: T): T => {
    const seen = underWay.getStore()
    if (seen) seen.storeCalls++
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
      const seen = underWay.getStore()
      if (seen) seen.cryptoCalls++
      return original.apply(this, args)
    }
  }
}
