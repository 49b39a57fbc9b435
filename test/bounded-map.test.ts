import { describe, expect, it } from 'vitest'
import { BoundedMap } from '../src/bounded-map.ts'

describe('a bounded map', () => {
  it('forgets what was used longest ago', () => {
    const map = new BoundedMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    expect(map.get('a')).toBe(1)
    map.set('c', 3)
    expect([map.get('a'), map.get('b'), map.get('c')]).toEqual([1, undefined, 3])
    map.set('a', 4)
    map.set('d', 5)
    expect([map.get('a'), map.get('c'), map.get('d')]).toEqual([4, undefined, 5])
  })

  it('never forgets what is used between any two that are set', () => {
    const map = new BoundedMap<string, number>(8)
    map.set('used', 0)
    for (let i = 1; i < 100; i++) {
      map.set(`${i}`, i)
      expect(map.get('used')).toBe(0)
    }
    const others = Array.from({ length: 99 }, (_, i) => map.get(`${i + 1}`))
    expect(others.filter((one) => one !== undefined)).toEqual([93, 94, 95, 96, 97, 98, 99])
  })

  it('counts the characters of its keys: 4096 for each entry that it may have', () => {
    const map = new BoundedMap<string, number>(100)
    // V8 hashes texts of over 16,383 characters by their length alone, which takes seconds here.
    const key = (i: number): string => String(i).padStart(10_240, '0')
    for (let i = 0; i < 200; i++) map.set(key(i), i)
    const kept = Array.from({ length: 200 }, (_, i) => map.get(key(i))).filter(Number.isInteger)
    expect(kept).toEqual(Array.from({ length: 40 }, (_, i) => 160 + i))
    // One that is longer than all may be is not kept, and what is set again counts once.
    map.set('x'.repeat(409_601), 1)
    expect(map.get('x'.repeat(409_601))).toBe(undefined)
    for (let i = 0; i < 80; i++) map.set(key(1), 1)
    map.set('y', 2)
    expect([map.get(key(1)), map.get('y')]).toEqual([1, 2])
  })

  it('keeps nothing when it may have no entries', () => {
    const map = new BoundedMap<number, number>(0)
    map.set(1, 1)
    expect(map.get(1)).toBe(undefined)
  })
})
