/** From an error to what the visitor is told. Take it along and change the words. */
import {
  CookieTooLargeError,
  SessionBindingError,
  SessionConflictError,
  SessionCorruptionError,
  SessionEncryptionError,
  SessionError,
  SessionExpiredError,
  SessionNotFoundError,
  SessionValidationError,
  StoreError,
  StoreUnavailableError,
} from 'sojourn/errors'

/**
 * Answers every error of Sojourn; anything else is thrown again. `report` hears of what somebody has
 * to mend: no message holds a secret, a cookie or data, so it may be logged.
 */
export function answer(error: unknown, report: (error: SessionError) => void): Response {
  if (!(error instanceof SessionError)) throw error

  // There is no session, and its visitor can begin one.
  if (error instanceof SessionExpiredError) {
    return reply(error, 401, 'You were away for a while. Please sign in again.')
  }
  if (error instanceof SessionBindingError) {
    return reply(error, 401, 'You signed in with another browser. Please sign in with this one.')
  }
  // A cookie that was forged gets the words of one that is missing.
  if (error instanceof SessionNotFoundError || error instanceof SessionEncryptionError) {
    return reply(error, 401, 'Please sign in.')
  }

  // What was asked for cannot be kept. Nothing was saved, and the visitor can ask for less.
  if (error instanceof SessionValidationError) {
    const problems = error.issues.map(({ message }) => message).join('; ')
    return reply(error, 422, `That cannot be kept: ${problems}`)
  }
  if (error instanceof CookieTooLargeError) {
    return reply(error, 413, `That is too much: ${error.size} bytes, and ${error.limit} fit.`)
  }

  // The same may work in a moment. The cookie was left alone: nobody is signed out.
  // StoreTimeoutError and CircuitOpenError are StoreUnavailableErrors too.
  if (error instanceof SessionConflictError) {
    return reply(error, 409, 'Too many changes at once. Please try again.', 1)
  }
  if (error instanceof StoreUnavailableError) {
    return reply(error, 503, 'We cannot look that up now. You stay signed in.', error.retryAfter)
  }

  // No visitor can help it. Left are mistakes in the code: SessionSerializationError,
  // SessionCommittedError, and plain SessionErrors, which differ by their `code`.
  report(error)
  if (error instanceof StoreError || error instanceof SessionCorruptionError) {
    return reply(error, 500, 'We cannot read or keep your session, and will look into it.')
  }
  return reply(error, 500, 'We made a mistake, and will look into it.')
}

function reply(error: SessionError, status: number, message: string, seconds?: number): Response {
  const headers = new Headers({ 'cache-control': 'no-store' })
  const wait = seconds ?? (status === 503 ? 1 : undefined)
  if (wait !== undefined) headers.set('retry-after', String(Math.max(1, Math.ceil(wait))))
  // `code` is for scripts: it is stable, and says nothing that a stranger may not know.
  return Response.json({ code: error.code, message }, { status, headers })
}
