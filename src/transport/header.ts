/** Sessions of clients without cookies: the same token, in a header both ways. */
import type { SessionCookie } from './cookie.ts'

/** Node allows 16 KB for all headers together, many proxies 8. */
const MAX_BYTES = 8000

/** Reads and writes the token in a header, as {@link SessionCookie} does in cookies. */
export function createSessionHeader(name: string): SessionCookie {
  return {
    name: `header:${name.toLowerCase()}`,
    limit: MAX_BYTES,
    find(value) {
      const token = value?.replace(/^Bearer +/i, '')
      const tokens = token ? [token] : []
      return { tokens, chunks: [], notes: [], entries: [], budget: { newHours: 1 } }
    },
    write: (token) => (token.length > MAX_BYTES ? null : [token]),
    remove: () => [''],
  }
}
