/** The sealed tokens of device-bound sessions: the bound cookie, and challenges. They are no state of the server. */
import { nameOf } from '../codec/generation.ts'
import { type DeviceClaim, idOf, type SessionState } from '../codec/session-record.ts'
import { encodeBase64url } from '../crypto/base64url.ts'
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

type Kind = 'bound' | 'challenge'

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
  const content: BoundCookie = [idOf({ key }), t, until, n]
  return seal(instance, 'bound', content)
}

/** Opens a bound cookie; `null` for what is none of ours. */
export function openBound(
  instance: Instance,
  token: string,
  budget: OpenBudget,
): Promise<BoundCookie | null> {
  return open<BoundCookie>(instance, 'bound', token, budget)
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
  const random = encodeBase64url(crypto.getRandomValues(new Uint8Array(NONCE_BYTES)))
  const content: Challenge = [idOf({ key }), nameOf(generation), until, claim?.n ?? null, random]
  return seal(instance, 'challenge', content)
}

/** Opens a challenge; `null` for what is none of ours. */
export function openChallenge(
  instance: Instance,
  token: string,
  budget: OpenBudget,
): Promise<Challenge | null> {
  return open<Challenge>(instance, 'challenge', token, budget)
}

/** The label of a kind, under which nothing else opens. */
const labelOf = ({ cookie }: Instance, kind: Kind): string => `device ${kind}:${cookie.name}`

function seal(instance: Instance, kind: Kind, content: readonly unknown[]): Promise<string> {
  const { options, tokens } = instance
  const bytes = encodeText(JSON.stringify(content))
  return sealToken(tokens.ring, labelOf(instance, kind), bytes, options.now())
}

async function open<T>(
  instance: Instance,
  kind: Kind,
  token: string,
  budget: OpenBudget,
): Promise<T | null> {
  const { options, tokens } = instance
  const bytes = await openToken(tokens.ring, labelOf(instance, kind), token, options.now(), budget)
  return bytes && JSON.parse(decodeText(bytes))
}
