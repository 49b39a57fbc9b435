/** `createSessions`: open, use, commit. */
import { applyRules, expectArgument } from '../check.ts'
import type { HealthOptions, HealthReport } from '../observe/health.ts'
import type { SessionsOptions } from '../options.ts'
import type { StandardSchemaV1 } from '../standard-schema.ts'
import { unavailableAnswer } from '../transport/response.ts'
import { COMMIT_RULES } from './argument-rules.ts'
import { createInstance } from './instance.ts'
import { draftOf, getDraft, setInstance } from './instances.ts'
import { commitRequest, createOpener, isRequest, openRequest, refuse } from './requests.ts'
import { saveSession } from './save.ts'
import type { Session, SessionData } from './session.ts'
import type { RevokeAllOptions, RevokeOptions, SessionInfo, SessionUser } from './session-list.ts'

/** The sessions of one application, or of one cookie of it. `D` and `Data`: see {@link Session}. */
export interface Sessions<D extends SessionData = SessionData, Data extends object = Partial<D>> {
  /**
   * The session of a request. Nothing is read before, and only once per `Request` object.
   *
   * Never throws for what the client sent: see {@link Session.status}.
   *
   * @throws the reason of the request's own signal, when the client has gone before the store answered;
   * {@link StoreUnavailableError} with `onStoreFailure: 'throw'`;
   * {@link SessionCorruptionError} or {@link SessionValidationError} with `onCorruption: 'throw'`;
   * {@link SessionCommittedError} when it is first called after the response was committed.
   */
  get(request: Request): Promise<Session<D, Data>>
  /**
   * As `get`, but throws when there is no session: {@link SessionNotFoundError},
   * {@link SessionExpiredError}, {@link SessionEncryptionError}, {@link SessionBindingError},
   * {@link SessionCorruptionError}, {@link SessionValidationError}, {@link StoreUnavailableError}.
   */
  require(request: Request): Promise<Session<D, Data>>
  /**
   * Saves the session of a request and returns the response with its `Set-Cookie`, `Vary` and
   * `Cache-Control`: `private, no-store` beside a cookie, `private` for a page that read a session
   * and sets none; headers for CDNs alone (`CDN-Cache-Control`) go. A response that could be sent
   * twice, or gets a cookie, is copied and stays as it was. The response itself, untouched, when the
   * session was not used.
   *
   * A session that is first asked for after its request was committed throws
   * {@link SessionCommittedError}: it would be saved no more, and its page could be cached.
   *
   * @param options.save `false`: saves nothing, for the page of an error; changes are reported as
   * `session.uncommitted`. (default: `false` from status 500 on)
   * @throws as {@link Sessions.save}; TypeError for an option that is unknown or no boolean.
   */
  commit(request: Request, response: Response, options?: { save?: boolean }): Promise<Response>
  /**
   * Wraps a fetch handler: commits what it returns, answers 503 when the store fails it. When it
   * throws, or answers with 500 or above, nothing is saved.
   */
  handler<A extends unknown[]>(
    fn: (request: Request, ...rest: A) => Response | Promise<Response>,
  ): (request: Request, ...rest: A) => Promise<Response>
  /**
   * The session of a `Cookie` header (or of that of `transport`), for places without a `Request`.
   * Throws as `get`.
   */
  open(cookieHeader: string | null): Promise<Session<D, Data>>
  /**
   * Saves a session and returns the `Set-Cookie` values to append; `[]` when there is nothing to
   * say. Changing the session afterwards throws. Saving it again, as the handler around it does, saves
   * nothing more and returns the same values; after an error it tries again.
   *
   * What `destroy({ clear })` asks for is a header, and not among them: set `Clear-Site-Data: "cache", "storage"`
   * on the response yourself.
   *
   * @throws {@link CookieTooLargeError}, {@link SessionValidationError},
   * {@link StoreUnavailableError}, {@link SessionConflictError}; nothing was saved then.
   */
  save(session: Session<D, Data>): Promise<string[]>
  /**
   * A user's live sessions. One round trip where the store has an index.
   *
   * @param user The subject of a `login`, or a session that the user is signed in to; `[]` where nobody is.
   * @throws {@link SessionNotFoundError} for a session that was destroyed, or replaced by a sign-in under way, so that it
   * cannot say who the user is; {@link SessionError} with code `ERR_STORE_REQUIRED` without a store, with one that
   * cannot find sessions by user, or with `seal: 'cookie'`; {@link StoreUnavailableError}.
   */
  list(user: SessionUser): Promise<SessionInfo[]>
  /** The live sessions that have a tag. As `list`. */
  listBy(tag: string): Promise<SessionInfo[]>
  /** All live sessions, in pages, where the store can. Throws as `list`. */
  all(): AsyncIterable<SessionInfo>
  /**
   * Ends the session with this {@link Session.id}; `false` when there is none, or with `revocations` when
   * it was ended already. With `subject` only if it is that user's, for ids that come from a form. Throws as `list`.
   */
  revoke(id: string, options?: RevokeOptions): Promise<boolean>
  /**
   * Signs a user out everywhere, but for the session `except` if given, and returns how many
   * sessions that ended. For sessions in cookies see {@link SessionsOptions.revocations}: nobody knows how
   * many there are, so that it returns 1. Throws as `list`.
   *
   * @param user As in `list`; 0 where nobody is signed in. Call it before `destroy`.
   */
  revokeAll(user: SessionUser, options?: RevokeAllOptions): Promise<number>
  /** Ends the sessions that have a tag; else as `revokeAll`. */
  revokeBy(tag: string, options?: RevokeAllOptions): Promise<number>
  /**
   * Asks the store for a sign of life, within a second; with `deep: true` for a thorough one, within
   * four. Never throws for what the store does.
   */
  health(options?: HealthOptions): Promise<HealthReport>
  /**
   * Makes the endpoint that pages ask who is signed in: for {@link watchSession} of `sojourn/client`, at a
   * path of its own. `GET` answers with {@link SignInStatus} as JSON and `no-store`, and renews nothing. `POST`
   * answers alike, and renews a session as its use does. Nobody is known to be signed in or not while the store
   * cannot be asked, or while a rotation is on its way: 503.
   *
   * Costs a store call within no more than `snapshot.maxAge`: a session in a store without a snapshot is read once for
   * each request. It needs no handler around it, and no guard, which would turn away whoever is signed out.
   *
   * @example
   * app.all('/session-status', (c) => status(c.req.raw)) // const status = sessions.statusHandler()
   */
  statusHandler(): (request: Request) => Promise<Response>
  /** Closes the connections of the store. */
  close(): Promise<void>
}

