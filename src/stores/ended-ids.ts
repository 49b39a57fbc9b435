/** Marks looked at with each new one, in search of those that are over. */
const SWEEP = 4

/**
 * Ids that have ended, each for a while of its own. They are bounded by a number of their own, so
 * that no record pushes one out; the oldest goes first.
 */
export class EndedIds {
  readonly #until = new Map<string, number>()
  readonly #max: number
  readonly #now: () => number

  constructor(max: number, now: () => number) {
    this.#max = max
    this.#now = now
  }

  has(id: string): boolean {
    return this.#now() < (this.#until.get(id) ?? 0)
  }

  /** Marks an id for so many seconds, or for as long as it is marked already, if that is longer. */
  add(id: string, seconds: number): void {
    const until = Math.max(this.#now() + seconds * 1000, this.#until.get(id) ?? 0)
    this.#until.delete(id)
    this.#sweep()
    if (this.#now() < until) this.#until.set(id, until)
  }

  /** Removes the oldest marks that are over, and the oldest of all when there are too many. */
  #sweep(): void {
    let left = SWEEP
    for (const [id, until] of this.#until) {
      if (left-- === 0) return
      if (until <= this.#now() || this.#until.size >= this.#max) this.#until.delete(id)
      else return
    }
  }
}
