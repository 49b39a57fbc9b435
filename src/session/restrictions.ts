/**
 * The checks between a session that was opened and the request that asked for it. Loaded when `binding`, `notBefore`,
 * `revocations`, `controls`, `deviceBound` or `importFrom` is configured.
 */
import { refuseUnless } from '../check.ts'
import type { SessionState } from '../codec/session-record.ts'
import { createKeyedHash } from '../crypto/keyed-hash.ts'
import { SessionBindingError, StoreUnavailableError } from '../errors.ts'
import { lazy } from '../lazy.ts'
import type { Opener, Visit } from './backend.ts'
import { checkAge } from './check-age.ts'
import { updateControls } from './controls.ts'
import type { Draft } from './draft.ts'
import type { Instance } from './instance.ts'
import { perInstance } from './instances.ts'
import { emptyDraft } from './open.ts'
import type { SessionData } from './session.ts'

const importing = lazy(() => import('../migrate/adopt.ts'))
const revocable = lazy(() => import('../revocation/revocable.ts'))
const device = lazy(() => import('../device-bound/device.ts'))
const hashOf = perInstance(({ options }) => createKeyedHash(options.secrets, 'binding'))
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

/**
 * Lets a draft through, or puts another one in its place: that of an old cookie, or an empty one. Notes that an
 * operator allows no changes.
 */
export async function guardDraft(instance: Instance, draft: Draft, visit: Visit): Promise<Draft> {
  const { header, request } = visit
  const { controls, deviceBound, importFrom, revocations } = instance.options
  if (controls) await updateControls(instance, request)
  const isOld = header && importFrom?.some(({ name }) => header.includes(name))
  const opened = isOld
    ? await (await importing()).adoptSession(instance, draft, header, request?.signal)
    : draft
  const ends = revocations && (await revocable())
  const living = ends ? await ends.withoutEnded(instance, opened, request?.signal) : opened
  let guarded = await restrict(instance, living, request)
  ends?.limitLifetime(instance, guarded)
  if (deviceBound) {
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

/** Lets a session belong to the client that proves something now, and drops what another one has proven. */
function trustAgain(state: SessionState): SessionState {
  const claims = { ...state.claims, f: undefined }
  return { ...state, authenticatedAt: null, binding: undefined, claims }
}

async function checkClient(instance: Instance, draft: Draft, request: Request): Promise<Draft> {
  const { emit, options } = instance
  const { userAgent, ip, onMismatch } = options.binding!
  const agent = (userAgent && request.headers.get('user-agent')?.slice(0, MAX_AGENT)) || ''
  const address = ip ? ip(request) : null
  // The promise of an address would be the same text for every client.
  const isText = address === null || typeof address === 'string'
  refuseUnless(isText, 'binding.ip', 'a function that returns a text or null', address)
  // Version numbers change with every update of a browser.
  const client = [`agent ${agent.replace(/[\d.]+/g, '')}`, `ip ${address ?? ''}`]
  const hash = hashOf(instance)
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
