import { describe, expect, it } from 'vitest'
import { openShared, sealShared } from '../../src/crypto/key-share.ts'
import { createKeyedHash } from '../../src/crypto/keyed-hash.ts'
import { createKeyRing } from '../../src/crypto/keyring.ts'
import { openToken, sealToken } from '../../src/crypto/token.ts'
import { randomBytes, utf8 } from './support.ts'

const SECRET = 'one secret for the tests of keys'
const NOW = Date.UTC(2026, 10, 23)

/** Runs `fn`, and returns every key that WebCrypto gave, and every secret that it derived as bytes. */
async function keysOf(fn: () => Promise<unknown>) {
  const { subtle } = crypto
  const originals = [subtle.importKey, subtle.deriveKey, subtle.deriveBits] as const
  const keys: CryptoKey[] = []
  const bits: ArrayBuffer[] = []
  const listen = <T>(original: (...args: never[]) => Promise<T>, to: T[]) =>
    (async (...args: never[]) => {
      const made = await original.apply(subtle, args)
      to.push(made)
      return made
    }) as never
  subtle.importKey = listen(originals[0] as never, keys)
  subtle.deriveKey = listen(originals[1] as never, keys)
  subtle.deriveBits = listen(originals[2] as never, bits)
  try {
    await fn()
  } finally {
    ;[subtle.importKey, subtle.deriveKey, subtle.deriveBits] = originals
  }
  return { keys, bits }
}

describe('keys', () => {
  const state = { key: randomBytes(16 + 32) }
  const uses: [of: string, use: () => Promise<unknown>][] = [
    [
      'a token',
      async () => {
        const ring = createKeyRing([SECRET], 'cookie')
        const token = await sealToken(ring, 'label', utf8('hello'), NOW)
        return openToken(createKeyRing([SECRET], 'cookie'), 'label', token, NOW)
      },
    ],
    ['a keyed hash', () => createKeyedHash([SECRET], 'user')('ann')],
    ['a key share', async () => openShared(state, await sealShared(state, utf8('hello')))],
  ]

  it.each(uses)('of %s cannot be read back', async (_of, use) => {
    const { keys } = await keysOf(use)
    expect(keys.length).toBeGreaterThan(1)
    expect(keys.filter(({ extractable }) => extractable)).toEqual([])
  })

  it('of a key ring leave no bytes behind', async () => {
    const { bits } = await keysOf(() => createKeyRing([SECRET], 'cookie').derive())
    expect(bits.map((one) => [...new Uint8Array(one)])).toEqual([Array(32).fill(0)])
  })
})

describe('a key share', () => {
  it('seals differently each time, and opens what it sealed alone', async () => {
    const [one, two] = [{ key: randomBytes(48) }, { key: randomBytes(48) }]
    const sealed = await sealShared(one, utf8('hello'))
    expect(await sealShared(one, utf8('hello'))).not.toEqual(sealed)
    expect(sealed.length).toBe(12 + 'hello'.length + 16)
    expect(await openShared(one, sealed)).toEqual(utf8('hello'))
    expect(await openShared(two, sealed)).toBe(null)
    expect(await openShared(one, sealed.slice(0, 5))).toBe(null)
  })

  it('is left out where the secret alone seals', async () => {
    const without = { key: randomBytes(16) }
    expect(await sealShared(without, utf8('hello'))).toEqual(utf8('hello'))
    expect(await openShared(without, utf8('hello'))).toEqual(utf8('hello'))
  })
})

describe('createKeyedHash()', () => {
  it('makes 16 bytes for each secret, the first one first, the same in every isolate', async () => {
    const other = 'another secret for the tests of keys'
    const both = await createKeyedHash([SECRET, other], 'user')('ann')
    expect(both.map((hash) => hash.length)).toEqual([22, 22])
    expect(await createKeyedHash([SECRET], 'user')('ann')).toEqual([both[0]])
    expect(await createKeyedHash([other], 'user')('ann')).toEqual([both[1]])
    expect(await createKeyedHash([SECRET], 'tag')('ann')).not.toEqual([both[0]])
    expect(await createKeyedHash([SECRET], 'user')('bob')).not.toEqual([both[0]])
  })
})
