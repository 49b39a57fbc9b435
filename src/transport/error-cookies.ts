/**
 * `Set-Cookie` values that go out with the answer to an error: a rotation whose outcome is unknown
 * may have been applied, and then only its new cookie opens the session. They are no property of the
 * error, because loggers print those.
 */
const cookies = new WeakMap<object, readonly string[]>()

/**
 * Returns an error of this request alone that is as `error`, with values for the answer to it. A store may throw one
 * error object for all requests, and nobody else may get these cookies.
 */
export function withCookies<E extends object>(error: E, values: readonly string[]): E {
  const own: E = Object.create(error)
  cookies.set(own, values)
  return own
}

/** Returns the values for the answer to `error`. */
export function cookiesOf(error: object): readonly string[] {
  return cookies.get(error) ?? []
}
