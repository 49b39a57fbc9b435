/** Proofs of possession: the JWS (RFC 7515, `typ: dbsc+jwt`) in `Secure-Session-Response`. */
import { decodeBase64url } from '../crypto/base64url.ts'
import { parseObject } from './json.ts'
import type { DeviceAlgorithm } from './public-key.ts'

/** A proof taken apart. Nothing of it is verified. */
export interface Proof {
  readonly algorithm: DeviceAlgorithm
  /** The member `jwk` of its header, of any type; registrations have one. */
  readonly jwk: unknown
  /** The challenge that it answers. */
  readonly jti: string
  /** The text that is signed. */
  readonly signed: string
  readonly signature: Uint8Array<ArrayBuffer>
}

/** Characters: an RSA signature and modulus of 4096 bits with a challenge take under 3000. */
const MAX_PROOF = 8192
/** A text of structured fields (RFC 9651), whose parameters are ignored, or the proof alone. */
const VALUE = /^[ \t]*(?:"([\w.-]+)"[ \t]*(?:;.*)?|([\w.-]+))[ \t]*$/

/** Parses the value of `Secure-Session-Response`, quoted or bare; returns what is wrong with one that is no proof. */
export function parseProof(
  header: string,
  algorithms: readonly DeviceAlgorithm[],
): Proof | 'malformed' | 'algorithm' {
  const match = header.length > MAX_PROOF ? null : VALUE.exec(header)
  const parts = (match?.[1] ?? match?.[2] ?? '').split('.')
  if (parts.length !== 3) return 'malformed'
  const [head, payload, signature] = parts.map(decodeBase64url)
  const { alg, crit, jwk, typ } = (head && parseObject(head)) ?? {}
  const { jti } = (payload && parseObject(payload)) ?? {}
  // A critical extension (RFC 7515, 4.1.11) is one that is not understood here.
  const holds = typ === 'dbsc+jwt' && crit === undefined && typeof alg === 'string'
  if (!holds || typeof jti !== 'string' || !signature?.length) return 'malformed'
  const algorithm = algorithms.find((one) => one === alg)
  if (!algorithm) return 'algorithm'
  return { algorithm, jwk, jti, signed: `${parts[0]}.${parts[1]}`, signature }
}
