/** Time limits of calls that seldom wait. Leaf: imports nothing, has no state. */

/**
 * Turns of the microtask queue in which a call may answer before its time limit starts. Memory answers
 * within six, through a wrapper or two; what asks somebody else takes longer than any number of them.
 */
const TURNS = 10

/**
 * A call that {@link limitLazily} limits. Its signal is made when somebody reads it. It is a property of
 * its own, so that a copy of the call (`{ ...call }`) has it too.
 */
export class LazyCall {
  /** Is aborted when the time of the call is over. */
  declare readonly signal: AbortSignal
  readonly #limit: () => AbortSignal
  #signal: AbortSignal | undefined

  // One getter for all, since V8 keeps a shape for each.
  static readonly #SIGNAL: PropertyDescriptor & ThisType<LazyCall> = {
    enumerable: true,
    get() {
      this.#signal ??= this.#limit()
      return this.#signal
    },
  }

  /** @param limit Starts the time limit, and returns its signal. Is called once. */
  constructor(limit: () => AbortSignal) {
    this.#limit = limit
    Object.defineProperty(this, 'signal', LazyCall.#SIGNAL)
  }

  /** Throws the reason of a call that is over, and makes no signal to find out. */
  static throwIfOver(call: { signal?: AbortSignal | undefined } | undefined): void {
    const signal = call instanceof LazyCall ? call.#signal : call?.signal
    signal?.throwIfAborted()
  }
}

/**
 * Runs `fn` without a time limit until it waits, or until somebody reads the signal of its call: then
 * `limit` runs it. So an answer from memory costs neither a timer nor an `AbortController`, which on
 * Workers cost more than the answer.
 *
 * @param parent Ends the call, with its reason.
 * @param limit Runs a function for the time that is left, and no longer than `parent` lets it.
 */
export async function limitLazily<T>(
  parent: AbortSignal | undefined,
  limit: (run: (signal: AbortSignal) => Promise<T>) => Promise<T>,
  fn: (call: LazyCall) => Promise<T>,
): Promise<T> {
  parent?.throwIfAborted()
  let limited: Promise<T> | undefined
  let isSettled = false
  const call = new LazyCall(() => {
    // The parent's own, where it is aborted: `limit` runs nothing then.
    let signal = parent
    limited = limit(async (own) => {
      signal = own
      await undefined // The call may not have returned yet.
      return await answer
    })
    limited.catch(() => {})
    return signal as AbortSignal
  })
  const settle = (): void => {
    isSettled = true
  }
  const answer = Promise.resolve(fn(call))
  answer.then(settle, settle)
  for (let turn = 0; turn < TURNS && !isSettled; turn++) await undefined
  if (!isSettled) void call.signal
  return await (limited ?? answer)
}
