/** The dates of cookies. */
const MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ')

/** Reads a cookie date, RFC 6265bis, 5.1.1: epoch milliseconds, or `null`. */
export function parseDate(text: string): number | null {
  let time: number[] | undefined
  let day: number | undefined
  let month: number | undefined
  let year: number | undefined
  for (const token of text.split(/[\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+/)) {
    const clock = /^(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\D|$)/.exec(token)
    const name = MONTHS.indexOf(token.slice(0, 3).toLowerCase())
    if (!time && clock) time = clock.slice(1).map(Number)
    else if (day === undefined && /^\d{1,2}(?:\D|$)/.test(token)) day = Number.parseInt(token, 10)
    else if (month === undefined && name >= 0) month = name
    else if (year === undefined && /^\d{2,4}(?:\D|$)/.test(token)) year = Number.parseInt(token, 10)
  }
  if (!time || day === undefined || month === undefined || year === undefined) return null
  return toTime(year < 70 ? year + 2000 : year < 100 ? year + 1900 : year, month, day, time)
}

function toTime(year: number, month: number, day: number, clock: number[]): number | null {
  const [hour = 0, minute = 0, second = 0] = clock
  if (year < 1601 || hour > 23 || minute > 59 || second > 59) return null
  const date = new Date(Date.UTC(year, month, day, hour, minute, second))
  return date.getUTCDate() === day ? date.getTime() : null
}
