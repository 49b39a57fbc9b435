/** From a `Cookie` header to a session of another library; loaded when there may be one. */
import { parseCookie } from 'cookie'
import type { SessionData } from '../session/session.ts'
import { CHUNK_LABELS, removalOf, spellAttributes } from '../transport/cookie.ts'
import type { CookieImporter, ImportedSession, RawCookies } from './importer.ts'

/** A session taken over, and how to be rid of what it came from. */
export interface Import<D extends SessionData = SessionData>
  extends Omit<ImportedSession<D>, 'remove'> {
  /** `Set-Cookie` values that remove the old cookies, for the response that sets the new one. */
  removals: readonly string[]
  /** The old cookie's name and the session's own `id`; `undefined` where it has none. */
  origin: string | undefined
}

/**
 * Asks the importers in order; the first session that checks out is it.
 *
 * Until the new session is saved the old cookie must stay. Worth calling only when the header holds
 * the name of an importer.
 *
 * @param now Epoch milliseconds.
 * @param ownName The name of the new cookie, which is never removed.
 * @throws as {@link CookieImporter.read}.
 */
export async function importSession<D extends SessionData>(
  importers: readonly CookieImporter<D>[],
  cookieHeader: string,
  now: number,
  ownName = '',
): Promise<Import<D> | null> {
  const cookies = parseCookies(cookieHeader)
  for (const importer of importers) {
    const found = await importer.read(cookies, now)
    if (!found) continue
    const { id, remove, ...session } = found
    // The new cookie has up to three chunks beside it, which it writes and removes itself.
    const names = remove.filter((name) => !CHUNK_LABELS.some((label) => name === ownName + label))
    return {
      ...session,
      removals: names.map((name) => removal(name, importer)),
      origin: id && JSON.stringify([importer.name, id]),
    }
  }
  return null
}

function removal(name: string, { path = '/', domain = '' }: CookieImporter): string {
  // Nothing else may touch a cookie whose name begins so (RFC 6265bis, 4.1.3).
  return removalOf(name, spellAttributes({ path, domain, secure: name.startsWith('__') }))
}

/** Every value of every name, as sent; blanks around them are those of RFC 6265bis, 5.6, no others. */
function parseCookies(header: string): RawCookies {
  const cookies = new Map<string, string[]>()
  for (const pair of header.split(';')) {
    const parsed = parseCookie(pair, { decode: (value) => value })
    for (const name of Object.keys(parsed)) {
      const values = cookies.get(name) ?? []
      cookies.set(name, values)
      values.push(parsed[name]!)
    }
  }
  return cookies
}
