import type { SessionStore } from '../../src/stores/store.ts'

/** A small generator of random numbers that can be repeated: mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Whole numbers of them, from 0 to below what is asked for. */
export function createRandomBelow(seed: number): (below: number) => number {
  const random = createRandom(seed)
  return (below) => Math.floor(random() * below)
}

/**
 * Runs tasks in a random but repeatable order: each stops at every `turn`, and only when all of
 * them have stopped or ended does one go on.
 */
export function createSchedule(random: () => number) {
  let active = 0
  const waiting: (() => void)[] = []
  const next = (): void => {
    if (waiting.length < active || !waiting.length) return
    waiting.splice(Math.floor(random() * waiting.length), 1)[0]?.()
  }
  const turn = (): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(resolve)
      next()
    })
  const run = async (tasks: readonly (() => Promise<unknown>)[]): Promise<void> => {
    active = tasks.length
    await Promise.all(
      tasks.map(async (task) => {
        try {
          await turn()
          await task()
        } finally {
          active--
          next()
        }
      }),
    )
  }
  /** Stops before and after every call, so that requests overlap in every way. */
  const interleave = (store: SessionStore): SessionStore => {
    const stop = async <T>(call: () => Promise<T>): Promise<T> => {
      if (active) await turn()
      const result = await call()
      if (active) await turn()
      return result
    }
    const { index } = store
    return {
      name: store.name,
      atomic: store.atomic,
      ...(index && {
        index: {
          list: (...args) => stop(() => index.list(...args)),
          end: (...args) => stop(() => index.end(...args)),
        },
      }),
      read: (...args) => stop(() => store.read(...args)),
      write: (...args) => stop(() => store.write(...args)),
      end: (...args) => stop(() => store.end(...args)),
    }
  }
  return { run, interleave }
}
