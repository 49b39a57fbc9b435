/** Reads `Retry-After`, {@link https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3 RFC 9110, 10.2.3}. Pure. */

const MONTHS = 'JanFebMarAprMayJunJulAugSepOctNovDec'
const TIME = '(?<time>\\d\\d:\\d\\d:\\d\\d)'
const MONTH = '(?<month>[A-Z][a-z]{2})'

/** IMF-fixdate, rfc850-date and asctime-date of RFC 9110, 5.6.7. `Date.parse` takes far more. */
const FORMS = [
  `[A-Z][a-z]{2}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT`,
  `[A-Z][a-z]{5,8}, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${TIME} GMT`,
  `[A-Z][a-z]{2} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})`,
]

/** No date and no sane number of seconds is longer; keeps hostile headers cheap. */
const MAX_LENGTH = 64

/** A two-digit year more than 50 years ahead is the one a century before (RFC 9110, 5.6.7). */
function fullYear(year: string, now: number): number {
  if (year.length === 4) return Number(year)
  const thisYear = new Date(now).getUTCFullYear()
  const guess = thisYear - (thisYear % 100) + Number(year)
  return guess > thisYear + 50 ? guess - 100 : guess
}

/**
 * Parses an HTTP date in any of its three forms.
 *
 * @param now Epoch milliseconds; decides the century of a two-digit year.
 * @returns Epoch milliseconds, or `undefined` for everything else.
 */
export function parseHttpDate(text: string, now: number): number | undefined {
  if (text.length > MAX_LENGTH) return undefined
  for (const form of FORMS) {
    const { year, month, day, time } = new RegExp(`^${form}$`).exec(text)?.groups ?? {}
    if (!year || !month || !day || !time) continue
    const index = MONTHS.indexOf(month)
    const [hour = 0, minute = 0, second = 0] = time.split(':').map(Number)
    if (index % 3 || hour > 23 || minute > 59 || second > 60) return undefined
    const date = Date.UTC(fullYear(year, now), index / 3, Number(day), hour, minute, second)
    const wanted = second === 60 ? date - 1000 : date
    return new Date(wanted).getUTCDate() === Number(day) ? date : undefined
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
