import { describe, expect, it } from 'vitest'
import { MAX_TIMEOUT } from '../../src/check.ts'
import { decodeBase64url, encodeBase64url } from '../../src/crypto/base64url.ts'
import { createKeyRing, type KeyPurpose, type KeyRing } from '../../src/crypto/keyring.ts'
import { openToken, sealToken } from '../../src/crypto/token.ts'
import { deriveSubkey, importXaesKey } from '../../src/crypto/xaes.ts'
import { flips, subtleCalls, toHex, utf8 } from './support.ts'

const HOUR_MS = 3_600_000
const NOW = Date.UTC(2026, 10, 23, 12, 34, 56)
const HOUR = Math.floor(NOW / HOUR_MS)
const LABEL = 'cookie:test'
const SECRET = 'one secret for the tests of tokens'
const OTHER = 'another secret for the tests of tokens'
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
// Sizes whose texts leave no bit, two bits and four bits unused.
const MESSAGES = ['', 'a', 'ab', 'abc'].map(utf8)

const ringOf = (...secrets: string[]): KeyRing => createKeyRing(secrets, 'cookie')
const bytesOf = (token: string): Uint8Array<ArrayBuffer> => decodeBase64url(token)!
const seal = (ring: KeyRing, text = 'hello', now = NOW): Promise<string> =>
  sealToken(ring, LABEL, utf8(text), now)

async function open(ring: KeyRing, token: string, now = NOW, label = LABEL) {
  const bytes = await openToken(ring, label, token, now)
  return bytes && new TextDecoder().decode(bytes)
}

/** A copy of a token with some of its bytes replaced. */
function patched(token: string, at: number, ...bytes: number[]): string {
  const copy = bytesOf(token)
  copy.set(bytes, at)
  return encodeBase64url(copy)
}

const withHour = (token: string, hour: number): string =>
  patched(token, 5, hour >> 16, (hour >> 8) & 255, hour & 255)

/** How many of these texts open. Never throws, or the test fails. */
async function countOpened(ring: KeyRing, texts: Iterable<string>): Promise<number> {
  const opened = await Promise.all([...texts].map((text) => openToken(ring, LABEL, text, NOW)))
  return opened.filter((plaintext) => plaintext !== null).length
}

/** The master key of a purpose, derived by hand. */
async function masterKey(secret: string, purpose: string): Promise<Uint8Array<ArrayBuffer>> {
  const input = await crypto.subtle.importKey('raw', utf8(secret), 'HKDF', false, ['deriveBits'])
  const info = utf8(`sojourn v1 ${purpose}`)
  const algorithm = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info }
  return new Uint8Array(await crypto.subtle.deriveBits(algorithm, input, 256))
}

describe('sealToken()', () => {
  it('writes version, key id, hour and nonce, then ciphertext and tag', async () => {
    const bytes = bytesOf(await seal(ringOf(SECRET)))
    const id = new Uint8Array(
      await crypto.subtle.digest('SHA-256', await masterKey(SECRET, 'cookie')),
    )
    expect(bytes.length).toBe(1 + 4 + 3 + 12 + 'hello'.length + 16)
    expect(bytes[0]).toBe(1)
    expect(toHex(bytes.subarray(1, 5))).toBe(toHex(id.subarray(0, 4)))
    expect(toHex(bytes.subarray(5, 8))).toBe(HOUR.toString(16).padStart(6, '0'))
  })

  it.each(['cookie', 'store', 'seal'] as KeyPurpose[])(
    'seals with XAES-256-GCM under the master key for "%s"',
    async (purpose) => {
      const token = bytesOf(
        await sealToken(createKeyRing([SECRET], purpose), 'läbel', utf8('hello'), NOW),
      )
      const prefix = new Uint8Array(12)
      prefix.set(token.subarray(5, 8), 9)
      const subkey = await deriveSubkey(
        await importXaesKey(await masterKey(SECRET, purpose)),
        prefix,
      )
      const additionalData = new Uint8Array([...token.subarray(0, 8), ...utf8('läbel')])
      const plaintext = await subkey.open(token.subarray(8, 20), additionalData, token.subarray(20))
      expect(toHex(plaintext)).toBe(toHex(utf8('hello')))
    },
  )

  it('leaves what it seals as it was', async () => {
    const plaintext = utf8('hello')
    await sealToken(ringOf(SECRET), LABEL, plaintext, NOW)
    expect(toHex(plaintext)).toBe(toHex(utf8('hello')))
  })

  it('never repeats a nonce in 20,000 tokens', async () => {
    const ring = ringOf(SECRET)
    await seal(ring)
    const nonces = new Set<string>()
    const seen = Array.from({ length: 12 }, () => new Set<number>())
    for (let round = 0; round < 100; round++) {
      for (const token of await Promise.all(Array.from({ length: 200 }, () => seal(ring)))) {
        const nonce = bytesOf(token).subarray(8, 20)
        nonces.add(toHex(nonce))
        for (const [i, byte] of nonce.entries()) seen[i]!.add(byte)
      }
    }
    expect(nonces.size).toBe(20_000)
    // All 96 bits are random: the chance to miss a value at a place is 1e-34.
    expect(seen.map((values) => values.size)).toEqual(Array.from({ length: 12 }, () => 256))
  })
})

