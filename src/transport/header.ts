/** Sessions of clients without cookies: the same token, in a header both ways. */
import type { SessionCookie } from './cookie.ts'

/** Node allows 16 KB for all headers together, many proxies 8. */
const MAX_BYTES = 8000

/** Reads and writes the token in a header, as {@link SessionCookie} does in cookies. */
export function createSessionHeader(name: string): SessionCookie {
  return {
    name: `header:${name.toLowerCase()}`,
    maxChunks: 1,
    limit: MAX_BYTES,
    fits: (token) => token.length <= MAX_BYTES,
    find(value) {
      const token = value?.replace(/^Bearer +/i, '')
      const tokens = token ? [token] : []
      return { tokens, chunks: [], notes: [], deferred: [], budget: { newHours: 1 } }
    },
    write: (parts) => [...parts],
    remove: () => [''],
  }
}
