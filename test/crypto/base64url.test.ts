import { describe, expect, it } from 'vitest'
import { decodeBase64url, encodeBase64url } from '../../src/crypto/base64url.ts'
import { randomBytes, toHex, utf8 } from './support.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const LENGTHS = [...Array.from({ length: 301 }, (_, i) => i), 4095, 65_536, 1_000_003]

const bytesOf = (text: string): number[] | null => {
  const bytes = decodeBase64url(text)
  return bytes && [...bytes]
}

describe('encodeBase64url()', () => {
  it.each([
    ['', ''],
    ['f', 'Zg'],
    ['fo', 'Zm8'],
    ['foo', 'Zm9v'],
    ['foob', 'Zm9vYg'],
    ['fooba', 'Zm9vYmE'],
    ['foobar', 'Zm9vYmFy'],
    ['~~~???', 'fn5-Pz8_'],
  ])('encodes "%s" as RFC 4648 says, without padding', (text, encoded) => {
    expect(encodeBase64url(utf8(text))).toBe(encoded)
    expect(bytesOf(encoded)).toEqual([...utf8(text)])
  })

  it('encodes a part of a buffer', () => {
    const part = utf8('xxfoobarxx').subarray(2, 8)
    expect(encodeBase64url(part)).toBe('Zm9vYmFy')
  })

  it('agrees with btoa on bytes of any length, and reads what it wrote', () => {
    for (const length of LENGTHS) {
      const bytes = randomBytes(length)
      const text = encodeBase64url(bytes)
      const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')
      const expected = btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
      expect([length, text === expected]).toEqual([length, true])
      const decoded = decodeBase64url(text)
      expect([length, decoded?.length]).toEqual([length, length])
      expect([length, decoded!.every((byte, i) => byte === bytes[i])]).toEqual([length, true])
    }
  })
})

describe('decodeBase64url()', () => {
  it('reads every text of two and three characters as one byte string or none', () => {
    const seen = new Set<string>()
    for (const a of ALPHABET) {
      for (const b of ALPHABET) {
        for (const c of ['', ...ALPHABET]) {
          const bytes = decodeBase64url(a + b + c)
          if (!bytes) continue
          expect(encodeBase64url(bytes)).toBe(a + b + c)
          seen.add(toHex(bytes))
        }
      }
    }
    // Every byte string of one and of two bytes, once.
    expect(seen.size).toBe(256 + 65_536)
  })

  it('refuses unused bits that are not zero', () => {
    for (const text of ['Zh', 'Zv', 'Z_', 'Zm9', 'Zm_', 'Zm9vYh', 'Zm9vYmF']) {
      expect([text, bytesOf(text)]).toEqual([text, null])
    }
  })

  it('refuses lengths that are no whole bytes', () => {
    for (const length of [1, 5, 9, 301, 4097]) {
      expect([length, bytesOf('A'.repeat(length))]).toEqual([length, null])
    }
  })

  it('refuses padding', () => {
    for (const text of ['Zg==', 'Zg=', 'Zm8=', 'Zm9v=', '=', '==', '====', 'Z===', 'Zg==Zg==']) {
      expect([text, bytesOf(text)]).toEqual([text, null])
    }
  })

  it('refuses the other alphabet', () => {
    for (const text of ['+A', '/A', 'A+A', 'AA/A', 'Pz8/', 'fn5+']) {
      expect([text, bytesOf(text)]).toEqual([text, null])
    }
  })

  it('refuses white space anywhere', () => {
    for (const space of [' ', '\t', '\n', '\r', '\f', '\r\n', '\u00a0', '\ufeff']) {
      for (const at of [0, 1, 4, 6, 8]) {
        const text = `${'Zm9vYmFy'.slice(0, at)}${space}${'Zm9vYmFy'.slice(at)}`
        expect([text, bytesOf(text)]).toEqual([text, null])
        // In place of a character, so that the length stays that of whole bytes.
        const same = `${text.slice(0, 8 - space.length)}${space}`
        expect([same, bytesOf(same)]).toEqual([same, null])
      }
    }
  })

  it('refuses every character outside of the alphabet at every place', () => {
    for (const text of ['Zm9vYg', 'Zm9vYmE', 'Zm9vYmFy']) {
      for (let at = 0; at < text.length; at++) {
        for (let code = 0; code < 0x250; code++) {
          const character = String.fromCharCode(code)
          if (ALPHABET.includes(character)) continue
          const hostile = text.slice(0, at) + character + text.slice(at + 1)
          expect([hostile, decodeBase64url(hostile)]).toEqual([hostile, null])
        }
      }
    }
  })

  it('refuses text beyond ASCII at the very end, where it does not fit the buffer', () => {
    const ends = [
      'é',
      '€',
      '😀',
      '\ud83d',
      '\ude00',
      'Ａ',
      '\u0141',
      'éé',
      '€€',
      'A😀',
      '\u{1d400}',
    ]
    for (const end of ends) {
      for (let length = 0; length < 12; length++) {
        const text = 'A'.repeat(length) + end
        expect([text, bytesOf(text)]).toEqual([text, null])
      }
    }
  })

  it('gives bytes whose one text is the one that was read, or null, for random text', () => {
    const characters = `${ALPHABET}${ALPHABET}${ALPHABET}+/= \n.é€`
    let read = 0
    for (let round = 0; round < 20_000; round++) {
      const [length, ...picks] = randomBytes(13)
      const text = Array.from(
        { length: length! % 12 },
        (_, i) => characters[picks[i]! % characters.length],
      ).join('')
      const bytes = decodeBase64url(text)
      if (!bytes) continue
      read++
      expect(encodeBase64url(bytes)).toBe(text)
    }
    expect(read).toBeGreaterThan(1000)
  })
})
