/**
 * Deferred writes: changes that could not reach the store are carried in a cookie of their own, one for each
 * response, so that overlapping requests cannot overwrite each other's, until the store answers.
 *
 * Only with `snapshot.staleIfError`, and only when the store is unavailable: a visitor can cause that
 * a single write is refused, and can drop cookies, but cannot cause an outage.
 */
import { idOf, type SessionState } from '../codec/session-record.ts'
import { decodeBase64url, encodeBase64url } from '../crypto/base64url.ts'
import { openShared, sealShared, shareOf } from '../crypto/key-share.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { DropReason } from '../events.ts'
import type { Draft, Entry, Waiting } from '../session/draft.ts'
import type { Instance } from '../session/instance.ts'
import { type CookieFound, MAX_COOKIE_BYTES } from '../transport/cookie.ts'
import { applyWaiting, changesOf, decodeEntries, encodeEntries, joinEntries } from './journal.ts'
import { newLabel, openSide, removeSide, sealSide } from './notes.ts'
import { epochOf } from './stored-record.ts'

/** Milliseconds for which a deferred write is good, from the last one in its cookie. */
const DEFERRED_MS = 900_000

/** The content of the cookie. The body is text of entries, sealed once more under a key share. */
type Sealed = readonly [id: string, epoch: string, at: number, changes: number, body: string]

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Tells whether the changes of a draft may wait after `error` of the store. */
export function canDefer({ cookie, options }: Instance, draft: Draft, error: unknown): boolean {
  const { snapshot, onStoreFailure } = options
  return (
    !!cookie.side &&
    onStoreFailure === 'degrade' &&
    !!snapshot &&
    snapshot.staleIfError > 0 &&
    error instanceof StoreUnavailableError &&
    !('perKey' in error) &&
    !draft.removals
  )
}

/** Applies the deferred writes that came with a request, as the first operation of its draft. */
export async function takeUpDeferred(instance: Instance, draft: Draft): Promise<Draft> {
  const { cookies, found, readOnly } = draft
  if (!cookies.entries.length || !found || readOnly) return draft
  const entries = new Map<string, Entry>()
  const lost: { reason: DropReason; changes: number }[] = []
  for (const [, token] of cookies.entries) {
    const opened = await openDeferred(instance, found.state, token, cookies)
    if (opened && 'reason' in opened) lost.push(opened)
    else for (const entry of opened ?? []) entries.set(entry.tags.join(), entry)
  }
  const all = [...entries.values()].sort((a, b) => a.at - b.at)
  const labels = cookies.entries.map(([label]) => label)
  const outcome = { applied: [], dropped: [] }
  const operation = applyWaiting(all, outcome, instance.context.same)
  const base = operation(draft.current)
  if (!(await isValid(instance, base))) {
    const dropped = { entries: [], applied: [], dropped: all }
    return { ...draft, waiting: { ...dropped, labels, lost, base: draft.current }, refresh: true }
  }
  const waiting: Waiting = Object.assign(outcome, { entries: all, labels, lost, base })
  return { ...draft, current: base, operations: [operation], waiting, refresh: true }
}

/** Tells whether the schema of this deployment, which may be newer, accepts a state. */
async function isValid({ format }: Instance, state: SessionState): Promise<boolean> {
  try {
    await format.check?.(state)
    return true
  } catch {
    return false
  }
}

/** Opens one cookie; `null`: it is not ours. */
async function openDeferred(
  instance: Instance,
  state: SessionState,
  token: string,
  cookies: CookieFound,
): Promise<readonly Entry[] | { reason: DropReason; changes: number } | null> {
  const { format, options } = instance
  const bytes = await openSide(instance, 'deferred', token, cookies)
  if (!bytes) return null
  const [id, epoch, at, changes, body]: Sealed = JSON.parse(decoder.decode(bytes))
  if (id !== idOf(state)) return { reason: 'ended', changes }
  if (epoch !== deferredEpoch(state, options.version)) return { reason: 'generation', changes }
  if (options.now() - at >= DEFERRED_MS) return { reason: 'expired', changes }
  const share = shareOf(state)
  if (!share.length) return decodeEntries(format, body, at)
  const inner = await openShared(share, decodeBase64url(body) ?? new Uint8Array())
  return inner && decodeEntries(format, decoder.decode(inner), at)
}

