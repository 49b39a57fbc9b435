/**
 * Flash values on their way from the proxy, which consumes them, to the server components of the
 * same request, which can set no cookie. Sealed, so that no client can make them up.
 */
import { BoundedMap } from '../bounded-map.ts'
import { createKeyRing, type KeyRing } from '../crypto/keyring.ts'
import { openToken, sealToken } from '../crypto/token.ts'
import type { Instance } from '../instance.ts'
import { getDraft, type Session, type SessionData } from '../session.ts'
import { instanceOf, type Sessions } from '../sessions.ts'

type Values = Readonly<Record<string, unknown>>

const LABEL = 'next:flash'
/** Cookies whose flash was handed out here: Next drops what a redirect of an action sets. */
const MAX_HANDED_OUT = 1000
const handedOut = new BoundedMap<string, true>(MAX_HANDED_OUT)
const rings = new WeakMap<Instance, KeyRing>()
const encoder = new TextEncoder()
const decoder = new TextDecoder()

function ringOf(instance: Instance): KeyRing {
  const ring = rings.get(instance) ?? createKeyRing(instance.options.secrets, 'seal')
  rings.set(instance, ring)
  return ring
}

/** Opens the session of a request that has one, and seals its flash; `null` when there is none. */
export async function sealFlash<D extends SessionData>(
  sessions: Sessions<D>,
  request: Request,
): Promise<string | null> {
  const instance = instanceOf(sessions)
  const { cookie } = instance
  const header = request.headers.get('cookie')
  if (!header?.includes(cookie.name)) return null
  const session = await sessions.get(request)
  const { found, cookies } = getDraft(session)
  const flash = found?.state.flash ?? {}
  const key = [...cookies.tokens, found?.version].join()
  if (!Object.keys(flash).length) return null
  if (handedOut.get(key)) return sealValues(instance, session.id, {})
  handedOut.set(key, true)
  return await sealValues(instance, session.id, flash)
}

async function sealValues(instance: Instance, id: string, flash: Values): Promise<string> {
  const { format, options } = instance
  const bytes = encoder.encode(format.stringify([id, flash]))
  return await sealToken(ringOf(instance), LABEL, bytes, options.now())
}

/** The flash that the proxy sealed for this session, else what the session itself has. */
export async function openFlash<D extends SessionData>(
  sessions: Sessions<D>,
  session: Session<D>,
  token: string | null,
): Promise<Values> {
  const instance = instanceOf(sessions)
  const { format, options } = instance
  const bytes = token && (await openToken(ringOf(instance), LABEL, token, options.now()))
  if (bytes) {
    const [id, flash] = format.parse(decoder.decode(bytes)) as [string, Values]
    if (id === session.id) return flash
  }
  return getDraft(session).found?.state.flash ?? {}
}
