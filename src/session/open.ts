/** From a `Cookie` header to the session it stands for. */

import type { OpenedCookie } from '../codec/cookie-tokens.ts'
import { EMPTY } from '../codec/data.ts'
import type { OpenedRecord, SessionState, SessionTimes } from '../codec/session-record.ts'
import { hourOf } from '../crypto/token.ts'
import {
  SessionEncryptionError,
  SessionError,
  SessionExpiredError,
  SessionNotFoundError,
} from '../errors.ts'
import type { CookieFound } from '../transport/cookie.ts'
import type { Instance } from './instance.ts'
import type { Draft, FoundSession } from './session.ts'

/** What became of a session that a cookie named. */
export type Gone = 'expired' | 'missing' | 'superseded'

/** Opens the session of a header. Throws only what `onStoreFailure` and `onCorruption` ask for. */
export async function openSession(
  instance: Instance,
  header: string | null,
  signal: AbortSignal | undefined,
): Promise<Draft> {
  const { cookie, emit, format } = instance
  const cookies = cookie.find(header)
  const newest = await openNewest(instance, cookies)
  if (!newest) {
    const isNew = !cookies.tokens.length
    if (!isNew) emit({ type: 'session.invalid' })
    return emptyDraft(instance, cookies, {
      status: isNew ? 'new' : 'invalid',
      reason: () =>
        isNew
          ? new SessionNotFoundError('There is no session: no cookie was sent')
          : new SessionEncryptionError(
              `There is no session: the cookie does not open${aheadOf(instance, cookies)}`,
            ),
    })
  }
  const { opened } = newest
  try {
    if (instance.stored) return await (await instance.stored()).open(cookies, opened, signal)
    if (isOver(instance, opened)) return goneDraft(instance, cookies, opened, 'expired')
    // The cookie of a time when sessions were in a store.
    if (opened.text === null) return goneDraft(instance, cookies, opened, 'missing')
    newest.state ??= await format.read(opened)
    return liveDraft(instance, cookies, opened, { state: newest.state, text: opened.text })
  } catch (error) {
    return unreadableDraft(instance, cookies, opened, error)
  }
}

/** Says by how much cookies were made in the future, where one claims so; else an empty text. */
function aheadOf({ options }: Instance, { tokens }: CookieFound): string {
  const newest = Math.max(...tokens.map(hourOf))
  const minutes = Math.ceil(newest * 60 - options.now() / 60_000)
  return minutes > 0 ? `: made in the future, by ${minutes} minutes or more` : ''
}

/** Every cookie of the name is tried: a subdomain may have set one too. The newest that opens wins. */
async function openNewest(
  { tokens }: Instance,
  cookies: CookieFound,
): Promise<OpenedCookie | null> {
  let newest: OpenedCookie | null = null
  for (const token of cookies.tokens) {
    const cookie = await tokens.open(token)
    if (cookie && !(newest && newest.opened.renewedAt >= cookie.opened.renewedAt)) newest = cookie
  }
  return newest
}

/** Whether a session's time is up; what is no time is up too. */
export function isOver({ context, options }: Instance, times: SessionTimes): boolean {
  return !(options.now() < context.expiresAt(times))
}

/** A session that was found. Data of a newer deployment are neither shown nor written over. */
export function liveDraft(
  { options }: Instance,
  cookies: CookieFound,
  { renewedAt }: Pick<OpenedRecord, 'renewedAt'>,
  found: FoundSession,
): Draft {
  const newer = newerData(found.state, options.version)
  return {
    status: newer || found.stale ? 'degraded' : 'active',
    found,
    current: found.state,
    operations: [],
    renewedAt,
    cookies,
    committed: false,
    readOnly: newer,
    reason: newer && (() => newer),
  }
}

/** Why data of a newer version cannot be written over; `null` when they are not newer. */
export function newerData({ version }: SessionState, known: number): SessionError | null {
  if (version <= known) return null
  return new SessionError(
    `Cannot change session: its data are of version ${version}, this deployment knows ${known}`,
    { code: 'ERR_SESSION_READ_ONLY' },
  )
}

/** An empty session; what is written to it starts a new one. */
export async function emptyDraft(
  { context, format, options }: Instance,
  cookies: CookieFound,
  more: Pick<Draft, 'status' | 'reason'> & Partial<Draft>,
): Promise<Draft> {
  const now = context.now()
  const current = {
    key: context.newKey(),
    createdAt: now,
    renewedAt: now,
    subject: null,
    authenticatedAt: null,
    idleTimeout: undefined,
    absoluteTimeout: undefined,
    persistent: false,
    counter: 0,
    version: options.version,
    data: format.initial ? await format.initial() : EMPTY,
    flash: EMPTY,
  }
  return {
    found: null,
    current,
    operations: [],
    renewedAt: now,
    cookies,
    committed: false,
    readOnly: null,
    ...more,
  }
}

/** A session that is no more. */
export function goneDraft(
  instance: Instance,
  cookies: CookieFound,
  about: Pick<OpenedRecord, 'key'>,
  status: Gone,
): Promise<Draft> {
  instance.emit({ type: `session.${status}` }, about)
  const Reason = status === 'expired' ? SessionExpiredError : SessionNotFoundError
  return emptyDraft(instance, cookies, {
    status,
    reason: () => new Reason(`There is no session: it is ${status}`),
  })
}

/** A session whose data cannot be used: what that means was configured. */
async function unreadableDraft(
  instance: Instance,
  cookies: CookieFound,
  opened: OpenedRecord,
  error: unknown,
): Promise<Draft> {
  const { emit, options } = instance
  if (!(error instanceof SessionError) || /^ERR_(STORE|CIRCUIT)/.test(error.code)) throw error
  emit({ type: 'session.corrupt', code: error.code }, opened)
  if (options.onCorruption === 'throw') throw error
  return emptyDraft(instance, cookies, { status: 'invalid', reason: () => error })
}
