/** Sessions that are too large for one cookie: their chunks, and the refusal. Loaded when one comes or goes. */
import { quote } from '../check.ts'
import type { DataFormat } from '../codec/data.ts'
import type { SessionState } from '../codec/session-record.ts'
import type { Emit } from '../emit.ts'
import { CookieTooLargeError } from '../errors.ts'
import {
  CHUNK_LABELS,
  type CookieFound,
  type Found,
  MAX_CHUNKS,
  MAX_COOKIE_BYTES,
  MAX_TOKENS,
  type SessionCookie,
} from './cookie.ts'

/** The parts of an instance that splitting a session takes. */
interface Splitter {
  readonly cookie: SessionCookie
  readonly emit: Emit
  readonly format: DataFormat
}

/** Cookies of one name that are read: as many as a browser stores for a site. */
const MAX_FOUND = 200
/** Chunks of one number that are tried with a first one. */
const MAX_NEAREST = 3

/** Puts the chunks of a request together, which has some. */
export function joinChunks(cookies: CookieFound): CookieFound {
  const pieces = CHUNK_LABELS.map((_, i) =>
    cookies.pieces!.filter(({ chunk }) => chunk === i).slice(0, MAX_FOUND),
  )
  const chunks = [1, 2, 3].filter((i) => pieces[i]!.length)
  const joined = pieces[0]!.slice(0, MAX_TOKENS).map((first) => join(first, pieces))
  // The likeliest of each comes before the others: chunks beside one cookie hide no other cookie.
  const likeliest = joined.map(([token = '']) => token)
  const all = [...likeliest, ...joined.flatMap((some) => some.slice(1))]
  // Without a first chunk there was a session all the same, and it does not open.
  return { ...cookies, chunks, tokens: all.length ? all.slice(0, MAX_TOKENS) : [''] }
}

/**
 * Joins chunks: `3.AAAA` says that it is the first of three. Of a chunk that is there several
 * times, for other domains or paths, any may belong to it. The nearest do most likely: browsers send
 * together what was set together. Returns nothing where a chunk is missing.
 */
function join({ value, at }: Found, all: readonly (readonly Found[])[]): string[] {
  const count = Number(/^([2-4])\./.exec(value)?.[1] ?? 1)
  if (count === 1) return [value]
  const distance = (found: Found): number => Math.abs(found.at - at)
  return all.slice(1, count).reduce(
    (starts, some) => {
      const nearest = [...some].sort((a, b) => distance(a) - distance(b)).slice(0, MAX_NEAREST)
      return starts.flatMap((start) => nearest.map((end) => start + end.value))
    },
    [value.slice(2)],
  )
}

/**
 * Splits the token of a session that one cookie does not take.
 *
 * @throws {@link CookieTooLargeError} where the cookies it may use do not take it either.
 */
export function split(splitter: Splitter, state: SessionState, token: string): string[] {
  const { maxChunks, name } = splitter.cookie
  // Two bytes for `.1` in the name of a chunk, or for `3.` in the value of the first.
  const room = MAX_COOKIE_BYTES - name.length - 2
  const count = Math.ceil(token.length / room)
  if (count > maxChunks) throw tooLarge(splitter, state, token)
  return Array.from({ length: count }, (_, i) => {
    const part = token.slice(i * room, (i + 1) * room)
    return i ? part : `${count}.${part}`
  })
}

/** Reports it, and says by which keys. */
function tooLarge(
  { cookie: { limit, maxChunks, name }, emit, format }: Splitter,
  state: SessionState,
  token: string,
): CookieTooLargeError {
  const size = name.length * maxChunks + token.length
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
