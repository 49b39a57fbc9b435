/**
 * Deferred writes: changes that could not reach the store are carried in a cookie of their own, one for each
 * response, so that overlapping requests cannot overwrite each other's, until the store answers.
 *
 * Only with `snapshot.staleIfError`, and only when the store is unavailable: a visitor can cause that
 * a single write is refused, and can drop cookies, but cannot cause an outage.
 */
import { decodeEntries, type Entry, encodeEntries } from '../codec/entries.ts'
import { epochOf } from '../codec/generation.ts'
import { idOf, type SessionState } from '../codec/session-record.ts'
import { decodeBase64url, encodeBase64url } from '../crypto/base64url.ts'
import { openShared, sealShared, shareOf } from '../crypto/key-share.ts'
import { decodeText, encodeText } from '../crypto/text.ts'
import { StoreUnavailableError } from '../errors.ts'
import type { DropReason } from '../events.ts'
import type { DeferredWrites, Draft } from '../session/draft.ts'
import type { Instance } from '../session/instance.ts'
import { changesOf } from '../session/operations.ts'
import { openSides, removeSides, writeSide } from '../session/side-cookies.ts'
import type { CookieFound } from '../transport/cookie.ts'
import { applyDeferred, leaveOutReplaced } from './journal.ts'

/** Milliseconds for which a deferred write is good, from the last one in its cookie. */
const DEFERRED_MS = 900_000

/** The content of the cookie. The body is text of entries, sealed once more under a key share. */
type Sealed = readonly [id: string, epoch: string, at: number, changes: number, body: string]

/** Tells whether the changes of a draft may wait after `error` of the store. */
export function canDefer({ options }: Instance, draft: Draft, error: unknown): boolean {
  const { snapshot, onStoreFailure } = options
  const isOutage = error instanceof StoreUnavailableError && !('perKey' in error)
  if (!isOutage || !snapshot || draft.removals) return false
  return onStoreFailure === 'degrade' && snapshot.staleIfError > 0
}

/** Applies the deferred writes that came with a request, as the first operation of its draft. */
export async function openDeferred(instance: Instance, draft: Draft): Promise<Draft> {
  const { context, format, options } = instance
  const { cookies, current, found, readOnly } = draft
  if (!cookies.deferred.length || !found || readOnly) return draft
  const byTag = new Map<string, Entry>()
  const lost: { reason: DropReason; changes: number }[] = []
  for (const sealed of await openAll(instance, cookies)) {
    const opened = await entriesOf(instance, found.state, sealed).catch(() => 'generation' as const)
    if (typeof opened === 'string') lost.push({ reason: opened, changes: sealed[3] })
    else for (const entry of opened) byTag.set(entry.tag, entry)
  }
  const entries = [...byTag.values()].sort((a, b) => a.at - b.at)
  const deferred: DeferredWrites = { entries, lost, base: current, applied: [], dropped: [] }
  const operation = applyDeferred(entries, deferred, context.same, options.now())
  const next = operation(current)
  try {
    await format.check?.(next)
    deferred.base = next
  } catch {
    // The schema of this deployment may be newer.
    Object.assign(deferred, { applied: [], dropped: entries })
  }
  // Where nothing applies, the request has no change of its own, whatever `migrate` made of the data.
  const operations = deferred.applied.length ? [operation] : []
  const more = { operations, stored: { ...draft.stored, deferred }, refresh: true }
  return { ...draft, current: deferred.base, ...more }
}

/** Opens the cookies of deferred writes that are ours; those of a format to come begin with another byte than a bracket. */
async function openAll(instance: Instance, cookies: CookieFound): Promise<Sealed[]> {
  const all = await openSides(instance, 'deferred', cookies)
  return all.flatMap((bytes) => (bytes?.[0] === 91 ? [JSON.parse(decodeText(bytes))] : []))
}

