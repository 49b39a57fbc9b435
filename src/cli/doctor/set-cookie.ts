/** The session cookie in the answers of a site. */
import { parseToken } from '../../crypto/token.ts'
import { type SetCookie as ParsedCookie, parseSetCookie } from '../../testing/cookie-jar.ts'
import type { Hop, Visit } from './visit.ts'

/** A `Set-Cookie` value taken apart, and the answer that it came with. */
export interface SetCookie extends ParsedCookie {
  readonly hop: Hop
}

/** Returns every `Set-Cookie` of a visit. */
export function setCookiesOf({ hops }: Visit): SetCookie[] {
  return hops.flatMap((hop) =>
    hop.response.headers.getSetCookie().map((header) => ({ ...parseSetCookie(header), hop })),
  )
}

/** Tells whether a cookie looks like a session of ours, whatever its name: its first chunk, for a large one. */
export function isOurs({ value }: SetCookie): boolean {
  return parseToken(value) !== null || /^[2-4]\.AQ[\w-]{40,}$/.test(value)
}

/** Tells whether a value removes its cookie. */
export function isRemoval({ attributes, value }: SetCookie): boolean {
  return value === '' || Number(attributes.get('max-age') ?? 1) <= 0
}
