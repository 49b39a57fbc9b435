import { describe, expect, it } from 'vitest'
import { createFormat } from '../../src/codec/data.ts'
import { decodeEntries, type Entry, encodeEntries } from '../../src/codec/entries.ts'
import type { ResolvedOptions } from '../../src/resolve-options.ts'

const NOW = Date.UTC(2026, 10, 23)
const format = createFormat({ version: 1 } as ResolvedOptions)

describe('entries', () => {
  it('are read as they were spelled, each made on top of those before it', () => {
    const first: Entry = {
      tag: 'aaaaaa',
      counter: 1,
      at: NOW - 5,
      changes: [
        [0, 'a', 'set', { b: [1] }],
        [0, 'gone', 'set'],
      ],
      seen: [],
    }
    const second: Entry = {
      tag: 'bbbbbb',
      counter: 2,
      at: NOW,
      changes: [[1, 'notice', 'set', 'hello']],
      sets: 1,
      seen: [],
    }
    const text = encodeEntries(format, [first, second], NOW)
    expect(text).not.toContain(String(NOW))
    expect(decodeEntries(format, text, NOW)).toEqual([
      { ...first, sets: undefined },
      { ...second, seen: ['aaaaaa'] },
    ])
  })
})
