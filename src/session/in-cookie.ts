/** Sessions that live in the cookie alone. */
import type { OpenedCookie } from '../codec/cookie-tokens.ts'
import { idOf, type SessionState } from '../codec/session-record.ts'
import { lazy } from '../lazy.ts'
import type { CookieFound } from '../transport/cookie.ts'
import type { Backend, CommitTask } from './backend.ts'
import type { Draft } from './draft.ts'
import type { Instance } from './instance.ts'
import { goneDraft, isOver, liveDraft, unreadableDraft } from './open.ts'
import { announce, isSame, writeCookie } from './save.ts'

/**
 * A cookie cannot be taken back, so a sign-out sends a note beside it, "this id has ended", for the
 * case that a response made before it arrives after it. The code for notes is loaded when needed.
 */
export function createInCookie(instance: Instance): Backend {
  return {
    open: (cookies, opened) =>
      opened.length === 1 && !cookies.notes.length
        ? openOne(instance, cookies, opened[0]!)
        : openNewest(instance, cookies, opened),
    commit: (draft, task) => commit(instance, draft, task),
    end: async (draft) => {
      const all = await instance.tokens.openAll(draft.cookies)
      const ended = all.map(({ opened }) => opened)
      return ended.length ? (await notes()).noteCookieEnds(instance, draft, ended) : []
    },
  }
}

const notes = lazy(() => import('./notes.ts'))

/** The newest cookie whose session has not ended wins, then the newest. */
async function openNewest(
  instance: Instance,
  cookies: CookieFound,
  opened: readonly OpenedCookie[],
): Promise<Draft | null> {
  let all = opened
  if (cookies.notes.length) {
    const { ended } = await (await notes()).readNotes(instance, cookies)
    all = opened.filter((one) => !ended.has(idOf(one.opened)))
  }
  const byAge =
    all.length > 1 ? [...all].sort((a, b) => b.opened.renewedAt - a.opened.renewedAt) : all
  const first = byAge.find((one) => !isOver(instance, one.opened)) ?? byAge[0]
  if (!first) {
    const [some] = opened
    return some
      ? goneDraft(instance, cookies, some.opened, 'missing', { removesCookie: true })
      : null
  }
  const draft = await openOne(instance, cookies, first)
  return draft.found && opened.length > all.length ? { ...draft, refresh: true } : draft
}

/** Opens the session of one cookie; without a promise where its data were read before, or need no more than parsing. */
function openOne(
  instance: Instance,
  cookies: CookieFound,
  cookie: OpenedCookie,
): Draft | Promise<Draft> {
  const { opened } = cookie
  const { text } = opened
  if (isOver(instance, opened)) return goneDraft(instance, cookies, opened, 'expired')
  // The cookie of a time when sessions were in a store.
  if (text === null) return goneDraft(instance, cookies, opened, 'missing')
  const show = (state: SessionState): Draft => {
    cookie.state = state
    return liveDraft(instance, cookies, { state, text })
  }
  const refuse = (error: unknown): Promise<Draft> =>
    unreadableDraft(instance, cookies, opened, error)
  try {
    const state = cookie.state ?? instance.format.read(opened)
    return state instanceof Promise ? state.then(show, refuse) : show(state)
  } catch (error) {
    return refuse(error)
  }
}

async function commit(instance: Instance, draft: Draft, task: CommitTask): Promise<string[]> {
  const { context, format, options } = instance
  const { current, found } = draft
  if (format.check) await format.check(current)
  const isNew = !found || !isSame(found.state, current)
  const { number, nonce } = current.generation
  const state: SessionState = {
    ...current,
    // A cookie is all there is, so nothing can be behind it.
    generation: { number, nonce, replaced: [], rotatedAt: 0 },
    binding: current.binding ?? draft.binding,
    renewedAt: context.now(),
    version: options.version,
  }
  const { dataText: { hasFlash, text } = format.write(state), renewalDue } = task
  const content = { opened: { ...state, text, hasFlash }, state }
  const setCookie = await writeCookie(instance, draft, state, content)
  // The cookie of whoever was signed in before may be there twice, or come back.
  if (found && isNew) {
    setCookie.push(...(await (await notes()).noteCookieEnds(instance, draft, [found.state])))
  }
  announce(instance, draft, state, renewalDue, isNew)
  return setCookie
}
