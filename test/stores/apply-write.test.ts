import { describe, expect, it } from 'vitest'
import { applyWrite, baseVersion } from '../../src/stores/apply-write.ts'
import { MAX_ENTRIES, MAX_ENTRIES_LENGTH } from '../../src/stores/limits.ts'
import type { StoredRecord } from '../../src/stores/store.ts'

function record(more: Partial<StoredRecord> = {}): StoredRecord {
  return { value: 'v', version: 'v1', epoch: '1.a', expiresAt: 1000, ...more }
}

const other = record({ value: 'w', version: 'v2', expiresAt: 2000, keys: ['ann'] })
const refused = (current: StoredRecord | null) => ({
  result: { ok: false, current },
  next: null,
})

describe('applyWrite()', () => {
  it('creates where nothing is, and only if nothing is expected', () => {
    expect(applyWrite(null, other, null)).toEqual({ result: { ok: true }, next: other })
    expect(applyWrite(null, other, 'v1', 'entry')).toEqual(refused(null))
    expect(applyWrite(record(), other, null, 'entry')).toEqual(refused(record()))
  })

  it('replaces the record and its entries where the version is the expected one', () => {
    const current = record({ version: 'v1+2.b', entries: ['a', 'b'] })
    expect(applyWrite(current, other, 'v1+2.b', 'c')).toEqual({ result: { ok: true }, next: other })
    expect(applyWrite(current, other, 'v1')).toEqual(refused(current))
    for (const expected of ['v1+1.a', 'v1+2', 'v1+2.c']) {
      expect(applyWrite(current, other, expected)).toEqual(refused(current))
    }
  })

  it('appends an entry under the version of the record, with its expiry and keys', () => {
    const once = record({ version: 'v1+1.a', entries: ['a'] })
    const twice = record({ version: 'v1+2.b', entries: ['a', 'b'] })
    expect(applyWrite(record(), other, 'v0', 'a')).toEqual({
      result: { ok: true, current: once },
      next: once,
    })
    expect(applyWrite(once, other, 'v1', 'b')).toEqual({
      result: { ok: true, current: twice },
      next: twice,
    })
  })

  it('refuses an entry of another epoch', () => {
    const current = record({ epoch: '2.b' })
    expect(applyWrite(current, other, 'v0', 'a')).toEqual(refused(current))
  })

  it('refuses an entry that has no room', () => {
    const entries = Array.from({ length: MAX_ENTRIES - 1 }, (_, i) => `${i}`)
    const last = applyWrite(record({ version: 'v1+63.62', entries }), other, 'v0', 'a')
    expect(last.next?.entries?.length).toBe(MAX_ENTRIES)
    expect(applyWrite(last.next, other, 'v0', 'b').result.ok).toBe(false)
    const large = 'x'.repeat(MAX_ENTRIES_LENGTH - 1)
    expect(applyWrite(record(), other, 'v0', `${large}yz`).result.ok).toBe(false)
    const full = applyWrite(record(), other, 'v0', `${large}y`)
    expect(full.result.ok).toBe(true)
    expect(applyWrite(full.next, other, 'v0', 'b').result.ok).toBe(false)
  })

  it('answers a repeated write with ok, and changes nothing', () => {
    expect(applyWrite(other, other, null)).toEqual({ result: { ok: true }, next: null })
    expect(applyWrite(other, other, 'v1', 'a')).toEqual({ result: { ok: true }, next: null })
    const current = { ...other, version: 'v2+1.a', entries: ['a'] }
    expect(applyWrite(current, other, 'v1')).toEqual({ result: { ok: true, current }, next: null })
  })

  it('answers a repeated entry with ok, and changes nothing', () => {
    const current = record({ version: 'v1+2.b', entries: ['a', 'b'] })
    expect(applyWrite(current, other, 'v0', 'a')).toEqual({
      result: { ok: true, current },
      next: null,
    })
  })

  it('returns copies, and takes nothing over that only reads have', () => {
    const current = record({ version: 'v1+1.a', entries: ['a'] })
    const { result, next } = applyWrite(current, other, 'v0', 'b')
    result.current?.entries?.concat('changed')
    expect(result.current).not.toBe(next)
    const given = { ...other, entries: ['x'], stale: true as const }
    expect(applyWrite(null, given, null).next).toEqual(other)
  })

  it('tells the version of a record from the number and the end of its entries', () => {
    expect(baseVersion(record({ version: 'v+1' }))).toBe('v+1')
    expect(baseVersion(record({ version: 'v+1+2.b', entries: ['a', 'b'] }))).toBe('v+1')
  })
})
