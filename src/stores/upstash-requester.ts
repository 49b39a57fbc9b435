/** Gives a client of `@upstash/redis` retries that see status, headers and body. */
import { applyRules, functionRule } from '../check.ts'
import { StoreTimeoutError } from '../errors.ts'
import { createRetry, type RetryPolicy } from '../resilience/retry.ts'
import { noUsableReply } from './redis-record.ts'
import { createTransport, type UpstashConnection } from './upstash-rest.ts'

/** Options for {@link createRequester}: a connection, and settings of the retry. */
export interface RequesterOptions extends UpstashConnection, RetryPolicy {
  /**
   * Returns whether a command may be sent again when its answer was lost. (default: reads, and writes that
   * end the same when done twice, such as `SET`, `DEL`, `EXPIRE`; not scripts)
   *
   * @param name In upper case. Of a pipeline every command must be repeatable.
   */
  repeatable?: (name: string) => boolean
}

/** A `Requester` of `@upstash/redis`: `new Redis(requester)` takes it. */
export interface UpstashRequester {
  /** `false`: the sync token is not sent. (default: `true`) */
  readYourWrites?: boolean
  /** The client's `readYourWritesSyncToken`: read, and handed over from elsewhere. */
  upstashSyncToken?: string
  /** As in `@upstash/redis`: with 0 attempts every command is sent once, which is what a store wants. */
  readonly retry?: { readonly attempts: number }
  request<TResult = unknown>(request: {
    path?: string[]
    body?: unknown
    signal?: AbortSignal
    isStreaming?: boolean
  }): Promise<{ result?: TResult; error?: string }>
}

const REPEATABLE = new RegExp(
  '^(M?GET|GETRANGE|EXISTS|PING|ECHO|TIME|TYPE|P?TTL|STRLEN|SCAN|KEYS|DBSIZE|DEL|UNLINK' +
    '|M?SET|P?SETEX|P?EXPIRE(AT)?|PERSIST|H(M?GET|GETALL|KEYS|VALS|LEN|EXISTS|M?SET|DEL)' +
    '|S(CARD|MEMBERS|M?ISMEMBER|ADD|REM)|Z(CARD|SCORE|RANGE|RANGEBYSCORE|REM|REMRANGEBYSCORE)' +
    '|L(RANGE|LEN|INDEX)|EVAL(SHA)?_RO)$',
)

/** `SET` with one of these tells what was there before, which is different the second time. */
const CONDITIONS = /^(NX|XX|GET)$/i

const RULES = {
  fetch: functionRule(),
  repeatable: functionRule((name: string) => REPEATABLE.test(name)),
}

type Command = readonly unknown[]

function isRepeatable(command: Command, repeatable: (name: string) => boolean): boolean {
  const name = String(command[0]).toUpperCase()
  const conditional =
    name === 'SET' && command.slice(3).some((word) => CONDITIONS.test(String(word)))
  return !conditional && repeatable(name)
}

/** An error of Redis without what it quotes: commands, keys and values. */
function cleaned(error: unknown): string {
  const text = String(error).replace(/(,? with args|, command was).*$/s, '')
  return text.replace(/'[^']*'|"[^"]*"|`[^`]*`/g, "'...'").slice(0, 200)
}

function itemOf(answer: unknown): { result?: unknown; error?: string } {
  const { result, error } = Object(answer) as { result?: unknown; error?: unknown }
  if (typeof error === 'string') return { error: cleaned(error) }
  if (result === undefined) throw noUsableReply()
  return { result }
}

/**
 * Makes a `Requester` for `new Redis(requester)` that retries like {@link createRetry}: rejected
 * fetches, timeouts, 408, 425, 429, 5xx and answers that are cut or no JSON. `Retry-After` is
 * honoured, redirects are refused, and no error quotes a command or a body.
 *
 * Answers are taken as UTF-8, not as base64. Streams (`subscribe`, `monitor`) are not supported.
 * `Redis` of `@upstash/redis/cloudflare` takes no requester: give this one to
 * {@link createUpstashStore} itself, or take the main entry.
 *
 * @throws TypeError when `url` is not `https:` (loopback apart), `token` is missing, or an option is
 * unknown or of the wrong type; RangeError for a number out of range.
 *
 * @example
 * const redis = new Redis(createRequester({ url, token, attempts: 4 }))
 */
export function createRequester(options: RequesterOptions): UpstashRequester {
  const { url, token, fetch, repeatable: given, ...policy }: RequesterOptions = Object(options)
  const own = { fetch, repeatable: given }
  const { repeatable } = applyRules<Required<RequesterOptions>>('', RULES, own)
  const { now = () => Date.now(), enabled = true } = policy
  const connection = { url, token, ...(fetch && { fetch }) }
  const sync = { token: '' }
  const send = createTransport('createRequester', connection, now, sync)
  const late = (): Error => new StoreTimeoutError('Upstash did not answer in time')
  const retry = createRetry({ timeoutError: late, ...policy })

  return {
    retry: { attempts: policy.attempts ?? 3 },
    readYourWrites: true,
    get upstashSyncToken() {
      return sync.token
    },
    set upstashSyncToken(token) {
      sync.token = token
    },

    async request<TResult>(request: Parameters<UpstashRequester['request']>[0]) {
      const { path = [], body, signal, isStreaming } = request
      if (this?.readYourWrites === false) sync.token = ''
      if (isStreaming || !Array.isArray(body)) {
        throw new TypeError('createRequester: only commands and pipelines are supported')
      }
      const isMany = Array.isArray(body[0])
      const commands: readonly Command[] = isMany ? body : [body]
      const safe = commands.every((command) => isRepeatable(command, repeatable))
      const suffix = path.map((part) => `/${encodeURIComponent(part)}`).join('')
      const answer = await retry(
        async (one) => {
          const json = await send(body, one, suffix)
          if (Array.isArray(json)) return json.map(itemOf)
          const item = itemOf(json)
          // A client makes its own error of what each command of a pipeline gets.
          return isMany && item.error ? commands.map(() => item) : item
        },
        { signal, enabled: enabled && safe && this?.retry?.attempts !== 0 },
      )
      return answer as { result?: TResult; error?: string }
    },
  }
}
