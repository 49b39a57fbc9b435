/**
 * `Set-Cookie` values that go out with the answer to an error: a rotation whose outcome is unknown
 * may have been applied, and then only its new cookie opens the session. They are no property of the
 * error, because loggers print those.
 */
const cookies = new WeakMap<object, readonly string[]>()

/**
 * Returns a copy of `error` that belongs to this request alone, with values for the answer to it. A store may throw
 * one error object for all requests, and nobody else may get these cookies.
 */
export function withCookies<E extends Error>(error: E, values: readonly string[]): E {
  const { message, stack } = error
  // Loggers and error trackers ask for a true error, with its cause.
  const copy = Object.assign(new Error(message, error), error, { stack })
  const own: E = Object.setPrototypeOf(copy, Object.getPrototypeOf(error))
  cookies.set(own, values)
  return own
}

/** Returns the values for the answer to `error`. */
export function cookiesOf(error: object): readonly string[] {
  return cookies.get(error) ?? []
}
