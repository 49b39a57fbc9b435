import { describe, expect, it } from 'vitest'
import { createRandomBelow } from '../support/schedule.ts'
import { createTargets, mutate } from './targets.ts'

const RUNS = 2000
const targets = await createTargets()

describe('no text makes it throw, open a forgery, or take nonsense for an answer:', () => {
  it.each(Object.keys(targets))('%s', async (name) => {
    const { seeds, run } = targets[name]!
    const random = createRandomBelow(1)
    const texts = [...seeds, ...Array.from({ length: RUNS }, () => mutate(seeds, random))]
    for (const text of texts) {
      const outcome = await run(text).catch((error: unknown) => String(error))
      expect([text, outcome]).toEqual([text, undefined])
    }
  })
})
