/** Reads `Retry-After`, {@link https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3 RFC 9110, 10.2.3}. Pure. */
import { expectArgument } from '../check.ts'

/** asctime-date of RFC 9110, 5.6.7; the others are an IMF-fixdate and an rfc850-date. */
const ASCTIME = /^\w{3} (\w{3}) ([ \d]\d) (\S+) (\d{4})$/
const DATE = /^\w{3,9}, ([ \d]\d)[ -](\w{3})[ -](\d\d|\d{4}) (\d\d:\d\d:\d\d) GMT$/

/** No date and no sane number of seconds is longer; so hostile headers are cheap. */
const MAX_LENGTH = 64

/** A two-digit year more than 50 years ahead is the one a century before (RFC 9110, 5.6.7). */
function fullYear(year: string, now: number): string | number {
  if (year.length === 4) return year
  const guess = 2000 + Number(year)
  return guess > new Date(now).getUTCFullYear() + 50 ? guess - 100 : guess
}

/**
 * Parses an HTTP date in any of its three forms. A leap second counts as the one before it.
 *
 * @param now Epoch milliseconds; decides the century of a two-digit year.
 * @returns Epoch milliseconds, or `undefined` for everything else.
 */
export function parseHttpDate(text: string, now: number): number | undefined {
  if (text.length > MAX_LENGTH) return undefined
  const [, day, month, year, time] =
    DATE.exec(text.replace(ASCTIME, 'Day, $2 $1 $4 $3 GMT').replace(':60 ', ':59 ')) ?? []
  if (!day || !year) return undefined
  const date = `${day.replace(' ', '0')} ${month} ${fullYear(year, now)} ${time} GMT`
  const at = Date.parse(date)
  // `Date.parse` takes far more than there is, February 31 for one: only what comes back counts.
  return new Date(at).toUTCString().endsWith(`, ${date}`) ? at : undefined
}

/**
 * Returns how many seconds `Retry-After` asks to wait: never negative, 0 for a date that has
 * passed, `undefined` when the header is missing or garbage. Not capped: `1000000000` is that many.
 *
 * @param value The header.
 * @param now Epoch milliseconds that a date is relative to.
 */
export function parseRetryAfter(value: string | null, now: number): number | undefined {
  if (typeof value !== 'string') return undefined
  const text = value.slice(0, MAX_LENGTH + 1).replace(/^[ \t]+|[ \t]+$/g, '')
  if (text.length > MAX_LENGTH) return undefined
  if (/^\d+$/.test(text)) return Number(text)
  const date = parseHttpDate(text, now)
  return date === undefined ? undefined : Math.max(0, (date - now) / 1000)
}

/**
 * Returns what a response's `Retry-After` asks for, in seconds. A date is taken relative to the
 * response's own `Date` where there is one, so a wrong clock on this side does no harm.
 *
 * @param now Epoch milliseconds.
 */
export function retryAfterOf(headers: Headers, now: number): number | undefined {
  expectArgument(typeof headers?.get === 'function', 'headers', 'a Headers', headers)
  const date = headers.get('date')
  const sent = date === null ? undefined : parseHttpDate(date, now)
  return parseRetryAfter(headers.get('retry-after'), sent ?? now)
}
