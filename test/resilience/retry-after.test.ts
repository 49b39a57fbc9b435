import { describe, expect, it } from 'vitest'
import { parseHttpDate, parseRetryAfter, retryAfterOf } from '../../src/resilience/retry-after.ts'

const NOW = Date.UTC(2026, 10, 23, 12, 0, 0)

describe('parseRetryAfter()', () => {
  it.each([
    ['0', 0],
    ['5', 5],
    [' 5 ', 5],
    ['\t5', 5],
    ['007', 7],
    ['  \t5 \t ', 5],
    [`${'0'.repeat(63)}5`, 5],
    ['1000000000', 1_000_000_000],
    ['Mon, 23 Nov 2026 12:00:07 GMT', 7],
    ['Monday, 23-Nov-26 12:00:07 GMT', 7],
    ['Mon Nov 23 12:00:07 2026', 7],
    ['Mon, 23 Nov 2026 11:59:00 GMT', 0],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 0],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 0],
    ['Sun Nov  6 08:49:37 1994', 0],
  ])('%j is %d seconds', (value, seconds) => {
    expect(parseRetryAfter(value, NOW)).toBe(seconds)
  })

  it.each([
    null,
    '',
    ' ',
    '-1',
    '+5',
    '1e9',
    '5, 7',
    '5.5',
    '0x10',
    '5 seconds',
    'Infinity',
    'tomorrow',
    '2026-11-23T12:00:07Z',
    'Mon, 23 Nov 2026 12:00:07',
    'Mon, 23 Nov 2026 12:00:07 CET',
    'Mon, 31 Feb 2026 12:00:07 GMT',
    'Mon, 23 Nov 2026 25:00:07 GMT',
    'Mon, 23 ovD 2026 12:00:07 GMT',
    `${'0'.repeat(64)}5`,
    '9'.repeat(10_240),
    ' '.repeat(10_240),
    `Mon, 23 Nov 2026 12:00:07 GMT${'x'.repeat(10_240)}`,
  ])('is undefined for garbage, case %#', (value) => {
    expect(parseRetryAfter(value, NOW)).toBe(undefined)
  })
})

describe('parseHttpDate()', () => {
  it('takes a two-digit year for the past when it is over 50 years ahead', () => {
    const year = (text: string) => new Date(parseHttpDate(text, NOW) ?? NaN).getUTCFullYear()
    expect(year('Thursday, 23-Nov-76 12:00:00 GMT')).toBe(2076)
    expect(year('Wednesday, 23-Nov-77 12:00:00 GMT')).toBe(1977)
  })

  it('knows leap seconds and leap days', () => {
    const midnight = Date.UTC(2017, 0, 1) - 1000
    expect(parseHttpDate('Sat, 31 Dec 2016 23:59:60 GMT', NOW)).toBe(midnight)
    expect(parseHttpDate('Thu, 29 Feb 2024 00:00:00 GMT', NOW)).toBe(Date.UTC(2024, 1, 29))
    expect(parseHttpDate('Wed, 29 Feb 2023 00:00:00 GMT', NOW)).toBe(undefined)
  })
})

describe('retryAfterOf()', () => {
  it('takes a date relative to the Date of the answer, whatever the clock here says', () => {
    const headers = new Headers({
      date: 'Mon, 23 Nov 2026 08:00:00 GMT',
      'retry-after': 'Mon, 23 Nov 2026 08:00:03 GMT',
    })
    expect(retryAfterOf(headers, NOW)).toBe(3)
  })

  it('goes by the clock here when there is no usable Date', () => {
    const headers = new Headers({
      date: 'noon',
      'retry-after': 'Mon, 23 Nov 2026 12:00:03 GMT',
    })
    expect(retryAfterOf(headers, NOW)).toBe(3)
    expect(retryAfterOf(new Headers(), NOW)).toBe(undefined)
  })

  it.each([null, undefined, {}])('refuses %j in place of headers', (headers) => {
    expect(() => retryAfterOf(headers as unknown as Headers, NOW)).toThrow(
      /Argument "headers" must be a Headers/,
    )
  })
})
