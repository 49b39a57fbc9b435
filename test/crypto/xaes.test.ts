import { describe, expect, it } from 'vitest'
import { deriveSubkey, importXaesKey, PREFIX_BYTES } from '../../src/crypto/xaes.ts'
import vectors from '../vectors/xaes-256-gcm.json' with { type: 'json' }
import { accumulatedHash } from './accumulated.ts'
import { flips, fromHex, toHex } from './support.ts'

type Bytes = Uint8Array<ArrayBuffer>

async function open(key: Bytes, nonce: Bytes, aad: Bytes, sealed: Bytes): Promise<string | null> {
  const subkey = await deriveSubkey(await importXaesKey(key), nonce.subarray(0, PREFIX_BYTES))
  const iv = nonce.subarray(PREFIX_BYTES)
  return (async () => toHex(await subkey.open(iv, aad, sealed)))().catch(() => null)
}

describe('importXaesKey()', () => {
  it.each(vectors.vectors)('derives the CMAC subkey K1 of $id', async ({ key, K1 }) => {
    expect(toHex((await importXaesKey(fromHex(key))).k1)).toBe(K1)
  })

  it('gives a key that cannot be read back', async () => {
    const { cbc } = await importXaesKey(fromHex(vectors.vectors[0]!.key))
    expect(cbc.extractable).toBe(false)
    await expect(crypto.subtle.exportKey('raw', cbc)).rejects.toThrow()
  })
})

describe('deriveSubkey()', () => {
  it.each(vectors.vectors)('derives the key Kx of $id', async ({ key, nonce, Kx }) => {
    const derived = await deriveSubkey(
      await importXaesKey(fromHex(key)),
      fromHex(nonce).subarray(0, PREFIX_BYTES),
    )
    // It cannot be read, so it has to agree with Kx on a message.
    const expected = await crypto.subtle.importKey('raw', fromHex(Kx), 'AES-GCM', false, [
      'encrypt',
    ])
    const algorithm = { name: 'AES-GCM', iv: new Uint8Array(12) }
    const message = new Uint8Array(100)
    expect(toHex(await derived.seal(algorithm.iv, new Uint8Array(0), message))).toBe(
      toHex(await crypto.subtle.encrypt(algorithm, expected, message)),
    )
  })

  it('gives WebCrypto an AES-256-GCM key that cannot be read back, and erases its bytes', async () => {
    const key = await importXaesKey(fromHex(vectors.vectors[0]!.key))
    const subtle = Object.getPrototypeOf(crypto.subtle) as SubtleCrypto
    const original = subtle.importKey
    const taken: [CryptoKey, Bytes][] = []
    subtle.importKey = (async (...call: Parameters<typeof original>) => {
      const imported = await original.apply(crypto.subtle, call)
      taken.push([imported, call[1] as unknown as Bytes])
      return imported
    }) as typeof original
    await deriveSubkey(key, new Uint8Array(PREFIX_BYTES)).finally(() => {
      subtle.importKey = original
    })
    const [[subkey, bytes] = []] = taken
    expect(subkey).toMatchObject({
      extractable: false,
      algorithm: { name: 'AES-GCM', length: 256 },
    })
    expect(bytes).toEqual(new Uint8Array(32))
    await expect(crypto.subtle.exportKey('raw', subkey!)).rejects.toThrow()
  })
})

describe('XAES-256-GCM', () => {
  it.each(vectors.vectors)('opens and makes the ciphertext of $id', async (vector) => {
    const { key, nonce, plaintext, aad, ciphertext } = vector
    const prefix = fromHex(nonce).subarray(0, PREFIX_BYTES)
    const iv = fromHex(nonce).subarray(PREFIX_BYTES)
    expect(toHex(iv)).toBe(vector.Nx)
    const subkey = await deriveSubkey(await importXaesKey(fromHex(key)), prefix)
    const sealed = await subkey.seal(iv, fromHex(aad), fromHex(plaintext))
    expect(toHex(sealed)).toBe(ciphertext)
    expect(await open(fromHex(key), fromHex(nonce), fromHex(aad), fromHex(ciphertext))).toBe(
      plaintext,
    )
  })

  it.each(vectors.vectors)('refuses $id with any one bit flipped', async (vector) => {
    const [key, nonce, aad, sealed] = [vector.key, vector.nonce, vector.aad, vector.ciphertext].map(
      fromHex,
    ) as [Bytes, Bytes, Bytes, Bytes]
    const forgeries = [
      ...[...flips(key)].map((bytes) => open(bytes, nonce, aad, sealed)),
      ...[...flips(nonce)].map((bytes) => open(key, bytes, aad, sealed)),
      ...[...flips(aad)].map((bytes) => open(key, nonce, bytes, sealed)),
      ...[...flips(sealed)].map((bytes) => open(key, nonce, aad, bytes)),
    ]
    expect(forgeries.length).toBe(8 * (32 + 24 + aad.length + 28))
    expect((await Promise.all(forgeries)).every((opened) => opened === null)).toBe(true)
  })

  it('agrees with C2SP on 10,000 random messages', async () => {
    expect(await accumulatedHash(10_000)).toBe(vectors.accumulated.expected['10000'])
  })
})
