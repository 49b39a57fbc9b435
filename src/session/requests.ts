/** From a `Request` to its session, and back to its response. */
import { expectArgument, isObject } from '../check.ts'
import { EMPTY } from '../codec/values.ts'
import { lazy } from '../lazy.ts'
import { markResponse } from '../transport/response.ts'
import type { Backend, Opener } from './backend.ts'
import type { Draft } from './draft.ts'
import { createInCookie } from './in-cookie.ts'
import { type Instance, UNSAVED_MS } from './instance.ts'
import { getDraft } from './instances.ts'
import { openSession } from './open.ts'
import { RequestSession } from './request-session.ts'
import { saveSession } from './save.ts'
import type { Session, SessionData } from './session.ts'
import { isUnseen } from './unseen.ts'

/** Creates what opens sessions, and opens none yet. */
export function createOpener<D extends SessionData>(instance: Instance): Opener<D> {
  const { binding, controls, deviceBound, importFrom, ...options } = instance.options
  const { notBefore, now, revocations, store } = options
  const isGuarded = binding || controls || deviceBound || importFrom || notBefore || revocations
  const inCookie = store ? null : createInCookie(instance)
  const stored = lazy(async () =>
    (await import('../persistence/backend.ts')).storedBackendOf(instance),
  )
  const backend = (): Backend | Promise<Backend> => inCookie ?? stored()
  const open: Opener<D>['open'] = async (header, request, again = false) => {
    const oldest = instance.unsaved.size ? instance.unsaved.values().next().value : undefined
    if (oldest !== undefined && now() - oldest >= UNSAVED_MS) {
      const { tellUnsaved } = await seldom()
      tellUnsaved(instance)
    }
    const loading = backend()
    const loaded = loading instanceof Promise ? await loading : loading
    const opening = openSession(instance, loaded, header, store && request?.signal)
    let draft = opening instanceof Promise ? await opening : opening
    if (isGuarded) {
      draft = await (await restrictions()).guardDraft(instance, draft, { header, request, again })
    }
    if (!again) instance.observe?.({ type: 'session.opened', status: draft.status })
    const { flash } = draft.current
    // Where nobody sees the page, flash values wait for the next request.
    const waits = flash === EMPTY || again || (request !== undefined && isUnseen(request))
    return new RequestSession<D>(draft, instance, waits ? EMPTY : flash)
  }
  const opener = { instance, backend, open }
  if (deviceBound) {
    instance.route = async (request) => (await restrictions()).answerDevice(opener, request)
  }
  instance.reopen = async (request) => {
    const session = await open(request.headers.get(instance.carrier[0]), request, true)
    getDraft(session).saving = Promise.resolve([])
    return session
  }
  return opener
}

/** Opens the session of a request, once. */
export function openRequest<D extends SessionData>(
  { instance, open }: Opener<D>,
  request: Request,
): Promise<Session<D, D>> {
  const opened = instance.opened as WeakMap<object, ReturnType<typeof open> | null>
  let session = isRequest(request) ? opened.get(request) : null
  if (session === null) return refuse(request)
  if (!session) {
    session = open(request.headers.get(instance.carrier[0]), request)
    opened.set(request, session)
  }
  return session
}

/**
 * Saves the session of a request and puts it on the response; returns the response itself, and no
 * promise, when nobody asked for the session.
 */
export function commitRequest<D extends SessionData>(
  opener: Opener<D>,
  request: Request,
  response: Response,
  save: boolean | undefined,
): Response | Promise<Response> {
  const { opened } = opener.instance
  const opening = opened.get(request)
  if (opening) return commitOpened(opener, request, response, opening, save)
  // Of what threw, the page of the error may still open one.
  if (save !== false && isObject(request)) opened.set(request, null)
  return response
}

async function commitOpened<D extends SessionData>(
  opener: Opener<D>,
  request: Request,
  response: Response,
  opening: Promise<object>,
  save = response?.status < 500,
): Promise<Response> {
  const holds = typeof response?.status === 'number'
  expectArgument(holds, 'response', 'a Response: does the handler return one?', response)
  const { backend, instance } = opener
  const { carrier } = instance
  let draft: Draft
  try {
    draft = getDraft(await opening)
  } catch {
    return markResponse(response, [], carrier)
  }
  const { clearsSite, device, found, saving } = draft
  // Another handler of the same page may have set one of a session.
  const hasCookies = !saving && response.headers.get('set-cookie')
  if (!save || clearsSite || device || hasCookies) {
    return (await seldom()).commitSeldom(opener, request, response, draft, save)
  }
  // It was loaded to open the session.
  const values = await saveSession(instance, backend() as Backend, draft)
  return markResponse(response, values, carrier, found !== null)
}

const seldom = lazy(() => import('./seldom.ts'))
const restrictions = lazy(() => import('./restrictions.ts'))
/** Throws what tells why a request cannot be opened. */
export const refuse = async (request: Request): Promise<never> =>
  (await seldom()).refuseRequest(request)
/** Tells a `Request` from what frameworks have in its place. */
export const isRequest = (given: Request): boolean => typeof given?.headers?.get === 'function'
