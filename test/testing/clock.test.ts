import { describe, expect, it } from 'vitest'
import { createClock } from '../../src/testing/index.ts'

describe('createClock()', () => {
  it('stands still until it is moved', () => {
    const clock = createClock(1000)
    expect([clock(), clock()]).toEqual([1000, 1000])
    expect(clock.advance(1.5)).toBe(2500)
    expect(clock.advanceMs(5)).toBe(2505)
    expect(clock.set(10)).toBe(10)
    expect(clock()).toBe(10)
  })

  it('starts at a date of its own, the same every time', () => {
    expect(new Date(createClock()()).toISOString()).toBe('2026-01-01T00:00:00.000Z')
  })

  it('refuses what is no time', () => {
    const clock = createClock()
    expect(() => createClock(Number.NaN)).toThrow(TypeError)
    expect(() => clock.advance('1' as unknown as number)).toThrow(TypeError)
    expect(() => clock.set(Number.POSITIVE_INFINITY)).toThrow(TypeError)
  })

  it('wakes sleepers in order once it has moved far enough', async () => {
    const clock = createClock()
    const woken: string[] = []
    const late = clock.sleep(200).then(() => woken.push('late'))
    const early = clock.sleep(100).then(() => woken.push('early'))
    await clock.sleep(0)
    clock.advanceMs(99)
    await Promise.resolve()
    expect(woken).toEqual([])
    clock.advanceMs(1)
    await early
    expect(woken).toEqual(['early'])
    clock.advance(1)
    await late
    expect(woken).toEqual(['early', 'late'])
  })

  it('ends a sleep with the signal', async () => {
    const clock = createClock()
    const controller = new AbortController()
    const sleeping = clock.sleep(100, controller.signal).catch((error) => error)
    controller.abort('enough')
    expect(await sleeping).toBe('enough')
    expect(await clock.sleep(1, controller.signal).catch((error) => error)).toBe('enough')
    clock.advance(1)
  })
})