/**
 * Returns the `Set-Cookie` values that carry the changes of a draft, together with earlier deferred
 * writes; `null` when that is too large for a cookie.
 */
export async function defer(
  instance: Instance,
  draft: Draft,
  tag: string,
): Promise<string[] | null> {
  const { cookie, format, options } = instance
  const { current, found, operations, waiting } = draft
  const state = found!.state
  const seen = waiting?.applied.flatMap(({ tags }) => tags) ?? []
  const changes = changesOf(
    operations.filter(({ isDeferred }) => !isDeferred),
    current,
  )
  const own: Entry = { tags: [tag], counter: state.counter, at: options.now(), changes, seen }
  const waited = joinEntries(waiting?.entries ?? [], options.now())
  const all = [...waited, ...(changes.length ? [own] : [])]
  const at = Math.max(...all.map((entry) => entry.at))
  const text = encodeEntries(format, all, at)
  const share = shareOf(state)
  const body = share.length ? encodeBase64url(await sealShared(share, encoder.encode(text))) : text
  const epoch = deferredEpoch(state, options.version)
  const sealed: Sealed = [idOf(state), epoch, at, countOf(all), body]
  const bytes = encoder.encode(JSON.stringify(sealed))
  const token = await sealSide(instance, 'deferred', bytes)
  const label = `d${newLabel()}`
  if (cookie.name.length + 1 + label.length + token.length > MAX_COOKIE_BYTES) return null
  instance.emit({ type: 'commit.deferred', changes: changes.length }, current)
  reportLost(instance, draft)
  return [
    cookie.side!(label, token, DEFERRED_MS / 1000),
    ...removeSide(instance, waiting?.labels ?? []),
  ]
}

/** Reports which deferred writes were applied or dropped, and returns the `Set-Cookie` values that remove them. */
export function settleDeferred(instance: Instance, draft: Draft): string[] {
  const { waiting } = draft
  if (!waiting) return []
  const applied = countOf(waiting.applied)
  if (applied) instance.emit({ type: 'commit.applied', changes: applied }, draft.current)
  const changes = countOf(waiting.dropped)
  if (changes) reportDropped(instance, draft, changes, 'conflict')
  reportLost(instance, draft)
  return removeSide(instance, waiting.labels)
}

/** Removes the deferred writes of a session that ends; they are dropped. */
export async function dropDeferred(instance: Instance, draft: Draft): Promise<string[]> {
  const { cookies, waiting } = draft
  // Without a session to apply them to nobody has opened them yet.
  const changes = waiting ? countOf(waiting.entries) : await countIn(instance, cookies)
  if (changes) reportDropped(instance, draft, changes, 'ended')
  if (waiting) reportLost(instance, draft)
  return removeSide(
    instance,
    cookies.entries.map(([label]) => label),
  )
}

/** Counts the changes in cookies. */
async function countIn(instance: Instance, cookies: CookieFound): Promise<number> {
  let count = 0
  for (const [, token] of cookies.entries) {
    const bytes = await openSide(instance, 'deferred', token, cookies)
    if (bytes) count += (JSON.parse(decoder.decode(bytes)) as Sealed)[3]
  }
  return count
}

/** Reports changes that will never be made. */
export function reportDropped(
  { emit }: Instance,
  { current, found, replaced }: Draft,
  changes: number,
  reason: DropReason,
): void {
  emit({ type: 'commit.dropped', changes, reason }, found?.state ?? replaced?.state ?? current)
}

function reportLost(instance: Instance, draft: Draft): void {
  for (const { changes, reason } of draft.waiting?.lost ?? []) {
    reportDropped(instance, draft, changes, reason)
  }
}

function countOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { changes }) => sum + changes.length, 0)
}

/** The epoch that a deferred write is bound to, with the version of the deployment that deferred it. */
function deferredEpoch(state: SessionState, version: number): string {
  return epochOf({ ...state, version })
}
