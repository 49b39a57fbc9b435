/**
 * Returns what loads or derives something when it is first asked for, and gives it without a promise from then on: to
 * import again what is there takes longer than to open a known cookie. It is the value that is stored, that of the first
 * to be done: on Workers a promise of another request may hang.
 * To await what is there costs a turn, so callers on the way of every request await only a promise (`instanceof Promise`).
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
