/**
 * `Set-Cookie` values that go out with the answer to an error: a rotation whose outcome is unknown
 * may have been applied, and then only its new cookie opens the session. They are no property of the
 * error, because loggers print those.
 */
const cookies = new WeakMap<object, readonly string[]>()

/** Puts values on the answer to `error`. */
export function setCookiesOf(error: object, values: readonly string[]): void {
  cookies.set(error, values)
}

/** Returns the values for the answer to `error`. */
export function cookiesOf(error: object): readonly string[] {
  return cookies.get(error) ?? []
}
