/** Environment variables that are misspelt: they would be ignored without a word. */

/**
 * Throws when a variable is spelled almost as one that is known, and that one is not set: letters are swapped, or one of
 * them is wrong. What is spelled otherwise is somebody else's, such as the `SESSION_MANAGER` of desktops and the
 * `SESSIONNAME` of Windows.
 *
 * @param given Names of the variables that are set.
 * @throws TypeError that names both.
 */
export function refuseMisspelt(given: readonly string[], known: readonly string[]): void {
  for (const name of given) {
    if (!/^SES\w*_/i.test(name) || known.includes(name)) continue
    const meant = known.find((one) => !given.includes(one) && isClose(name.toUpperCase(), one))
    if (meant) throw new TypeError(`Unknown variable ${JSON.stringify(name)}: ${meant} is meant`)
  }
}

/** Compares two names. The variables of the cookie do not all have it in their name. */
function isClose(one: string, other: string): boolean {
  const [a, b] = [one, other].map((name) => name.replace('_COOKIE', '')) as [string, string]
  return !without(a, b)[1] && !without(b, a)[1]
}

/** Returns the letters of a name that the other one does not have. */
const without = (name: string, other: string): string =>
  [...other].reduce((rest, letter) => rest.replace(letter, ''), name)
