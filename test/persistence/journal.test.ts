import { describe, expect, it } from 'vitest'
import type { Change, Entry } from '../../src/codec/entries.ts'
import type { SessionState } from '../../src/codec/session-record.ts'
import { listWrite, NO_TAG, writesOf } from '../../src/codec/write-list.ts'
import { applyDeferred, leaveOutReplaced, mergeEntries } from '../../src/persistence/journal.ts'
import { change, changesOf, leftOut, updateValue } from '../../src/session/operations.ts'

const NOW = Date.UTC(2026, 10, 23)
const [A, B, C] = ['aaaaaa', 'bbbbbb', 'cccccc'] as const

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)
const withData = (data: Record<string, unknown>): SessionState =>
  ({ counter: 0, data, flash: {} }) as unknown as SessionState
const list = (state: SessionState, tag: string, changed = true): SessionState =>
  listWrite(state, tag, changed, NOW)
const entryOf = (
  tag: string,
  counter: number,
  changes: Change[],
  more: Partial<Entry> = {},
): Entry => ({
  tag,
  counter,
  at: NOW,
  changes,
  seen: [],
  ...more,
})
const set = (key: string, value: unknown): Change => [0, key, 'set', value]
const add = (key: string, by: number): Change => [0, key, 'add', by]
const flash = (key: string, value: unknown): Change => [1, key, 'set', value]

describe('entries beside a record', () => {
  it('are merged in the order of the store, each as a write', () => {
    const entries = [
      entryOf(A, 0, [set('a', 1), add('n', 1)]),
      entryOf(B, 0, [add('n', 2), set('a', 2)]),
      entryOf(C, 0, [flash('notice', 'hello')]),
    ]
    const merged = mergeEntries(withData({ n: 1 }), entries, same)
    expect([merged.data, merged.flash]).toEqual([{ a: 2, n: 4 }, { notice: 'hello' }])
    expect(writesOf(merged).map(({ tag, counter, changed }) => [tag, counter, changed])).toEqual([
      [A, 1, true],
      [B, 2, true],
      [C, 3, false],
    ])
  })

  it('count as a change of data where any of their changes is one', () => {
    const entry = entryOf(A, 0, [flash('notice', 'hello'), set('a', 1)])
    const merged = mergeEntries(withData({}), [entry], same)
    expect(writesOf(merged)).toEqual([expect.objectContaining({ tag: A, changed: true })])
  })

  it('are not applied again where the record lists them, and count as a write', () => {
    const state = list(withData({ n: 1 }), A)
    const merged = mergeEntries(state, [entryOf(A, 0, [add('n', 1)])], same)
    expect([merged.data, merged.counter]).toEqual([{ n: 1 }, 2])
    expect(writesOf(merged).map(({ tag, changed }) => [tag, changed])).toEqual([
      [A, true],
      [A, false],
    ])
  })

  it('are dropped where the list may have forgotten them', () => {
    const state = { ...list(list(withData({ n: 1 }), A), B), counter: 20 }
    const merge = (counter: number): SessionState =>
      mergeEntries(state, [entryOf(C, counter, [add('n', 1)])], same)
    expect(merge(17).data).toEqual({ n: 1 })
    expect(writesOf(merge(17)).at(-1)).toMatchObject({ tag: NO_TAG, counter: 21, changed: false })
    expect(merge(18).data).toEqual({ n: 2 })
    expect(writesOf(merge(18)).at(-1)).toMatchObject({ tag: C, counter: 21, changed: true })
  })
})

