/** A sum over a sliding window of time, in a bounded state. */

/** Parts of a window: one leaves at a time. */
const SLOTS = 20

/**
 * Creates a window over the last so many seconds.
 *
 * @returns `add`, which takes a number at a time (epoch milliseconds) and returns the sum within the window.
 */
export function createWindow(seconds: number): { add(at: number, value: number): number } {
  const slotMs = (1000 * seconds) / SLOTS
  const slots = new Float64Array(SLOTS)
  let last = -Infinity
  let sum = 0
  return {
    add(at, value) {
      const slot = Math.floor(at / slotMs)
      // Events come a little out of order; a clock that was set back by more starts a new window.
      const passed = slot > last ? slot - last : slot < last - SLOTS ? SLOTS : 0
      if (passed) {
        if (passed >= SLOTS) slots.fill(0)
        else for (let i = 0; i < passed; i++) slots[(slot - i) % SLOTS] = 0
        last = slot
        sum = slots.reduce((a, b) => a + b)
      }
      slots[last % SLOTS]! += value
      sum += value
      return sum
    },
  }
}
