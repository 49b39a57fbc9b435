/** Checks whether a client may use a session. Loaded when `binding`, `notBefore`, `revocations`, `controls` or `deviceBound` is configured. */
import { refuseUnless } from '../check.ts'
import type { SessionState } from '../codec/session-record.ts'
import { createKeyedHash, type KeyedHash } from '../crypto/keyed-hash.ts'
import { SessionBindingError, SessionExpiredError, StoreUnavailableError } from '../errors.ts'
import { lazy } from '../lazy.ts'
import { within } from '../resilience/deadline.ts'
import { failureOf } from '../stores/failure.ts'
import type { Opener, Visit } from './backend.ts'
import { updateControls, YEAR_2001 } from './controls.ts'
import type { Draft } from './draft.ts'
import type { Instance } from './instance.ts'
import { emptyDraft } from './open.ts'
import { expiryOf } from './reasons.ts'
import type { SessionData } from './session.ts'

export { updateControls }

const revocable = lazy(() => import('../revocation/revocable.ts'))
const device = lazy(() => import('../device-bound/device.ts'))
const hashes = new WeakMap<Instance, KeyedHash>()
/** Characters of a `User-Agent` that tell browsers apart. */
const MAX_AGENT = 512
/** Characters of each of the two hashes, 66 bits, that a mark consists of: that of the browser, then that of the address. */
const HALF = 11

/** Seconds after which a change is worth trying again while an operator allows none. */
const READ_ONLY_SECONDS = 30

/** Answers registrations and refreshes of `deviceBound`; `null`: the request is for the application. */
export async function answerDevice(
  opener: Opener<SessionData>,
  request: Request,
): Promise<Response | null> {
  return (await device()).answerDevice(opener, request)
}

/** Lets a draft through, or puts an empty one in its place; notes that an operator allows no changes. */
export async function guardDraft(instance: Instance, draft: Draft, visit: Visit): Promise<Draft> {
  const { request } = visit
  const ends = instance.options.revocations && (await revocable())
  const living = ends ? await ends.withoutEnded(instance, draft, request?.signal) : draft
  let guarded = await restrict(instance, living, request)
  ends?.limitLifetime(instance, guarded)
  if (instance.options.deviceBound) {
    guarded = await (await device()).guardDevice(instance, guarded, visit)
  }
  if (instance.inForce?.readOnly) {
    guarded.refused = new StoreUnavailableError(
      'Cannot change session: the controls make all of them read-only',
      { reason: 'read-only', retryAfter: READ_ONLY_SECONDS },
    )
  }
  return guarded
}

/** Puts an empty draft in the place of one whose session is too old, or another client's. */
async function restrict(
  instance: Instance,
  draft: Draft,
  request: Request | undefined,
): Promise<Draft> {
  // What was just imported was checked before it was saved.
  const isChecked = draft.removals !== undefined || !draft.found
  const outdated = isChecked ? null : await checkAge(instance, draft, request?.signal)
  if (outdated) return outdated
  return instance.options.binding && request ? await checkClient(instance, draft, request) : draft
}

/** A draft of nothing when the controls or `notBefore` say that the session is over, or the latter cannot say. */
export async function checkAge(
  instance: Instance,
  draft: Draft,
  signal?: AbortSignal,
): Promise<Draft | null> {
  const { emit, options } = instance
  const { notBefore } = options
  const { subject, authenticatedAt, createdAt } = draft.current
  const since = authenticatedAt ?? createdAt
  if (since < (instance.inForce?.notBefore ?? -Infinity)) {
    return await overDraft(instance, draft, 'everybody was signed out')
  }
  if (!notBefore || subject === null) return null
  let limit: number | null
  try {
    const late = (): Error => new StoreUnavailableError('notBefore took too long')
    const ask = async (): Promise<number | null> => await notBefore(subject)
    limit = await within(1000 * options.storeTimeout, signal, late, ask)
  } catch {
    // Nobody waits for the answer any more, which says nothing about whoever was asked.
    if (signal?.aborted) throw signal.reason
    const reason = new StoreUnavailableError('Cannot read session: notBefore failed')
    const isThrown = options.onStoreFailure === 'throw'
    const type = isThrown ? 'store.unavailable' : 'store.degraded'
    emit({ type, store: 'notBefore', ...failureOf(reason) }, draft.current)
    if (isThrown) throw reason
    return await emptyDraft(instance, draft.cookies, {
      status: 'degraded',
      noSession: () => reason,
      readOnly: reason,
    })
  }
  // Epoch seconds are before any sign-in, so that they would end nothing.
  const isTime = typeof limit === 'number' && (limit === 0 || limit >= YEAR_2001)
  const expected = 'a function that returns epoch milliseconds, or null'
  refuseUnless(isTime || (limit ?? null) === null, 'notBefore', expected, limit)
  if (since >= (limit ?? 0)) return null
  return await overDraft(instance, draft, 'its user signed out everywhere')
}

async function overDraft(instance: Instance, draft: Draft, why: string): Promise<Draft> {
  const { timeout: _, ...expiry } = expiryOf(instance, draft.current)
  instance.emit({ type: 'session.expired', ...expiry, reason: 'not-before' }, draft.current)
  const noSession = () =>
    new SessionExpiredError(`The session is over: ${why}`, { reason: 'not-before' })
  return await emptyDraft(instance, draft.cookies, { status: 'expired', noSession })
}

/** Lets a session belong to the client that proves something now, and drops what another one has proven. */
function trustAgain(state: SessionState): SessionState {
  const claims = { ...state.claims, f: undefined }
  return { ...state, authenticatedAt: null, binding: undefined, claims }
}

async function checkClient(instance: Instance, draft: Draft, request: Request): Promise<Draft> {
  const { emit, options } = instance
  const { userAgent, ip, onMismatch } = options.binding ?? {}
  const agent = (userAgent && request.headers.get('user-agent')?.slice(0, MAX_AGENT)) || ''
  // Version numbers change with every update of a browser.
  const address = ip ? ip(request) : null
  // The promise of an address would be the same text for every client.
  const isText = address === null || typeof address === 'string'
  refuseUnless(isText, 'binding.ip', 'a function that returns a text or null', address)
  const client = [`agent ${agent.replace(/[\d.]+/g, '')}`, `ip ${address ?? ''}`]
  const hash = hashes.get(instance) ?? createKeyedHash(options.secrets, 'binding')
  hashes.set(instance, hash)
  const { found, current } = draft
  // A visitor without a session costs nothing, and leaves nothing behind, until one is saved.
  draft.bind = async () =>
    (await Promise.all(client.map(hash))).map(([newest]) => newest.slice(0, HALF)).join('')
  const { binding } = current
  if (!found || binding === undefined) return draft
  // Each half may have been made under any of the secrets.
  const [isBrowser, isAddress] = (await Promise.all(client.map(hash))).map((known, i) =>
    known.some((one) => one.slice(0, HALF) === binding.slice(i * HALF, (i + 1) * HALF)),
  )
  if (isBrowser && isAddress) return draft
  const by = isBrowser ? 'ip' : isAddress ? 'user-agent' : 'both'
  emit({ type: 'session.binding-mismatch', by }, current)
  if (onMismatch === 'step-down') {
    draft.doubt = trustAgain
    return draft
  }
  return await emptyDraft(instance, draft.cookies, {
    status: 'invalid',
    noSession: () =>
      new SessionBindingError('There is no session for this client: it is of another one'),
    bind: draft.bind,
  })
}
