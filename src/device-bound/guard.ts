/** Checks whether a request of a bound session proves its device, and says what its response adds. */
import { MAX_TOKEN } from '../codec/cookie-tokens.ts'
import { nameOf } from '../codec/generation.ts'
import { idOf, type SessionState } from '../codec/session-record.ts'
import { SessionBindingError, StoreUnavailableError } from '../errors.ts'
import type { DeviceRefusal, DeviceSkip } from '../events.ts'
import { persistenceOf } from '../persistence/persistence.ts'
import type { Visit } from '../session/backend.ts'
import { type Draft, type DraftDevice, signsIn } from '../session/draft.ts'
import type { Instance } from '../session/instance.ts'
import { emptyDraft } from '../session/open.ts'
import { unansweredDraft } from '../session/unanswered.ts'
import type { CookieFound } from '../transport/cookie.ts'
import { NO_COOKIES, type Settings, settingsOf, taskOf } from './settings.ts'
import { type BoundCookie, challengeField, openSealed, sealChallenge } from './tokens.ts'

/** Milliseconds for which requests may be under way with a bound cookie whose time is up, or without the first one. */
const GRACE_MS = 30_000
/** Seconds after a proof of the former key, or a sign-in whose response had no headers, for which responses ask for a key. */
const OFFER_S = 60
/** The number of no proof: the request counts as proven without its bound cookie. */
const NO_COOKIE = -1
const READS = /^(?:GET|HEAD|OPTIONS)$/
const SKIPS = /unreachable|server_error|quota_exceeded/

/**
 * Lets a draft through, and notes whether its device is proven; puts an empty one in its place where
 * `enforce` says so.
 */
export async function guardDevice(
  instance: Instance,
  draft: Draft,
  { again, header, request }: Visit,
): Promise<Draft> {
  const settings = settingsOf(instance)
  const cookies = settings.cookie.find(header)
  const { found } = draft
  const isBound = found?.state.claims?.d !== undefined
  const proof = isBound ? await proofOf(instance, settings, found.state, cookies) : NO_COOKIE
  const refusal = typeof proof === 'string' ? proof : null
  const own: Draft = { ...draft }
  own.device = deviceOf(instance, settings, own, cookies, proof)
  // The application is shown no session there either: what answers its browser opens it by itself.
  const isAnswered = again && request !== undefined && taskOf(settings, request)
  if (refusal === null || isAnswered) return own
  // While the store fails, a browser can give no proof, and the copy of the session may be older than the key.
  const isUnknown = found!.stale
  const isOlder = isUnknown && refusal === 'other-cookie'
  if (!again && !isOlder) tellRefusal(instance, found!.state, refusal, request)
  const isWrite = request !== undefined && !READS.test(request.method)
  const isEmpty = settings.enforce === 'always' || (settings.enforce === 'writes' && isWrite)
  if (!isEmpty) return own
  if (!isUnknown) return await unprovenDraft(instance, settings, own, cookies)
  const { name } = instance.store!
  const error = new StoreUnavailableError(`The store "${name}" cannot tell the key of the session`)
  return await unansweredDraft(instance, name, own, error)
}

/** Returns the number of the proof that a request brings for its session, or why it brings none. */
async function proofOf(
  instance: Instance,
  settings: Settings,
  state: SessionState,
  { budget, tokens }: CookieFound,
): Promise<number | DeviceRefusal> {
  const claim = state.claims!.d!
  const now = instance.options.now()
  let refusal: DeviceRefusal = tokens.length ? 'other-cookie' : 'no-cookie'
  for (const token of tokens) {
    const bound = settings.known.get(token) ?? (await openOnce(instance, settings, token, budget))
    const [id, key, until, proof] = bound ?? []
    if (id !== idOf(state) || key !== claim.t) continue
    if (now < until! + GRACE_MS) return proof ?? NO_COOKIE
    refusal = 'expired-cookie'
  }
  // The answer to the registration, with the first bound cookie, is on its way.
  return claim.n === 0 && now - claim.p < GRACE_MS ? NO_COOKIE : refusal
}

/** Opens a bound cookie, which this isolate then knows. */
async function openOnce(
  instance: Instance,
  { known }: Settings,
  token: string,
  budget: CookieFound['budget'],
): Promise<BoundCookie | null> {
  const bound = token.length > MAX_TOKEN ? null : await openSealed(instance, 'bound', token, budget)
  // A part of a header would hold the whole of it in memory: joining makes a text of its own.
  if (bound) known.set(` ${token}`.slice(1), bound)
  return bound
}

function tellRefusal(
  { emit }: Instance,
  state: SessionState,
  reason: DeviceRefusal,
  request: Request | undefined,
): void {
  emit({ type: 'device.refused', reason }, state)
  const skip = SKIPS.exec(request?.headers.get('secure-session-skipped') ?? '')?.[0]
  if (skip) emit({ type: 'device.skipped', reason: skip as DeviceSkip }, state)
}