/** The data of a new session: all of `D` where the schema takes `{}`, as with defaults. */
// biome-ignore lint/complexity/noBannedTypes: asks whether an object without properties is one.
export type Initial<Input, D> = {} extends Input ? D : Partial<D>

/**
 * Creates the sessions of an application. Pure: no I/O, timer or randomness before the first
 * request.
 *
 * @throws TypeError or RangeError naming the option that is wrong.
 *
 * @example
 * const sessions = createSessions<{ visits: number }>({ secret: env.SESSION_SECRET })
 * export default {
 *   fetch: sessions.handler(async (request) => {
 *     const session = await sessions.get(request)
 *     session.update('visits', (n = 0) => n + 1)
 *     return new Response(`visit ${session.get('visits')}`)
 *   }),
 * }
 */
export function createSessions<D extends SessionData, Input = unknown>(
  options: SessionsOptions<D> & { schema: StandardSchemaV1<Input, D> },
): Sessions<D, Initial<Input, D>>
export function createSessions<D extends SessionData = SessionData>(
  options: SessionsOptions<D>,
): Sessions<D>
export function createSessions<D extends SessionData>(options: SessionsOptions<D>): Sessions<D, D> {
  const instance = createInstance(options)
  const subjects = () => import('../revocation/subjects.ts')
  const opener = createOpener<D>(instance)

  const sessions: Sessions<D, D> = {
    get: (request) => openRequest(opener, request),
    async require(request) {
      const session = await sessions.get(request)
      const { noSession } = getDraft(session)
      if (noSession) throw await noSession()
      return session
    },
    async commit(request, response, options) {
      if (!isRequest(request)) return refuse(request)
      const { save } = applyRules<{ save?: boolean }>('commit.', COMMIT_RULES, options)
      return (await instance.route?.(request)) ?? commitRequest(opener, request, response, save)
    },
    handler(fn) {
      expectArgument(typeof fn === 'function', 'fn', 'a function', fn)
      return async (request, ...rest) => {
        try {
          const own = instance.route && (await instance.route(request))
          if (own) return own
          const response = commitRequest(opener, request, await fn(request, ...rest), undefined)
          return response instanceof Promise ? await response : response
        } catch (error) {
          // Reports what the handler had changed.
          await commitRequest(opener, request, Response.error(), false)
          return unavailableAnswer(error)
        }
      }
    },
    async open(header) {
      const isHeader = typeof (header ?? '') === 'string'
      expectArgument(isHeader, 'cookieHeader', 'a text', header)
      return opener.open(header ?? null)
    },
    async save(session) {
      const [draft, own] = draftOf(session) ?? []
      if (own !== instance) return (await import('./seldom.ts')).refuseSession(session)
      return saveSession(instance, await opener.backend(), draft!)
    },
    list: async (user) => (await subjects()).list(instance, user),
    listBy: async (tag) => (await subjects()).listBy(instance, tag),
    async *all() {
      yield* (await subjects()).all(instance)
    },
    revoke: async (...call) => (await subjects()).revoke(instance, ...call),
    revokeAll: async (...call) => (await subjects()).revokeAll(instance, ...call),
    revokeBy: async (...call) => (await subjects()).revokeBy(instance, ...call),
    health: async (options) =>
      (await import('../observe/health.ts')).reportHealth(instance, options),
    statusHandler: () => async (request) =>
      (await import('./status.ts')).tellStatus(opener, request),
    close: async () => instance.store?.close?.(),
  }
  setInstance(sessions, instance)
  return sessions
}
