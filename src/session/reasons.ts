/** The reasons for which there is no session: for events, and for the errors of `require`. */
import { MAX_TOKEN } from '../codec/cookie-tokens.ts'
import { madeAt } from '../codec/session-record.ts'
import { type KeyRing, spellKey } from '../crypto/keyring.ts'
import { isNewer } from '../crypto/newer.ts'
import { aheadBy, HOUR_MS, parseToken } from '../crypto/token.ts'
import {
  SessionEncryptionError,
  type SessionError,
  SessionExpiredError,
  SessionNotFoundError,
} from '../errors.ts'
import type { Absence, Expiry, Invalidity } from '../events.ts'
import type { CookieFound } from '../transport/cookie.ts'
import type { Gone, NamedSession } from './draft.ts'
import type { Instance } from './instance.ts'

/** Whole seconds. Clocks that differ make no negative ones. */
const seconds = (ms: number): number => Math.max(0, Math.round(ms / 1000))

/** Returns the timeout that a session met first, with its seconds and how long ago both began. */
export function expiryOf(
  { context, options }: Pick<Instance, 'context' | 'options'>,
  times: NamedSession,
): Expiry & { readonly timeout: number } {
  const { createdAt, renewedAt } = times
  const now = options.now()
  const idleEnd = context.expiresAt({ ...times, createdAt: Infinity })
  const absoluteEnd = context.expiresAt({ ...times, renewedAt: Infinity })
  const isIdle = idleEnd <= absoluteEnd
  return {
    reason: isIdle ? 'idle' : 'absolute',
    age: seconds(now - createdAt),
    idleFor: seconds(now - renewedAt),
    timeout: seconds(isIdle ? idleEnd - renewedAt : absoluteEnd - createdAt),
  }
}

/** Returns the age of a session as its cookie says, and that of the cookie. */
function absenceOf(now: number, about: NamedSession): Absence {
  return { age: seconds(now - about.createdAt), sinceLastSeen: seconds(now - madeAt(about)) }
}

/**
 * Returns the reason for which a token does not open, where it does not: it opens nothing itself, so that one that
 * does open is `forged` too.
 */
export async function whyClosed(ring: KeyRing, text: string, now: number): Promise<Invalidity> {
  const parts = text.length > MAX_TOKEN ? null : parseToken(text)
  if (!parts) return { reason: isNewer(text) ? 'newer' : 'malformed' }
  const keyId = spellKey(parts.id)
  const keys = await ring.keys()
  if (!keys.some(({ id }) => id === parts.id)) return { reason: 'unknown-key', keyId }
  const ahead = aheadBy(parts, now)
  return ahead > HOUR_MS
    ? { reason: 'future', keyId, aheadBy: seconds(ahead) }
    : { reason: 'forged', keyId }
}

/** The reasons, that which says least first. */
const RANK = ['malformed', 'forged', 'unknown-key', 'future', 'newer']

/** Returns the reason for which none of a request's cookies opens. */
async function invalidityOf(
  { options, tokens: { ring } }: Instance,
  { budget: { ahead }, tokens }: CookieFound,
): Promise<Invalidity> {
  const now = options.now()
  const all = await Promise.all(tokens.map((token) => whyClosed(ring, token, now)))
  all.sort((a, b) => RANK.indexOf(b.reason) - RANK.indexOf(a.reason))
  const [first] = all as [Invalidity]
  // It did open, and nobody here has made it yet.
  return ahead ? { ...first, reason: 'future', aheadBy: seconds(ahead - now) } : first
}

/** Reports that no cookie of a request opens. */
export async function tellInvalid(instance: Instance, cookies: CookieFound): Promise<void> {
  instance.emit({ type: 'session.invalid', ...(await invalidityOf(instance, cookies)) })
}

/** Makes the error of `require` for a request without a cookie, or with none that opens. */
export async function invalidError(
  instance: Instance,
  cookies: CookieFound,
): Promise<SessionError> {
  if (!cookies.tokens.length) {
    const message = 'There is no session: no cookie was sent'
    return new SessionNotFoundError(message, { reason: 'no-cookie' })
  }
  const { aheadBy, keyId, reason } = await invalidityOf(instance, cookies)
  const why = {
    'unknown-key': `it was sealed under the key ${keyId}, of no secret that is configured here`,
    future: `it was made in the future: a clock is ${aheadBy} s ahead of this one`,
    malformed: 'it is cut, or nothing that Sojourn made',
    newer: 'a newer version of Sojourn sealed it: update this one',
    forged: 'it was changed, or made for a cookie of another name',
  }[reason]
  return new SessionEncryptionError(`There is no session: the cookie does not open; ${why}`, {
    reason,
  })
}

/** Reports that the session of a cookie is no more. `rotatedAt`: of a cookie that was replaced, epoch milliseconds. */
export function tellGone(
  instance: Instance,
  about: NamedSession,
  status: Gone,
  rotatedAt?: number,
): void {
  const { emit, options } = instance
  const now = options.now()
  if (status === 'expired') {
    const { timeout: _, ...expiry } = expiryOf(instance, about)
    emit({ type: 'session.expired', ...expiry }, about)
  } else if (rotatedAt === undefined) {
    emit({ type: 'session.missing', ...absenceOf(now, about) }, about)
  } else {
    const type = status === 'superseded' ? 'session.superseded' : 'session.reused'
    emit({ type, sinceRotation: seconds(now - rotatedAt) }, about)
  }
}

/** Makes the error of `require` for a session that is no more. */
export function goneError(
  instance: Instance,
  about: NamedSession,
  status: Gone,
  rotatedAt?: number,
): SessionError {
  const now = instance.options.now()
  if (status === 'expired') {
    const { age, idleFor, reason, timeout } = expiryOf(instance, about)
    const why =
      reason === 'idle'
        ? `it was idle for ${idleFor} s, and idleTimeout is ${timeout} s`
        : `it is ${age} s old, and absoluteTimeout is ${timeout} s`
    return new SessionExpiredError(`The session is over: ${why}`, { reason })
  }
  if (rotatedAt === undefined) {
    const { sinceLastSeen } = absenceOf(now, about)
    const message = `There is no session: it ended, or was lost, since its cookie was made ${sinceLastSeen} s ago`
    return new SessionNotFoundError(message, { reason: 'missing' })
  }
  const since = `its cookie was replaced ${seconds(now - rotatedAt)} s ago`
  return status === 'superseded'
    ? new SessionNotFoundError(
        `There is no session for this request: ${since}, and the new one is on its way`,
        { reason: status },
      )
    : new SessionNotFoundError(
        `There is no session: ${since}, so that it is a copy, or the new one never arrived`,
        { reason: 'reused' },
      )
}
