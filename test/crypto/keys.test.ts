import { describe, expect, it } from 'vitest'
import { openShared, sealShared } from '../../src/crypto/key-share.ts'
import { createKeyedHash, plainHash } from '../../src/crypto/keyed-hash.ts'
import { createKeyRing, spellKey } from '../../src/crypto/keyring.ts'
import { openToken, sealToken } from '../../src/crypto/token.ts'
import { randomBytes, subtleCalls, utf8 } from './support.ts'

const SECRET = 'one secret for the tests of keys'
const NOW = Date.UTC(2026, 10, 23)
/** The first 16 bytes of SHA-256 of `sojourn v1 import ann`. */
const PLAIN = 'aHcVTY_x-vWQuYiaVxoOMw'

/** Runs `fn`, and returns every key that WebCrypto gave, and every secret that it derived as bytes. */
async function keysOf(fn: () => Promise<unknown>) {
  // Of the prototype: an own method of `crypto.subtle` would hide it from other tests for good.
  const subtle = Object.getPrototypeOf(crypto.subtle) as SubtleCrypto
  const originals = [subtle.importKey, subtle.deriveKey, subtle.deriveBits] as const
  const keys: CryptoKey[] = []
  const bits: ArrayBuffer[] = []
  const listen = <T>(original: (...args: never[]) => Promise<T>, to: T[]) =>
    (async (...args: never[]) => {
      const made = await original.apply(crypto.subtle, args)
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
    const { bits } = await keysOf(async () => createKeyRing([SECRET], 'cookie').keys())
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

  it('costs nothing for a text that it was lately asked for', async () => {
    const hash = createKeyedHash([SECRET], 'user')
    const first = await hash('ann')
    const { keys } = await keysOf(() => hash('bob'))
    const again: unknown[] = []
    const calls = await subtleCalls(async () => again.push(await hash('ann')))
    expect([again, calls, keys]).toEqual([[first], [], []])
  })
})

describe('plainHash()', () => {
  it('is the same in every deployment', async () => {
    expect(await plainHash('import', 'ann')).toBe(PLAIN)
    expect(await plainHash('once', 'ann')).not.toBe(PLAIN)
  })
})

describe('a key', () => {
  it('is spelled in 8 hex characters', () => {
    expect([spellKey(10), spellKey(0xfedcba98)]).toEqual(['0000000a', 'fedcba98'])
  })

  it('of a former secret is told of with its position, when it opens something', async () => {
    const token = await sealToken(createKeyRing([SECRET], 'cookie'), 'label', utf8('a'), NOW)
    const told: unknown[] = []
    const open = (...secrets: string[]): Promise<unknown> =>
      openToken(
        createKeyRing(secrets, 'cookie', ({ id }, position) => told.push([id, position])),
        'label',
        token,
        NOW,
      )
    await open(SECRET, 'another secret for the tests of keys')
    expect(told).toEqual([])
    await open('another secret for the tests of keys', 'a third one', SECRET)
    const [key] = await createKeyRing([SECRET], 'cookie').keys()
    expect(told).toEqual([[key?.id, 2]])
  })
})
