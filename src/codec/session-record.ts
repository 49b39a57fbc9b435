/**
 * What a sealed token holds: one session, or the part of it that a cookie carries.
 *
 * | bytes | field |
 * | ----- | ----- |
 * | 1     | flags: 1 fields, 2 data, 4 the data are `[data, flash]` |
 * | 16    | session id |
 * | 4     | created, seconds |
 * | 4     | last renewed, seconds |
 * | n     | with flag 1 the fields that are not at their default, as JSON, and a line feed; then, with flag 2, the data as text of the codec (JSON) |
 */
import { encodeBase64url } from '../crypto/base64url.ts'

/** A session at one moment. Never changed: every operation makes a new one. */
export interface SessionState {
  /**
   * The id as 16 bytes, and with `seal: 'cookie'` the 32 bytes that only the cookie has;
   * {@link idOf} spells the id. A new array is a new id.
   */
  readonly key: Uint8Array<ArrayBuffer>
  /** Epoch milliseconds, whole seconds. */
  readonly createdAt: number
  /** Epoch milliseconds, whole seconds: `idleTimeout` counts from here. */
  readonly renewedAt: number
  readonly subject: string | null
  /** What the application calls this sign-in, for lists of a user's sessions. */
  readonly label?: string | undefined
  /** Keyed hash of the client it belongs to. */
  readonly binding?: string | undefined
  /** Epoch milliseconds. */
  readonly authenticatedAt: number | null
  /** Seconds; `undefined`: as configured. */
  readonly idleTimeout: number | undefined
  /** Seconds; `undefined`: as configured. */
  readonly absoluteTimeout: number | undefined
  /** The cookie outlives the browser. */
  readonly persistent: boolean
  /** How many writes the session has seen; only counted with a store. */
  readonly counter: number
  /** Version of the data's shape. */
  readonly version: number
  readonly data: Readonly<Record<string, unknown>>
  /** What the next request may read once. */
  readonly flash: Readonly<Record<string, unknown>>
  /** What only sessions in a store have. */
  readonly extra?: StoredExtra | undefined
}

/** What is sealed with a session in a store. `k`, `d`: in records and snapshots, the rest in cookies. */
export interface StoredExtra {
  /** The tags of the last writes, one after the other. */
  readonly k?: string | undefined
  /** The tags of deferred writes that were applied, with the counter that they led to. */
  readonly d?: readonly (readonly [counter: number, tags: string])[] | undefined
  /** Seconds from the last renewal until the cookie was made. */
  readonly t?: number
  /** The version of the record that the cookie has a snapshot of. */
  readonly r?: string
  /** How many patches beside that record are in it. */
  readonly p?: number | undefined
  /** The part of the key that only the cookie has, base64url. */
  readonly q?: string
}

/** What decides when a session is over. */
export type SessionTimes = Pick<
  SessionState,
  'createdAt' | 'renewedAt' | 'idleTimeout' | 'absoluteTimeout'
>

/** A session as it is sealed: its data are text. */
export interface OpenedRecord extends Omit<SessionState, 'data' | 'flash'> {
  /** `null`: only the id and the fields, the data are in a store. */
  readonly text: string | null
  /** `text` is that of `[data, flash]`. */
  readonly hasFlash: boolean
}

/** Bytes of an id. */
export const ID_BYTES = 16
const HEADER_BYTES = 25
const HAS_FIELDS = 1
const HAS_DATA = 2
const HAS_FLASH = 4

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Fields by their short name on the wire, left out at their default. */
interface Fields {
  s?: string
  a?: number
  i?: number
  x?: number
  p?: 1
  n?: number
  v?: number
  l?: string | undefined
  b?: string | undefined
  e?: StoredExtra | undefined
}

/** The id as the application and the store know it. */
export function idOf({ key }: Pick<SessionState, 'key'>): string {
  return encodeBase64url(key.subarray(0, ID_BYTES))
}

/** Lays a session out. */
export function encodeRecord(record: OpenedRecord): Uint8Array<ArrayBuffer> {
  const { text, hasFlash } = record
  const fields = encodeFields(record)
  const bytes = layOut((fields && `${fields}\n`) + (text ?? ''))
  const view = new DataView(bytes.buffer)
  bytes[0] = (fields ? HAS_FIELDS : 0) | (text === null ? 0 : HAS_DATA) | (hasFlash ? HAS_FLASH : 0)
  bytes.set(record.key.subarray(0, ID_BYTES), 1)
  view.setUint32(17, record.createdAt / 1000)
  view.setUint32(21, record.renewedAt / 1000)
  return bytes
}

/** Puts text behind room for the header. */
function layOut(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_BYTES + text.length)
  // Most of it is ASCII, and calling an encoder costs more than a short loop.
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 127) return encoder.encode('\0'.repeat(HEADER_BYTES) + text)
    bytes[HEADER_BYTES + i] = code
  }
  return bytes
}

/** Reads what {@link encodeRecord} wrote, or returns `null`. */
export function decodeRecord(bytes: Uint8Array<ArrayBuffer>): OpenedRecord | null {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const flags = bytes[0]!
    const body = decoder.decode(bytes.subarray(HEADER_BYTES))
    const end = flags & HAS_FIELDS ? body.indexOf('\n') : -1
    const fields: Fields = flags & HAS_FIELDS ? JSON.parse(body.slice(0, end)) : {}
    return {
      key: bytes.subarray(1, 17),
      createdAt: view.getUint32(17) * 1000,
      renewedAt: view.getUint32(21) * 1000,
      subject: fields.s ?? null,
      authenticatedAt: fields.a === undefined ? null : Math.round(fields.a * 1000),
      idleTimeout: fields.i,
      absoluteTimeout: fields.x,
      persistent: fields.p === 1,
      counter: fields.n ?? 0,
      version: fields.v ?? 1,
      label: fields.l,
      binding: fields.b,
      extra: fields.e,
      text: flags & HAS_DATA ? body.slice(end + 1) : null,
      hasFlash: (flags & HAS_FLASH) !== 0,
    }
  } catch {
    return null
  }
}

function encodeFields(state: OpenedRecord): string {
  const fields: Fields = { l: state.label, b: state.binding, e: state.extra }
  if (state.subject !== null) fields.s = state.subject
  if (state.authenticatedAt !== null) fields.a = state.authenticatedAt / 1000
  if (state.idleTimeout) fields.i = state.idleTimeout
  if (state.absoluteTimeout) fields.x = state.absoluteTimeout
  if (state.persistent) fields.p = 1
  if (state.counter) fields.n = state.counter
  if (state.version !== 1) fields.v = state.version
  const text = JSON.stringify(fields)
  return text === '{}' ? '' : text
}