describe('openToken()', () => {
  it('opens what was sealed, of any size', async () => {
    const ring = ringOf(SECRET)
    for (const length of [0, 1, 2, 3, 15, 16, 17, 100, 4096, 100_000]) {
      const text = 'ä'.repeat(length)
      expect([length, (await open(ring, await seal(ring, text))) === text]).toEqual([length, true])
    }
  })

  it('opens what another instance sealed', async () => {
    expect(await open(ringOf(SECRET), await seal(ringOf(SECRET)))).toBe('hello')
  })

  it('refuses any flipped bit', async () => {
    const ring = ringOf(SECRET)
    for (const message of MESSAGES) {
      const token = await sealToken(ring, LABEL, message, NOW)
      const forgeries = [...flips(bytesOf(token))].map(encodeBase64url)
      expect(forgeries).toHaveLength(8 * (36 + message.length))
      expect(await countOpened(ring, forgeries)).toBe(0)
      expect(await countOpened(ring, [token])).toBe(1)
    }
  })

  it('refuses any changed, removed, added or swapped character', async () => {
    const ring = ringOf(SECRET)
    for (const message of MESSAGES) {
      const token = await sealToken(ring, LABEL, message, NOW)
      const forgeries = new Set<string>()
      for (let i = 0; i <= token.length; i++) {
        const [before, here, after] = [token.slice(0, i), token.slice(i, i + 1), token.slice(i + 1)]
        forgeries
          .add(before)
          .add(token.slice(i))
          .add(before + after)
        forgeries.add(before + after.slice(0, 1) + here + after.slice(1))
        for (const character of `${ALPHABET}+/=.~% \n\0é€`) {
          forgeries.add(before + character + after).add(before + character + here + after)
        }
      }
      forgeries.delete(token)
      expect(await countOpened(ring, forgeries)).toBe(0)
    }
  })

  it('refuses removed, added and reordered bytes', async () => {
    const ring = ringOf(SECRET)
    const token = bytesOf(await seal(ring))
    const forgeries = new Set<string>()
    const add = (...parts: Uint8Array[]): void => {
      forgeries.add(encodeBase64url(Uint8Array.from(parts.flatMap((part) => [...part]))))
    }
    for (let i = 0; i <= token.length; i++) {
      add(token.subarray(0, i))
      add(token.subarray(i))
      add(token.subarray(0, i), token.subarray(i + 1))
      add(token.subarray(i), token.subarray(0, i))
      for (const byte of [0, 1, 128, 255]) {
        add(token.subarray(0, i), Uint8Array.of(byte), token.subarray(i))
      }
      for (let j = i + 1; j < token.length; j++) {
        const swapped = token.slice()
        ;[swapped[i], swapped[j]] = [token[j]!, token[i]!]
        add(swapped)
      }
    }
    add(token, token)
    forgeries.delete(encodeBase64url(token))
    expect(await countOpened(ring, forgeries)).toBe(0)
  })

  it('refuses parts of two tokens put together', async () => {
    const ring = ringOf(SECRET)
    const [one, two] = [bytesOf(await seal(ring)), bytesOf(await seal(ring))]
    const forgeries = new Set<string>()
    // The first 8 bytes, the header, are the same.
    for (let i = 9; i < one.length; i++) {
      forgeries.add(encodeBase64url(Uint8Array.of(...one.subarray(0, i), ...two.subarray(i))))
    }
    // Random bytes at either end may be the same, and then nothing was forged.
    forgeries.delete(encodeBase64url(one))
    forgeries.delete(encodeBase64url(two))
    expect(await countOpened(ring, forgeries)).toBe(0)
  })

  it('refuses what was sealed for another label', async () => {
    const ring = ringOf(SECRET)
    const token = await seal(ring)
    for (const label of [
      '',
      'cookie:',
      'cookie:tes',
      'cookie:test2',
      'store:test',
      ' cookie:test',
    ]) {
      expect([label, await open(ring, token, NOW, label)]).toEqual([label, null])
    }
  })

  it('refuses what was sealed for another purpose', async () => {
    const token = await seal(createKeyRing([SECRET], 'store'))
    expect(await open(createKeyRing([SECRET], 'cookie'), token)).toBe(null)
    expect(await open(createKeyRing([SECRET], 'seal'), token)).toBe(null)
    expect(await open(createKeyRing([SECRET], 'store'), token)).toBe('hello')
  })

  it('refuses another purpose even under a forged key id', async () => {
    const token = await seal(createKeyRing([SECRET], 'store'))
    const ring = ringOf(SECRET)
    const id = bytesOf(await seal(ring)).subarray(1, 5)
    expect(await open(ring, patched(token, 1, ...id))).toBe(null)
  })

  it('refuses what was sealed under another secret', async () => {
    const token = await seal(ringOf(OTHER))
    const ring = ringOf(SECRET)
    expect(await open(ring, token)).toBe(null)
    const id = bytesOf(await seal(ring)).subarray(1, 5)
    expect(await open(ring, patched(token, 1, ...id))).toBe(null)
  })

  it('refuses a token moved to another hour', async () => {
    const ring = ringOf(SECRET)
    const token = await seal(ring)
    for (const hour of [0, 1, HOUR - 24, HOUR - 1, HOUR + 1]) {
      expect([hour, await open(ring, withHour(token, hour))]).toEqual([hour, null])
    }
    expect(await open(ring, withHour(token, HOUR))).toBe('hello')
  })

  it('opens a token however old', async () => {
    const ring = ringOf(SECRET)
    const tokens = await Promise.all([0, 1, NOW - HOUR_MS].map((now) => seal(ring, 'hello', now)))
    expect(await countOpened(ring, tokens)).toBe(3)
  })

  it('opens a token of the next hour, for clocks differ, and refuses the one after that', async () => {
    const ring = ringOf(SECRET)
    const next = await seal(ring, 'next', (HOUR + 1) * HOUR_MS)
    const later = await seal(ring, 'later', (HOUR + 2) * HOUR_MS)
    for (const now of [HOUR * HOUR_MS, NOW, (HOUR + 1) * HOUR_MS - 1]) {
      expect(await open(ring, next, now)).toBe('next')
      expect(
        await subtleCalls(async () => expect(await open(ring, later, now)).toBe(null)),
      ).toEqual([])
    }
    expect(await open(ring, later, (HOUR + 1) * HOUR_MS)).toBe('later')
  })
})

