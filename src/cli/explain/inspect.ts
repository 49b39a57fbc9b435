/** Opens the cookies of a header as the application would, writes nothing, and tells what was found. */
import { ID_BYTES, type OpenedRecord, type SessionState } from '../../codec/session-record.ts'
import { spellKey } from '../../crypto/keyring.ts'
import { HOUR_MS, openToken, parseToken } from '../../crypto/token.ts'
import { fingerprint } from '../../emit.ts'
import { SessionError } from '../../errors.ts'
import type { Invalidity, SessionEvent } from '../../events.ts'
import type { Instance } from '../../session/instance.ts'
import { getDraft, instanceOf } from '../../session/instances.ts'
import { readNotes } from '../../session/notes.ts'
import { whyClosed } from '../../session/reasons.ts'
import type { SessionStatus } from '../../session/session.ts'
import { createSessions } from '../../session/sessions.ts'
import type { CookieFound } from '../../transport/cookie.ts'
import { joinChunks } from '../../transport/too-large.ts'

/** One cookie that could be a session's. */
export interface InspectedToken {
  readonly bytes: number
  /** It is one of several cookies of a large session, and the others are missing. */
  readonly isPart: boolean
  /** The key that it names, 8 hex characters; left out where it names none. */
  readonly keyId?: string
  /** Index of that key's secret, from 0; left out: of none. */
  readonly position?: number
  /** Epoch milliseconds: the hour in which it was sealed. */
  readonly sealedAt?: number
  /** The reason for which it does not open. */
  readonly closed?: Invalidity
  /** The cookie beside the session cookie whose value was pasted instead; left out: none of ours. */
  readonly side?: 'note' | 'deferred'
  readonly opened?: OpenedRecord
}

export interface Inspection {
  /** The name of the cookie that was looked for. */
  readonly name: string
  readonly cookies: CookieFound
  readonly tokens: readonly InspectedToken[]
  /** The ids of the keys of the secrets, in their order; 8 hex characters each. */
  readonly keyIds: readonly string[]
  readonly status: SessionStatus
  /** The events of the opening. */
  readonly events: readonly SessionEvent[]
  /** The session that was found; else what its cookie says. */
  readonly about?: SessionState | OpenedRecord
  /** The error of `require`; `null`: there is none. */
  readonly error: SessionError | null
}

/** Opens a header. Of the cookie's own options `name` may be another one. */
export async function inspect(given: Instance, header: string, name?: string): Promise<Inspection> {
  const events: SessionEvent[] = []
  const instance = readOnly(given, (event) => events.push(event), name)
  const { sessions, own } = instance
  const found = own.cookie.find(header)
  const cookies = found.pieces ? joinChunks(found) : found
  const tokens = await Promise.all(cookies.tokens.map((token) => inspectToken(own, token)))
  // A note knows the times of its session, too.
  const notes = tokens.length ? [] : (await readNotes(own, cookies)).opened
  const known = tokens.find(({ opened }) => opened)?.opened ?? notes[0]
  const keys = await own.tokens.ring.keys()
  try {
    const session = await sessions.open(header)
    const { found: live, noSession } = getDraft(session)
    const about = live?.state ?? known
    const error = noSession ? await noSession() : null
    const { status } = session
    return { ...common(), status, error, ...(about && { about }) }
  } catch (error) {
    if (!(error instanceof SessionError)) throw error
    return { ...common(), status: 'invalid', error, ...(known && { about: known }) }
  }

  function common(): Pick<Inspection, 'name' | 'cookies' | 'tokens' | 'keyIds' | 'events'> {
    const { name } = own.cookie
    return { name, cookies, tokens, keyIds: keys.map(({ id }) => spellKey(id)), events }
  }
}

/** Makes sessions with the same options that write nothing: no import, and nobody ends a session that was reused. */
function readOnly(
  { options }: Instance,
  onEvent: (event: SessionEvent) => void,
  name: string | undefined,
) {
  // A pasted session cookie comes without the bound cookie beside it.
  const { deviceBound: _, secrets, ...rest } = options
  const sessions = createSessions({
    ...(rest as object),
    secret: secrets as [string],
    cookie: { ...options.cookie, ...(name !== undefined && { name }) },
    importFrom: [],
    onReuse: 'report',
    onStoreFailure: 'degrade',
    // What the store says counts here, and not what a cookie remembers of it.
    snapshot: false,
    cache: false,
    onEvent,
  })
  return { sessions, own: instanceOf(sessions) }
}

async function inspectToken(given: Instance, token: string): Promise<InspectedToken> {
  const { options, tokens } = given
  const now = options.now()
  const common = { bytes: token.length, isPart: token === '' || /^[2-4]\./.test(token) }
  const parts = parseToken(token)
  const budget = { newHours: 1, ahead: 0 }
  const [cookie] = await tokens.openAll({ tokens: [token], budget })
  const keys = await tokens.ring.keys()
  const position = keys.findIndex(({ id }) => id === parts?.id)
  const key = parts && {
    keyId: spellKey(parts.id),
    sealedAt: parts.hour * HOUR_MS,
    ...(position >= 0 && { position }),
  }
  if (cookie) return { ...common, ...key, opened: cookie.opened }
  const closed: Invalidity = budget.ahead
    ? { reason: 'future', aheadBy: Math.round((budget.ahead - now) / 1000) }
    : await whyClosed(tokens.ring, token, now)
  const side = closed.reason === 'forged' ? await sideOf(given, token) : undefined
  return { ...common, ...key, closed, ...(side && { side }) }
}

/** Tells which cookie beside the session cookie a value is of. */
async function sideOf(
  { cookie, options, tokens }: Instance,
  token: string,
): Promise<InspectedToken['side']> {
  for (const side of ['note', 'deferred'] as const) {
    if (await openToken(tokens.ring, `${side}:${cookie.name}`, token, options.now())) return side
  }
  return undefined
}

/** Returns the fingerprint by which events and logs name a session. */
export function fingerprintOf({ key }: Pick<SessionState, 'key'>): string {
  return fingerprint(key.subarray(0, ID_BYTES))
}
