/** The endpoint that tells pages who is signed in, and for how long. Loaded when it is first asked. */
import { createKeyedHash } from '../crypto/keyed-hash.ts'
import { markResponse, unavailableAnswer } from '../transport/response.ts'
import type { Opener } from './backend.ts'
import type { Instance } from './instance.ts'
import { getDraft, perInstance } from './instances.ts'
import { isChanged } from './operations.ts'
import { isRequest, refuse } from './requests.ts'
import { saveSession } from './save.ts'
import type { Session, SessionData } from './session.ts'

/** The JSON that {@link Sessions.statusHandler} answers with. */
export interface SignInStatus {
  readonly signedIn: boolean
  /** Whole seconds until the session ends unless it is used before; `null`: nobody is signed in. */
  readonly secondsLeft: number | null
  /**
   * An opaque mark of the user, the same for all of their sessions, and another one for somebody who acts for
   * them; `null`: nobody is signed in. One keyed hash per secret, joined by dots: two marks that share one are of the
   * same user.
   */
  readonly who: string | null
  /** The factors that the user has proven, with the time of the last proof in epoch milliseconds: {@link Session.factors}. */
  readonly factors: Readonly<Record<string, number>>
}

const hashOf = perInstance(({ options }) => createKeyedHash(options.secrets, 'status'))

/** Answers a request of {@link Sessions.statusHandler}. */
export async function tellStatus<D extends SessionData>(
  { backend, instance, open }: Opener<D>,
  request: Request,
): Promise<Response> {
  if (!isRequest(request)) return await refuse(request)
  const { headers, method } = request
  const { carrier } = instance
  const renews = method === 'POST'
  if (!renews && method !== 'GET' && method !== 'HEAD') {
    return new Response(null, { status: 405, headers: { allow: 'GET, HEAD, POST' } })
  }
  try {
    await forget(instance, request)
    // Flash values wait for a page.
    const session = await open(headers.get(carrier[0]), request, true)
    const values = renews ? await saveSession(instance, await backend(), getDraft(session)) : []
    return markResponse(await answer(instance, session), values, carrier)
  } catch (error) {
    return unavailableAnswer(error)
  }
}

/**
 * Keeps the adapter around this handler from renewing a session that another handler of the same request has
 * opened, and not changed: a page that only asks for its status would never be idle.
 */
async function forget({ opened }: Instance, request: Request): Promise<void> {
  const opening = opened.get(request)
  if (opening && isChanged(getDraft(await opening))) return
  opened.set(request, null)
}

async function answer(instance: Instance, session: Session): Promise<Response> {
  const { found, status } = getDraft(session)
  // No page of another site can embed the answer, and learn from it who is signed in.
  const headers = { 'cache-control': 'no-store', 'cross-origin-resource-policy': 'same-origin' }
  // Nobody knows: the store cannot be asked, or a new cookie is on its way.
  if (status === 'superseded' || status === 'unproven' || (status === 'degraded' && !found)) {
    return new Response(null, { status: 503, headers: { ...headers, 'retry-after': '1' } })
  }
  return Response.json(await statusOf(instance, session), { headers })
}

async function statusOf(instance: Instance, session: Session): Promise<SignInStatus> {
  const { actor, expiresAt, factors, subject } = session
  if (subject === null) {
    return { signedIn: false, secondsLeft: null, who: null, factors: {} }
  }
  const { cookie, now } = instance.options
  const cookieEnd = getDraft(session).current.renewedAt + 1000 * (cookie.maxAge ?? Infinity)
  const secondsLeft = Math.max(0, Math.ceil((Math.min(expiresAt, cookieEnd) - now()) / 1000))
  // As JSON, so that no subject reads like another one with an actor.
  const marks = await hashOf(instance)(JSON.stringify([subject, actor]))
  return { signedIn: true, secondsLeft, who: marks.join('.'), factors }
}