/** Returns the entries in a cookie, or the reason for which they cannot be applied; another codec is one. */
async function entriesOf(
  { format, options }: Instance,
  state: SessionState,
  [id, epoch, at, , body]: Sealed,
): Promise<readonly Entry[] | DropReason> {
  if (id !== idOf(state)) return 'ended'
  if (epoch !== epochOf(state.generation, options.version)) return 'generation'
  if (options.now() - at >= DEFERRED_MS) return 'expired'
  const sealed = shareOf(state).length ? decodeBase64url(body) : encodeText(body)
  const bytes = await openShared(state, sealed)
  return bytes ? decodeEntries(format, decodeText(bytes), at) : 'generation'
}

/**
 * Returns the `Set-Cookie` values that carry the changes of a draft, together with the earlier deferred
 * writes that apply; `null` when that is too large for a cookie.
 */
export async function defer(
  instance: Instance,
  draft: Draft,
  tag: string,
): Promise<string[] | null> {
  const { format, options } = instance
  const { current, operations, stored } = draft
  const { state } = draft.found!
  const { dropped = [], entries = [] } = stored?.deferred ?? {}
  const earlier = entries.filter((one) => !dropped.includes(one))
  const changes = changesOf(operations, current)
  // Its place after the earlier ones says which of them it was made on top of.
  const own: Entry = { tag, counter: state.counter, at: options.now(), changes, seen: [] }
  const all = leaveOutReplaced(changes.length ? [...earlier, own] : earlier, own.at)
  const at = all.at(-1)?.at
  if (at === undefined) return clearDeferred(instance, draft)
  const text = encodeEntries(format, all, at)
  const body = shareOf(state).length
    ? encodeBase64url(await sealShared(state, encodeText(text)))
    : text
  // Bound to the version of the data that this deployment writes.
  const epoch = epochOf(state.generation, options.version)
  const sealed: Sealed = [idOf(state), epoch, at, countOf(all), body]
  const bytes = encodeText(JSON.stringify(sealed))
  const setCookie = await writeSide(instance, 'deferred', bytes, DEFERRED_MS / 1000)
  if (!setCookie) return null
  // Less those of earlier pages that later ones replaced: what waits is what is told of at its end.
  instance.emit({ type: 'commit.deferred', changes: countOf(all) - countOf(earlier) }, current)
  return [setCookie, ...clearDeferred(instance, draft)]
}

/** Settles the deferred writes of a request that was saved, as {@link clearDeferred}. */
export function settleDeferred(instance: Instance, draft: Draft): string[] {
  const changes = countOf(draft.stored?.deferred?.applied ?? [])
  if (changes) instance.emit({ type: 'commit.applied', changes }, draft.current)
  return clearDeferred(instance, draft)
}

/** Reports which deferred writes are dropped, and returns the `Set-Cookie` values that remove all cookies. */
function clearDeferred(instance: Instance, draft: Draft): string[] {
  const { cookies, stored: { deferred } = {} } = draft
  if (!deferred) return []
  reportDropped(instance, draft, countOf(deferred.dropped), 'conflict', true)
  for (const { changes, reason } of deferred.lost)
    reportDropped(instance, draft, changes, reason, true)
  return removeSides(instance, cookies.deferred)
}

/** Removes the deferred writes of a session that ends; they are dropped. */
export async function dropDeferred(instance: Instance, draft: Draft): Promise<string[]> {
  const all = await openAll(instance, draft.cookies)
  const changes = all.reduce((sum, sealed) => sum + sealed[3], 0)
  reportDropped(instance, draft, changes, 'ended', true)
  return removeSides(instance, draft.cookies.deferred)
}

/** Reports changes that will never be made, if there are any; `deferred`: they had waited in a cookie. */
export function reportDropped(
  { emit }: Instance,
  { current, found, stored }: Draft,
  changes: number,
  reason: DropReason,
  deferred?: true,
): void {
  if (!changes) return
  const about = found?.state ?? stored?.replaced?.found?.state ?? current
  emit({ type: 'commit.dropped', changes, reason, ...(deferred && { deferred }) }, about)
}

/** Drops the deferred writes of a user in whose place another one signs in. */
export function endDeferred({ stored: { deferred } = {} }: Draft): void {
  if (!deferred) return
  const lost = [...deferred.lost, { reason: 'ended', changes: countOf(deferred.entries) } as const]
  Object.assign(deferred, { applied: [], dropped: [], lost })
}

function countOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { changes }) => sum + changes.length, 0)
}
