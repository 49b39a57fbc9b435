/** The session of one Node request, and what its response says of it. */
import { SessionCommittedError } from '../errors.ts'
import type { Instance } from '../session/instance.ts'
import { instanceOf, nameOf } from '../session/instances.ts'
import type { Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { CDN_HEADER, isUnavailable } from '../transport/response.ts'
import { HeadHeaders, headResponse, type NodeHead } from './node-headers.ts'
import {
  type MessageParts,
  type MessageSession,
  type NodeRequest,
  partsOf,
  requestOf,
} from './node-request.ts'

/** Hooks of a {@link NodeSession}. */
export interface SessionHooks {
  /** Returns whether the head has left, or is about to. */
  hasBegun(): boolean
  /** Is called before the session is first opened. */
  onOpen?(): void
}

const TWICE =
  'session() runs twice on this request, for one cookie name: keep one app.use(session(sessions)), or give each createSessions its own cookie.name'

/** Prototype of the function of each request: `req.session.cart = []`, as with express-session, would be lost with the function. */
const UNASSIGNABLE: object = new Proxy(Function.prototype, {
  set(_, key) {
    throw new TypeError(
      `Cannot set "${String(key)}": req.session is a function; const session = await req.session(), then session.set(key, value)`,
    )
  },
})

/** The session of one request, and nothing is read before somebody asks for it. */
export class NodeSession<D extends SessionData = SessionData, Data extends object = Partial<D>>
  implements MessageSession
{
  readonly name: unknown
  readonly #sessions: Sessions<D, Data>
  readonly #instance: Instance | undefined
  readonly #message: NodeRequest
  readonly #parts: MessageParts
  readonly #hooks: SessionHooks
  #isOpened = false
  #failure: unknown

  constructor(sessions: Sessions<D, Data>, message: NodeRequest, hooks: SessionHooks) {
    this.#sessions = sessions
    this.#instance = instanceOf(sessions)
    this.#message = message
    this.#parts = partsOf(message)
    this.name = nameOf(sessions)
    const others = this.#parts.sessions
    if (others.some(({ name }) => name === this.name)) throw new TypeError(TWICE)
    others.push(this)
    this.#hooks = hooks
    Object.setPrototypeOf(this.open, UNASSIGNABLE)
  }

  /**
   * Returns the session; nothing is read before the first call. A function that needs no `this`.
   *
   * @throws SessionCommittedError when the first call comes after the response has begun.
   */
  readonly open = async (): Promise<Session<D, Data>> => {
    if (!this.#isOpened) this.#start()
    try {
      return await this.#sessions.get(this.#request())
    } catch (error) {
      this.#failure = error
      throw error
    }
  }

  /**
   * Commits, and sets what the head says of the session. A status of 500 or above saves nothing.
   *
   * @param save `false`: saves nothing.
   */
  async commit(head: NodeHead, save?: false): Promise<void> {
    const given = headResponse(head)
    const answer = await this.commitResponse(given, save)
    if (answer !== given) {
      // Another handler of the page has set the cookie too, or these sessions wrap others.
      const headers = new HeadHeaders(head)
      headers.clear()
      headers.put(answer.headers)
    }
    this.setUnavailable(head)
  }

  /** As `commit`, with a head that is a `Response` of its own. */
  commitResponse(response: Response, save?: false): Promise<Response> {
    return this.#sessions.commit(this.#request(), response, save === false ? { save } : {})
  }

  fail(error: unknown): void {
    this.#failure = error
  }

  /** Sets `Retry-After`, and the cookies of the error, on a head of status 500 or above that tells of it. */
  setUnavailable(head: NodeHead): void {
    const failure = this.#failure
    if (!isUnavailable(failure) || head.statusCode < 500) return
    const headers = new HeadHeaders(head)
    for (const [name] of headers) if (CDN_HEADER.test(name)) headers.delete(name)
    headers.put(failure.getResponse().headers)
  }

  #start(): void {
    if (this.#hooks.hasBegun()) {
      throw new SessionCommittedError(
        'Cannot open session: the response has begun; call session() before anything is sent',
      )
    }
    this.#isOpened = true
    this.#hooks.onOpen?.()
  }

  know(request: Request): void {
    const known = this.#instance?.opened.get(this.#parts)
    if (known !== undefined) this.#instance!.opened.set(request, known)
  }

  /** Returns what the sessions know this message by: a `Request` only where somebody may look at it. */
  #request(): Request {
    const isSeen = !this.#instance || this.#instance.options.binding?.ip
    if (this.#parts.request || isSeen) return requestOf(this.#message)
    return this.#parts.asRequest()
  }
}
