import { describe, expect, it } from 'vitest'
import { createFormat } from '../../src/codec/data.ts'
import { copyJson, deepFreeze, EMPTY, freezeCopy } from '../../src/codec/values.ts'
import type { ResolvedOptions } from '../../src/resolve-options.ts'
import { createWorld, errorOf } from '../support/sessions.ts'

describe('copyJson()', () => {
  it.each([
    ['NaN', NaN, 'NaN'],
    ['a symbol', Symbol('s'), 'symbol'],
    ['a function', () => 1, 'function'],
    ['a class instance', new Map(), 'a Map'],
    ['an instance without a class', Object.create({ inherited: Object.create(null) }), 'a '],
    [
      'an instance of no class',
      Object.create(Object.create(Object.create(null))),
      'class instance',
    ],
    ['a key that is a symbol', { [Symbol('s')]: 1 }, 'a key that is a symbol'],
  ])('refuses %s, and says what it is and where', async (_what, value, kind) => {
    const error = await errorOf(() => copyJson({ list: [{ value }] }, 'cart'))
    expect([error.code, error.path]).toEqual(['ERR_SESSION_SERIALIZATION', 'cart.list[0].value'])
    expect(error.message).toContain(kind)
  })

  it('copies what JSON preserves, leaves out undefined, and freezes the copy', () => {
    const value = { a: [1, -0, 'x', null, true, []], b: { c: undefined, d: {} } }
    const copy = copyJson(value, 'a')
    expect(copy).toEqual({ a: [1, 0, 'x', null, true, []], b: { d: {} } })
    expect(Object.keys((copy as typeof value).b)).toEqual(['d'])
    expect(Object.isFrozen((copy as typeof value).a[5])).toBe(true)
    expect(Object.isFrozen(value.a)).toBe(false)
  })
})

describe('deepFreeze()', () => {
  it('takes values of every kind', () => {
    const bytes = Uint8Array.of(1)
    for (const value of [null, undefined, 5, 'x', true, 5n, Symbol.iterator, bytes]) {
      expect(deepFreeze(value)).toBe(value)
    }
    expect(Object.isFrozen(deepFreeze({ bytes, none: null }))).toBe(true)
    bytes[0] = 2
  })

  it('takes a value that contains itself', () => {
    const self: Record<string, unknown> = {}
    self.self = self
    expect(Object.isFrozen(deepFreeze(self).self)).toBe(true)
  })

  it('leaves a date readable, and says why it cannot be changed', () => {
    const date = deepFreeze(new Date(5))
    expect([date.getTime(), date.getTimezoneOffset()]).toEqual([5, new Date(5).getTimezoneOffset()])
    expect(() => date.setTime(6)).toThrow('Cannot change a value of the session in place')
  })
})

describe('freezeCopy()', () => {
  it('copies lists and plain objects, and hands on whatever else there is', () => {
    const when = new Date(5)
    const value = { list: [{ a: 1 }, null, undefined, 'x'], when, bare: Object.create(null) }
    const copy = freezeCopy(value)
    expect(copy).toEqual(value)
    expect(copy.when).toBe(when)
    for (const one of [copy, copy.list, copy.list[0], copy.bare]) {
      expect(Object.isFrozen(one)).toBe(true)
    }
    for (const one of [value, value.list, value.list[0], value.bare, when]) {
      expect(Object.isFrozen(one)).toBe(false)
    }
    for (const one of [null, undefined, 5, 'x']) expect(freezeCopy(one)).toBe(one)
  })

  it('copies what is there twice once, and a value that contains itself', () => {
    const shared = { a: 1 }
    const self: Record<string, unknown> = { one: shared, two: shared }
    self.self = self
    const copy = freezeCopy(self)
    expect([copy.one === copy.two, copy.self === copy]).toEqual([true, true])
  })
})

describe('the data of a session', () => {
  it('are written without flash values where there are none', () => {
    const { write } = createFormat({ version: 1 } as ResolvedOptions)
    const state = { data: { a: 1 }, flash: EMPTY } as unknown as Parameters<typeof write>[0]
    expect(write(state)).toEqual({ text: '{"a":1}', hasFlash: false })
    expect(write({ ...state, flash: { b: 2 } })).toEqual({
      text: '[{"a":1},{"b":2}]',
      hasFlash: true,
    })
  })

  it('are none in a new session whose schema has no defaults', async () => {
    const validate = () => ({ issues: [{ message: 'no' }] })
    const schema = { '~standard': { version: 1 as const, vendor: 'test', validate } }
    const { visit } = createWorld({ schema })
    expect((await visit()).session.data).toEqual({})
  })

  it('of a migration are a copy, whose original the application may change', async () => {
    const defaults = { theme: { dark: true } }
    const world = createWorld()
    await world.visit((s) => s.set('a', 1))
    const next = createWorld({ version: 2, migrate: () => defaults }, world.clock)
    const session = await next.sessions.open(world.jar.header())
    expect(session.data).toEqual(defaults)
    expect(Object.isFrozen(session.data.theme)).toBe(true)
    expect([Object.isFrozen(defaults), Object.isFrozen(defaults.theme)]).toEqual([false, false])
  })
})
