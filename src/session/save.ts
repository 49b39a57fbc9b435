/** From a session to its `Set-Cookie` values. */

import type { OpenedCookie } from '../codec/cookie-tokens.ts'
import type { DataText } from '../codec/data.ts'
import type { SessionState } from '../codec/session-record.ts'
import { CookieTooLargeError } from '../errors.ts'
import type { SessionEventType } from '../events.ts'
import type { Instance } from './instance.ts'
import type { Draft } from './session.ts'

/** Saves a session once; `[]` when there is nothing to say to the browser. */
export async function saveSession(instance: Instance, draft: Draft): Promise<string[]> {
  if (draft.committed) return []
  draft.committed = true
  instance.unsaved.delete(draft)
  try {
    const setCookie = await save(instance, draft)
    const leftovers = draft.found || setCookie.length ? draft.leftovers : null
    return [...setCookie, ...(draft.removals ?? leftovers ?? [])]
  } catch (error) {
    // Renewals, imports and the end of flash values go without: a page that only reads is shown.
    const isOurs = draft.operations.every(({ isAutomatic }) => isAutomatic)
    if (error instanceof CookieTooLargeError && isOurs) return []
    draft.committed = false
    // The error is the word about it.
    draft.unsaved = true
    throw error
  }
}

async function save(instance: Instance, draft: Draft): Promise<string[]> {
  const { cookie, context, format, options } = instance
  const { cookies, current, found, status } = draft
  if (status === 'superseded' || (draft.readOnly && status !== 'destroyed')) return []
  const due = isDue(instance, draft)
  if (!due && !draft.refresh && !draft.operations.length && status !== 'destroyed') return []
  const stored = instance.stored && (await instance.stored())
  if (status === 'destroyed') {
    const more = found && stored ? await stored.bury(draft) : []
    if (!more) return []
    if (found) say(instance, 'session.destroyed', found.state)
    const isThere = cookies.tokens.length + cookies.chunks.length
    return isThere ? [...cookie.remove(cookies), ...more] : more
  }
  const written = format.write(current)
  const changed = hasChanged(draft, written)
  if (!due && !changed && !draft.refresh) return []
  if (current.binding === undefined) draft.binding = await draft.bind?.()
  if (stored) return stored.save(draft, due, changed)
  if (format.check) await format.check(current)
  const binding = current.binding ?? draft.binding
  const state = { ...current, binding, renewedAt: context.now(), version: options.version }
  const opened = { opened: { ...state, ...written }, state }
  const setCookie = await writeCookie(instance, draft, state, opened)
  announce(instance, draft, state, due)
  return setCookie
}

/** Whether the session is in use and its last renewal long enough ago. */
function isDue(instance: Instance, { found, status, renewedAt }: Draft): boolean {
  if (!found || status !== 'active') return false
  return instance.options.now() - renewedAt >= renewAfterOf(instance, found.state)
}

/** Milliseconds between renewals: always before the session ends of idleness, or its cookie of age. */
export function renewAfterOf({ options }: Instance, { idleTimeout }: SessionState): number {
  const { cookie, renewAfter = Infinity } = options
  const lifetime = Math.min(idleTimeout ?? options.idleTimeout, cookie.maxAge ?? Infinity)
  return 1000 * (renewAfter < lifetime ? renewAfter : lifetime / 10)
}

/** Whether there is anything to keep that was not there before. */
function hasChanged({ found, current }: Draft, { text }: DataText): boolean {
  if (found) return current.key !== found.state.key || text !== found.text
  return current.subject !== null || Object.keys({ ...current.data, ...current.flash }).length > 0
}

/** Seals the cookie and spells its `Set-Cookie`. Throws {@link CookieTooLargeError}. */
export async function writeCookie(
  instance: Instance,
  draft: Draft,
  state: SessionState,
  opened: OpenedCookie,
): Promise<string[]> {
  const { context, cookie, options, tokens } = instance
  const token = await tokens.seal(opened)
  const lifetime = Math.ceil((context.expiresAt(state) - options.now()) / 1000)
  const setCookie = cookie.write(token, lifetime, state.persistent, draft.cookies)
  if (setCookie) return setCookie
  throw (await import('../transport/too-large.ts')).tooLarge(instance, state, token)
}

/** Reports what a commit did; the draft is at `state` from then on. */
export function announce(
  instance: Instance,
  draft: Draft,
  state: SessionState,
  due: boolean,
): void {
  const { current, found, status } = draft
  draft.current = state
  if (!found || status === 'missing') say(instance, 'session.created', state)
  else if (current.key !== found.state.key) say(instance, 'session.regenerated', state)
  else if (due) say(instance, 'session.renewed', state)
  if (state.authenticatedAt !== (found ? found.state.authenticatedAt : null)) {
    say(instance, 'session.login', state)
  }
}

/** Reports something about one session. */
export function say({ emit }: Instance, type: SessionEventType, state: SessionState): void {
  emit({ type }, state)
}
