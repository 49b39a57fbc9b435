import { describe, expect, it } from 'vitest'
import { lazy } from '../src/lazy.ts'

describe('lazy()', () => {
  it('gives the value itself, and no promise, once it was loaded', async () => {
    const value = {}
    const get = lazy(async () => value)
    await get()
    expect(get()).toBe(value)
  })

  it('of overlapping loads keeps the value of the first one that is done', async () => {
    const waiting: ((value: string) => void)[] = []
    const get = lazy(() => new Promise<string>((resolve) => waiting.push(resolve)))
    const both = [get(), get()]
    waiting[1]?.('second')
    await both[1]
    waiting[0]?.('first')
    expect(await Promise.all(both)).toEqual(['second', 'second'])
    expect(get()).toBe('second')
  })

  it('loads again after a load that failed', async () => {
    let isDown = true
    const get = lazy(async () => {
      if (isDown) throw new Error('down')
      return 1
    })
    await expect(Promise.resolve(get())).rejects.toThrow('down')
    isDown = false
    expect(await get()).toBe(1)
  })
})
