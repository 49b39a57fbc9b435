/**
 * Sessions for Cloudflare Workers, whose secrets and bindings come with the request.
 *
 * @module
 * @example
 * import { withSessions } from 'sojourn/workers'
 *
 * export default withSessions(
 *   (env: Env) => ({ secret: env.SESSION_SECRET }),
 *   async (request, env, ctx, sessions) => {
 *     const session = await sessions.get(request)
 *     return new Response(`Hello ${session.subject ?? 'stranger'}`)
 *   },
 * )
 */
import { expectArgument } from '../check.ts'
import type { SessionsOptions } from '../options.ts'
import { background } from '../session/instances.ts'
import type { SessionData } from '../session/session.ts'
import { createSessions, type Initial, type Sessions } from '../session/sessions.ts'
import type { StandardSchemaV1 } from '../standard-schema.ts'
import { oncePerEnv } from './once-per-env.ts'

/** The members of a Worker's `ExecutionContext` that are passed on. */
export interface WorkerContext {
  waitUntil(promise: Promise<unknown>): void
  passThroughOnException(): void
}

/** A fetch handler that is given the sessions too. */
export type SessionsHandler<
  E,
  D extends SessionData,
  C extends WorkerContext = WorkerContext,
  Data extends object = Partial<D>,
> = (request: Request, env: E, ctx: C, sessions: Sessions<D, Data>) => Response | Promise<Response>

/** The default export of a Worker; other handlers (`scheduled`, `queue`) can be spread beside it. */
export interface SessionsWorker<E, C extends WorkerContext = WorkerContext> {
  fetch(request: Request, env: E, ctx: C): Promise<Response>
}

/**
 * Wraps a fetch handler: sessions are created from `env` once per isolate, and again where what they
 * were made from differs; they are committed with every response, and a store that fails the handler
 * is answered with 503.
 *
 * @throws as `createSessions`, at the first request: the environment is not known before.
 */
export function withSessions<
  E,
  D extends SessionData,
  C extends WorkerContext = WorkerContext,
  Input = unknown,
>(
  options: (env: E) => SessionsOptions<D> & { schema: StandardSchemaV1<Input, D> },
  handler: SessionsHandler<E, D, C, Initial<Input, D>>,
): SessionsWorker<E, C>
export function withSessions<E, D extends SessionData, C extends WorkerContext = WorkerContext>(
  options: (env: E) => SessionsOptions<D>,
  handler: SessionsHandler<E, D, C>,
): SessionsWorker<E, C>
export function withSessions<E, D extends SessionData, C extends WorkerContext = WorkerContext>(
  options: (env: E) => SessionsOptions<D>,
  handler: SessionsHandler<E, D, C>,
): SessionsWorker<E, C> {
  const what = 'a function of the environment'
  expectArgument(typeof options === 'function', 'options', what, options)
  expectArgument(typeof handler === 'function', 'handler', 'a function', handler)
  const sessionsOf = oncePerEnv(({ env }: { env: E }) => createSessions(options(env)))
  return {
    async fetch(request, env, ctx) {
      const sessions = sessionsOf({ env })
      try {
        return await sessions.handler((request) => handler(request, env, ctx, sessions))(request)
      } finally {
        const begun = background.get(request)
        if (begun) ctx.waitUntil(begun)
      }
    },
  }
}
