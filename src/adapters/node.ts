/**
 * Sessions for Node's `(req, res)`: `http`, `https` and `http2`, Express, Connect, and Fastify as a plugin.
 *
 * @module
 * @example
 * import express from 'express'
 * import { session } from 'sojourn/node'
 *
 * const app = express().use(session(sessions))
 * app.get('/', async (req, res) => {
 *   const current = await req.session()
 *   res.send(`Hello ${current.subject ?? 'stranger'}`)
 * })
 *
 * // once, for the types
 * declare module 'http' {
 *   interface IncomingMessage extends SessionRequest<{ cart: string[] }> {}
 * }
 */
import { expectArgument, expectSessions } from '../check.ts'
import { createCheck, type Requirements, rethrow } from '../guard/requirements.ts'
import { instanceOf } from '../session/instances.ts'
import type { Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { isUnavailable } from '../transport/response.ts'
import { useNodeAes } from './node-aes.ts'
import { holdHead, type NodeResponse } from './node-head.ts'
import { HeadHeaders, type NodeHead } from './node-headers.ts'
import { abortRequest, type NodeRequest, partsOf, requestOf } from './node-request.ts'
import { NodeSession } from './node-session.ts'

export { requireSessionHook, type SojournOptions, sojourn } from './node-fastify.ts'
export { requestOf } from './node-request.ts'
export type { NodeHead, NodeRequest, NodeResponse }

/** The member that the middleware adds to a request. */
export interface SessionRequest<
  D extends SessionData = SessionData,
  Data extends object = Partial<D>,
> {
  /**
   * The session of this request; nothing is read before it is called.
   *
   * @throws SessionCommittedError when it is first called after the response has begun.
   */
  session: () => Promise<Session<D, Data>>
}

const TAKEN =
  '`request.session` is taken by another middleware, such as express-session: remove that one. `fromExpressSession` of sojourn/migrate keeps its users signed in'

/**
 * A middleware of Express 4 and 5 and of Connect, and a function to call in a handler of `http`. Given `next`, it answers by itself
 * what browsers ask about their keys (`deviceBound`), and does not call it then.
 */
export type NodeMiddleware = (
  request: NodeRequest,
  response: NodeResponse,
  next?: (error?: unknown) => void,
) => void

/**
 * Gives every handler behind it `request.session()`, and commits the session before the head of the
 * response leaves, whatever sends it. A request that never asks for its session pays nothing.
 *
 * A status of 500 or above saves nothing. When the session cannot be saved, what the handler has
 * sent is dropped, and the error goes to `next` if that takes an error, as that of Express does: it answers 503 with
 * `Retry-After` for a store that is down. Without such a `next`, or when the handler is still
 * writing its body, the middleware answers so by itself.
 *
 * @throws TypeError for a request whose `session` is taken, by `express-session` for example.
 *
 * @example
 * const useSession = session(sessions)
 * createServer((req, res) => {
 *   useSession(req, res)
 *   answer(req, res)
 * })
 */
export function session<D extends SessionData, Data extends object = Partial<D>>(
  sessions: Sessions<D, Data>,
): NodeMiddleware {
  expectSessions(sessions)
  useNodeAes()
  const { route } = instanceOf(sessions) ?? {}
  return (request, response, next) => {
    const go = (): void => {
      if (!partsOf(request).sessions.length && 'session' in request) throw new TypeError(TAKEN)
      const own: NodeSession<D, Data> = new NodeSession(sessions, request, {
        hasBegun: () => response.headersSent,
        onOpen: () => watch(own, request, response, next),
      })
      Object.assign(request, { session: own.open })
      next?.()
    }
    // Without a `next` nothing here can keep the application from answering too.
    if (!route || !next || request.method !== 'POST') return go()
    route(requestOf(request))
      .then((answer) => (answer ? sendResponse(response, answer) : go()))
      .catch(next)
  }
}

/**
 * Lets only those sessions through that meet the requirements; see `requireSession` of
 * `sojourn/guard` for what the others are answered. Comes after {@link session}. While the store is
 * down, and where the guard itself fails, `next` gets the error.
 *
 * @throws TypeError naming the requirement that is wrong.
 *
 * @example
 * app.use('/account', requireSession({ onMissing: '/login' }))
 */
export function requireSession<D extends SessionData>(
  requirements: Requirements<D> = {},
): (
  request: NodeRequest,
  response: NodeResponse,
  next: (error?: unknown) => void,
) => Promise<void> {
  const check = createCheck(requirements, undefined, rethrow)
  return async (request, response, next) => {
    const own = partsOf(request).sessions.at(-1)
    try {
      if (!own) throw new TypeError('requireSession() needs app.use(session(sessions)) before it')
      const refusal = await check(requestOf(request), own.open as () => Promise<Session<D>>)
      if (refusal) return await sendResponse(response, refusal)
    } catch (error) {
      own?.fail(error)
      return next(error)
    }
    next()
  }
}

/** Holds the head, and ends what is read of the store when the client has gone. */
function watch(
  own: Pick<NodeSession, 'commit' | 'fail'>,
  request: NodeRequest,
  response: NodeResponse,
  next: ((error?: unknown) => void) | undefined,
): void {
  const earlier = response.getHeaders()
  response.once('close', () => {
    if (!response.writableFinished) abortRequest(request)
  })
  holdHead(response, {
    before: (head, save) => own.commit(head, save),
    failed(error, isOver) {
      own.fail(error)
      const saved = isUnavailable(error) ? [] : cookiesOfSessions(request, response)
      new HeadHeaders(response).clear()
      for (const [name, value] of Object.entries(earlier)) response.setHeader(name, value as string)
      new HeadHeaders(response).put(saved)
      response.statusCode = isUnavailable(error) ? error.status : 500
      // That of HTTP/2 has no message, and warns where one is asked for.
      if (!('stream' in response)) response.statusMessage = ''
      if (isOver && next?.length) next(error)
      else
        response.end(response.statusCode === 503 ? 'Service Unavailable' : 'Internal Server Error')
    },
  })
}

/** Returns the cookies of sessions of the message that were saved: a rotation without them would sign out. */
function cookiesOfSessions(request: NodeRequest, response: NodeResponse): [string, string][] {
  const names = partsOf(request).sessions.map(({ name }) => String(name))
  const set = new HeadHeaders(response).getSetCookie()
  const ours = set.filter((one) => names.some((name) => one.startsWith(name)))
  return ours.map((one) => ['set-cookie', one])
}

/**
 * Sends a `Response` as the answer to a message of Node, for handlers that make one: `sessions.statusHandler()`.
 * `Set-Cookie` values that are set already stay.
 *
 * @example
 * const status = sessions.statusHandler()
 * app.all('/session-status', async (req, res) => sendResponse(res, await status(requestOf(req))))
 */
export async function sendResponse(response: NodeResponse, answer: Response): Promise<void> {
  const isResponse = typeof answer?.headers?.getSetCookie === 'function'
  expectArgument(isResponse, 'answer', 'a Response', answer)
  response.statusCode = answer.status
  new HeadHeaders(response).put(answer.headers)
  response.end(new Uint8Array(await answer.arrayBuffer()))
}
