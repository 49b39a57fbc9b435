/** The session of one Node request, and what its response says of it. */
import { SessionCommittedError } from '../errors.ts'
import { instanceOf } from '../session/instances.ts'
import type { Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { isUnavailable } from '../transport/response.ts'
import { type NodeRequest, requestOf } from './node-request.ts'

/** The head of a response, as Node and Fastify have it. */
export interface NodeHead {
  statusCode: number
  getHeaders(): Readonly<Record<string, number | string | string[] | undefined>>
  setHeader(name: string, value: string | readonly string[]): unknown
  removeHeader(name: string): void
}

/** The session of one request. */
export interface NodeSession<D extends SessionData, Data extends object> {
  /**
   * Returns the session; nothing is read before the first call.
   *
   * @throws SessionCommittedError when the first call comes after the response has begun.
   */
  open(): Promise<Session<D, Data>>
  /**
   * Commits, and sets what the head says of the session. A status of 500 or above saves nothing.
   *
   * @param save `false`: saves nothing.
   */
  commit(head: NodeHead, save?: false): Promise<void>
  /** As `commit`, with a head that is a `Response` of its own. */
  commitResponse(response: Response, save?: false): Promise<Response>
  /** Notes the error that the response will tell of. */
  fail(error: unknown): void
  /** Sets `Retry-After`, and the cookies of the error, on a head of status 500 or above that tells of it. */
  setUnavailable(head: NodeHead): void
}

/**
 * Creates the session of one request, and reads nothing yet.
 *
 * @param hasBegun Returns whether the head has left, or is about to.
 * @param onOpen Is called before the session is first opened.
 */
export function createNodeSession<D extends SessionData, Data extends object>(
  sessions: Sessions<D, Data>,
  message: NodeRequest,
  hasBegun: () => boolean,
  onOpen?: () => void,
): NodeSession<D, Data> {
  let isOpened = false
  let failure: unknown
  const own: NodeSession<D, Data> = {
    async open() {
      if (!isOpened && hasBegun()) {
        throw new SessionCommittedError(
          'Cannot open session: the response has begun; call session() before anything is sent',
        )
      }
      if (!isOpened) onOpen?.()
      isOpened = true
      try {
        return await sessions.get(requestOf(message))
      } catch (error) {
        failure = error
        throw error
      }
    },
    async commit(head, save) {
      const before = headersOf(head)
      const status = head.statusCode < 200 || head.statusCode > 599 ? 500 : head.statusCode
      const response = new Response(null, { status, headers: before })
      const { headers } = await own.commitResponse(response, save)
      setChanged(head, before, headers)
      own.setUnavailable(head)
    },
    commitResponse: (response, save) =>
      sessions.commit(requestOf(message), response, save === false ? { save } : {}),
    fail(error) {
      failure = error
    },
    setUnavailable(head) {
      if (!isUnavailable(failure) || head.statusCode < 500) return
      const { headers } = failure.getResponse()
      for (const [name, value] of headers) if (name !== 'set-cookie') head.setHeader(name, value)
      const cookies = [...headersOf(head).getSetCookie(), ...headers.getSetCookie()]
      if (cookies.length) head.setHeader('set-cookie', cookies)
    },
  }
  return own
}

/** Returns the name under which two adapters of one cookie are told apart. */
export function cookieNameOf(sessions: object): unknown {
  // Sessions that wrap others are told apart by themselves.
  return instanceOf(sessions)?.cookie.name ?? sessions
}

function headersOf(head: NodeHead): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(head.getHeaders())) {
    for (const one of [value ?? []].flat()) headers.append(name, String(one))
  }
  return headers
}

/** Sets the headers that differ, so that all others keep the spelling and the type that they have. */
function setChanged(head: NodeHead, before: Headers, after: Headers): void {
  for (const name of before.keys()) if (!after.has(name)) head.removeHeader(name)
  for (const [name, value] of after) {
    if (name !== 'set-cookie' && before.get(name) !== value) head.setHeader(name, value)
  }
  const cookies = after.getSetCookie()
  if (cookies.join('\n') !== before.getSetCookie().join('\n')) head.setHeader('set-cookie', cookies)
}
