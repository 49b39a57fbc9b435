import { describe, expect, it } from 'vitest'
import vectors from '../vectors/xaes-256-gcm.json' with { type: 'json' }
import { accumulatedHash } from './accumulated.ts'

describe('XAES-256-GCM', () => {
  // Minutes of work: SOJOURN_SLOW=1 asks for it.
  it.runIf(process.env.SOJOURN_SLOW === '1')(
    'agrees with C2SP on 1,000,000 random messages',
    async () => {
      expect(await accumulatedHash(1_000_000)).toBe(vectors.accumulated.expected['1000000'])
    },
    1_800_000,
  )
})