/** The draft of a request that does not prove its device, where that is enforced. The session lives on. */
async function unprovenDraft(
  instance: Instance,
  settings: Settings,
  { cookies, found }: Draft,
  bound: CookieFound,
): Promise<Draft> {
  const { key, subject } = found!.state
  const keys = subject === null ? [] : await persistenceOf(instance).keysOf(subject)
  const draft = await emptyDraft(instance, cookies, {
    status: 'unproven',
    noSession: () =>
      new SessionBindingError('There is no session for this client: it does not prove its device'),
    // A sign-in of the same user ends it, and so does a sign-out.
    stored: { replaced: { key, keys, isLate: true, found: null } },
  })
  draft.device = deviceOf(instance, settings, draft, bound, 'no-proof')
  return draft
}

/** Makes what a draft knows of the device. `proof`: its number; a text where there is none. */
function deviceOf(
  instance: Instance,
  settings: Settings,
  draft: Draft,
  bound: CookieFound,
  proof: number | DeviceRefusal,
): DraftDevice {
  const { cookie } = settings
  // One response may be committed twice: it asks for one key.
  let challenge: string | null | undefined
  const device: DraftDevice = {
    get bound() {
      if (draft.status === 'unproven') return false
      return draft.current.claims?.d ? typeof proof === 'number' : null
    },
    proof: typeof proof === 'number' ? proof : NO_COOKIE,
    async finish(response, values, later = false) {
      const offer = await offerOf(instance, draft, bound)
      if (challenge === undefined) {
        const isAsked = !offer && asks(instance, draft, device, proof)
        challenge = isAsked ? await sealChallenge(instance, draft.current) : offer
      }
      // At the end of a session the browser refreshes at once without it, and learns of the end.
      const isWorthless = offer || (draft.status === 'destroyed' && bound.tokens.length > 0)
      const removed = isWorthless ? cookie.remove(NO_COOKIES) : []
      const more =
        later && challenge ? cookie.write([challenge], OFFER_S, true, NO_COOKIES) : removed
      const all = more.length ? [...new Set([...values, ...more])] : values
      const fields = later ? [] : await fieldsOf(instance, settings, draft, challenge)
      if (!fields.length) return [response, all]
      const own = new Response(response.body, response)
      for (const [name, value] of fields) own.headers.set(name, value)
      // A challenge is for one visitor.
      own.headers.set('cache-control', 'private, no-store')
      return [own, all]
    },
  }
  return device
}

/** Returns the challenge of a registration that a response before had no headers for; `null`: there is none. */
async function offerOf(
  instance: Instance,
  { current, found, status }: Draft,
  { budget, tokens }: CookieFound,
): Promise<string | null> {
  if (!found || status !== 'active' || current.claims?.d) return null
  for (const token of tokens) {
    const [id, generation, , proof] = (await openSealed(instance, 'challenge', token, budget)) ?? []
    const isOwn = id === idOf(current) && generation === nameOf(current.generation)
    if (isOwn && proof === null) return token
  }
  return null
}

/** Returns the headers by which a response asks the browser for a key, or for a proof of the one that it has. */
async function fieldsOf(
  instance: Instance,
  { algorithms, maxAge, path }: Settings,
  { current, found, outcome }: Draft,
  challenge: string | null,
): Promise<[name: string, value: string][]> {
  if (challenge) {
    const value = `(${algorithms.join(' ')});path="${path}/register";challenge="${challenge}"`
    return [['secure-session-registration', value]]
  }
  const claim = current.claims?.d
  const isRotated = current.generation.number !== found?.state.generation.number
  if (!claim || !isRotated || outcome !== 'written') return []
  // The challenge that the browser has is of the former generation: with this one its next refresh is one request.
  return [['secure-session-challenge', await challengeField(instance, current, claim, maxAge)]]
}

/** Tells whether a response asks the browser for a key. */
function asks(
  instance: Instance,
  draft: Draft,
  { asks }: DraftDevice,
  proof: number | DeviceRefusal,
): boolean {
  const { current, found, outcome, status } = draft
  if (status === 'destroyed' || status === 'superseded') return false
  const claim = current.claims?.d
  const isWritten = outcome === 'written'
  const isSignedIn = isWritten && signsIn(draft)
  if (!claim) return isSignedIn || (asks === true && (isWritten || found !== null))
  // After a rotation a new key is taken from whoever has proven the former one since, and has the cookie of that proof: copies
  // made before it have another one.
  const isFormer = claim.g !== current.generation.number && claim.r === current.generation.number
  const isRecent = instance.options.now() - claim.p < 1000 * OFFER_S
  return isFormer && isRecent && proof === claim.n
}
