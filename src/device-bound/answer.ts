/** Answers what browsers ask for by themselves: a registration, and a refresh. */
import { nameOf } from '../codec/generation.ts'
import { type DeviceClaim, idOf } from '../codec/session-record.ts'
import type { DeviceRefusal } from '../events.ts'
import type { Backend, Opener } from '../session/backend.ts'
import type { Draft } from '../session/draft.ts'
import type { Instance } from '../session/instance.ts'
import { getDraft } from '../session/instances.ts'
import { saveSession } from '../session/save.ts'
import type { SessionData } from '../session/session.ts'
import { unavailableAnswer } from '../transport/response.ts'
import { bindKey, countProof, type DeviceChange } from './operations.ts'
import { type Proof, parseProof } from './proof.ts'
import { algorithmOf, isSignedBy, publicKeyOf, thumbprintOf } from './public-key.ts'
import { NO_COOKIES, type Settings, settingsOf, taskOf } from './settings.ts'
import { challengeField, openSealed, sealBound } from './tokens.ts'

/** One request of a browser about its key. */
interface Asked {
  readonly instance: Instance
  readonly backend: Backend
  readonly settings: Settings
  readonly request: Request
  readonly draft: Draft
}

/** Milliseconds after a rotation in which a refresh may be one of before. */
const LATE_MS = 60_000

/** Answers a registration or a refresh; `null`: the request is for the application. */
export async function answerDevice(
  { backend, instance, open }: Opener<SessionData>,
  request: Request,
): Promise<Response | null> {
  const settings = settingsOf(instance)
  const task = taskOf(settings, request)
  if (!task) return null
  try {
    const draft = getDraft(await open(request.headers.get('cookie'), request, true))
    const asked = { instance, backend: await backend(), settings, request, draft }
    return await (task === 'register' ? register(asked) : refresh(asked))
  } catch (error) {
    return unavailableAnswer(error)
  }
}

async function register(asked: Asked): Promise<Response> {
  const { draft, instance } = asked
  if (isUnknown(draft)) return later()
  if (!draft.found) return refuse(asked, 'no-session')
  const proof = proofOf(asked)
  if (typeof proof === 'string') return refuse(asked, proof)
  const { current } = draft
  const number = await numberOf(asked, proof, null)
  if (number === null) return later()
  if (typeof number === 'string') return refuse(asked, number)
  const key = publicKeyOf(proof.jwk, proof.algorithm)
  if (!key) return refuse(asked, 'key')
  if (!(await isSignedBy(key, proof.signature, proof.signed))) return refuse(asked, 'signature')
  const claim = { k: key, t: await thumbprintOf(key) }
  const change = bindKey(claim, draft.device!.proof, instance.options.now())
  const values = await commit(asked, change)
  const refusal = change.refusal()
  if (refusal) return refuse(asked, refusal)
  if (draft.status === 'missing') return refuse(asked, 'no-session')
  if (!isWritten(draft)) return later()
  instance.emit({ type: 'device.registered' }, current)
  return instructions(asked, values)
}

async function refresh(asked: Asked): Promise<Response> {
  const { draft, instance, request } = asked
  if (isUnknown(draft)) return later()
  const { current, found } = draft
  const claim = current.claims?.d
  const named = /^"?([\w-]+)/.exec(request.headers.get('sec-secure-session-id') ?? '')?.[1]
  // Only browsers set this header, and no page can.
  if (!named) return answer(400)
  if (!found || named !== idOf(current)) return end()
  // A sign-in has replaced what was bound, and the browser is about to register anew.
  const isLate = instance.options.now() - current.generation.rotatedAt < LATE_MS
  // A copy, from a snapshot, a cache or a replica, may be older than the key: it is no reason to give that up.
  const { isCopy } = found
  if (!claim) return isLate || isCopy ? later() : end()
  const proof = proofOf(asked)
  if (proof === 'no-proof') return challenge(asked, claim)
  if (typeof proof === 'string') return refuse(asked, proof)
  const isOwn =
    proof.algorithm === algorithmOf(claim.k) &&
    (await isSignedBy(claim.k, proof.signature, proof.signed))
  if (!isOwn) return isCopy ? later() : refuse(asked, 'signature')
  // The key is there: whatever is wrong with the challenge, the browser gets another one.
  const number = await numberOf(asked, proof, claim)
  // A browser that was not used for long, or whose session was rotated, has one that is too old: that is no attack.
  if (typeof number !== 'number') {
    const isOld = number === null || number === 'expired-challenge'
    return challenge(asked, claim, isOld ? undefined : number)
  }
  const change = countProof(claim.t, number, instance.options.now())
  const values = await commit(asked, change)
  const now = draft.current.claims?.d
  const refusal = change.refusal()
  // With the cookies of what the record is by now: a snapshot that is behind it would ask for a former proof again.
  if (refusal) return now ? challenge(asked, now, refusal, values) : end()
  if (draft.status === 'missing') return end()
  if (!isWritten(draft)) return later()
  instance.emit({ type: 'device.refreshed' }, current)
  return instructions(asked, values)
}

