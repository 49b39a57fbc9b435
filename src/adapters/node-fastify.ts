/** Sessions for Fastify, as a plugin. */
import { expectArgument, expectSessions } from '../check.ts'
import { createCheck, type Requirements, rethrow } from '../guard/requirements.ts'
import { instanceOf } from '../session/instances.ts'
import type { Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'
import { useNodeAes } from './node-aes.ts'
import type { NodeHead } from './node-headers.ts'
import { abortRequest, type NodeRequest, partsOf, requestOf } from './node-request.ts'
import { NodeSession } from './node-session.ts'

/** Options of {@link sojourn}. */
export interface SojournOptions {
  /** The sessions of the application. */
  // biome-ignore lint/suspicious/noExplicitAny: sessions of any data.
  sessions: Sessions<any, any>
}

/** The members of Fastify's reply that are used. */
export interface FastifyReplyLike {
  readonly statusCode: number
  getHeader(name: string): unknown
  getHeaders(): Readonly<Record<string, number | string | string[] | undefined>>
  header(name: string, value: unknown): unknown
  removeHeader(name: string): unknown
  code(status: number): unknown
  send(payload?: unknown): unknown
}

/** The members of a Fastify instance that the plugin uses. */
export interface FastifyLike {
  hasRequestDecorator(name: string): boolean
  decorateRequest(name: string, value: unknown): unknown
  // Fastify types each name of a hook by itself.
  addHook(name: never, hook: never): unknown
}

type Hook = (request: NodeRequest, reply: FastifyReplyLike, given: unknown) => Promise<unknown>

const sessionOf = (request: NodeRequest): NodeSession | undefined =>
  partsOf(request).sessions[0] as NodeSession | undefined

/**
 * Gives every request `request.session()`, and commits it in Fastify's `onSend` hook, before the
 * head of the response leaves. An error of the commit becomes the reply, as any error does. A
 * handler that threw, and a status of 500 or above, save nothing. What `reply.hijack()` and `reply.raw` send
 * passes by every hook: nothing is saved then, and `session.uncommitted` says so.
 *
 * @throws TypeError without `sessions`, and when `request.session` is taken, by `@fastify/session` for example.
 *
 * @example
 * fastify.register(sojourn, { sessions })
 * fastify.get('/', async (request) => ({ user: (await request.session()).subject }))
 *
 * // once, for the types
 * declare module 'fastify' {
 *   interface FastifyRequest extends SessionRequest<{ cart: string[] }> {}
 * }
 */
export const sojourn: (app: FastifyLike, options: SojournOptions) => Promise<void> = Object.assign(
  plugin,
  {
    // The decorator and the hooks are for the application, not for an inner part of it.
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: 'sojourn',
  },
)

async function plugin(app: FastifyLike, options: SojournOptions): Promise<void> {
  const { sessions } = Object(options) as SojournOptions
  expectSessions(sessions)
  useNodeAes()
  const isApp = typeof app?.decorateRequest === 'function'
  expectArgument(isApp, 'app', 'a Fastify instance, as app.register(sojourn, ...) gives it', app)
  if (app.hasRequestDecorator('session')) {
    throw new TypeError(
      '`request.session` is taken, by @fastify/session or by another sojourn: keep one of them',
    )
  }
  const hook = (name: string, run: Hook) => app.addHook(name as never, run as never)
  const commits = new WeakMap<object, Promise<unknown>>()
  const failed = new WeakSet<object>()
  // A getter, so that the function needs no `this`.
  function getter(this: NodeRequest): NodeSession['open'] {
    const hasBegun = (): boolean => commits.has(this)
    return (sessionOf(this) ?? new NodeSession(sessions, this, { hasBegun })).open
  }
  app.decorateRequest('session', { getter })
  const onSend: Hook = async (request, reply, payload) => {
    const own = sessionOf(request)
    const head = headOf(reply)
    const isError = failed.has(request)
    // It runs again for the page of an error, and where a handler sends twice, perhaps without knowing: one that is async and
    // does not return what it sends, sends nothing too. That must not be faster than the first answer.
    const first = commits.get(request)
    if (first) {
      // Where that fails, its error is answered alone.
      await first.catch(() => isError || new Promise(() => {}))
      if (isError) await own?.commit(head, false)
      return payload
    }
    const save = isError ? false : undefined
    // Its headers replace those of the reply.
    const isResponse = payload instanceof Response
    const commit = isResponse ? own?.commitResponse(payload, save) : own?.commit(head, save)
    commits.set(request, Promise.resolve(commit))
    return (await commit) ?? payload
  }
  const { route } = instanceOf(sessions) ?? {}
  if (route) {
    hook('onRequest', async (request, reply) => {
      const answer = await route(requestOf(request))
      return answer ? reply.send(answer) : undefined
    })
  }
  hook('onRequestAbort', async (request) => abortRequest(request))
  hook('onError', async (request, _, error) => {
    failed.add(request)
    sessionOf(request)?.fail(error)
  })
  hook('onSend', onSend)
}

function headOf(reply: FastifyReplyLike): NodeHead {
  return {
    statusCode: reply.statusCode,
    getHeader: (name) => reply.getHeader(name) as string | undefined,
    getHeaders: () => reply.getHeaders(),
    removeHeader: (name) => reply.removeHeader(name),
    setHeader(name, value) {
      // Fastify adds cookies to those that are there.
      if (name === 'set-cookie') reply.removeHeader(name)
      reply.header(name, value)
    },
  }
}

/**
 * Makes a hook that lets only those sessions through that meet the requirements, as `requireSession`
 * does: for `preHandler`, of a route or of a part of the application.
 *
 * @throws TypeError naming the requirement that is wrong.
 *
 * @example
 * fastify.get('/account', { preHandler: requireSessionHook() }, account)
 */
export function requireSessionHook<D extends SessionData>(
  requirements: Requirements<D> = {},
): (request: NodeRequest, reply: FastifyReplyLike) => Promise<unknown> {
  const check = createCheck(requirements, undefined, rethrow)
  return async (request, reply) => {
    const { session } = request as { session?: () => Promise<Session<D>> }
    if (!session)
      throw new TypeError('requireSessionHook() needs app.register(sojourn, { sessions })')
    const refusal = await check(requestOf(request), session)
    return refusal ? reply.send(refusal) : undefined
  }
}
