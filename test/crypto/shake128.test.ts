import { describe, expect, it } from 'vitest'
import { createShake128 } from '../support/shake128.ts'
import { toHex } from './support.ts'

// Made with OpenSSL: around the block of 168 bytes, where padding goes wrong.
const SEQUENCES: readonly (readonly [number, string])[] = [
  [1, '0b784469a0628e03861cd8a196dfafa0'],
  [167, '1e552791cc4e93a0d4a8dc47ae49228c'],
  [168, 'f15277eb61c4908d44a2853f3cde071a'],
  [169, '015be3338c986d9846affa0f94b4afc2'],
  [335, 'aec267cacde6c617c3e59fca945c4681'],
  [336, '1ec1f8887fb8a5ecd8fc269220332026'],
  [1000, '39414e9af7fae8cafe10e160cbfadd54'],
]

describe('createShake128()', () => {
  it('gives the stream of the empty input', () => {
    expect(toHex(createShake128().read(32))).toBe(
      '7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26',
    )
  })

  it.each(SEQUENCES)('hashes the bytes 0, 1, 2 and so on, %i of them', (length, expected) => {
    const shake = createShake128()
    shake.write(Uint8Array.from({ length }, (_, i) => i))
    expect(toHex(shake.read(16))).toBe(expected)
  })

  it('does not care how input and output are cut', () => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i)
    const whole = createShake128()
    whole.write(bytes)
    const expected = whole.read(1000)
    const pieces = createShake128()
    for (let i = 0; i < 1000; i += 7) pieces.write(bytes.subarray(i, i + 7))
    const out: number[] = []
    for (let i = 0; i < 1000; i += 8) out.push(...pieces.read(8))
    expect(toHex(Uint8Array.from(out))).toBe(toHex(expected))
    expect(toHex(expected.slice(-16))).toBe('b4b88d622eb2145cc37c28c1e503b6f4')
  })
})
