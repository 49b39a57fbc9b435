import { describe, expect, it } from 'vitest'
import type { SessionState } from '../../src/codec/session-record.ts'
import { descends, listWrite, NO_TAG } from '../../src/codec/write-list.ts'

/** A state after writes with these tags. */
function stateOf(...tags: string[]): SessionState {
  const empty = { counter: 0 } as SessionState
  return tags.reduce((state, tag) => listWrite(state, tag, true, 0), empty)
}

const [A, B, C, D] = ['aaaaaa', 'bbbbbb', 'cccccc', 'dddddd']

describe('the ancestors of a state in its list of writes', () => {
  it('are those whose last write it lists', () => {
    expect(descends(stateOf(A, B, C), stateOf(A, B))).toBe(true)
    expect(descends(stateOf(A, B, C), stateOf(A, B, C))).toBe(true)
    expect(descends(stateOf(A, B), stateOf(A, D))).toBe(false)
    expect(descends(stateOf(A), stateOf())).toBe(false)
  })

  it('are not told by a dropped entry, of which each looks like the other', () => {
    expect(descends(stateOf(A, NO_TAG, B), stateOf(A, C, NO_TAG))).toBe(false)
    expect(descends(stateOf(A, C, NO_TAG, B), stateOf(A, C, NO_TAG))).toBe(true)
    expect(descends(stateOf(NO_TAG), stateOf(NO_TAG))).toBe(false)
  })

  it('are not told by an entry that came twice, with another write in between', () => {
    expect(descends(stateOf(A, B, C), stateOf(A, D, A))).toBe(false)
    expect(descends(stateOf(A, D, A, B), stateOf(A, D, A))).toBe(true)
  })
})
