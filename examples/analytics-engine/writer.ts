import type { SessionEvent } from 'sojourn'

interface Dataset {
  writeDataPoint(point: { indexes: string[]; blobs: string[]; doubles: number[] }): void
}

/** Writes each event as one data point, with the same thing in the same column. */
export const writeEvents =
  (dataset: Dataset) =>
  (event: SessionEvent): void => {
    // Two or three of these come with every request; without them a request writes two to four points.
    if (event.type === 'cache.read') return
    const words: Partial<Record<string, string>> = Object(event)
    const { status, outcome, store, operation, direction, code, reason } = words
    const figures: Partial<Record<string, number>> = Object(event)
    const { durationMs, attempts, bytes, changes } = figures
    dataset.writeDataPoint({
      indexes: [event.type],
      blobs: [event.type, status ?? outcome, store, operation ?? direction, code, reason].map(
        (word = '') => word,
      ),
      doubles: [1, durationMs, attempts, bytes, changes].map((figure = 0) => figure),
    })
  }
