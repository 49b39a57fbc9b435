import { describe, expect, it } from 'vitest'
import { seedsOf, simulate, violationsOf } from './command.ts'
import { PLANTS } from './plants.ts'
import { PROFILES } from './profiles.ts'

describe('the simulation', () => {
  it('gives the same run for the same seed', async () => {
    const args = [
      '--profile',
      'memory,snapshot,outage,kv',
      '--seed',
      '7',
      '--runs',
      '1',
      '--trace',
      '--no-shrink',
    ]
    const [one, other] = await Promise.all([simulate(...args), simulate(...args)])
    const withoutTimes = (text: string): string => text.replace(/\(.* of processor time/g, '')
    expect(withoutTimes(one).length > 10_000).toBe(true)
    expect(withoutTimes(one)).toBe(withoutTimes(other))
  })

  it('finds nothing in the scenarios that once showed a fault', async () => {
    expect((await seedsOf('--kept', '--runs', '0')).kept).toEqual({})
  })

  it.each(Object.values(PLANTS))('finds a planted fault within 300 runs: $name', async (plant) => {
    const { name, profile, rule } = plant
    const args = ['--plant', name, '--profile', profile, '--rule', rule, '--runs', '300', '--first']
    const { [profile]: found = {} } = await seedsOf(...args)
    expect(Object.keys(found)).toHaveLength(1)
  })
})

// The others are in simulated-faults.node.test.ts: two files run at once.
describe('no simulated run breaks a promise:', () => {
  it.each(PROFILES.slice(0, 4))('%s', async (profile) => {
    expect(await violationsOf(profile)).toEqual({})
  })
})
