/** Sessions that are made from an environment that comes with each request, made once. */

/** Different environments of one process: those of tests, and of versions. */
const MAX_KEPT = 20

/**
 * Calls `create` once for a process, and again where what it read of `env` differs: on Node, Deno and
 * Lambda the environment is a new object for each request. A function that read anything else of its
 * argument is called for each request, since nobody else knows what it depends on.
 */
export function oncePerEnv<C extends object & { readonly env: unknown }, T>(
  create: (context: C) => T,
): (context: C) => T {
  const made: { reads: Map<PropertyKey, unknown>; value: T }[] = []
  return (context) => {
    const env: object = Object(context.env)
    const known = made.find(({ reads }) =>
      [...reads].every(([key, value]) => Object.is(Reflect.get(env, key), value)),
    )
    if (known) return known.value
    const reads = new Map<PropertyKey, unknown>()
    const read = (key: PropertyKey): unknown => {
      reads.set(key, Reflect.get(env, key))
      return reads.get(key)
    }
    let isOfRequest = false
    const watchedEnv = new Proxy(env, {
      get: (_, key) => read(key),
      has: (_, key) => read(key) !== undefined,
    })
    const watched = new Proxy(context, {
      get(_, key) {
        if (key === 'env') return watchedEnv
        isOfRequest = true
        return Reflect.get(context, key)
      },
    })
    const value = create(watched)
    if (!isOfRequest) made.push({ reads, value })
    if (made.length > MAX_KEPT) made.shift()
    return value
  }
}
