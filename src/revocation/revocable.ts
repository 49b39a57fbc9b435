/** Sessions in cookies that can be ended, copies included. Loaded with the option `revocations`. */
import { idOf } from '../codec/session-record.ts'
import type { Draft } from '../session/draft.ts'
import { createInCookie } from '../session/in-cookie.ts'
import type { Instance } from '../session/instance.ts'
import { goneDraft, isOver } from '../session/open.ts'
import { isFailure, reportFailure, startCalls } from '../session/store-calls.ts'
import { unansweredDraft } from '../session/unanswered.ts'
import { lifetimeOf, lookFor, type Marks, marksOf, maxLifetimeOf } from './marks.ts'

/** Sessions of one request that are tried until one is live, as with a store: each asks for up to ten marks. */
const MAX_TRIED = 3

/**
 * Lets a draft through unless its session was ended. Then another live session of the request takes its
 * place, of the next two at most, or none.
 */
export async function withoutEnded(
  instance: Instance,
  given: Draft,
  signal: AbortSignal | undefined,
): Promise<Draft> {
  const marks = marksOf(instance)
  const { cookies } = given
  const calls = startCalls(marks, signal)
  const ended = new Set<string>()
  let draft = await limited(instance, given)
  for (let tried = 1; draft.found; tried++) {
    const { state } = draft.found
    const { failure, hasEnded } = await lookFor(marks, state, calls)
    if (failure && !hasEnded) return withoutAnswer(marks, draft, failure)
    if (!hasEnded) return draft
    ended.add(idOf(state))
    const all = tried < MAX_TRIED ? await instance.tokens.openAll(cookies) : []
    const left = all.filter(({ opened }) => !ended.has(idOf(opened)))
    const next = left.length ? await createInCookie(instance).open(cookies, left, signal) : null
    draft = next?.found
      ? { ...(await limited(instance, next)), refresh: true }
      : await goneDraft(instance, cookies, state, 'missing', { removesCookie: true })
  }
  return draft
}

/** Lets the commit of a `login` fail that asks for a longer lifetime than a mark has. */
export function limitLifetime(instance: Instance, draft: Draft): void {
  const { bind } = draft
  // Called before it is saved.
  draft.bind = async () => {
    const [lifetime, most] = [lifetimeOf(instance, draft.current), maxLifetimeOf(instance)]
    if (lifetime <= most) return await bind?.()
    throw new RangeError(
      `Option "login.absoluteTimeout" must be at most revocations.maxLifetime (${most}), got ${lifetime}: its revocation would be gone before it`,
    )
  }
}

/** Goes on with a session whose marks could not be asked for, or with an empty, read-only one if the option says so. */
async function withoutAnswer(marks: Marks, draft: Draft, failure: unknown): Promise<Draft> {
  const { instance, store } = marks
  if (instance.options.revocations!.onFailure === 'closed' && isFailure(failure)) {
    return unansweredDraft(instance, store.name, draft, failure)
  }
  reportFailure(marks, failure, 'store.degraded', draft.current)
  draft.status = 'degraded'
  return draft
}

/** Shortens a session that was sealed with a longer lifetime: a mark would be gone before it. */
async function limited(instance: Instance, draft: Draft): Promise<Draft> {
  const absoluteTimeout = maxLifetimeOf(instance)
  const { cookies, found } = draft
  if (!found || lifetimeOf(instance, found.state) <= absoluteTimeout) return draft
  const state = { ...found.state, absoluteTimeout }
  if (isOver(instance, state)) return goneDraft(instance, cookies, state, 'expired')
  return { ...draft, found: { ...found, state }, current: state }
}
