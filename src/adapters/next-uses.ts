/** The uses of one request's session: they share it when nested, and queue otherwise. */
import { after } from 'next/server.js'
import type { Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { requestHeaders } from './next-request.ts'

/** Runs a function, and what is nested in it meanwhile, to the end of all. */
type Share<S, T> = (open: () => S | Promise<S>, fn: () => T | Promise<T>) => Promise<T>

interface Use {
  /** Gives the session to nested uses; not set between uses. */
  open?: (() => unknown) | undefined
  /** Resolves when everything asked for so far has ended. Never rejects. */
  last: Promise<unknown>
  /** Resolves when the nested uses so far have ended. Never rejects. */
  nested: Promise<unknown>
}

const requests = new WeakMap<object, Map<unknown, Use>>()
const answered = new WeakSet<object>()

/** Tells that the response to this request has been sent, with all cookies that it will ever have. */
export async function isAnswered(): Promise<boolean> {
  return answered.has(await requestHeaders())
}

/**
 * Runs `use` when all uses of the session in this request have ended. While one of them runs `fn` is
 * nested in it: it gets the session of that one, which waits for it.
 *
 * @param use Gets the {@link Share} in which it runs `fn`.
 */
export async function queueUse<D extends SessionData, Data extends object, T>(
  sessions: Sessions<D, Data>,
  fn: (session: Session<D, Data>) => T | Promise<T>,
  use: (share: Share<Session<D, Data>, T>) => Promise<T>,
): Promise<T> {
  // Next makes this object once per request.
  const headers = await requestHeaders()
  const uses = requests.get(headers) ?? new Map<unknown, Use>()
  const all = uses.get(sessions) ?? { last: Promise.resolve(), nested: Promise.resolve() }
  if (!requests.has(headers)) {
    try {
      after(() => void answered.add(headers))
    } catch {
      // Where Next has nothing that runs after a response.
    }
  }
  requests.set(headers, uses.set(sessions, all))
  if (all.open) {
    const result = (async (open) => fn((await open()) as Session<D, Data>))(all.open)
    all.nested = Promise.allSettled([all.nested, result])
    return await result
  }
  const result = all.last.then(() =>
    use(async (open, fn) => {
      all.open = open
      try {
        return await fn()
      } finally {
        let seen: unknown
        do {
          seen = all.nested
          await seen
        } while (seen !== all.nested)
        all.open = undefined
      }
    }),
  )
  all.last = Promise.allSettled([result])
  return await result
}
