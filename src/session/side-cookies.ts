/** Cookies beside that of the session: one for each response, so that none replaces another's. */
import { randomText } from '../crypto/base64url.ts'
import { openToken, sealToken } from '../crypto/token.ts'
import { type CookieFound, MAX_COOKIE_BYTES, type SideCookie } from '../transport/cookie.ts'
import type { Instance } from './instance.ts'

/** The content of a side cookie, which opens as nothing else. Its first letter begins the label. */
type SideContent = 'note' | 'deferred'

/** Opens the side cookies of a request, in order; `null`: not ours, or there are too many forged ones. */
export async function openSides(
  { cookie, options, tokens }: Instance,
  kind: SideContent,
  { budget, deferred, notes }: CookieFound,
): Promise<(Uint8Array<ArrayBuffer> | null)[]> {
  const all: (Uint8Array<ArrayBuffer> | null)[] = []
  for (const [, token] of kind === 'note' ? notes : deferred) {
    const label = `${kind}:${cookie.name}`
    all.push(await openToken(tokens.ring, label, token, options.now(), budget))
  }
  return all
}

/**
 * Seals a side cookie, and returns its `Set-Cookie` value; `null` where it is too large, or nothing can
 * travel beside the session.
 *
 * @param age Its `Max-Age`, seconds; `undefined`: it ends with the browser.
 */
export async function writeSide(
  { cookie, options, tokens }: Instance,
  kind: SideContent,
  bytes: Uint8Array<ArrayBuffer>,
  age: number | undefined,
): Promise<string | null> {
  const { name, side } = cookie
  const token = await sealToken(tokens.ring, `${kind}:${name}`, bytes, options.now())
  const label = kind[0] + randomText(3)
  const isTooLarge = name.length + 1 + label.length + token.length > MAX_COOKIE_BYTES
  return side && !isTooLarge ? side(label, token, age) : null
}

/** Returns the `Set-Cookie` values that remove side cookies. */
export function removeSides({ cookie }: Instance, all: readonly SideCookie[]): string[] {
  return all.map(([label]) => cookie.side!(label, '', 0))
}
