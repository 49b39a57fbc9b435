import { describe, expect, it } from 'vitest'
import { violationsOf } from './command.ts'
import { PROFILES } from './profiles.ts'

// The others are in simulation.node.test.ts: two files run at once.
describe('no simulated run breaks a promise:', () => {
  it.each(PROFILES.slice(4))('%s', async (profile) => {
    expect(await violationsOf(profile)).toEqual({})
  })
})
