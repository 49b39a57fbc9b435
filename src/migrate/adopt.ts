/** Goes on with the session of another library. Loaded when its cookie comes. */
import { assertSubject } from '../check.ts'
import type { SessionState } from '../codec/session-record.ts'
import { listWrite, newTag } from '../codec/write-list.ts'
import { decodeBase64url } from '../crypto/base64url.ts'
import { plainHash } from '../crypto/keyed-hash.ts'
import {
  SessionCorruptionError,
  SessionError,
  SessionNotFoundError,
  StoreUnavailableError,
} from '../errors.ts'
import type { ImportWinner } from '../events.ts'
import { checkAge } from '../session/check-age.ts'
import type { Draft } from '../session/draft.ts'
import type { Instance } from '../session/instance.ts'
import { emptyDraft, isOver } from '../session/open.ts'
import type { Operation } from '../session/operations.ts'
import { isSame } from '../session/save.ts'
import { unansweredDraft } from '../session/unanswered.ts'
import { MAX_COOKIE_AGE } from '../transport/cookie.ts'
import { type Import, importSession } from './import.ts'
import type { CookieImporter } from './importer.ts'

interface Adoption {
  readonly instance: Instance
  readonly draft: Draft
  readonly signal: AbortSignal | undefined
  /** Name of the option or the store that is being asked, for events. */
  asked: string
  /** The session of a request whose old cookie is of no use. */
  otherwise: Draft
}

/**
 * Puts the session that an old cookie stands for in place of an empty one, or of another user's who
 * signed in earlier. It is saved, and the old cookie removed, with the response.
 */
export async function adoptSession(
  instance: Instance,
  draft: Draft,
  header: string,
  signal: AbortSignal | undefined,
): Promise<Draft> {
  const { cookie, options } = instance
  const { found: ours, status } = draft
  // Nothing is known about ours, or it goes on with another credential.
  if ((status === 'degraded' && !ours) || status === 'superseded') return draft
  const importers = options.importFrom!
  // Beside ours there is rarely one; ours has taken the place of an old one of its own name.
  const isBeside = ({ name }: CookieImporter): boolean =>
    name !== cookie.name && `; ${header}`.includes(`; ${name}`)
  const others = ours ? importers.filter(isBeside) : importers
  if (!others.length) return draft
  const adoption: Adoption = { instance, draft, signal, asked: 'importFrom', otherwise: draft }
  try {
    const found = await importSession(others, header, options.now(), cookie.name)
    return found ? await adopt(adoption, found) : draft
  } catch (error) {
    if (signal?.aborted) throw signal.reason
    return failed(adoption, error)
  }
}

async function adopt(adoption: Adoption, found: Import): Promise<Draft> {
  const { draft, instance, signal } = adoption
  const { current, found: ours } = draft
  const leftovers = found.removals
  const subject = subjectOf(found)
  const winner = await winnerOf(instance, draft, found, subject)
  if (ours) instance.emit({ type: 'session.import-conflict', winner }, current)
  if (winner === 'ours') return Object.assign(draft, { leftovers })
  if (winner === 'neither') {
    const message = 'There is no session: an old cookie and a new one name two users'
    const noSession = () => new SessionNotFoundError(message)
    return await emptyDraft(instance, draft.cookies, { status: 'invalid', noSession, leftovers })
  }
  const empty = isEmpty(draft)
    ? draft
    : await emptyDraft(instance, draft.cookies, { status: 'new', noSession: null })
  adoption.otherwise = empty
  const operation = await operationOf(instance, empty, found, subject)
  if (!operation) return draft
  const first = operation(empty.current)
  // Before it is in the store, where lists would show it. One of unknown age is older than any limit.
  const asOld = { ...first, createdAt: found.createdAt ?? 0 }
  const outdated = await checkAge(instance, { ...empty, current: asOld }, signal)
  if (outdated) return Object.assign(outdated, { leftovers })
  const other = await takeIfEnded(adoption, {
    ...empty,
    found: { state: asOld, text: null },
    current: asOld,
  })
  if (other) return Object.assign(other, { leftovers })
  const started = await startShared(adoption, found, first)
  if (started) return { ...started, removals: found.removals }
  instance.emit({ type: 'session.imported', signedIn: subject !== null }, empty.current)
  return {
    ...empty,
    status: 'active',
    noSession: null,
    current: first,
    operations: [operation],
    removals: found.removals,
  }
}

/**
 * With `revocations`: returns what takes the place of an old session whose user was signed out everywhere since, or
 * of whom nobody can say so; `null`: it goes on.
 */
async function takeIfEnded({ instance, signal }: Adoption, draft: Draft): Promise<Draft | null> {
  if (!instance.options.revocations || draft.current.subject === null) return null
  const { withoutEnded } = await import('../revocation/revocable.ts')
  const checked = await withoutEnded(instance, draft, signal)
  return checked.found && isSame(checked.found.state, draft.current) ? null : checked
}

/**
 * Starts the imported session in the store, where overlapping requests with the old cookie go on with
 * one; `null` where there is no store, or nothing names the old session.
 */
