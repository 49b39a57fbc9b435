/** Settings that an application may change while it runs: a wrong answer is refused, the last good one stays. */

/** The last good answer of a function. */
export class LastGood<T> {
  readonly #check: (answer: unknown) => T
  readonly #refused: (problem: string) => void
  value: T
  /** The problem with the last answer; `undefined`: it was good. */
  problem: string | undefined
  /** The last answer, good or not. */
  #last: string | undefined = ''

  /**
   * @param check Returns what an answer means, of which later changes to it are no part; throws for a
   * wrong one, in words that quote no text.
   * @param refused Is told once for each wrong answer, and for each series of failures.
   */
  constructor(good: T, check: (answer: unknown) => T, refused: (problem: string) => void) {
    this.value = good
    this.#check = check
    this.#refused = refused
  }

  /** Takes an answer, which is checked again only where it differs from the last good one. */
  take(answer: unknown): T {
    try {
      const text = textOf(answer)
      // What was refused may have become right with time.
      if (text === this.#last && this.problem === undefined) return this.value
      this.#last = text
      this.value = this.#check(answer)
      this.problem = undefined
    } catch (error) {
      this.#refuse((error as Error).message)
    }
    return this.value
  }

  /** Takes that there was no answer. Names the kind of error alone: its words may quote anything. */
  fail(name: string, error: unknown): T {
    // The next answer is judged, whatever the last one was.
    this.#last = ''
    const kind = String(Object(error).name)
    this.#refuse(`${name} failed${/^\w{1,40}$/.test(kind) ? ` (${kind})` : ''}`)
    return this.value
  }

  #refuse(problem: string): void {
    if (problem === this.problem) return
    this.problem = problem
    this.#refused(problem)
  }
}

/** The functions of settings, which have no text of their own to be compared by. */
const functions = new WeakMap<object, string>()
let count = 0

/** Returns a text that differs where settings do: functions count by identity. */
export function textOf(settings: unknown): string | undefined {
  return JSON.stringify(settings, (_, value: unknown) => {
    if (typeof value !== 'function') return value
    const name = functions.get(value) ?? `f${++count}`
    functions.set(value, name)
    return name
  })
}