describe('deferred writes', () => {
  const apply = (state: SessionState, ...entries: Entry[]) => {
    const outcome = { applied: [] as readonly Entry[], dropped: [] as readonly Entry[] }
    const operation = applyDeferred(entries, outcome, same, NOW)
    const { data } = operation(state)
    const tagsOf = (all: readonly Entry[]): string[] => all.map(({ tag }) => tag)
    return {
      data,
      applied: tagsOf(outcome.applied),
      dropped: tagsOf(outcome.dropped),
      isDeferred: operation.isDeferred,
    }
  }
  const before = list(withData({ n: 1 }), A)

  it('are applied to the state that they were made from, and to what they have written', () => {
    const first = entryOf(B, 1, [set('a', 1)])
    const second = entryOf(C, 1, [set('a', 2)], { seen: [B] })
    expect(apply(before, first, second)).toEqual({
      data: { n: 1, a: 2 },
      applied: [B, C],
      dropped: [],
      isDeferred: true,
    })
    // Made beside the first one, and not on top of it.
    const overlapping = entryOf(C, 1, [set('a', 2)])
    expect(apply(before, first, overlapping)).toMatchObject({
      data: { n: 1, a: 1 },
      applied: [B],
      dropped: [C],
    })
  })

  it('are neither applied nor dropped where they are listed', () => {
    expect(apply(before, entryOf(A, 0, [add('n', 1)]))).toMatchObject({
      data: { n: 1 },
      applied: [],
      dropped: [],
    })
  })

  it('that set a value are dropped, whole, where another write has changed data since', () => {
    const changes = [set('a', 1), add('n', 1)]
    const after = list(before, B)
    expect(apply(after, entryOf(C, 1, changes))).toMatchObject({ data: { n: 1 }, dropped: [C] })
    expect(apply(after, entryOf(C, 2, changes)).data).toEqual({ n: 2, a: 1 })
    expect(apply(after, entryOf(C, 1, changes, { seen: [B] })).data).toEqual({ n: 2, a: 1 })
    // A write of flash values alone changes no data.
    expect(apply(list(before, B, false), entryOf(C, 1, changes)).data).toEqual({ n: 2, a: 1 })
  })

  it('that only add are applied to whatever is there', () => {
    const changes = [add('n', 1), [0, 'list', 'append', ['x']] as const, flash('notice', 'hello')]
    const after = list(before, B)
    expect(apply(after, entryOf(C, 1, changes)).data).toEqual({ n: 2, list: ['x'] })
    // A value was left out of it: it set one too.
    expect(apply(after, entryOf(C, 1, changes, { sets: 1 })).dropped).toEqual([C])
  })

  it('that add to what nothing can be added to are dropped, whole', () => {
    const text = list(withData({ n: 'text' }), A)
    const entry = entryOf(C, 1, [add('m', 1), add('n', 1)])
    expect(apply(text, entry)).toMatchObject({ data: { n: 'text' }, dropped: [C] })
  })

  it('are dropped where the list may have forgotten them', () => {
    const late = { ...before, counter: 20 }
    expect(apply(late, entryOf(C, 18, [add('n', 1)])).dropped).toEqual([C])
    expect(apply(late, entryOf(C, 19, [add('n', 1)])).data).toEqual({ n: 2 })
  })
})

describe('values that a later deferred write replaces', () => {
  const leave = (first: Change[], second: Change[], age: number) =>
    leaveOutReplaced(
      [entryOf(A, 1, first, { at: NOW - 60_000 }), entryOf(B, 1, second, { at: NOW - age })],
      NOW,
    ).map(({ changes, sets }) => [changes, sets])

  it('are left out once the later one is older than any request under way', () => {
    const [one, two, other] = [set('a', 1), set('a', 2), set('b', 1)]
    expect(leave([one, other], [two], 30_000)).toEqual([
      [[other], 1],
      [[two], undefined],
    ])
    expect(leave([one, other], [two], 29_999)).toEqual([
      [[one, other], undefined],
      [[two], undefined],
    ])
  })

  it('are left out though a flash value of the same name lies between', () => {
    const [one, other, two] = [set('a', 1), flash('a', 1), set('a', 2)]
    expect(leave([one], [other, two], 30_000)).toEqual([
      [[], 1],
      [[other, two], undefined],
    ])
  })

  it('stay where either is an addition, or a flash value', () => {
    for (const [one, two] of [
      [add('a', 1), set('a', 2)],
      [set('a', 1), add('a', 2)],
      [flash('a', 1), flash('a', 2)],
      [set('a', 1), flash('a', 2)],
      [set('a', 1), set('b', 2)],
    ] as const) {
      expect(leave([one], [two], 30_000)).toEqual([
        [[one], undefined],
        [[two], undefined],
      ])
    }
  })
})

describe('the changes of a request', () => {
  it('are those of its operations; an update is what it made of the value', () => {
    const operations = [
      change([set('a', 1), set('b', 1), flash('a', 1)], same),
      updateValue('a', () => 2),
      updateValue('gone', () => undefined),
    ]
    expect(changesOf(operations, withData({ a: 2, b: 1 }))).toEqual([
      set('b', 1),
      flash('a', 1),
      set('a', 2),
      set('gone', undefined),
    ])
  })

  it('are left out where they add to what another request has set', () => {
    const data = withData({ text: 'x', list: [1], n: 1 })
    const append = (key: string): Change => [0, key, 'append', [1]]
    const all = [
      add('text', 1),
      add('list', 1),
      add('n', 1),
      add('none', 1),
      append('text'),
      append('list'),
      append('n'),
      append('none'),
      set('other', 1),
      [1, 'text', 'add', 1] as Change,
    ]
    expect(leftOut(all, data)).toEqual([
      add('text', 1),
      add('list', 1),
      append('text'),
      append('n'),
    ])
    // The request itself has set it: the addition is to its own value.
    expect(leftOut([set('text', 1), add('text', 1)], data)).toEqual([])
    expect(leftOut([append('text'), add('text', 1)], data)).toHaveLength(2)
  })
})
