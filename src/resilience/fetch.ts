/** `fetch` with retries, limits of time and size, and a circuit breaker. */
import {
  applyRules,
  expectArgument,
  expectOptions,
  functionRule,
  isObject,
  numberRule,
  type Rule,
  wordRule,
} from '../check.ts'
import { discard, readBody } from './body.ts'
import { createRetry, type RetryPolicy } from './retry.ts'
import { retryAfterOf } from './retry-after.ts'

/** Options for {@link resilientFetch}, beside those of the retry. */
export interface ResilientFetchOptions extends RetryPolicy {
  /** Sends the requests. (default: the runtime's own) */
  fetch?: FetchLike
  /**
   * Methods that are retried; others get one attempt. `'all'` is for services where everything
   * may be done twice. (default: GET, HEAD, OPTIONS, PUT, DELETE, TRACE, the idempotent ones of
   * {@link https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2 RFC 9110, 9.2.2})
   */
  methods?: readonly string[] | 'all'
  /** Bytes accepted of a body; more rejects, and is not retried. (default: 10 MiB) */
  maxBytes?: number
  /** `'refuse'` rejects on a redirect, so that credentials go nowhere else. (default: 'follow') */
  redirects?: 'follow' | 'refuse'
}

/** The signature of `fetch`, as far as it is the same everywhere. */
export type FetchLike = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

const IDEMPOTENT = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']

/** Answers that a later attempt may well change. */
const RETRYABLE: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504])

type OwnOptions = Pick<ResilientFetchOptions, 'fetch' | 'methods' | 'maxBytes' | 'redirects'>

const RULES: Record<keyof OwnOptions, Rule> = {
  fetch: functionRule((input: string | URL | Request, init?: RequestInit) => fetch(input, init)),
  methods: [
    IDEMPOTENT,
    '"all" or a list of methods',
    (value: unknown) => value === 'all' || Array.isArray(value),
  ],
  maxBytes: numberRule(10_485_760, 0, Infinity),
  redirects: wordRule('follow', 'refuse'),
}

/** Splits the options into our own and those of the retry. */
function parts(options: ResilientFetchOptions): Required<OwnOptions> & { policy: RetryPolicy } {
  expectArgument(isObject(options), 'options', 'an object or a function', options)
  expectOptions('options', options)
  const { methods, maxBytes, redirects, fetch, ...policy } = options
  const own = { methods, maxBytes, redirects, fetch }
  return { ...applyRules<Required<OwnOptions>>('', RULES, own), policy }
}

/** Carries an answer through the retry loop, which decides by errors only. */
class RetryableAnswer {
  readonly response: Response
  readonly retryAfter: number | undefined

  constructor(response: Response, now: number) {
    this.response = response
    this.retryAfter = retryAfterOf(response.headers, now)
  }
}

/** An answer that it is no use to ask for again. */
function refusal(message: string): TypeError {
  return Object.assign(new TypeError(`Cannot fetch: ${message}`), { retryable: false })
}

function isRedirect({ type, status }: Response): boolean {
  return type === 'opaqueredirect' || [301, 302, 303, 307, 308].includes(status)
}

/** As in `fetch`, most methods may be written in lower case. */
function isRepeatable(method: string, methods: readonly string[] | 'all'): boolean {
  return methods === 'all' || methods.some((one) => one.toUpperCase() === method)
}

/** A stream can be sent once; only a `Request` can be cloned for each attempt. */
function replayable(
  input: string | URL | Request,
  init: RequestInit | undefined,
): Request | undefined {
  const streams = init?.body instanceof ReadableStream
  if (!streams && !(input instanceof Request)) return undefined
  return new Request(input, streams ? ({ ...init, duplex: 'half' } as RequestInit) : init)
}

/** The same answer with its body in memory. It has the same `url`, unlike other copies. */
async function buffer(
  response: Response,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Response> {
  if (response.status === 101 || response.status === 0) return response
  const body = await readBody(response, maxBytes, signal, () =>
    refusal(`the body is larger than ${maxBytes} bytes`),
  )
  const { status, statusText, headers, url } = response
  const empty = [204, 205, 304].includes(status)
  const copy = new Response(empty ? null : body, { status, statusText, headers })
  return Object.defineProperty(copy, 'url', { value: url })
}

/**
 * Makes a `fetch` that tries again when it is rejected, times out, or gets 408, 425, 429, 500, 502,
 * 503 or 504, waiting as long as `Retry-After` says. When attempts run out it returns the last
 * answer, as `fetch` does, or rejects with the last failure.
 *
 * Bodies are read before it resolves, within the same limits of time and at most `maxBytes`: do
 * not use it for streams. The caller's `signal` ends everything at once.
 *
 * `retryIf` and `isFailure` are given what `fetch` rejected with, or `{ response, retryAfter }` for
 * one of these answers.
 *
 * @param options Or a function that returns them, asked for every call.
 * @throws TypeError or RangeError when an option is unknown, of the wrong type or out of range; from
 * the call when they are a function.
 *
 * @example
 * const request = resilientFetch({ attempts: 4, redirects: 'refuse' })
 * const response = await request('https://api.example.com/users', { signal })
 */
export function resilientFetch(
  options: ResilientFetchOptions | (() => ResilientFetchOptions) = {},
): FetchLike {
  const ask = typeof options === 'function' ? options : () => options
  const policyOf = (): RetryPolicy => parts(ask()).policy
  const retry = createRetry(ask === options ? policyOf : policyOf())

  return async (input, init) => {
    const { fetch: send, maxBytes, methods, policy, redirects } = parts(ask())
    const { now = () => Date.now() } = policy
    const redirect = redirects === 'refuse' ? ('manual' as const) : undefined
    const request = replayable(input, init)
    const method = (init?.method ?? request?.method ?? 'GET').toUpperCase()
    const enabled = policy.enabled !== false && isRepeatable(method, methods)

    async function attempt(signal: AbortSignal): Promise<Response> {
      const extra = { signal, ...(redirect && { redirect }) }
      const response = request
        ? await send(request.clone(), extra)
        : await send(input, { ...init, ...extra })
      if (redirect && isRedirect(response)) {
        discard(response)
        throw refusal('the answer is a redirect')
      }
      const answer = await buffer(response, maxBytes, signal)
      if (RETRYABLE.has(answer.status)) throw new RetryableAnswer(answer, now())
      return answer
    }

    try {
      const signal = init?.signal ?? request?.signal
      return await retry(attempt, { enabled, signal })
    } catch (error) {
      if (error instanceof RetryableAnswer) return error.response
      throw error
    }
  }
}
