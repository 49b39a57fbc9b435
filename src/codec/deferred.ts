/** The content of a cookie of deferred writes: entries, and the session and generation they are for. */
import { decodeBase64url, encodeBase64url } from '../crypto/base64url.ts'
import { openShared, sealShared, shareOf } from '../crypto/key-share.ts'
import { decodeText, encodeText } from '../crypto/text.ts'
import type { DataFormat } from './data.ts'
import { decodeEntries, type Entry, encodeEntries } from './entries.ts'
import { epochOf } from './generation.ts'
import { idOf, type SessionState } from './session-record.ts'

/** The body is text of entries, sealed once more under a key share. */
export type DeferredContent = readonly [
  id: string,
  epoch: string,
  at: number,
  changes: number,
  body: string,
]

/** Lays entries out, bound to the `version` of the data that this deployment writes. */
export async function encodeDeferred(
  format: DataFormat,
  state: SessionState,
  version: number,
  entries: readonly Entry[],
  at: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const text = encodeEntries(format, entries, at)
  const body = shareOf(state).length
    ? encodeBase64url(await sealShared(state, encodeText(text)))
    : text
  const epoch = epochOf(state.generation, version)
  const content: DeferredContent = [idOf(state), epoch, at, countOf(entries), body]
  return encodeText(JSON.stringify(content))
}

/** Reads what {@link encodeDeferred} laid out; nothing of a format to come, which begins with another byte than a bracket. */
export function decodeDeferred(bytes: Uint8Array<ArrayBuffer> | null): DeferredContent[] {
  return bytes?.[0] === 91 ? [JSON.parse(decodeText(bytes))] : []
}

/** Opens the body; `null`: another key share sealed it. Throws {@link SessionCorruptionError} where another codec wrote it. */
export async function openBody(
  format: DataFormat,
  state: SessionState,
  [, , at, , body]: DeferredContent,
): Promise<Entry[] | null> {
  const sealed = shareOf(state).length ? decodeBase64url(body) : encodeText(body)
  const bytes = await openShared(state, sealed)
  return bytes && decodeEntries(format, decodeText(bytes), at)
}

/** Counts the changes of entries. */
export function countOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, { changes }) => sum + changes.length, 0)
}
