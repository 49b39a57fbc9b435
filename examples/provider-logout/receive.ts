// receive.ts
import {
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose'
import type { SessionStore, Sessions } from 'sojourn'

/** An identity provider that may end sessions. */
export interface Provider {
  readonly sessions: Pick<Sessions, 'revokeBy'>
  /** Remembers the tokens that came: the store of the sessions, or of their revocations. */
  readonly store: SessionStore
  readonly issuer: string
  /** Your client id there. */
  readonly audience: string
  /** `createRemoteJWKSet(new URL('https://…/jwks'))`, of the provider's metadata. */
  readonly keys: JWTVerifyGetKey
}

const LOGOUT = 'http://schemas.openid.net/event/backchannel-logout'
const REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
const SIGNED = { algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA'], clockTolerance: 60 }
const LOGOUT_SECONDS = 600
const SET_SECONDS = 86_400

/** Returns the tags of a sign-in, for `login(userId, { tags })`: `sub`, and `sid` if the ID token has one. */
export async function tagsOf({ iss, sid, sub }: JWTPayload): Promise<string[]> {
  const all = [isText(sub) && tag('sub', iss, sub), isText(sid) && tag('sid', iss, sid)]
  return (await Promise.all(all)).filter((one) => one !== false)
}

/** Receives logout tokens: OpenID Connect Back-Channel Logout 1.0. */
export function backChannelLogout(provider: Provider): (request: Request) => Promise<Response> {
  return async (request) => {
    const refuse = (why: string): Response =>
      answer(400, { error: 'invalid_request', error_description: why })
    const form = await request.formData().catch(() => null)
    const claims = await verified(provider, form?.get('logout_token'), {
      requiredClaims: ['iat', 'exp', 'jti'],
      maxTokenAge: LOGOUT_SECONDS,
    })
    if (claims instanceof Error) return refuse(claims.message)
    const { iss, nonce, sid, sub } = claims
    if (!isObject(eventsOf(claims)[LOGOUT])) return refuse('this is no logout token')
    if (nonce !== undefined) return refuse('a logout token has no nonce')
    const named = isText(sid) ? tag('sid', iss, sid) : isText(sub) && tag('sub', iss, sub)
    if (!named) return refuse('neither sid nor sub says which session')
    const isFirst = await endOnce(provider, claims, LOGOUT_SECONDS, await named)
    return isFirst ? answer(200) : refuse('this token came before')
  }
}

/** Receives the event `session-revoked` of CAEP, pushed (RFC 8935) as a Security Event Token (RFC 8417). */
export function sharedSignals(provider: Provider): (request: Request) => Promise<Response> {
  return async (request) => {
    const refuse = (err: string, description: string): Response => answer(400, { err, description })
    const claims = await verified(provider, await request.text(), {
      requiredClaims: ['iat', 'jti'],
      maxTokenAge: SET_SECONDS,
      typ: 'secevent+jwt',
    })
    if (claims instanceof Error) return refuse(errOf(claims), claims.message)
    // The verification of a stream, and what this receiver does not act on.
    if (!isObject(eventsOf(claims)[REVOKED])) return answer(202)
    const { iss, sub_id } = claims
    const named = await tagOf(iss, sub_id)
    if (!named) return refuse('invalid_request', 'sub_id is no session and no user')
    // One that is sent again, because its answer was lost, is acknowledged again.
    await endOnce(provider, claims, SET_SECONDS, named)
    return answer(202)
  }
}

/** Returns the claims of a token, or what is wrong with it. */
async function verified(
  { audience, issuer, keys }: Provider,
  token: unknown,
  options: JWTVerifyOptions,
): Promise<JWTPayload | Error> {
  if (!isText(token)) return new Error('there is no token')
  try {
    const { payload } = await jwtVerify(token, keys, { issuer, audience, ...SIGNED, ...options })
    return isText(payload.jti) ? payload : new Error('jti is no text')
  } catch (error) {
    // The keys could not be fetched: that says nothing about the token.
    if (!(error instanceof errors.JOSEError) || error instanceof errors.JWKSTimeout) throw error
    return error
  }
}

/** Ends the sessions of a tag, unless this token did so before. */
async function endOnce(
  { sessions, store }: Provider,
  { iss, jti }: JWTPayload,
  seconds: number,
  named: string,
): Promise<boolean> {
  const id = await tag('jti', iss, jti)
  // The tolerance for clocks counts on both sides.
  const expiresAt = Date.now() + 1000 * (seconds + 2 * SIGNED.clockTolerance)
  const record = { value: 'seen', version: crypto.randomUUID(), epoch: 'jti', expiresAt }
  const { ok } = await store.write(id, record, null)
  if (!ok) return false
  try {
    await sessions.revokeBy(named)
  } catch (error) {
    // The provider sends it again.
    await store.end(id, { markFor: 0 })
    throw error
  }
  return true
}

/** Returns the tag that a subject of the Shared Signals Framework stands for; `null`: none of ours. */
async function tagOf(issuer: unknown, subject: unknown): Promise<string | null> {
  if (!isObject(subject)) return null
  const { format, id, iss, session, sub, user, ...others } = subject
  if (format === 'opaque' && isText(id)) return await tag('sid', issuer, id)
  if (format === 'iss_sub' && isText(sub)) return await tag('sub', iss, sub)
  if (format !== 'complex') return null
  if (session !== undefined) return await tagOf(issuer, session)
  // A user on one device, say, is less than all of the user's sessions.
  return Object.keys(others).length ? null : await tagOf(issuer, user)
}

/** The classes of RFC 8935, 2.4. */
function errOf(error: Error): string {
  const { claim } = error as { claim?: unknown }
  if (claim === 'iss') return 'invalid_issuer'
  if (claim === 'aud') return 'invalid_audience'
  const isKey = error instanceof errors.JWSSignatureVerificationFailed
  return isKey || error instanceof errors.JWKSNoMatchingKey ? 'invalid_key' : 'invalid_request'
}

/** Texts of a provider may be longer than a tag, and of any kind. */
async function tag(kind: string, iss: unknown, value: unknown): Promise<string> {
  const text = new TextEncoder().encode(JSON.stringify([iss, value]))
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', text))
  return `${kind}-${[...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''
const isObject = (value: unknown): value is Record<string, unknown> => Object(value) === value
const eventsOf = ({ events }: JWTPayload): Record<string, unknown> =>
  isObject(events) ? events : {}

function answer(status: number, body?: object): Response {
  const headers = { 'cache-control': 'no-store' }
  return body ? Response.json(body, { status, headers }) : new Response(null, { status, headers })
}
