/**
 * Flash values on their way from the proxy, which consumes them, to the server components of the
 * same request, which can set no cookie. Sealed, so that no client can make them up.
 */
import { BoundedMap } from '../bounded-map.ts'
import { createKeyRing } from '../crypto/keyring.ts'
import { decodeText, encodeText } from '../crypto/text.ts'
import { openToken, sealToken } from '../crypto/token.ts'
import type { Draft } from '../session/draft.ts'
import { getDraft, instanceOf, perInstance } from '../session/instances.ts'
import { ownValue } from '../session/operations.ts'
import type { Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'

type Values = Readonly<Record<string, unknown>>

/** Carries flash to the components of the same request. Inbound ones are stripped. */
export const FLASH = 'x-sojourn-flash'
const LABEL = 'next:flash'
const MAX_HANDED_OUT = 1000
const SHARED = Symbol.for('sojourn.next.flash')
const ringOf = perInstance(({ options }) => createKeyRing(options.secrets, 'seal'))

/**
 * Cookies whose flash was handed out in this process, and cannot be taken out of the browser: Next
 * drops what is set while it renders an action's redirect, and a render after an action can set
 * nothing. The proxy and the pages load this module twice each, so it is shared by a symbol.
 */
function handedOut(): BoundedMap<string, true> {
  const world = globalThis as { [SHARED]?: BoundedMap<string, true> }
  world[SHARED] ??= new BoundedMap(MAX_HANDED_OUT)
  return world[SHARED]
}

const keyOf = ({ cookies, found }: Draft): string =>
  [...cookies.tokens, ...cookies.deferred.map(([label]) => label), found?.version].join()
/** The flash that the session was opened with, deferred writes included. */
const flashOf = ({ found, stored }: Draft): Values =>
  (stored?.deferred?.base ?? found?.state)?.flash ?? {}

/** Milliseconds for which sealed flash may be on its way. */
const MAX_AGE = 60_000

/** Flash of one session, at one moment; `null`: the page shows nobody anything yet. */
interface Sealed {
  readonly id: string
  readonly at: number
  readonly flash: Values | null
}

/**
 * Opens the session of a request that has one, and seals its flash; `null` when there is none.
 *
 * @param isUnseen The page is only fetched ahead: it shows nobody anything yet, and gets no flash.
 */
export async function sealFlash<D extends SessionData, Data extends object = Partial<D>>(
  sessions: Sessions<D, Data>,
  request: Request,
  isUnseen: boolean,
): Promise<string | null> {
  const instance = instanceOf(sessions)
  const { cookie, format, options } = instance
  const header = request.headers.get('cookie')
  const names = [cookie, ...(options.importFrom ?? [])].map(({ name }) => name)
  if (!names.some((name) => header?.includes(name))) return null
  const session = await sessions.get(request)
  const draft = getDraft(session)
  if (!Object.keys(flashOf(draft)).length) return null
  const flash = handedOut().get(keyOf(draft)) ? {} : flashOf(draft)
  if (!isUnseen) handedOut().set(keyOf(draft), true)
  const now = options.now()
  const sealed: Sealed = { id: session.id, at: now, flash: isUnseen ? null : flash }
  const bytes = encodeText(format.stringify(sealed))
  return await sealToken(ringOf(instance), LABEL, bytes, now)
}

/**
 * Reads the flash that the proxy sealed for this very session, under what an action has left since;
 * of a page that is only fetched ahead, nothing.
 */
export async function openFlash<D extends SessionData, Data extends object = Partial<D>>(
  sessions: Sessions<D, Data>,
  session: Session<D, Data>,
  token: string | null,
): Promise<(key: string) => unknown> {
  const instance = instanceOf(sessions)
  const { format, options } = instance
  const draft = getDraft(session)
  const now = options.now()
  const bytes = token && (await openToken(ringOf(instance), LABEL, token, now))
  const { id, at, flash } = (bytes ? format.parse(decodeText(bytes)) : {}) as Partial<Sealed>
  const isMeant = id === session.id && Math.abs(now - Number(at)) < MAX_AGE
  return (key) => {
    if (isMeant && !flash) return undefined
    const value = ownValue(flashOf(draft), key)
    if (value === undefined) return isMeant ? ownValue(flash as Values, key) : undefined
    handedOut().set(keyOf(draft), true)
    return value
  }
}
