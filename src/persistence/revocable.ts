/** Sessions in cookies that can be ended, copies included. Loaded with the option `revocations`. */
import type { OpenedCookie } from '../codec/cookie-tokens.ts'
import { idOf, type SessionState, type SessionTimes } from '../codec/session-record.ts'
import type { StoreUnavailableError } from '../errors.ts'
import type { Backend } from '../session/backend.ts'
import type { Draft } from '../session/draft.ts'
import type { Instance } from '../session/instance.ts'
import { emptyDraft, goneDraft, isOver } from '../session/open.ts'
import { isSame } from '../session/save.ts'
import type { CookieFound } from '../transport/cookie.ts'
import { reportFailure, startCalls } from './persistence.ts'
import { lookFor, type Marks, markSession, marksOf, maxLifetimeOf } from './revocations.ts'

/** Returns a backend that looks for marks before `inner` opens a session, and leaves one where a session ends. */
export function revocable(instance: Instance, inner: Backend): Backend {
  const marks = marksOf(instance)
  return {
    open: (...call) => open(marks, inner, ...call),
    async commit(draft, task) {
      const { current, found } = draft
      assertLifetime(instance, current)
      // Another user signs in: the session of the one before ends first.
      if (found && !isSame(found.state, current)) await end(marks, draft, [found.state])
      return inner.commit(draft, task)
    },
    async end(draft) {
      const all = await instance.tokens.openAll(draft.cookies)
      const live = all.flatMap(({ opened }) => (isOver(instance, opened) ? [] : [opened]))
      await end(marks, draft, live)
      return inner.end(draft)
    },
  }
}

/** Opens what the marks leave of a request's sessions. */
async function open(
  marks: Marks,
  inner: Backend,
  cookies: CookieFound,
  all: readonly OpenedCookie[],
  signal: AbortSignal | undefined,
): Promise<Draft | null> {
  const { instance } = marks
  const calls = startCalls(marks, signal)
  const looks = await Promise.all(
    all.map(async (given) => {
      const one = limited(instance, given)
      const isLive = !isOver(instance, one.opened)
      return { one, ...(isLive && (await lookFor(marks, one.opened, calls))) }
    }),
  )
  const left = looks.filter(({ hasEnded }) => !hasEnded)
  const [first] = all
  if (first && !left.length) {
    return goneDraft(instance, cookies, first.opened, 'missing', { clear: true })
  }
  const unknown = left.find(({ failure }) => failure)
  if (unknown) {
    const draft = await withoutAnswer(marks, cookies, unknown.one, unknown.failure)
    if (draft) return draft
  }
  const draft = await inner.open(
    cookies,
    left.map(({ one }) => one),
    signal,
  )
  if (!draft?.found) return draft
  if (unknown) draft.status = 'degraded'
  if (left.length < all.length) draft.refresh = true
  return draft
}

/** Reports that the marks could not be asked for. Returns an empty, read-only session if the option says so. */
async function withoutAnswer(
  marks: Marks,
  cookies: CookieFound,
  { opened }: OpenedCookie,
  failure: unknown,
): Promise<Draft | null> {
  const { onStoreFailure, revocations } = marks.instance.options
  const isClosed = revocations?.onFailure === 'closed'
  const isThrown = isClosed && onStoreFailure === 'throw'
  reportFailure(marks, failure, isThrown ? 'store.unavailable' : 'store.degraded', opened)
  if (!isClosed) return null
  const reason = failure as StoreUnavailableError
  return emptyDraft(marks.instance, cookies, {
    status: 'degraded',
    reason: () => reason,
    readOnly: reason,
  })
}

/** Leaves a mark for each session. */
async function end(
  marks: Marks,
  draft: Draft,
  ended: readonly Pick<SessionState, 'key' | 'subject'>[],
): Promise<void> {
  const calls = startCalls(marks)
  try {
    await Promise.all(
      ended.map((one) => markSession(marks, idOf(one), calls, { isVisitor: one.subject === null })),
    )
  } catch (error) {
    reportFailure(marks, error, 'store.unavailable', draft.current)
  }
}

/** Returns the lifetime that a session was given, in seconds. */
function lifetimeOf({ context }: Instance, times: SessionTimes): number {
  return context.expiresAt({ ...times, createdAt: 0, renewedAt: Infinity }) / 1000
}

/** Shortens a session that was sealed with a longer lifetime: a mark would be gone before it. */
function limited(instance: Instance, one: OpenedCookie): OpenedCookie {
  const absoluteTimeout = maxLifetimeOf(instance)
  if (lifetimeOf(instance, one.opened) <= absoluteTimeout) return one
  return { opened: { ...one.opened, absoluteTimeout } }
}

/** Throws for a `login` that asks for a longer lifetime than a mark has. */
function assertLifetime(instance: Instance, state: SessionState): void {
  const [lifetime, most] = [lifetimeOf(instance, state), maxLifetimeOf(instance)]
  if (lifetime <= most) return
  throw new RangeError(
    `Option "login.absoluteTimeout" must be at most revocations.maxLifetime (${most}), got ${lifetime}: its revocation would be gone before it`,
  )
}