/** Tells whether nothing can be said of the session: the store failed, or another credential is on its way. */
function isUnknown({ refused, status }: Draft): boolean {
  return status === 'degraded' || status === 'superseded' || refused !== undefined
}

/** Tells whether a commit has changed the record: it may have met a rotation or an end, and gone without the change. */
function isWritten({ outcome, status }: Draft): boolean {
  return outcome === 'written' && status === 'active'
}

function proofOf({ request, settings }: Asked): Proof | DeviceRefusal {
  const header = request.headers.get('secure-session-response')
  return header === null ? 'no-proof' : parseProof(header, settings.algorithms)
}

/**
 * Returns the number of a proof by its challenge, 0 for a registration, or what is wrong with the challenge; `null`: it is
 * of a rotation that the copy which was read, from a snapshot, a cache or a replica, does not know.
 */
async function numberOf(
  { draft, instance }: Asked,
  { jti }: Proof,
  claim: DeviceClaim | null,
): Promise<number | DeviceRefusal | null> {
  const { cookies, current } = draft
  const opened = await openSealed(instance, 'challenge', jti, cookies.budget)
  const [id, generation = '', until = 0, proof] = opened ?? []
  if (id !== idOf(current) || (proof === null) !== (claim === null)) return 'challenge'
  const isFormer = generation !== nameOf(current.generation)
  if (Number.parseInt(generation, 10) > current.generation.number) return null
  if (isFormer || instance.options.now() >= until) return 'expired-challenge'
  const number = proof ?? 0
  // A record that is behind the challenge comes from a cache or a replica, or has lost proofs: the one that is written decides.
  return claim && number < claim.n ? 'used-challenge' : number
}

/**
 * Makes a change, on whatever the record is by then, and returns the `Set-Cookie` values. They tell the browser how new a
 * record that was: an isolate that reads an older one, from a cache or a replica, would know of no key.
 */
function commit(
  { backend, draft, instance }: Asked,
  { operation }: DeviceChange,
): Promise<string[]> {
  draft.current = operation(draft.current)
  draft.operations.push(operation)
  draft.refresh = true
  return saveSession(instance, backend, draft)
}

/** The session instructions, the bound cookie, and the challenge of the next refresh. */
async function instructions(asked: Asked, values: readonly string[]): Promise<Response> {
  const { draft, instance, settings } = asked
  const { current } = draft
  const { attributes, cookie, maxAge, path } = settings
  const claim = current.claims!.d!
  const token = await sealBound(instance, current, claim, maxAge)
  const body = {
    session_identifier: idOf(current),
    refresh_url: `${path}/refresh`,
    scope: { include_site: false },
    credentials: [{ type: 'cookie', name: cookie.name, attributes }],
    // Links of other sites may make the browser refresh, before the page is asked for. A cookie that their frames get as well
    // would tell them, by the time it takes, who is signed in.
    allowed_refresh_initiators: attributes.includes('SameSite=None') ? [] : ['*'],
  }
  const bound = cookie.write([token], maxAge, true, NO_COOKIES)
  return challenging(asked, claim, answer(200, JSON.stringify(body), [...values, ...bound]))
}

function challenge(
  asked: Asked,
  claim: DeviceClaim,
  reason?: DeviceRefusal,
  values?: readonly string[],
): Promise<Response> {
  const { draft, instance } = asked
  if (reason) instance.emit({ type: 'device.refused', reason }, draft.current)
  return challenging(asked, claim, answer(403, null, values))
}

/** Puts the challenge for the next proof on an answer. */
async function challenging(
  { draft, instance, settings }: Asked,
  claim: DeviceClaim,
  response: Response,
): Promise<Response> {
  const field = await challengeField(instance, draft.current, claim, settings.maxAge)
  response.headers.set('secure-session-challenge', field)
  return response
}

/** Refuses: the browser gives the key up. */
function refuse({ draft, instance }: Asked, reason: DeviceRefusal): Response {
  instance.emit({ type: 'device.refused', reason }, draft.found?.state)
  return answer(400)
}

/** Tells the browser that there is nothing to be refreshed any more. */
const end = (): Response => answer(200, '{"continue":false}')

/** Tells the browser to keep its key, and to try again. */
const later = (): Response => answer(503)

function answer(
  status: number,
  body: string | null = null,
  values: readonly string[] = [],
): Response {
  const headers = new Headers({
    vary: 'Cookie',
    'cache-control': 'private, no-store',
    'content-type': 'application/json',
    // No page of another site can embed the answer, and learn from it who is signed in.
    'cross-origin-resource-policy': 'same-origin',
  })
  for (const value of values) headers.append('set-cookie', value)
  return new Response(body, { status, headers })
}
