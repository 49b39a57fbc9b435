/** React Router's own `SessionStorage`, on sessions of ours. */
import type { Session as ReactRouterSession, SessionStorage } from 'react-router'
import { expectSessions, refuseUnless } from '../check.ts'
import type { Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'

/** A session as React Router's own storages hand it out. */
export interface StorageSession<D extends SessionData, F> extends ReactRouterSession<D, F> {
  /** Everything else: `login`, `regenerate`, `update`, `subject`, `status`. */
  readonly sojourn: Session<D>
}

/** Stands in for `createCookieSessionStorage` and its like. */
export interface SojournSessionStorage<D extends SessionData, F> extends SessionStorage<D, F> {
  getSession: (cookieHeader?: string | null) => Promise<StorageSession<D, F>>
}

/**
 * Makes a `SessionStorage`, for applications that have one.
 *
 * `commitSession` and `destroySession` return one `Set-Cookie` value, or `''` when there is nothing
 * to say to the browser. A flash value goes with the next request that commits, read or not.
 *
 * @throws TypeError from `commitSession` when it is given cookie options, or a session of another
 * storage; RangeError when the session needs more than one cookie.
 */
export function createSessionStorage<D extends SessionData, F = D>(
  sessions: Sessions<D>,
): SojournSessionStorage<D, F> {
  expectSessions(sessions)
  const commit = async (session: object, options?: object): Promise<string> => {
    refuseUnless(!options, 'options', 'absent: they are those of createSessions', options)
    const { sojourn } = Object(session) as StorageSession<D, F>
    const values = await sessions.save(sojourn ?? session)
    const rule = '1 for a SessionStorage, and cookie.name that of the cookie to import'
    const needed = values.length - values.filter(isSpare).length
    refuseUnless(needed < 2, 'cookie.maxChunks', rule, needed, RangeError)
    return values[0] ?? ''
  }
  return {
    getSession: async (header = null) => toStorageSession(await sessions.open(header)),
    commitSession: commit,
    async destroySession(session, options) {
      const { sojourn } = Object(session) as Partial<StorageSession<D, F>>
      sojourn?.destroy()
      return await commit(session, options)
    },
  }
}

/** Tells whether a cookie beside the session's can be left out: a note, a removal. */
function isSpare(setCookie: string, i: number): boolean {
  return i > 0 && /^[^=]+\.([nd][\w-]{4}|[1-3](?==;))=/.test(setCookie)
}

function toStorageSession<D extends SessionData, F>(session: Session<D>): StorageSession<D, F> {
  const seen: Record<string, unknown> = Object.create(null)
  const peek = (name: string): unknown => (seen[name] ??= session.flash(name))
  const view: Record<keyof StorageSession<D, F>, unknown> = {
    sojourn: session,
    get id() {
      return session.id
    },
    get data() {
      return session.data
    },
    has: (name: string) => session.has(name) || peek(name) !== undefined,
    get(name: string) {
      if (session.has(name)) return session.get(name)
      const value = peek(name)
      delete seen[name]
      return value
    },
    set: (name: string, value: D[string]) => session.set(name, value),
    unset: (name: string) => session.unset(name),
    flash: (name: string, value: unknown) => session.flash(name, value),
  }
  return view as StorageSession<D, F>
}