async function startShared(
  adoption: Adoption,
  found: Import,
  first: SessionState,
): Promise<Draft | null> {
  const { draft, instance } = adoption
  const { emit, inForce, options } = instance
  const { origin } = found
  const { subject } = first
  const { seal, store } = options
  if (!origin || !store || inForce?.readOnly || seal === 'cookie') return null
  adoption.asked = store.name
  // A plain hash: a keyed one would be another one under another secret, and what has ended would come
  // back. It is for one user: an old library may keep its id when somebody else signs in.
  const key = decodeBase64url(await plainHash('import', JSON.stringify([origin, subject])))!
  const imported = { ...first, key, markFor: markOf(instance, found) }
  const state = listWrite(imported, newTag(), true, options.now())
  const { startStored } = await import('./start-stored.ts')
  return startStored(instance, draft.cookies, state, () => {
    emit({ type: 'session.imported', signedIn: subject !== null }, state)
    emit({ type: 'session.created' }, state)
  })
}

function failed({ asked, draft, instance, otherwise }: Adoption, error: unknown): Promise<Draft> {
  const { emit, options } = instance
  if (!(error instanceof SessionError)) throw error
  if (!(error instanceof StoreUnavailableError)) {
    emit({ type: 'session.corrupt', code: error.code }, draft.current)
    if (options.onCorruption === 'throw' && !draft.found) throw error
    return Promise.resolve(otherwise)
  }
  return unansweredDraft(instance, asked, draft, error)
}

/** Returns true where no cookie of ours stands for a session. */
const isEmpty = ({ status }: Draft): boolean => status === 'new' || status === 'invalid'

/**
 * Returns the user of an old session; `null` for nobody.
 *
 * @throws {@link SessionCorruptionError} for what `login` would refuse: taken for nobody, its user would
 * be signed out for good with the old cookie.
 */
function subjectOf({ subject = null }: Import): string | null {
  if (subject === null) return null
  try {
    assertSubject(subject)
    return subject
  } catch (refusal) {
    throw new SessionCorruptionError(`Cannot import session: ${(refusal as Error).message}`)
  }
}

/**
 * Decides between an old cookie and one of ours: whoever signed in last wins. Both are there when the
 * old library ran again for a while, or when the browser does not remove the old cookie.
 */
async function winnerOf(
  { tokens }: Instance,
  draft: Draft,
  { createdAt, writtenAt = createdAt }: Import,
  subject: string | null,
): Promise<ImportWinner> {
  if (isEmpty(draft)) return 'old'
  const ours = draft.found?.state
  if (subject === null || subject === ours?.subject) return 'ours'
  if (!ours) {
    // What has ended leaves nothing but its cookies.
    const all = await tokens.openAll(draft.cookies)
    const last = Math.max(0, ...all.map(({ opened }) => opened.renewedAt))
    return (writtenAt ?? 0) >= last + 1000 ? 'old' : 'ours'
  }
  // Ours knows whole seconds, and of two sign-ins in the same one neither came last.
  const isUnknown = writtenAt === undefined || writtenAt - (writtenAt % 1000) === ours.createdAt
  if (isUnknown) return ours.subject === null ? 'old' : 'neither'
  return writtenAt > ours.createdAt ? 'old' : 'ours'
}

/** Returns what turns an empty state into the imported one; `null` when its time is up. */
async function operationOf(
  instance: Instance,
  { current }: Draft,
  found: Import,
  subject: string | null,
): Promise<Operation | null> {
  const { context, format, options } = instance
  const { createdAt: since = current.createdAt, endsAt = Infinity, persistent = false } = found
  // One from the future, as a clock that is ahead gives, would not open again with the next request.
  const createdAt = Math.min(since - (since % 1000), current.createdAt)
  const left = Math.floor((endsAt - createdAt) / 1000)
  const limit = context.expiresAt({ ...current, createdAt, renewedAt: Infinity })
  const absoluteTimeout = endsAt < limit ? Math.max(left, 0) : undefined
  const times = { ...current, createdAt, absoluteTimeout }
  if (isOver(instance, times)) return null
  const text = textOf(() => format.stringify(found.data))
  const opened = { ...times, version: options.version, text, hasFlash: false }
  const { data } = await format.read(opened)
  const first = { createdAt, absoluteTimeout, persistent, subject, data }
  const operation = (state: SessionState): SessionState => ({ ...state, ...first })
  return Object.assign(operation, { isAutomatic: true as const })
}

/** Seconds for which the id stays marked after the end: as long as the old cookie may be good. */
function markOf({ context, options }: Instance, { createdAt, endsAt }: Import): number {
  const times = { renewedAt: Infinity, idleTimeout: undefined, absoluteTimeout: undefined }
  const byAge = createdAt === undefined ? Infinity : context.expiresAt({ ...times, createdAt })
  const left = (Math.min(byAge, endsAt ?? Infinity) - options.now()) / 1000
  return Math.ceil(Math.min(left, MAX_COOKIE_AGE))
}

/** Old data may be what no codec writes. */
function textOf(stringify: () => string): string {
  try {
    return stringify()
  } catch {
    throw new SessionCorruptionError('Cannot import session: its data cannot be written')
  }
}