describe('createKeyRing()', () => {
  it('seals with the first secret and opens with all', async () => {
    const [old, both] = [ringOf(SECRET), ringOf(OTHER, SECRET)]
    expect(await open(both, await seal(old))).toBe('hello')
    expect(await open(both, await seal(both))).toBe('hello')
    expect(await open(old, await seal(both))).toBe(null)
    expect(await open(ringOf(SECRET, OTHER), await seal(both))).toBe('hello')
  })

  it('opens nothing under a retired secret', async () => {
    const token = await seal(ringOf(SECRET))
    expect(await open(ringOf(OTHER), token)).toBe(null)
  })

  it('derives nothing before it is used', async () => {
    expect(await subtleCalls(() => createKeyRing([SECRET, OTHER], 'cookie'))).toEqual([])
  })

  it('derives keys that cannot be told from one another by purpose', async () => {
    const purposes: KeyPurpose[] = ['cookie', 'store', 'seal']
    const keys = await Promise.all(purposes.map((p) => createKeyRing([SECRET], p).keys()))
    expect(new Set(keys.map(([key]) => key?.id)).size).toBe(3)
  })

  it('is fine when many ask at once before it is warm', async () => {
    const ring = ringOf(SECRET, OTHER)
    const tokens = await Promise.all(Array.from({ length: 50 }, () => seal(ring)))
    expect(await countOpened(ring, tokens)).toBe(50)
    const cold = ringOf(SECRET, OTHER)
    expect(await countOpened(cold, tokens)).toBe(50)
  })
})

