/** The error of a session that does not fit into its cookie. Loaded when it happens. */

import { quote } from '../check.ts'
import type { DataFormat } from '../codec/data.ts'
import type { SessionState } from '../codec/session-record.ts'
import { CookieTooLargeError } from '../errors.ts'
import type { Instance } from '../session/instance.ts'
import { MAX_CHUNKS } from './cookie.ts'

/** Reports it, and says by which keys. */
export function tooLarge(
  { cookie: { limit, name }, emit, format, options }: Instance,
  state: SessionState,
  token: string,
): CookieTooLargeError {
  const size = name.length * (options.cookie.maxChunks ?? 1) + token.length
  emit({ type: 'cookie.too-large', size, limit }, state)
  return new CookieTooLargeError(
    `Cannot commit session: its cookie is ${size} bytes, the limit is ${limit}; the largest keys are ${largestKeys(state, format)}. Keep less in it, raise cookie.maxChunks (at most ${MAX_CHUNKS}) or use a store`,
    size,
    limit,
  )
}

/** The three largest keys with the length of their text. */
function largestKeys({ data }: SessionState, format: DataFormat): string {
  return Object.keys(data)
    .map((key) => [format.stringify(data[key]).length, key] as const)
    .sort(([a], [b]) => b - a)
    .slice(0, 3)
    .map(([size, key]) => `${quote(key)} (${size})`)
    .join(', ')
}
