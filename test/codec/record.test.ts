import { describe, expect, it } from 'vitest'
import { deflate, inflate, MAX_BYTES } from '../../src/codec/compress.ts'
import { isFromFuture } from '../../src/codec/cookie-tokens.ts'
import { FIRST, nameOf, nextGeneration } from '../../src/codec/generation.ts'
import { decodeRecord, encodeRecord, type OpenedRecord } from '../../src/codec/session-record.ts'
import { randomBytes } from '../crypto/support.ts'

const NOW = Date.UTC(2026, 10, 23)

/** A record with no field that is not at its default. */
const PLAIN: OpenedRecord = {
  key: randomBytes(16),
  generation: FIRST,
  createdAt: NOW,
  renewedAt: NOW + 5000,
  subject: null,
  label: undefined,
  binding: undefined,
  claims: undefined,
  authenticatedAt: null,
  idleTimeout: undefined,
  absoluteTimeout: undefined,
  persistent: false,
  counter: 0,
  writes: undefined,
  markFor: undefined,
  version: 1,
  extra: undefined,
  text: null,
  hasFlash: false,
}

const ROTATED = { number: 3, nonce: 'c29qb3Vy', replaced: ['2.b25lMDAw', '1.'], rotatedAt: NOW + 7 }

describe('a record', () => {
  const records: [what: string, fields: Partial<OpenedRecord>][] = [
    ['no field', {}],
    ['no data', { text: '{}' }],
    ['data and flash', { text: '[{"a":"ü\\n€😀"},{"b":1}]', hasFlash: true }],
    ['a generation', { generation: { ...ROTATED, signedInAt: undefined } }],
    ['the generation of a sign-in', { generation: { ...ROTATED, signedInAt: 5 } }],
    ['a subject', { subject: 'ann\n', authenticatedAt: NOW + 1234 }],
    ['times of its own', { idleTimeout: 60, absoluteTimeout: 3600, persistent: true }],
    ['writes', { counter: 7, writes: 'abcdefAA', markFor: 60, version: 4 }],
    ['a label and a binding', { label: 'phone', binding: 'hash of a client' }],
    ['claims', { claims: { t: ['admin'], f: { otp: NOW }, a: 'bob' } }],
    ['what only a cookie has', { extra: { t: 5, r: '9', q: 'share', u: 1 }, signedIn: true }],
  ]

  it.each(records)('is read as it was written, with %s', (_what, fields) => {
    const record = { ...PLAIN, ...fields }
    expect(decodeRecord(encodeRecord(record))).toEqual(record)
  })

  it('has 25 bytes, and its text, where every field is at its default', () => {
    expect(encodeRecord(PLAIN).length).toBe(25)
    expect(encodeRecord({ ...PLAIN, text: '{"a":1}' }).length).toBe(25 + 7)
  })

  it('spells a rotation without a sign-in in one number', () => {
    const generation = { ...ROTATED, signedInAt: undefined }
    const text = new TextDecoder().decode(encodeRecord({ ...PLAIN, generation }).subarray(25))
    expect(text).toBe(`{"g":"3.c29qb3Vy,2.b25lMDAw,1.","r":[${NOW + 7}]}\n`)
  })

  it.each([
    ['nothing', Uint8Array.of()],
    ['half a header', new Uint8Array(20)],
    ['text that is not UTF-8', Uint8Array.of(...new Uint8Array(25), 255)],
    ['fields that are not JSON', Uint8Array.of(1, ...new Uint8Array(24), 123, 10)],
  ])('is null for %s', (_what, bytes) => {
    expect(decodeRecord(bytes)).toBe(null)
  })

  it('is from ahead when it began or was renewed over an hour after now', () => {
    const hour = 3_600_000
    const ahead = (createdAt: number, renewedAt: number): boolean =>
      isFromFuture({ createdAt: NOW + createdAt, renewedAt: NOW + renewedAt }, NOW)
    expect([ahead(0, 0), ahead(hour, hour)]).toEqual([false, false])
    expect([ahead(0, hour + 1), ahead(hour + 1, 0)]).toEqual([true, true])
  })
})

describe('a generation', () => {
  it('names the two that it replaced, and no more', () => {
    let generation = FIRST
    const names: string[] = []
    for (const nonce of ['aaaa', 'bbbb', 'cccc']) {
      names.unshift(nameOf(generation))
      generation = nextGeneration(generation, nonce, NOW)
    }
    expect(generation).toEqual({
      number: 4,
      nonce: 'cccc',
      replaced: ['3.bbbb', '2.aaaa'],
      rotatedAt: NOW,
    })
    expect(names).toEqual(['3.bbbb', '2.aaaa', '1.'])
  })
})

describe('deflate() and inflate()', () => {
  it('give back bytes of any size', async () => {
    for (const size of [0, 1, 1000, 300_000]) {
      const bytes = randomBytes(size)
      const back = await inflate(await deflate(bytes))
      expect([size, back.every((byte, i) => byte === bytes[i]), back.length]).toEqual([
        size,
        true,
        size,
      ])
    }
  })

  it('give back as many bytes as there may be, and refuse one more', async () => {
    const most = new Uint8Array(MAX_BYTES)
    expect((await inflate(await deflate(most))).length).toBe(MAX_BYTES)
    const more = await deflate(new Uint8Array(MAX_BYTES + 1))
    await expect(inflate(more)).rejects.toThrow(RangeError)
  })
})
