/** Speaks Upstash's REST protocol: one request, one strictly read answer. */
import { SessionError, StoreError } from '../errors.ts'
import { discard, readBody } from '../resilience/body.ts'
import { retryAfterOf } from '../resilience/retry-after.ts'
import { because, becauseOf } from './errors.ts'
import { OVER_LIMIT } from './limits.ts'
import { noUsableReply } from './redis-record.ts'

/** Address and token of the database. */
export interface UpstashConnection {
  /** `UPSTASH_REDIS_REST_URL`. `https:`, except on loopback. */
  url: string
  /** `UPSTASH_REDIS_REST_TOKEN`. */
  token: string
  /** Sends the requests. (default: the runtime's own) */
  fetch?: (input: string, init: RequestInit) => Promise<Response>
}

/** Sends one command (or, to another path, several) and returns the JSON that comes back. */
export type Transport = (body: unknown, signal: AbortSignal, path?: string) => Promise<unknown>

/** Upstash takes requests of up to 10 MB; no answer to ours is larger. */
const MAX_BYTES = 10_485_760

function assertConnection(factory: string, { url, token }: UpstashConnection): string {
  // Not `new URL` at once: its error quotes what it is given, which may be the token.
  const parsed = new URL(URL.canParse(url) ? url : 'x:')
  const { protocol, hostname, origin, pathname, search, username } = parsed
  const local = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)
  if (search || username || !(protocol === 'https:' || (protocol === 'http:' && local))) {
    throw new TypeError(`${factory}: url must be an https URL without a query or a user`)
  }
  if (typeof token !== 'string' || !/^[!-~]+$/.test(token)) {
    throw new TypeError(`${factory}: token must be a string of visible ASCII characters`)
  }
  return origin + pathname.replace(/\/+$/, '')
}

/** Throws for what an answer's status alone says. Only 400 carries an error of Redis. */
function assertStatus({ status, type, headers }: Response, now: number): void {
  const why = because(undefined, status)
  if (why.reason === 'auth') throw new StoreError('Upstash refused the token', why)
  if (type === 'opaqueredirect' || (status >= 300 && status < 400)) {
    throw new StoreError('Upstash answered with a redirect')
  }
  if (status >= 500 || [408, 425, 429].includes(status)) {
    // Throttled without a word about for how long: a second is what others ask for.
    throw noUsableReply(retryAfterOf(headers, now) ?? (status === 429 ? 1 : undefined), why)
  }
  if (status > 400) throw new StoreError('Upstash refused a command', why)
}

/** The token with which reads see earlier writes, whichever replica they reach. */
export interface SyncToken {
  token: string
}

/** Makes what sends commands to one database, each exactly once. */
export function createTransport(
  factory: string,
  connection: UpstashConnection,
  now: () => number,
  sync: SyncToken = { token: '' },
): Transport {
  const base = assertConnection(factory, connection)
  const { token, fetch: send = (input, init) => fetch(input, init) } = connection

  return async (body, signal, path = '') => {
    try {
      const response = await send(base + path, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/json',
          ...(sync.token && { 'upstash-sync-token': sync.token }),
        },
        body: JSON.stringify(body),
        redirect: 'manual',
        signal,
        // For caches in front of fetch, such as that of Next. Workers of before November 2024 have
        // no such option, and throw for it.
        ...('cache' in Request.prototype && { cache: 'no-store' }),
      })
      try {
        assertStatus(response, now())
      } catch (error) {
        discard(response)
        throw error
      }
      const tooLarge = (): Error =>
        new StoreError('Upstash answered with more than 10 MiB', { reason: 'too-large' })
      const read = await readBody(response, MAX_BYTES, signal, tooLarge)
      sync.token = response.headers.get('upstash-sync-token') ?? sync.token
      const json = JSON.parse((await read?.text()) ?? '')
      if (!response.ok && !json?.error) throw noUsableReply()
      return json
    } catch (error) {
      if (error instanceof SessionError) throw error
      const why = becauseOf(error)
      throw OVER_LIMIT.test(String(error))
        ? new StoreError('Too many subrequests', why)
        : noUsableReply(undefined, why)
    }
  }
}
