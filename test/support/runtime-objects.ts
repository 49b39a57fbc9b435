/** Counts the timers and the AbortControllers that `run` makes: on Workers both are objects of the runtime. */
export async function countObjects(
  run: () => Promise<unknown>,
): Promise<{ controllers: number; timers: number }> {
  const { AbortController: Controller, setTimeout: start } = globalThis
  const counted = { controllers: 0, timers: 0 }
  class Counted extends Controller {
    constructor() {
      super()
      counted.controllers++
    }
  }
  const startCounted = (...args: Parameters<typeof start>): ReturnType<typeof start> => {
    counted.timers++
    return start(...args)
  }
  Object.assign(globalThis, { AbortController: Counted, setTimeout: startCounted })
  try {
    await run()
  } finally {
    Object.assign(globalThis, { AbortController: Controller, setTimeout: start })
  }
  return counted
}