describe('cost in calls of WebCrypto', () => {
  it('counts them, on this runtime too', async () => {
    const calls = await subtleCalls(async () => seal(ringOf(SECRET)))
    expect(calls.filter((name) => name === 'deriveBits')).toHaveLength(1)
    expect(calls.at(-1)).toBe('encrypt')
  })

  it('is one per token sealed and one per token opened', async () => {
    const ring = ringOf(SECRET, OTHER)
    const token = await seal(ring)
    expect(await subtleCalls(() => seal(ring))).toEqual(['encrypt'])
    expect(await subtleCalls(() => open(ring, token))).toEqual(['decrypt'])
  })

  it('is one per token that another instance sealed, after the first', async () => {
    const [one, two] = [await seal(ringOf(SECRET)), await seal(ringOf(SECRET))]
    const ring = ringOf(SECRET)
    expect((await subtleCalls(() => open(ring, one))).length).toBeGreaterThan(1)
    expect(await subtleCalls(() => open(ring, two))).toEqual(['decrypt'])
  })

  it('is one per token under an older secret, whose other secrets are not tried', async () => {
    const ring = ringOf(OTHER, 'a third secret for the tests of tokens', SECRET)
    const token = await seal(ringOf(SECRET))
    await open(ring, token)
    expect(await subtleCalls(() => open(ring, token))).toEqual(['decrypt'])
    expect(await subtleCalls(() => open(ring, patched(token, 30, 0, 0, 0, 0)))).toEqual(['decrypt'])
  })

  it('is nothing for an unknown key id, version or length', async () => {
    const ring = ringOf(SECRET, OTHER)
    const token = await seal(ring)
    const hostile = [
      await seal(ringOf('a third secret for the tests of tokens')),
      patched(token, 1, 0, 0, 0, 0),
      patched(token, 0, 0),
      patched(token, 0, 2),
      patched(token, 0, 255),
      withHour(token, 0xffffff),
      token.slice(0, 47),
      token.slice(0, 46),
      encodeBase64url(bytesOf(token).subarray(0, 35)),
      encodeBase64url(bytesOf(token).subarray(0, 20)),
      encodeBase64url(Uint8Array.of(1)),
      '',
      `${token}=`,
      `${token}AA`,
      `${token.slice(0, -1)}é`,
      ` ${token}`,
      'A'.repeat(1_000_000),
    ]
    for (const text of hostile) {
      const calls = await subtleCalls(async () => expect(await open(ring, text)).toBe(null))
      expect([text.slice(0, 60), calls]).toEqual([text.slice(0, 60), []])
    }
  })

  it('is one for the shortest token there is', async () => {
    const ring = ringOf(SECRET)
    const token = await seal(ring, '')
    expect(bytesOf(token).length).toBe(36)
    expect(await subtleCalls(() => open(ring, token))).toEqual(['decrypt'])
  })

  it('stays the same however many forged hours were tried', async () => {
    const ring = ringOf(SECRET)
    const token = await seal(ring)
    const forged = Array.from({ length: 1000 }, (_, i) => withHour(token, HOUR - 1 - i))
    expect(await countOpened(ring, forged)).toBe(0)
    expect(await subtleCalls(() => seal(ring))).toEqual(['encrypt'])
    expect(await subtleCalls(() => open(ring, token))).toEqual(['decrypt'])
  })

  it('is that of a derivation each time for a forged hour, for it is not kept', async () => {
    const ring = ringOf(SECRET)
    const forged = withHour(await seal(ring), HOUR - 1)
    const first = await subtleCalls(() => open(ring, forged))
    expect(first).toEqual(['encrypt', 'encrypt', 'importKey', 'decrypt'])
    expect(await subtleCalls(() => open(ring, forged))).toEqual(first)
  })

  it('is that of as many unknown hours as the budget of a request has, together', async () => {
    const ring = ringOf(SECRET)
    const tokens = await Promise.all(
      [1, 2, 3].map((i) => seal(ringOf(SECRET), 'hello', NOW - i * HOUR_MS)),
    )
    await seal(ring)
    const budget = { newHours: 2 }
    const cost = async (token: string): Promise<[opened: boolean, calls: number]> => {
      let opened = false
      const calls = await subtleCalls(async () => {
        opened = (await openToken(ring, LABEL, token, NOW, budget)) !== null
      })
      return [opened, calls.length]
    }
    expect(await cost(await seal(ring))).toEqual([true, 1])
    const [first, second, third] = tokens as [string, string, string]
    expect([await cost(first), await cost(second)]).toEqual([
      [true, 4],
      [true, 4],
    ])
    expect([await cost(third), await cost(first)]).toEqual([
      [false, 0],
      [true, 1],
    ])
  })

  it('is nothing for an hour that no session is as old as', async () => {
    const now = HOUR * HOUR_MS
    const oldest = now - 1000 * (MAX_TIMEOUT + 3600)
    const open = async (at: number): Promise<unknown> =>
      openToken(ringOf(SECRET), LABEL, await seal(ringOf(SECRET), 'hello', at), now, {
        newHours: 1,
      })
    expect(await open(oldest)).not.toBe(null)
    expect(await open(oldest - HOUR_MS)).toBe(null)
  })

  it('is one for each of the ten days before, once they were seen', async () => {
    const ring = ringOf(SECRET)
    const tokens = await Promise.all(
      Array.from({ length: 240 }, (_, i) => seal(ring, 'hello', NOW - i * HOUR_MS)),
    )
    const calls = await subtleCalls(async () => {
      expect(await countOpened(ring, tokens)).toBe(240)
    })
    expect(calls).toEqual(tokens.map(() => 'decrypt'))
  })
})
