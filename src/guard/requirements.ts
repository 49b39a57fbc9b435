/** The requirements of guards, and the check of a session against them. */
import {
  applyRules,
  type Complete,
  flagRule,
  functionRule,
  isObject,
  isToken,
  MAX_TIMEOUT,
  numberRule,
  type Rule,
  refuseUnless,
} from '../check.ts'
import { StoreUnavailableError } from '../errors.ts'
import { optionsOf } from '../session/instances.ts'
import type { Session, SessionData } from '../session/session.ts'
import { isOnPage, isPath, pageOf, redirect } from './return-path.ts'

/** Requirements on a session. */
export interface Requirements<D extends SessionData = SessionData> {
  /** Somebody has signed in. `false`: any live session will do. (default: `true`) */
  subject?: boolean | undefined
  /** Seconds since the last `login`: step-up for what matters more. (default: any time) */
  freshWithin?: number | undefined
  /**
   * Factors that the user must have proven ({@link Session.elevate}), all of them, each with the seconds since its
   * last proof at most: `{ passkey: 300 }`. (default: none)
   */
  factors?: Readonly<Record<string, number>> | undefined
  /**
   * `true`: a session that is bound to a device (`deviceBound`) must be proven to come from there. Those that are not bound pass, since not
   * every browser can bind them. (default: `false`)
   */
  bound?: boolean | undefined
  /** Somebody else may act for the user (`login` with an `actor`). `false`: they get 403. (default: `true`) */
  actor?: boolean | undefined
  /**
   * The answer to a visitor who is not signed in, or not lately enough: the path of the page to sign in on, to which browsers
   * are redirected with the way back in `returnTo`, and which everybody may see, with a slash at its
   * end and without, whatever its query and its method; or a function that answers, and may write to the session. Where other
   * pages have the same path and differ by their query alone, it has to be a function. Bun's `routes` with a wildcard need a function: they
   * match `/admin/../login` as it came, and show it to the guard as `/login`. (default: 401)
   */
  onMissing?: string | ((request: Request) => Response | Promise<Response>) | undefined
  /**
   * The answer to a user who is signed in, and has not proven the `factors` lately enough: the path of the page to
   * prove them on, as in `onMissing`, which every user who is signed in may see; or a function, which gets the names
   * of those that are missing. (default: `onMissing`)
   */
  onStepUp?: string | AnswerMissing | undefined
  /**
   * Answers while the store is down and nobody can tell who is signed in; `error.getResponse()` is
   * the default. (default: 503 with `Retry-After`; in Hono the error is thrown, so that `app.onError`
   * gets it)
   */
  onUnavailable?:
    | ((request: Request, error: StoreUnavailableError) => Response | Promise<Response>)
    | undefined
  /** Returns whether a session may go on; everybody else gets 403. (default: everybody may) */
  allow?: ((session: Session<D>) => boolean | Promise<boolean>) | undefined
}

type Resolved<D extends SessionData> = Requirements<D> & Complete<Pick<Requirements<D>, 'factors'>>

/** Answers who lacks something; `missing`: the factors that have to be proven. */
export type AnswerMissing = (request: Request, missing: string[]) => Response | Promise<Response>

const ANSWER: Rule = [
  undefined,
  'a path such as "/login", or a function',
  (value: unknown) => typeof value === 'function' || isPath(value),
]

const SECONDS = numberRule(null, 1, MAX_TIMEOUT)
const NONE: Rule = [undefined, '', () => true]

const RULES: Record<string, Rule> = {
  subject: flagRule(true),
  bound: flagRule(false),
  freshWithin: numberRule(undefined, 1, MAX_TIMEOUT),
  factors: [
    {},
    'an object like { passkey: 300 }',
    (value: unknown) =>
      isObject(value) && !Array.isArray(value) && Object.keys(value).every(isToken),
  ],
  actor: flagRule(true),
  onMissing: ANSWER,
  onStepUp: ANSWER,
  onUnavailable: functionRule(),
  allow: functionRule(),
}

/**
 * Makes the check of {@link requireSession} for adapters, which open the session in their own way.
 *
 * @param declared The option `factors` of the sessions, where they are known already.
 * @param unavailable The default of `onUnavailable`.
 */
