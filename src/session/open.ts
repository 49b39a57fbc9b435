/** From a `Cookie` header to the session it stands for. */
import type { OpenedCookie } from '../codec/cookie-tokens.ts'
import { FIRST } from '../codec/generation.ts'
import type { OpenedRecord, SessionState, SessionTimes } from '../codec/session-record.ts'
import { EMPTY } from '../codec/values.ts'
import { SessionError } from '../errors.ts'
import { lazy } from '../lazy.ts'
import type { CookieFound } from '../transport/cookie.ts'
import type { Backend } from './backend.ts'
import type { Draft, FoundSession, Gone, NamedSession } from './draft.ts'
import type { Instance } from './instance.ts'

const chunked = lazy(() => import('../transport/too-large.ts'))

/** Opens the session of a header; without a promise where nothing is to be awaited. Throws as {@link Backend.open}. */
export function openSession(
  instance: Instance,
  backend: Backend,
  header: string | null,
  signal: AbortSignal | undefined,
): Draft | Promise<Draft> {
  const cookies = instance.cookie.find(header)
  if (!cookies.pieces) return openCookies(instance, backend, cookies, signal)
  return (async () => {
    const { joinChunks } = await chunked()
    return openCookies(instance, backend, joinChunks(cookies), signal)
  })()
}

function openCookies(
  instance: Instance,
  backend: Backend,
  cookies: CookieFound,
  signal: AbortSignal | undefined,
): Draft | Promise<Draft> {
  const open = (all: readonly OpenedCookie[]): Draft | null | Promise<Draft | null> =>
    all.length + cookies.notes.length ? backend.open(cookies, all, signal) : null
  const orNone = (draft: Draft | null): Draft | Promise<Draft> =>
    draft ?? noneDraft(instance, cookies)
  // Every cookie of the name is tried: a subdomain may have set one too.
  const opened = instance.tokens.openAll(cookies)
  const draft = opened instanceof Promise ? opened.then(open) : open(opened)
  return draft instanceof Promise ? draft.then(orNone) : orNone(draft)
}

/** Begins a session for a request with no cookie that opens. */
async function noneDraft(instance: Instance, cookies: CookieFound): Promise<Draft> {
  const isNew = !cookies.tokens.length
  if (!isNew && instance.observe) await (await seldom()).tellInvalid(instance, cookies)
  return emptyDraft(instance, cookies, {
    status: isNew ? 'new' : 'invalid',
    noSession: async () => (await seldom()).invalidError(instance, cookies),
  })
}

const seldom = lazy(() => import('./seldom.ts'))

/** Tells whether a session's time is up; what is no time is up too. */
export function isOver({ context, options }: Instance, times: SessionTimes): boolean {
  return !(options.now() < context.expiresAt(times))
}

/** A session that was found. Data of a newer deployment are neither shown nor written over. */
export function liveDraft({ options }: Instance, cookies: CookieFound, found: FoundSession): Draft {
  const newer = newerData(found.state, options.version)
  return {
    status: newer || found.stale ? 'degraded' : 'active',
    found,
    current: found.state,
    operations: [],
    cookies,
    readOnly: newer,
    noSession: newer && (() => newer),
  }
}

/** Returns why data of a newer version cannot be written over; `null` when they are not newer. */
export function newerData({ version }: SessionState, known: number): SessionError | null {
  if (version <= known) return null
  return new SessionError(
    `Cannot change session: its data are of version ${version}, this deployment knows ${known}`,
    { code: 'ERR_SESSION_READ_ONLY' },
  )
}

/** Returns the state of a session that begins now. */
export async function newState({ context, format, options }: Instance): Promise<SessionState> {
  const now = context.now()
  return {
    key: context.newKey(),
    generation: FIRST,
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
}

/** An empty session; what is written to it starts a new one. */
export async function emptyDraft(
  instance: Instance,
  cookies: CookieFound,
  more: Pick<Draft, 'status' | 'noSession'> & Partial<Draft>,
): Promise<Draft> {
  const current = await newState(instance)
  return { found: null, current, operations: [], cookies, readOnly: null, ...more }
}

/** A session that is no more. `rotatedAt`: of a cookie that was replaced, epoch milliseconds. */
export async function goneDraft(
  instance: Instance,
  cookies: CookieFound,
  about: NamedSession,
  status: Gone,
  more: Partial<Draft> = {},
  rotatedAt?: number,
): Promise<Draft> {
  if (instance.observe) (await seldom()).tellGone(instance, about, status, rotatedAt)
  const noSession = async () => (await seldom()).goneError(instance, about, status, rotatedAt)
  return emptyDraft(instance, cookies, { status, noSession, ...more })
}

/** A session whose data cannot be used: `onCorruption` says what that means. */
export async function unreadableDraft(
  instance: Instance,
  cookies: CookieFound,
  opened: Pick<OpenedRecord, 'key'>,
  error: unknown,
): Promise<Draft> {
  const { emit, options } = instance
  if (!(error instanceof SessionError)) throw error
  emit({ type: 'session.corrupt', code: error.code }, opened)
  if (options.onCorruption === 'throw') throw error
  return emptyDraft(instance, cookies, { status: 'invalid', noSession: () => error })
}
