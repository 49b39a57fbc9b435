/**
 * The content of a sealed token: one session, or as much of it as a cookie carries.
 *
 * | bytes | field |
 * | ----- | ----- |
 * | 1     | flags: 1 fields, 2 data, 4 the data are `[data, flash]`, 64 somebody is signed in, where the fields do not say who |
 * | 16    | session id |
 * | 4     | created, seconds |
 * | 4     | last renewed, seconds |
 * | n     | with flag 1 the fields that are not at their default, as JSON, and a line feed; then, with flag 2, the data as text of the codec (JSON) |
 */
import { decodeBase64url, encodeBase64url } from '../crypto/base64url.ts'
import { layOut } from '../crypto/text.ts'
import { decodeGeneration, encodeGeneration, FIRST, type Generation } from './generation.ts'

/** Facts about a sign-in that few sessions have, by their short name on the wire; each is left out where there is none. */
export interface Claims {
  /** Tags of the session. */
  readonly t?: readonly string[] | undefined
  /** Factors by name, with the time at which each was last proven, epoch milliseconds. */
  readonly f?: Readonly<Record<string, number>> | undefined
  /** The actor: who acts for the subject. */
  readonly a?: string | undefined
  /** The device that the session is bound to. */
  readonly d?: DeviceClaim | undefined
}

/** The device that a session is bound to: its public key, and how often it has proven it. */
export interface DeviceClaim {
  /** Thumbprint of the key (RFC 7638), base64url. */
  readonly t: string
  /** The key: `x.y` of a point on P-256, or the modulus of an RSA key, base64url. */
  readonly k: string
  /** Number of the generation in which it was bound: no other key is taken in that one. */
  readonly g: number
  /** Number of the generation in which it was last proven. */
  readonly r: number
  /** Number of proofs since: each challenge names it, so that it is good once. */
  readonly n: number
  /** Time of the last proof, epoch milliseconds. */
  readonly p: number
}

/** A session at one moment. Never changed: every operation makes a new one. */
export interface SessionState {
  /**
   * The id as 16 bytes, and with `seal: 'cookie'` the key share: 32 bytes that only the cookie has,
   * drawn again with each generation. {@link idOf} spells the id.
   */
  readonly key: Uint8Array<ArrayBuffer>
  /** Its credential. */
  readonly generation: Generation
  /** Epoch milliseconds, whole seconds. */
  readonly createdAt: number
  /** Epoch milliseconds, whole seconds: `idleTimeout` counts from here. */
  readonly renewedAt: number
  readonly subject: string | null
  /** The application's name for this sign-in, for lists of a user's sessions. */
  readonly label?: string | undefined
  /** Keyed hash of the client it belongs to. */
  readonly binding?: string | undefined
  /** `undefined`: none. */
  readonly claims?: Claims | undefined
  /** Epoch milliseconds. */
  readonly authenticatedAt: number | null
  /** Seconds; `undefined`: as configured. */
  readonly idleTimeout: number | undefined
  /** Seconds; `undefined`: as configured. */
  readonly absoluteTimeout: number | undefined
  /** The cookie outlives the browser. */
  readonly persistent: boolean
  /** Number of writes so far; only counted with a store. */
  readonly counter: number
  /** With a store: the session's last writes, packed (`codec/write-list`). */
  readonly writes?: string | undefined
  /** Seconds for which the id of an imported session stays marked as ended after its end. */
  readonly markFor?: number | undefined
  /** Version of the data's shape. */
  readonly version: number
  readonly data: Readonly<Record<string, unknown>>
  /** Values that the next request may read once. */
  readonly flash: Readonly<Record<string, unknown>>
}

/** Fields that only the cookie of a session in a store has. */
export interface CookieExtra {
  /** Seconds from the last renewal until the call began that the cookie was made from. */
  readonly t?: number
  /** The version of the record that the cookie has a snapshot of. */
  readonly r?: string
  /** The key share, base64url. */
  readonly q?: string
  /** The credential of a rotation whose outcome is unknown. */
  readonly u?: 1
}

/** The times that decide when a session is over. */
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
  /** Somebody is signed in; only in the cookie of a session in a store, which does not say who. */
  readonly signedIn?: true | undefined
  /** Only in the cookie of a session in a store. */
  readonly extra?: CookieExtra | undefined
}

/** Returns when the call began that a cookie was made from, epoch milliseconds. */
export function madeAt({ extra, renewedAt }: Pick<OpenedRecord, 'extra' | 'renewedAt'>): number {
  return renewedAt + Math.round(1000 * (extra?.t ?? 0))
}

