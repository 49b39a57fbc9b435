/**
 * Returns what loads or derives something when it is first asked for, and gives it without a promise from then on: to
 * import again what is there takes longer than to open a known cookie. It is the value that is stored, that of the first
 * to be done: on Workers a promise of another request may hang.
 *
 * Who asks with every request awaits it only where it is a promise (`instanceof Promise`): to await what is there costs a turn.
 */
export function lazy<T>(load: () => Promise<T>): () => T | Promise<T> {
  let loaded: T | undefined
  const first = async (): Promise<T> => {
    const value = await load()
    loaded ??= value
    return loaded
  }
  return () => loaded ?? first()
}
