/** A `Request` for what Node's servers hand to a handler. It has the headers and the address, and no body. */
import { expectArgument, isObject } from '../check.ts'
import { hasPath } from '../guard/return-path.ts'

/** The members of Node's `IncomingMessage`, and of Express's request, that are read. */
export interface NodeRequest {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly socket?: object | null
}

/** Express keeps the whole path here while a router sees a part of it. */
interface ExpressRequest {
  readonly originalUrl?: string
  /** `https` also behind a trusted proxy. */
  readonly protocol?: string
}

/** Methods that a `Request` cannot have. They count as POST: one read as GET would be safe, and may open a WebSocket (RFC 8441). */
const NO_METHOD = /^(?:connect|trace|track)$/i

/** A session of a message. */
export interface MessageSession {
  /** The name of its cookie; sessions that wrap others stand for themselves. */
  readonly name: unknown
  open(): Promise<object>
  /** Notes the error that the response will tell of. */
  fail(error: unknown): void
  /** Lets a `Request` stand for the same session. */
  know(request: Request): void
}

/**
 * The parts of a message that opening a session reads, as a `Request` has them. To make a `Request`
 * takes longer than all the rest, so that one is made only for whoever needs it.
 */
export class MessageParts {
  readonly method: string
  readonly headers: { get(name: string): string | null }
  readonly sessions: MessageSession[] = []
  request: Request | undefined
  readonly #message: NodeRequest
  #controller: AbortController | undefined

  constructor(message: NodeRequest) {
    const { headers, method = 'GET' } = message
    this.#message = message
    this.method = method
    this.headers = {
      get(name) {
        return headers[name.toLowerCase()]?.toString() ?? null
      },
    }
  }

  /** Returns the parts in place of a `Request`, for sessions alone: opening and committing them reads nothing else of one. */
  asRequest(): Request {
    return this as object as Request
  }

  /** The address, whose path says whether a browser registers or refreshes a key (`deviceBound`). */
  get url(): string {
    return urlOf(this.#message)
  }

  get controller(): AbortController {
    this.#controller ??= new AbortController()
    return this.#controller
  }

  get signal(): AbortSignal {
    return this.controller.signal
  }
}

/** A property costs each request less than a map of all requests. */
const PARTS: unique symbol = Symbol('sojourn')

/** Returns the parts of a message, always the same ones. */
export function partsOf(message: NodeRequest & { [PARTS]?: MessageParts }): MessageParts {
  const known = message[PARTS]
  if (known) return known
  const value = new MessageParts(message)
  // Not enumerable: nobody who prints or copies a message sees it.
  Object.defineProperty(message, PARTS, { value })
  return value
}

/**
 * Returns the `Request` that stands for a message of Node, always the same one, for what takes a
 * `Request`: `refuseCrossSite` and `returnPath` of `sojourn/guard`. It has no body. Its address has the path that a router
 * sees: a target that a URL would resolve, such as `/a/../b`, has the path `/%00`, and a `Host` that is none is `localhost`.
 *
 * @throws TypeError when it is no message of Node.
 */
export function requestOf(message: NodeRequest): Request {
  expectArgument(isObject(message?.headers), 'message', 'a request of Node', message)
  const parts = partsOf(message)
  if (parts.request) return parts.request
  const headers = new Headers()
  for (const [name, value] of Object.entries(message.headers)) {
    // HTTP/2 has the method, the path and the host among the headers, and what HTTP/1.1 has in `Upgrade`.
    if (name === ':protocol') headers.set('upgrade', String(value))
    if (name.startsWith(':')) continue
    for (const one of [value ?? []].flat()) headers.append(name, one)
  }
  const method = NO_METHOD.test(parts.method) ? 'POST' : parts.method
  const request = new Request(parts.url, { method, headers })
  // To pass it to the constructor takes twice the time of all the rest.
  Object.defineProperty(request, 'signal', { get: () => parts.signal })
  parts.request = request
  for (const session of parts.sessions) session.know(request)
  return request
}

/** Aborts the signal of a message's request: the client has gone. */
export function abortRequest(message: NodeRequest): void {
  partsOf(message).controller.abort()
}

/** A request target: scheme and authority where it is in the form for proxies, and the rest. */
const TARGET = /^(?:(https?):\/\/([^/?#\\]*))?(.*)/is
/** Characters that a URL has with a percent sign, and a router takes either way. */
const ESCAPED = /["'<>^`{}]/g
const spell = (one: string): string => `%${one.charCodeAt(0).toString(16).toUpperCase()}`
/** An address of no page, for targets that a URL cannot have as they are. */
const NOWHERE = 'http://localhost/%00'

/**
 * Returns an absolute URL, whatever the client sent: `OPTIONS *` and a broken `Host` too. Its path is that which
 * the application's router sees, or none of a page: a guard must not take `/admin/../sign-in`, nor `/admin` of a host
 * `x/sign-in?`, for the page to sign in on.
 */
function urlOf(message: NodeRequest & ExpressRequest): string {
  const { headers, protocol, socket } = message
  const target = TARGET.exec(message.originalUrl ?? message.url ?? '/')!
  const [scheme = protocol, host = headers.host ?? headers[':authority'] ?? '', given = ''] =
    target.slice(1)
  const path = given.replace(ESCAPED, spell)
  const said = scheme ?? (socket && 'encrypted' in socket ? 'https' : 'http')
  // No target has a fragment.
  const hosts = /#./.test(path) ? [] : [host, 'localhost']
  // Joined as text: a path that starts with two slashes names no other host.
  const urls = hosts.map((one) => `${said}://${one}${path}`)
  return urls.find((url) => hasPath(url, path)) ?? NOWHERE
}
