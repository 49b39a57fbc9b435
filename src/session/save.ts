/** From a session to its `Set-Cookie` values. */
import type { OpenedCookie } from '../codec/cookie-tokens.ts'
import type { DataText } from '../codec/data.ts'
import { idOf, type SessionState } from '../codec/session-record.ts'
import type { Emit } from '../emit.ts'
import type { CookieTooLargeError, SessionErrorCode } from '../errors.ts'
import { lazy } from '../lazy.ts'
import type { Backend, CommitTask } from './backend.ts'
import type { Draft } from './draft.ts'
import type { Instance } from './instance.ts'
import { hasChanges } from './operations.ts'

const acting = lazy(() => import('./actors.ts'))
const chunked = lazy(() => import('../transport/too-large.ts'))

/** The class itself is loaded when a cookie is too large. */
const TOO_LARGE: SessionErrorCode = 'ERR_COOKIE_TOO_LARGE'

/**
 * Saves a session once, and returns the same values to everybody who saves it again: nobody's cookie is
 * lost. `[]` when there is nothing to say to the browser.
 */
export function saveSession(instance: Instance, backend: Backend, draft: Draft): Promise<string[]> {
  draft.saving ??= saveOnce(instance, backend, draft)
  return draft.saving
}

async function saveOnce(instance: Instance, backend: Backend, draft: Draft): Promise<string[]> {
  const { current, found } = draft
  const actor = instance.observe && (found?.state.claims?.a ?? current.claims?.a)
  instance.unsaved.delete(draft)
  try {
    if (actor) await (await acting()).nameActors(instance, [found?.state ?? current, current])
    let setCookie: string[] = []
    if (draft.status === 'destroyed') setCookie = await end(instance, backend, draft)
    else if (!draft.readOnly && !draft.refused) {
      const task = taskOf(instance, draft)
      if (task && draft.bind && current.binding === undefined) draft.binding = await draft.bind()
      if (task) setCookie = await backend.commit(draft, task)
      if (draft.removesCookie && !setCookie.length)
        setCookie = instance.cookie.remove(draft.cookies)
    }
    const leftovers = found || setCookie.length ? draft.leftovers : null
    const isKept = draft.refused && draft.status !== 'destroyed'
    const more = isKept ? null : (draft.removals ?? leftovers)
    const values = more ? [...setCookie, ...more] : setCookie
    if (instance.observe) tellSaved(instance.observe, draft, values)
    return values
  } catch (error) {
    instance.observe?.({ type: 'session.saved', outcome: 'failed' })
    // Renewals, imports and the end of flash values go without: a page that only reads is shown.
    if (Object(error).code === TOO_LARGE && !hasChanges(draft.operations)) return []
    draft.saving = undefined
    // The error tells of it.
    draft.unsaved = true
    throw error
  }
}

function tellSaved(observe: Emit, { outcome }: Draft, values: readonly string[]): void {
  const bytes = values.join('').length
  const told = outcome ?? (bytes ? 'written' : 'unchanged')
  observe({ type: 'session.saved', outcome: told, ...(bytes && { bytes }) })
}

async function end({ cookie }: Instance, backend: Backend, draft: Draft): Promise<string[]> {
  const { cookies } = draft
  const more = await backend.end(draft)
  // It is removed always: the browser may have got one since.
  const isThere = cookies.tokens.length + cookies.chunks.length + more.length
  return isThere ? [...cookie.remove(cookies), ...more] : []
}

/** Returns the reasons for a commit; `null`: there are none. */
function taskOf(instance: Instance, draft: Draft): CommitTask | null {
  const { current, found, operations, refresh, status } = draft
  // What changes nothing in a copy may well change what the store has by now.
  const isDoubtful = found?.isCopy && hasChanges(operations)
  const dataText = operations.length ? instance.format.write(current) : undefined
  const changed = isDoubtful || (dataText !== undefined && differs(draft, dataText))
  // A copy from before the store failed is renewed by what is written anyway: its renewal alone asks no failing store.
  const isUsed = found && (status === 'active' || changed)
  const renewalDue = isUsed ? isRenewalDue(instance, found.state) : false
  return renewalDue || changed || refresh ? { renewalDue, changed, dataText } : null
}

/**
 * Tells whether the use of a session renews it: `renewAfter` seconds after its last renewal. Where that would
 * come too late, or is not set, a tenth of the time after which session or cookie ends unless renewed.
 *
 * @param renewedAt Epoch milliseconds of the last renewal. (default: that of the state)
 */
export function isRenewalDue(
  { options }: Instance,
  { idleTimeout, renewedAt: own }: SessionState,
  renewedAt: number = own,
): boolean {
  const { cookie, now, renewAfter = Infinity } = options
  const lifetime = Math.min(idleTimeout ?? options.idleTimeout, cookie.maxAge ?? Infinity)
  const seconds = renewAfter < lifetime ? renewAfter : lifetime / 10
  return now() - renewedAt >= 1000 * seconds
}

/** Tells whether there is anything to save that was not there before. */
function differs({ found, current }: Draft, { text }: DataText): boolean {
  if (found) {
    const { claims, generation, key } = found.state
    const isSame = current.key === key && current.generation === generation
    return !isSame || current.claims !== claims || text !== found.text
  }
  return (
    !!current.claims ||
    current.subject !== null ||
    Object.keys({ ...current.data, ...current.flash }).length > 0
  )
}

/** Seals the cookie and spells its `Set-Cookie`. Throws {@link CookieTooLargeError}. */
export async function writeCookie(
  instance: Instance,
  draft: Draft,
  state: SessionState,
  content: OpenedCookie,
): Promise<string[]> {
  const { context, cookie, options, tokens } = instance
  const token = await tokens.seal(content.opened)
  tokens.keep(token, content)
  const lifetime = Math.ceil((context.expiresAt(state) - options.now()) / 1000)
  const parts = cookie.fits(token) ? [token] : (await chunked()).split(instance, state, token)
  return cookie.write(parts, lifetime, state.persistent, draft.cookies)
}

/** Reports what a commit did; the draft is at `state` from then on. */
export function announce(
  { emit }: Instance,
  draft: Draft,
  state: SessionState,
  renewalDue: boolean,
  isNew: boolean,
): void {
  const { found, operations } = draft
  draft.current = state
  if (isNew) emit({ type: 'session.created' }, state)
  else if (found && state.generation.number !== found.state.generation.number) {
    emit({ type: 'session.regenerated' }, state)
  } else if (renewalDue) emit({ type: 'session.renewed' }, state)
  if (operations.some(({ signsIn }) => signsIn)) emit({ type: 'session.login' }, state)
}

/** Tells whether two states are of one session. */
export function isSame(a: Pick<SessionState, 'key'>, b: Pick<SessionState, 'key'>): boolean {
  return a.key === b.key || idOf(a) === idOf(b)
}
