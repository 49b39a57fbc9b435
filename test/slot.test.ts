import { describe, expect, it } from 'vitest'
import { createSlot } from '../src/slot.ts'

describe('a slot', () => {
  it('has a value for each object, of a runtime too', () => {
    const slot = createSlot<object, number | null>()
    const request = new Request('https://example.com/')
    const other = request.clone()
    expect(slot.get(request)).toBe(undefined)
    slot.set(request, 1)
    slot.set(other, 2)
    expect([slot.get(request), slot.get(other)]).toEqual([1, 2])
    slot.set(request, null)
    expect([slot.get(request), slot.get(other)]).toEqual([null, 2])
  })

  it('is apart from other slots, and shows on no object', () => {
    const [a, b] = [createSlot<object, number>(), createSlot<object, number>()]
    const host = { name: 'x' }
    a.set(host, 1)
    expect([a.get(host), b.get(host)]).toEqual([1, undefined])
    b.set(host, 2)
    expect([a.get(host), b.get(host)]).toEqual([1, 2])
    expect(Reflect.ownKeys(host)).toEqual(['name'])
    expect({ ...host }).toEqual({ name: 'x' })
  })

  it('takes proxies and frozen objects as objects of their own', () => {
    const slot = createSlot<object, number>()
    const target = Object.freeze({})
    const proxy = new Proxy(target, {})
    slot.set(proxy, 1)
    expect([slot.get(proxy), slot.get(target)]).toEqual([1, undefined])
    slot.set(target, 2)
    expect([slot.get(proxy), slot.get(target)]).toEqual([1, 2])
  })
})
