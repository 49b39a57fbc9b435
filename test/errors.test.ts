import { describe, expect, it } from 'vitest'
import * as errors from '../src/errors.ts'

describe('errors', () => {
  const classes = Object.values(errors) as (new (...args: never[]) => errors.SessionError)[]
  const made = classes.map((Class) => new Class(...(['a message'] as never[])))

  it('keep their names when a minifier renames their classes', () => {
    expect(made.map(({ name }) => name)).toEqual(Object.keys(errors))
  })

  it('have a code each', () => {
    expect(new Set(made.map(({ code }) => code)).size).toBe(made.length)
    expect(made.every((error) => error instanceof errors.SessionError)).toBe(true)
  })

  it('show no issues of a schema where they are printed: some quote values', () => {
    const issues = [{ message: 'Expected a number', input: 'secret' }]
    const error = new errors.SessionValidationError('a message', issues)
    expect(error.issues).toBe(issues)
    expect(JSON.stringify({ ...error })).not.toContain('secret')
    expect(Object.keys(error)).not.toContain('issues')
  })

  it('say which of them are worth a retry', () => {
    const retryable = made.filter((error) => error.retryable).map(({ name }) => name)
    expect(retryable.sort((a, b) => a.localeCompare(b))).toEqual([
      'CircuitOpenError',
      'SessionConflictError',
      'StoreTimeoutError',
      'StoreUnavailableError',
    ])
  })

  it('tell frameworks that look for it which of them are a 503', () => {
    const unavailable = made.filter(
      (error) =>
        error instanceof errors.StoreUnavailableError ||
        error instanceof errors.SessionConflictError,
    )
    expect(unavailable.map(({ status }) => status)).toEqual([503, 503, 503, 503])
    expect(made.filter((error) => 'status' in error)).toEqual(unavailable)
  })

  it('name a number of seconds in Retry-After, whatever they were given', () => {
    const given = [undefined, 0, 0.2, 7, -1, Number.NaN, Infinity]
    const sent = given.map((retryAfter) =>
      new errors.StoreUnavailableError('', { retryAfter }).getResponse().headers.get('retry-after'),
    )
    expect(sent).toEqual(['1', '1', '1', '7', '1', '1', '1'])
  })
})
