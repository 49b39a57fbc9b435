import { describe, expect, it } from 'vitest'
import { useNodeAes } from '../../src/adapters/node-aes.ts'
import { decodeBase64url, encodeBase64url } from '../../src/crypto/base64url.ts'
import { createKeyRing, type KeyRing } from '../../src/crypto/keyring.ts'
import { openToken, sealToken } from '../../src/crypto/token.ts'
import { accumulatedHash } from '../crypto/accumulated.ts'
import { countCrypto, SECRET } from '../support/sessions.ts'
import vectors from '../vectors/xaes-256-gcm.json' with { type: 'json' }

const NOW = 1_750_000_000_000

describe('AES-GCM of node:crypto', async () => {
  const ring = async (): Promise<KeyRing> => {
    const one = createKeyRing([SECRET], 'cookie')
    // The first use derives the keys of the hour, with the cipher of that moment.
    await sealToken(one, 'label', new Uint8Array(1), NOW)
    return one
  }
  const ofWebCrypto = await ring()
  useNodeAes()
  const ofNode = await ring()

  it('opens what WebCrypto has sealed, and the other way round, of any size', async () => {
    for (const length of [0, 1, 15, 16, 17, 300, 4096, 100_000]) {
      const bytes = crypto.getRandomValues(new Uint8Array(Math.min(length, 65_536)))
      for (const [a, b] of [
        [ofWebCrypto, ofNode],
        [ofNode, ofWebCrypto],
        [ofNode, ofNode],
      ] as const) {
        const token = await sealToken(a, 'label', bytes, NOW)
        expect(await openToken(b, 'label', token, NOW)).toEqual(bytes)
        expect(await openToken(b, 'another', token, NOW)).toBe(null)
      }
    }
  })

  it('refuses a token with any one bit flipped, and one that was cut', async () => {
    const token = decodeBase64url(await sealToken(ofNode, 'label', new Uint8Array(40), NOW))!
    const open = (bytes: Uint8Array): Promise<unknown> =>
      openToken(ofNode, 'label', encodeBase64url(bytes), NOW)
    expect(await open(token)).not.toBe(null)
    for (let bit = 0; bit < token.length * 8; bit++) {
      const forged = token.slice()
      forged[bit >> 3]! ^= 1 << (bit & 7)
      expect(await open(forged)).toBe(null)
    }
    for (let end = 0; end < token.length; end++)
      expect(await open(token.subarray(0, end))).toBe(null)
  })

  it('agrees with C2SP on 10,000 random messages', async () => {
    expect(await accumulatedHash(10_000)).toBe(vectors.accumulated.expected['10000'])
  })

  it('asks WebCrypto for nothing once the key of the hour is there', async () => {
    expect(await countCrypto(() => sealToken(ofWebCrypto, 'label', new Uint8Array(9), NOW))).toBe(1)
    expect(await countCrypto(() => sealToken(ofNode, 'label', new Uint8Array(9), NOW))).toBe(0)
  })
})