/** Bytes of an id. */
export const ID_BYTES = 16
const HEADER_BYTES = 25
const HAS_FIELDS = 1
const HAS_DATA = 2
const HAS_FLASH = 4
const SIGNED_IN = 64

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Fields by their short name on the wire, left out at their default. */
interface Fields {
  g?: string | undefined
  r?: readonly [rotatedAt: number, signedInAt?: number] | undefined
  w?: string | undefined
  m?: number | undefined
  s?: string | undefined
  a?: number | undefined
  i?: number | undefined
  x?: number | undefined
  p?: 1 | undefined
  n?: number | undefined
  v?: number | undefined
  l?: string | undefined
  b?: string | undefined
  c?: Claims | undefined
  e?: CookieExtra | undefined
}

let lastKey: SessionState['key'] | undefined
let lastId = ''

/** The id as the application and the store know it. A request asks for it ten times over. */
export function idOf({ key }: Pick<SessionState, 'key'>): string {
  if (key !== lastKey) lastId = encodeBase64url(key.subarray(0, ID_BYTES))
  lastKey = key
  return lastId
}

/** Tells whether a session can have this id. Others may come from forms, and no store has to be asked for them. */
export function isId(id: string | undefined): id is string {
  return id !== undefined && decodeBase64url(id)?.length === ID_BYTES
}

/** Lays a session out. */
export function encodeRecord(record: OpenedRecord): Uint8Array<ArrayBuffer> {
  const { text, hasFlash } = record
  const fields = encodeFields(record)
  const bytes = layOut(HEADER_BYTES, (fields && `${fields}\n`) + (text ?? ''))
  const view = new DataView(bytes.buffer)
  bytes[0] =
    (fields ? HAS_FIELDS : 0) |
    (text === null ? 0 : HAS_DATA) |
    (hasFlash ? HAS_FLASH : 0) |
    (record.signedIn ? SIGNED_IN : 0)
  bytes.set(record.key.subarray(0, ID_BYTES), 1)
  view.setUint32(17, record.createdAt / 1000)
  view.setUint32(21, record.renewedAt / 1000)
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
      // A view would keep all of the record in memory.
      key: bytes.slice(1, 17),
      generation: readGeneration(fields),
      createdAt: view.getUint32(17) * 1000,
      renewedAt: view.getUint32(21) * 1000,
      subject: fields.s ?? null,
      authenticatedAt: fields.a === undefined ? null : Math.round(fields.a * 1000),
      idleTimeout: fields.i,
      absoluteTimeout: fields.x,
      persistent: fields.p === 1,
      counter: fields.n ?? 0,
      writes: fields.w,
      markFor: fields.m,
      version: fields.v ?? 1,
      label: fields.l,
      binding: fields.b,
      claims: fields.c,
      extra: fields.e,
      text: flags & HAS_DATA ? body.slice(end + 1) : null,
      hasFlash: (flags & HAS_FLASH) !== 0,
      signedIn: flags & SIGNED_IN ? true : undefined,
    }
  } catch {
    return null
  }
}

function readGeneration({ g, r }: Fields): Generation {
  if (g === undefined) return FIRST
  return { ...decodeGeneration(g), rotatedAt: r?.[0] ?? 0, signedInAt: r?.[1] }
}

function encodeFields(state: OpenedRecord): string {
  const { authenticatedAt, generation } = state
  const { number, rotatedAt, signedInAt } = generation
  // One by one: JSON.stringify takes long to leave out what is undefined, and nearly all of it is.
  const fields: Fields = {}
  if (state.label !== undefined) fields.l = state.label
  if (state.binding !== undefined) fields.b = state.binding
  if (state.claims !== undefined) fields.c = state.claims
  if (state.writes !== undefined) fields.w = state.writes
  if (state.markFor !== undefined) fields.m = state.markFor
  if (state.extra !== undefined) fields.e = state.extra
  if (number > 1) fields.g = encodeGeneration(generation)
  if (rotatedAt) fields.r = signedInAt === undefined ? [rotatedAt] : [rotatedAt, signedInAt]
  if (state.subject !== null) fields.s = state.subject
  if (authenticatedAt !== null) fields.a = authenticatedAt / 1000
  if (state.idleTimeout) fields.i = state.idleTimeout
  if (state.absoluteTimeout) fields.x = state.absoluteTimeout
  if (state.persistent) fields.p = 1
  if (state.counter) fields.n = state.counter
  if (state.version !== 1) fields.v = state.version
  const text = JSON.stringify(fields)
  return text === '{}' ? '' : text
}
