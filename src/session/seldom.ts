/** Rare cases of a request's session. Loaded when one happens. */
import { argumentKind, expectArgument } from '../check.ts'
import { SessionCommittedError } from '../errors.ts'
import { spellAttributes } from '../transport/cookie.ts'
import { cookiesOf, withCookies } from '../transport/error-cookies.ts'
import { isUnavailable, markResponse } from '../transport/response.ts'
import type { Backend, Opener } from './backend.ts'
import type { Draft } from './draft.ts'
import { type Instance, UNSAVED_MS } from './instance.ts'
import { draftOf, getDraft } from './instances.ts'
import { applyAll, hasChanges, isChanged } from './operations.ts'
import { saveSession } from './save.ts'
import type { SessionData } from './session.ts'

export { goneError, invalidError, tellGone, tellInvalid } from './reasons.ts'

/**
 * Refuses to open or commit the session of a request.
 *
 * @throws TypeError when it is no request; else SessionCommittedError, as its response was committed.
 */
export function refuseRequest(request: unknown): never {
  if (typeof Object(Object(request).headers).get !== 'function') {
    throw new TypeError(
      `Argument "request" must be a Request (in Hono c.req.raw, in h3 event.req), got ${argumentKind(request)}; requests of Node have req.session() of sojourn/node, and a Cookie header has open()`,
    )
  }
  throw new SessionCommittedError(
    'Cannot open session: its response was committed; call get() before the response is returned, or read with open(cookieHeader)',
  )
}

/** Refuses to save what no session of these is. Throws a TypeError. */
export function refuseSession(session: object): never {
  expectArgument(draftOf(session), 'session', 'an awaited session', session)
  throw new TypeError('Cannot save session: other sessions opened it')
}

/**
 * Reports a session whose changes were never saved, once; nothing when it has none.
 *
 * @param draft `undefined`: those that were changed over a minute ago and never saved.
 */
export function tellUnsaved(instance: Instance, draft?: Draft): void {
  if (draft) tell(instance, draft)
  // In the order in which they were first changed.
  for (const [old, at] of instance.unsaved) {
    if (instance.options.now() - at < UNSAVED_MS) return
    tell(instance, old)
  }
}

function tell({ emit, unsaved }: Instance, draft: Draft): void {
  if (isChanged(draft) && !draft.saving && !draft.unsaved) {
    emit({ type: 'session.uncommitted' }, draft.current)
  }
  draft.unsaved = true
  unsaved.delete(draft)
}

/**
 * Commits a request that saves nothing, that clears data of the site or may bind a device, or whose response has
 * cookies already.
 */
export async function commitSeldom<D extends SessionData>(
  { backend, instance, open }: Opener<D>,
  request: Request,
  response: Response,
  draft: Draft,
  save: boolean,
): Promise<Response> {
  let own = response
  let values: readonly string[] = []
  const isSecond = !draft.saving && own.headers.get('set-cookie')?.includes(instance.cookie.name)
  if (!save) tellUnsaved(instance, draft)
  else {
    const header = request.headers.get('cookie')
    const reopen: Reopen = (pairs) =>
      open(pairs ? [...pairs, header].join('; ') : '', request, true)
    try {
      if (isSecond)
        [own, values] = await saveOnto(instance, await backend(), draft, response, reopen)
      else values = await saveSession(instance, await backend(), draft)
    } catch (error) {
      // Of a rotation by another handler, also of a session of another name, nothing but this response has the cookie.
      if (!isUnavailable(error)) throw error
      throw withCookies(error, [...response.headers.getSetCookie(), ...cookiesOf(error)])
    }
  }
  if (save && draft.device) [own, values] = await draft.device.finish(own, values)
  const marked = markResponse(own, values, instance.carrier, draft.found !== null)
  return save ? clearSite(marked, draft) : marked
}

const CLEAR = 'clear-site-data'

/** Puts `Clear-Site-Data` on the response of a sign-out, once: handlers may be nested. */
function clearSite(response: Response, { clearsSite = [] }: Draft): Response {
  const value = clearsSite.map((one) => `"${one}"`).join(', ')
  const { headers, status } = response
  if (value && status >= 200 && !headers.get(CLEAR)?.includes(value)) headers.append(CLEAR, value)
  return response
}

/**
 * Opens the session of a request anew, flash values untouched: with cookies that its response sets, before those that were
 * sent; `null`: with none.
 */
type Reopen = (pairs: readonly string[] | null) => Promise<object>

/**
 * Saves a session on top of the one that a response brings along from another handler of the same page:
 * an inner request of SvelteKit's `event.fetch`, or an application that is mounted in another one.
 *
 * @returns The response, without cookies that others replace, and the `Set-Cookie` values for it.
 */
async function saveOnto(
  instance: Instance,
  backend: Backend,
  draft: Draft,
  response: Response,
  reopen: Reopen,
): Promise<[response: Response, values: string[]]> {
  const { name } = instance.cookie
  const place = placeOf(spellAttributes({ path: '/', ...instance.options.cookie }))
  const isSamePlace = (setCookie: string): boolean => placeOf(setCookie) === place
  const set = response.headers.getSetCookie()
  const pairs = set.filter(isSamePlace).map((one) => one.split(';', 1)[0]!)
  // The newest that opens wins, the first of those that are equally new.
  const isOver = pairs.includes(`${name}=`)
  const onto = getDraft(await reopen(isOver ? null : pairs))
  if (onto.readOnly && hasChanges(draft.operations)) throw onto.readOnly
  const own = draft.operations
    .filter(({ isDeferred }) => !isDeferred)
    .map((one) => (onto.found && one.rotating) || one)
  onto.current = applyAll(own, onto.current)
  onto.operations.push(...own)
  if (draft.status === 'destroyed') onto.status = 'destroyed'
  onto.endReason = draft.endReason
  if (onto.device) {
    // The response asks for a key of the session that is saved.
    if (draft.device?.asks) onto.device.asks = true
    draft.device = onto.device
  }
  draft.saving = saveSession(instance, backend, onto)
  const values = await draft.saving
  const nameOf = (setCookie: string): string => setCookie.split('=', 1)[0]!
  const replaced = values.map(nameOf)
  const isReplaced = (one: string): boolean => isSamePlace(one) && replaced.includes(nameOf(one))
  const copy = new Response(response.body, response)
  copy.headers.delete('set-cookie')
  for (const one of set) if (!isReplaced(one)) copy.headers.append('set-cookie', one)
  return [copy, values]
}

/**
 * Returns domain, path and partitioning, which name a cookie besides its name. Browsers store
 * cookies of one name for several of them: an application that removes its former one, say for a domain, does not
 * mean that of the session.
 */
function placeOf(setCookie: string): string {
  const domain = /; *domain=\.?([^; ]*)/i.exec(setCookie)?.[1] ?? ''
  const path = /; *path=([^; ]*)/i.exec(setCookie)?.[1] || '/'
  const isPartitioned = /; *partitioned *(?:;|$)/i.test(setCookie)
  return [domain.toLowerCase(), path, isPartitioned].join()
}
