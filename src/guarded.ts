/** Calls a listener. A broken one is its owner's business, and must not turn an answer into a failure. */
export function guarded(call: () => unknown): void {
  try {
    const result = call()
    if (result instanceof Promise) result.catch(() => {})
  } catch {}
}
