/** Reads `Retry-After`, {@link https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3 RFC 9110, 10.2.3}. Pure. */

const TIME = '(?<time>\\d\\d:\\d\\d:\\d\\d)'

/** IMF-fixdate, rfc850-date and asctime-date of RFC 9110, 5.6.7. */
const FORMS = [
  `\\w{3}, (?<day>\\d\\d) (?<month>\\w{3}) (?<year>\\d{4}) ${TIME} GMT`,
  `\\w{6,9}, (?<day>\\d\\d)-(?<month>\\w{3})-(?<year>\\d\\d) ${TIME} GMT`,
  `\\w{3} (?<month>\\w{3}) (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})`,
]

/** No date and no sane number of seconds is longer; keeps hostile headers cheap. */
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
  for (const form of FORMS) {
    const { year, month, day, time } = new RegExp(`^${form}$`).exec(text)?.groups ?? {}
    if (!year || !day || !time) continue
    const clock = time.replace(/:60$/, ':59')
    const date = `${day.replace(' ', '0')} ${month} ${fullYear(year, now)} ${clock} GMT`
    const at = Date.parse(date)
    // `Date.parse` takes far more than there is, February 31 for one: only what comes back counts.
    return new Date(at).toUTCString().endsWith(`, ${date}`) ? at : undefined
  }
  return undefined
}

/**
 * Returns how many seconds `Retry-After` asks to wait: never negative, 0 for a date that has
 * passed, `undefined` when the header is missing or garbage. Not capped: `1000000000` is that many.
 *
 * @param value The header.
 * @param now Epoch milliseconds that a date is relative to.
 */
export function parseRetryAfter(value: string | null, now: number): number | undefined {
  const text = value?.slice(0, MAX_LENGTH + 1).replace(/^[ \t]+|[ \t]+$/g, '') ?? ''
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
  const date = headers.get('date')
  const sent = date === null ? undefined : parseHttpDate(date, now)
  return parseRetryAfter(headers.get('retry-after'), sent ?? now)
}
