/** From a `Request` to its session, and back to its response. */
import { type Carrier, markResponse } from '../transport/response.ts'
import { isAhead } from './ahead.ts'
import type { Backend } from './backend.ts'
import { createInCookie } from './in-cookie.ts'
import type { Instance } from './instance.ts'
import { getDraft } from './instances.ts'
import { openSession } from './open.ts'
import { RequestSession, type RunOnce } from './request-session.ts'
import { saveSession } from './save.ts'
import type { Session, SessionData } from './session.ts'

/** Opens the sessions of one instance. */
export interface Opener<D extends SessionData> {
  readonly instance: Instance
  /** The headers in which a session comes and goes. */
  readonly carrier: Carrier
  /** Loads what deals with a store when it is first needed; sessions in cookies never load it. */
  backend(): Promise<Backend>
  /** @param again It was opened before, and is opened once more to be read: its flash values wait, and nobody is told. */
  open(header: string | null, request?: Request, again?: boolean): Promise<Session<D, D>>
}

/** Creates what opens sessions, and opens none yet. */
export function createOpener<D extends SessionData>(instance: Instance, once: RunOnce): Opener<D> {
  const { binding, importFrom, notBefore, store, transport } = instance.options
  const carrier: Carrier =
    transport === 'cookie' ? ['Cookie', 'set-cookie'] : [transport.header, transport.header]
  const inCookie = store ? null : createInCookie(instance)
  const stored = async () => (await import('../persistence/backend.ts')).storedBackendOf(instance)
  const backend = async (): Promise<Backend> => inCookie ?? stored()
  const open: Opener<D>['open'] = async (header, request, again = false) => {
    if (instance.unsaved.size) (await seldom()).tellUnsaved(instance)
    let draft = await openSession(instance, await backend(), header, store && request?.signal)
    if (header && importFrom?.some(({ name }) => header.includes(name))) {
      const { adoptSession } = await import('../migrate/adopt.ts')
      const own = store && (await stored())
      draft = await adoptSession(instance, own, draft, header, importFrom, request?.signal)
    }
    if (notBefore || binding) {
      draft = await (await import('./restrictions.ts')).guardDraft(instance, draft, request)
    }
    if (!again) instance.observe?.({ type: 'session.opened', status: draft.status })
    // Where nobody sees the page, flash values wait for the next request.
    const keepsFlash = again || (request !== undefined && isAhead(request))
    return new RequestSession<D>(draft, instance, once, keepsFlash)
  }
  instance.openStored = async (request) => {
    const session = await open(request.headers.get(carrier[0]), request, true)
    getDraft(session).committed = true
    return session
  }
  return { instance, carrier, backend, open }
}

/** Opens the session of a request, once. */
export function openRequest<D extends SessionData>(
  { carrier, instance, open }: Opener<D>,
  request: Request,
): Promise<Session<D, D>> {
  const opened = instance.opened as WeakMap<Request, ReturnType<typeof open> | null>
  let session = isRequest(request) ? opened.get(request) : null
  if (session === null) return refuse(request)
  if (!session) {
    session = open(request.headers.get(carrier[0]), request)
    opened.set(request, session)
  }
  return session
}

/** Saves the session of a request and puts it on the response. */
export async function commitRequest<D extends SessionData>(
  opener: Opener<D>,
  request: Request,
  response: Response,
  save: boolean | undefined,
): Promise<Response> {
  const { carrier, instance } = opener
  if (!isRequest(request)) return refuse(request)
  const opening = instance.opened.get(request)
  if (!opening) {
    // Of what threw, the page of the error may still open one.
    if (save !== false) instance.opened.set(request, null)
    return response
  }
  const session = await opening.catch(() => null)
  if (!session) return markResponse(response, [], carrier)
  const { found } = getDraft(session)
  const isSaved = save ?? response.status < 500
  const [own, values] = await saveRequest(opener, request, response, session, isSaved)
  return markResponse(own, values, carrier, found !== null)
}

/** Returns the response to put `Set-Cookie` values on, and these. */
async function saveRequest<D extends SessionData>(
  { backend, instance, open }: Opener<D>,
  request: Request,
  response: Response,
  session: object,
  isSaved: boolean,
): Promise<[response: Response, values: readonly string[]]> {
  const draft = getDraft(session)
  if (!isSaved) {
    const { tellUnsaved } = await seldom()
    tellUnsaved(instance, draft)
    return [response, []]
  }
  // Another handler of the same page has set the cookie.
  if (!draft.committed && response.headers.get('set-cookie')?.includes(instance.cookie.name)) {
    const { saveOnto } = await seldom()
    const header = request.headers.get('cookie')
    const reopen = (cookies: string): Promise<object> => open(cookies, request, true)
    return saveOnto(instance, await backend(), draft, header, response, reopen)
  }
  return [response, await saveSession(instance, await backend(), draft)]
}

const seldom = () => import('./seldom.ts')
const refuse = async (request: Request): Promise<never> => (await seldom()).refuseRequest(request)
const isRequest = (given: Request): boolean => typeof given?.headers?.get === 'function'