export function createCheck<D extends SessionData>(
  requirements: Requirements<D>,
  declared?: readonly string[],
  unavailable: NonNullable<Requirements['onUnavailable']> = (_, error) => error.getResponse(),
): (request: Request, open: () => Promise<Session<D>>) => Promise<Response | null> {
  const rules = applyRules<Resolved<D>>('requireSession.', RULES, requirements)
  const { actor, allow, factors, freshWithin, onMissing, onStepUp } = rules
  const { onUnavailable = unavailable } = rules
  const names = Object.keys(factors)
  assertFactors(factors, declared)
  return async (request, open) => {
    // Avoids a redirect loop on the sign-in page.
    if (typeof onMissing === 'string' && isOnPage(request.url, onMissing)) return null
    let session: Session<D>
    try {
      session = await open()
    } catch (error) {
      if (error instanceof StoreUnavailableError) {
        return expectResponse('onUnavailable', await onUnavailable(request, error))
      }
      throw error
    }
    const options = optionsOf(session)
    if (names.length) assertFactors(factors, options?.factors)
    const time = (options?.now ?? Date.now)()
    const isLately = (since: number | null | undefined, seconds: number): boolean =>
      (since ?? 0) > time - seconds * 1000
    const isSomebody = rules.subject || names.length ? session.subject !== null : isLive(session)
    const isUnproven = rules.bound === true && session.bound === false
    const isThere = isSomebody && !isUnproven
    const isFresh = !freshWithin || isLately(session.authenticatedAt, freshWithin)
    const missing = names.filter((name) => !isLately(session.factors[name], factors[name]!))
    if (isThere && !actor && session.actor !== null) return refusal(403, 'Forbidden')
    if (isThere && isFresh && !missing.length) {
      return !allow || (await allow(session)) ? null : refusal(403, 'Forbidden')
    }
    // No browser gives a proof while the store is down, and a copy of the session may be older than the key.
    if (session.status === 'degraded' && (session.subject === null || isUnproven)) {
      const message = 'Cannot tell who is signed in: the store failed'
      const error = new StoreUnavailableError(message)
      return expectResponse('onUnavailable', await onUnavailable(request, error))
    }
    if (!isThere || !isFresh) return await answer(request, onMissing, isThere ? freshWithin : null)
    // A page to prove it on, which asks for the same: avoids a redirect loop there.
    if (typeof onStepUp === 'string' && isOnPage(request.url, onStepUp)) return null
    const seconds = Math.min(...missing.map((name) => factors[name]!))
    return await answer(request, onStepUp ?? onMissing, seconds, missing)
  }
}

/** The `onUnavailable` of frameworks that have an error handler of their own. */
export function rethrow(_: Request, error: StoreUnavailableError): never {
  throw error
}

/** Tells whether there is a session. While the store is down an empty one is one of which nothing is known. */
function isLive({ data, status }: Session): boolean {
  return status === 'active' || (status === 'degraded' && Object.keys(data).length > 0)
}

/**
 * Answers who lacks something.
 *
 * @param seconds Since the proof that is asked for; nothing where nobody is signed in.
 * @param missing The factors that have to be proven.
 */
async function answer(
  request: Request,
  how: string | AnswerMissing | undefined,
  seconds: number | null | undefined,
  missing: string[] = [],
): Promise<Response> {
  if (typeof how === 'function') {
    return expectResponse('onMissing or onStepUp', await how(request, missing))
  }
  const page = how ? pageOf(request) : null
  if (how && page !== null) return redirect(page, how)
  const response = refusal(401, 'Unauthorized')
  if (seconds) response.headers.set('www-authenticate', challenge(seconds, missing))
  return response
}

/** Returns the answer of a function. Throws for none, which would let everybody through. */
function expectResponse(name: string, answer: Response): Response {
  const isResponse = typeof answer?.status === 'number'
  refuseUnless(isResponse, `requireSession.${name}`, 'a function that returns a Response', answer)
  return answer
}

/** Spells the challenge of RFC 9470, 3, with the factors that are missing. */
function challenge(seconds: number, missing: readonly string[]): string {
  const error =
    'error="insufficient_user_authentication", error_description="A more recent proof is required"'
  const factors = missing.length ? `, factors="${missing.join(' ')}"` : ''
  return `Session ${error}, max_age="${seconds}"${factors}`
}

/** Checks the seconds of factors, and that each is one of those `declared`: nobody could ever prove another one. */
function assertFactors(
  factors: Readonly<Record<string, number>>,
  declared: readonly string[] = Object.keys(factors),
): void {
  const rules = declared.map(
    (name) => [name, Object.hasOwn(factors, name) ? SECONDS : NONE] as const,
  )
  applyRules('requireSession.factors.', Object.fromEntries(rules), factors)
}

function refusal(status: number, text: string): Response {
  return new Response(text, { status, headers: { 'cache-control': 'no-store' } })
}
