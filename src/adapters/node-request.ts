/** A `Request` for what Node's servers hand to a handler. It has the headers and the address, and no body. */
import { expectArgument, isObject } from '../check.ts'

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

/** Methods that a `Request` cannot have. */
const NO_METHOD = /^(?:connect|trace|track)$/i

const made = new WeakMap<object, readonly [Request, AbortController]>()

/**
 * Returns the `Request` that stands for a message of Node, always the same one, for what takes a
 * `Request`: `refuseCrossSite` and `returnPath` of `sojourn/guard`. It has no body.
 *
 * @throws TypeError when it is no message of Node.
 */
export function requestOf(message: NodeRequest): Request {
  expectArgument(isObject(message?.headers), 'message', 'a request of Node', message)
  const [known] = made.get(message) ?? []
  if (known) return known
  const headers = new Headers()
  for (const [name, value] of Object.entries(message.headers)) {
    // HTTP/2 has the method, the path and the host among the headers.
    if (name.startsWith(':')) continue
    for (const one of [value ?? []].flat()) headers.append(name, one)
  }
  const { method = 'GET' } = message
  const controller = new AbortController()
  const request = new Request(urlOf(message), {
    method: NO_METHOD.test(method) ? 'GET' : method,
    headers,
  })
  // To pass it to the constructor takes twice the time of all the rest.
  Object.defineProperty(request, 'signal', { value: controller.signal })
  made.set(message, [request, controller])
  return request
}

/** Aborts the signal of a message's request: the client has gone. */
export function abortRequest(message: object): void {
  made.get(message)?.[1].abort()
}

/** Returns an absolute URL, whatever the client sent: `OPTIONS *` and a broken `Host` too. */
function urlOf(message: NodeRequest & ExpressRequest): string {
  const { headers, socket } = message
  const path = message.originalUrl ?? message.url ?? '/'
  const protocol = message.protocol ?? (socket && 'encrypted' in socket ? 'https' : 'http')
  const host = String(headers.host ?? headers[':authority'] ?? 'localhost')
  // Joined as text: a path that starts with two slashes names no other host.
  const url = path.startsWith('/') ? `${protocol}://${host}${path}` : path
  if (URL.canParse(url)) return url
  return path.startsWith('/') ? `${protocol}://localhost${path}` : `${protocol}://${host}/`
}
