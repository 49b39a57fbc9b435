/** The sealed tokens of device-bound sessions: the bound cookie, and challenges. They are no state of the server. */
import { nameOf } from '../codec/generation.ts'
import { type DeviceClaim, idOf, type SessionState } from '../codec/session-record.ts'
import { randomText } from '../crypto/base64url.ts'
import { decodeText, encodeText } from '../crypto/text.ts'
import { type OpenBudget, openToken, sealToken } from '../crypto/token.ts'
import type { Instance } from '../session/instance.ts'

/**
 * The content of a bound cookie: the session and the key that were proven, until when that is good (epoch milliseconds), and
 * the number of the proof. It outlives a rotation, as the key does until another one is registered.
 */
export type BoundCookie = readonly [id: string, key: string, until: number, proof: number]

/**
 * The content of a challenge: for which session and generation it is good, until when (epoch milliseconds), and with a
 * refresh the number of the proof that it asks for. Random bytes keep two of them apart.
 */
export type Challenge = readonly [
  id: string,
  generation: string,
  until: number,
  proof: number | null,
  random: string,
]

/** The contents of the tokens by kind. It is in the label of a token, so that none opens as one of another kind. */
interface Contents {
  readonly bound: BoundCookie
  readonly challenge: Challenge
}

const NONCE_BYTES = 6
/** Seconds for which a browser may take to make a key. */
const REGISTRATION_S = 300

/** Makes a bound cookie's value, good for `maxAge` seconds. */
export function sealBound(
  instance: Instance,
  { key }: Pick<SessionState, 'key'>,
  { n, t }: DeviceClaim,
  maxAge: number,
): Promise<string> {
  const until = instance.options.now() + 1000 * maxAge
  return seal(instance, 'bound', [idOf({ key }), t, until, n])
}

/** Returns the value of `Secure-Session-Challenge`, for the next refresh of a session. */
export async function challengeField(
  instance: Instance,
  state: SessionState,
  claim: DeviceClaim,
  maxAge: number,
): Promise<string> {
  return `"${await sealChallenge(instance, state, claim, maxAge)}";id="${idOf(state)}"`
}

/** Makes the challenge of a registration, or with `claim` that of the next refresh. */
export function sealChallenge(
  instance: Instance,
  { generation, key }: Pick<SessionState, 'key' | 'generation'>,
  claim?: DeviceClaim,
  maxAge = 0,
): Promise<string> {
  const until = instance.options.now() + 1000 * (REGISTRATION_S + maxAge)
  const [id, name, random] = [idOf({ key }), nameOf(generation), randomText(NONCE_BYTES)]
  return seal(instance, 'challenge', [id, name, until, claim?.n ?? null, random])
}

const labelOf = ({ cookie }: Instance, kind: keyof Contents): string =>
  `device ${kind}:${cookie.name}`

function seal<K extends keyof Contents>(
  instance: Instance,
  kind: K,
  content: Contents[K],
): Promise<string> {
  const { options, tokens } = instance
  const bytes = encodeText(JSON.stringify(content))
  return sealToken(tokens.ring, labelOf(instance, kind), bytes, options.now())
}

/** Opens a token; `null` for what is none of ours, or of another kind. */
export async function openSealed<K extends keyof Contents>(
  instance: Instance,
  kind: K,
  token: string,
  budget: OpenBudget,
): Promise<Contents[K] | null> {
  const { options, tokens } = instance
  const bytes = await openToken(tokens.ring, labelOf(instance, kind), token, options.now(), budget)
  return bytes && JSON.parse(decodeText(bytes))
}
