import { describe, expect, it } from 'vitest'
import { createFormat } from '../../src/codec/data.ts'
import type { SessionState } from '../../src/codec/session-record.ts'
import { resolveOptions } from '../../src/options.ts'
import {
  applyChanges,
  changesBetween,
  isChanges,
  joinChanges,
} from '../../src/persistence/changes.ts'
import { type Operation, setValue, updateValue } from '../../src/session/operations.ts'
import { SECRET } from '../support/sessions.ts'

type Values = Record<string, unknown>
const format = createFormat(resolveOptions({ secret: SECRET }))

const state = (data: Values, flash: Values = {}): SessionState => ({
  key: new Uint8Array(16),
  createdAt: 0,
  renewedAt: 0,
  subject: null,
  authenticatedAt: null,
  idleTimeout: undefined,
  absoluteTimeout: undefined,
  persistent: false,
  counter: 1,
  version: 1,
  data,
  flash,
})
const updates = (...keys: string[]): Operation[] => keys.map((key) => updateValue(key, () => 0))
/** What becomes of `there` when somebody who saw `from` made it `to`. */
const merge = (from: Values, to: Values, there: Values, updated: string[] = []): Values => {
  const changes = changesBetween(format, state(from), state(to), updates(...updated))
  return applyChanges(format, state(there), changes).data
}

describe('changes that waited', () => {
  it('are made where the value is still what they were made from, and nowhere else', () => {
    expect(merge({ a: 1 }, { a: 2, b: 3 }, { a: 1, c: 4 })).toEqual({ a: 2, b: 3, c: 4 })
    expect(merge({ a: 1 }, { a: 2, b: 3 }, { a: 9, b: 9 })).toEqual({ a: 9, b: 9 })
    expect(merge({ a: 1 }, {}, { a: 1 })).toEqual({})
    expect(merge({ a: 1 }, {}, { a: 9 })).toEqual({ a: 9 })
    expect(merge({ a: 1 }, { a: 2 }, {})).toEqual({})
  })

  it('add what an update added to whatever is there, also where there was nothing', () => {
    expect(merge({ n: 3 }, { n: 5 }, { n: 100 }, ['n'])).toEqual({ n: 102 })
    expect(merge({}, { n: 5 }, { n: 100 }, ['n'])).toEqual({ n: 105 })
    expect(merge({ l: [1] }, { l: [1, 2] }, { l: [7, 8] }, ['l'])).toEqual({ l: [7, 8, 2] })
    expect(merge({}, { l: [1, 2] }, { l: [7] }, ['l'])).toEqual({ l: [7, 1, 2] })
  })

  it('add nothing where an update did something else, or where something else is there', () => {
    expect(merge({ l: [1, 2] }, { l: [2] }, { l: [7] }, ['l'])).toEqual({ l: [7] })
    expect(merge({ l: [1, 2] }, { l: [3, 2, 1] }, { l: [7] }, ['l'])).toEqual({ l: [7] })
    expect(merge({ n: 'x' }, { n: 5 }, { n: 100 }, ['n'])).toEqual({ n: 100 })
    expect(merge({ n: 3 }, { n: 5 }, { n: 'x' }, ['n'])).toEqual({ n: 'x' })
    expect(merge({ l: [1] }, { l: [1, 2] }, { l: 'x' }, ['l'])).toEqual({ l: 'x' })
    expect(merge({ n: 3 }, { n: 5 }, {}, ['n'])).toEqual({})
  })

  it('are as one what they are one after the other', () => {
    const steps: Values[] = [
      { n: 1, l: [1], a: 1, gone: 1 },
      { n: 3, l: [1, 2], a: 2 },
      { n: 4, l: [1, 2, 3], a: 3, late: 1 },
      { n: 4, l: [1, 2, 3, 4], a: 3, late: 2, gone: 5 },
    ]
    const all = steps
      .slice(1)
      .map((to, i) => changesBetween(format, state(steps[i]!), state(to), updates('n', 'l')))
    const joined = all.reduce((one, other) => joinChanges(format, one, other))
    for (const there of [
      steps[0]!,
      { n: 10, l: [9], a: 7, gone: 7 },
      { n: 'x', l: [1], a: 1, gone: 1 },
    ]) {
      const apart = all.reduce((one, some) => applyChanges(format, one, some), state(there))
      expect(applyChanges(format, state(there), joined).data).toEqual(apart.data)
    }
  })
})

describe('what was set after it was updated', () => {
  it('waits beside what was added, which others cannot undo', () => {
    const [before, updated, set] = [{ n: 1 }, { n: 3 }, { n: 9 }].map((data) => state(data))
    const joined = joinChanges(
      format,
      changesBetween(format, before!, updated!, updates('n')),
      changesBetween(format, updated!, set!, [setValue('n', 9)]),
    )
    expect(applyChanges(format, before!, joined).data).toEqual({ n: 9 })
    expect(applyChanges(format, state({ n: 10 }), joined).data).toEqual({ n: 12 })
  })
})

describe('changes beside a record', () => {
  const patch = (from: SessionState, to: SessionState, there: SessionState) =>
    applyChanges(format, there, changesBetween(format, from, to, []))

  it('take a flash value away that was read, and none that was left since', () => {
    const read = [state({}, { notice: 'old' }), state({})] as const
    expect(patch(...read, state({}, { notice: 'old', other: 1 })).flash).toEqual({ other: 1 })
    expect(patch(...read, state({}, { notice: 'new' })).flash).toEqual({ notice: 'new' })
  })

  it('are nothing else', () => {
    expect(isChanges([[0, 'a', '1', 0]])).toBe(true)
    for (const wrong of [
      null,
      {},
      [[2, 'a', '1', 0]],
      [[0, 1, '1', 0]],
      [[0, 'a', 1, 0]],
      [[0, 'a', '1', '0']],
    ]) {
      expect(isChanges(wrong)).toBe(false)
    }
  })
})
