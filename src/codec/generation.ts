/**
 * The credential of a session: a generation, which each rotation replaces.
 *
 * A session keeps its id from its first write to its end. A rotation (`login`, `elevate`,
 * `regenerate`) replaces its generation, and with it every cookie made before: a cookie is good only with the number and the
 * nonce of the record. The number alone orders generations; the nonce keeps two apart that were
 * given the same number, because a store lost its last writes in between.
 */
import { randomText } from '../crypto/base64url.ts'

/** One credential of a session. */
export interface Generation {
  /** 1 for the first; each rotation adds one. */
  readonly number: number
  /** 6 random bytes, base64url, drawn by the rotation; empty for the first generation. */
  readonly nonce: string
  /** Names ({@link nameOf}) of the two generations before, the latest first. */
  readonly replaced: readonly string[]
  /** Epoch milliseconds of the rotation; 0 for the first generation. */
  readonly rotatedAt: number
  /**
   * Counter of the session's latest write, if that was a sign-in that changed nothing but the
   * subject and the credential. An overlapping sign-in of the same user may then share the session.
   */
  readonly signedInAt?: number | undefined
}

/** The generation of a session before its first rotation. */
export const FIRST: Generation = { number: 1, nonce: '', replaced: [], rotatedAt: 0 }

const NONCE_BYTES = 6
const MAX_REPLACED = 2

/** Draws the nonce of a new generation. */
export function newNonce(): string {
  return randomText(NONCE_BYTES)
}

/** Returns the generation that follows, rotated at `now` (epoch milliseconds). */
export function nextGeneration(generation: Generation, nonce: string, now: number): Generation {
  const replaced = [nameOf(generation), ...generation.replaced].slice(0, MAX_REPLACED)
  return { number: generation.number + 1, nonce, replaced, rotatedAt: now }
}

/** Returns number and nonce of a generation as text: `2.c29qb3Vy`. */
export function nameOf({ number, nonce }: Pick<Generation, 'number' | 'nonce'>): string {
  return `${number}.${nonce}`
}

/** The part of a generation that a record's epoch spells: number, nonce, and time of the rotation. */
export type Credential = Pick<Generation, 'number' | 'nonce' | 'rotatedAt'>

/**
 * Spells the epoch of a record: its generation, the time of the rotation, and the version of its data.
 * Entries are appended only where it is equal. It stands in the clear, and is additional
 * authenticated data of record and entries: the clear copy can refuse a cookie, never admit one.
 */
export function epochOf(generation: Credential, version: number): string {
  return [nameOf(generation), generation.rotatedAt, version].join('.')
}

/** Reads the credential in a record's epoch. */
export function credentialOf({ epoch }: { readonly epoch: string }): Credential {
  const [number, nonce = '', rotatedAt] = epoch.split('.')
  return { number: Number(number), nonce, rotatedAt: Number(rotatedAt) }
}

/** Spells a generation and the two that it replaced, for a cookie or a record. */
export function encodeGeneration(generation: Generation): string {
  return [nameOf(generation), ...generation.replaced].join()
}

/** Reads what {@link encodeGeneration} spelled. */
export function decodeGeneration(text: string): Pick<Generation, 'number' | 'nonce' | 'replaced'> {
  const [name = '', ...replaced] = text.split(',')
  const [number, nonce = ''] = name.split('.')
  return { number: Number(number), nonce, replaced }
}
