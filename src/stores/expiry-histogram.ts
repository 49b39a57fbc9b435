/** Number of records that expire within a span of time, in all and by slices of it; a plain number for one moment. */
type Counts = number | { total: number; readonly parts: Map<number, Counts> }

/** Milliseconds per slice: 37 hours, 16 seconds of these, one of these. */
const WIDTHS = [2 ** 27, 2 ** 14, 1]

const totalOf = (counts: Counts): number => (typeof counts === 'number' ? counts : counts.total)

/** `counts` with one more or one less at `ms`; 0 when nothing is left. */
function changed(counts: Counts | undefined, ms: number, by: 1 | -1, level: number): Counts {
  const width = WIDTHS[level]
  if (width === undefined) return totalOf(counts ?? 0) + by
  const whole = typeof counts === 'object' ? counts : { total: 0, parts: new Map() }
  const key = Math.floor(ms / width)
  const part = changed(whole.parts.get(key), ms, by, level + 1)
  if (part === 0) whole.parts.delete(key)
  else whole.parts.set(key, part)
  whole.total += by
  return whole.total === 0 ? 0 : whole
}

/**
 * Knows at any time how many entries have expired without looking at them: it counts them per span
 * of 37 hours, per 16 seconds inside it, and per millisecond inside these. Counting costs one step
 * per span in use, plus at most 8,192 and 16,384 for the parts of the current one.
 */
export class ExpiryHistogram {
  #counts: Counts = 0

  /** Counts one more (`by: 1`) or one less (`by: -1`) that ends at `expiresAt`. */
  add(expiresAt: number, by: 1 | -1): void {
    this.#counts = changed(this.#counts, Math.ceil(expiresAt), by, 0)
  }

  /** Number of records that expired at or before `now`. */
  expired(now: number): number {
    let expired = 0
    let counts: Counts = this.#counts
    for (const width of WIDTHS) {
      if (typeof counts === 'number') break
      const current = Math.floor(now / width)
      for (const [key, part] of counts.parts) if (key < current) expired += totalOf(part)
      counts = counts.parts.get(current) ?? 0
    }
    return expired + totalOf(counts)
  }
}
