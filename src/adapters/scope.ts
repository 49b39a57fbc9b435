/** The session of one request in frameworks that run on after their response has begun. */
import { SessionCommittedError } from '../errors.ts'
import { instanceOf, nameOf } from '../session/instances.ts'
import type { Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { unavailableAnswer } from '../transport/response.ts'

/** The members that the adapters of SvelteKit and Astro add to `locals`. */
export interface SessionLocals<
  D extends SessionData = SessionData,
  Data extends object = Partial<D>,
> {
  /**
   * The session of this request; nothing is read before it is called.
   *
   * Astro streams: a page's own frontmatter runs before the response begins, that of the components
   * in it after. So call it in the page first; its components may then read the session too.
   *
   * @throws SessionCommittedError when it is first called after the response has begun, as in a promise that a
   * `load` function of SvelteKit did not await.
   */
  session: () => Promise<Session<D, Data>>
}

/** The session of one request, as an adapter makes it. */
export interface SessionScope<D extends SessionData, Data extends object> {
  /**
   * The session; nothing is read before the first call.
   *
   * @throws {@link SessionCommittedError} when the first call comes after the response has begun:
   * it would be committed no more, and the page could be cached.
   */
  open(): Promise<Session<D, Data>>
  /**
   * Commits with the response. One of 500 or above saves nothing, as if its handler had thrown:
   * frameworks catch first. A store that fails is answered with 503.
   */
  answer(respond: () => Response | Promise<Response>): Promise<Response>
}

/** The cookie names of the adapters that are answering a request. */
const answering = new WeakMap<Request, readonly unknown[]>()
/** Requests whose handler threw: the page of the error shows what was stored before. */
const failed = new WeakSet<Request>()

/** @param place Where to open the session in time, for the error that says so. */
export function createScope<D extends SessionData, Data extends object>(
  sessions: Sessions<D, Data>,
  request: Request,
  place: string,
): SessionScope<D, Data> {
  const instance = instanceOf(sessions)
  const name = nameOf(sessions)
  let opened = false
  let begun = false
  return {
    async open() {
      if (begun && !opened) {
        throw new SessionCommittedError(
          `Cannot open session: the response has begun; open it ${place}`,
        )
      }
      opened = true
      const reopen = failed.has(request) && instance?.reopen
      return reopen ? ((await reopen(request)) as Session<D, Data>) : sessions.get(request)
    },
    async answer(respond) {
      const own = await instance?.route?.(request)
      if (own) return own
      const names = answering.get(request) ?? []
      if (names.includes(name)) {
        throw new TypeError('Two adapters open one session cookie: keep one, or set cookie.name')
      }
      answering.set(request, [...names, name])
      try {
        const response = await respond()
        begun = true
        return await sessions.commit(request, response)
      } catch (error) {
        failed.add(request)
        return unavailableAnswer(error)
      } finally {
        answering.set(request, names)
      }
    },
  }
}
