import { describe, expect, it } from 'vitest'
import {
  decodeRecord,
  encodeRecord,
  idOf,
  type OpenedRecord,
} from '../../src/codec/session-record.ts'
import { decodeBase64url, encodeBase64url } from '../../src/crypto/base64url.ts'
import { createKeyRing, type KeyPurpose } from '../../src/crypto/keyring.ts'
import { openToken, sealToken } from '../../src/crypto/token.ts'
import { createSessions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { StoredRecord } from '../../src/stores/store.ts'
import golden from '../vectors/golden.json' with { type: 'json' }
import withClaims from '../vectors/golden-claims.json' with { type: 'json' }
import kept from '../vectors/golden-stored.json' with { type: 'json' }

const YEAR = 31_536_000_000

describe('golden tokens', () => {
  it.each(golden.tokens)('open for ever: $description', async (vector) => {
    const { secrets, purpose, label, length, token } = vector
    const ring = createKeyRing(secrets, purpose as KeyPurpose)
    for (const now of [golden.now, golden.now + 100 * YEAR]) {
      const plaintext = await openToken(ring, label, token, now)
      expect([...plaintext!]).toEqual(Array.from({ length }, (_, i) => (7 * i) & 255))
    }
  })

  it.each(golden.tokens)(
    'have the length and the header of today: $description',
    async (vector) => {
      const { secrets, purpose, label, length, token } = vector
      const ring = createKeyRing(secrets, purpose as KeyPurpose)
      const today = await sealToken(ring, label, new Uint8Array(length), golden.now)
      expect(today.length).toBe(token.length)
      // 10 characters are the 60 bits of version, key id and most of the hour.
      expect(today.slice(0, 10)).toBe(token.slice(0, 10))
    },
  )
})

describe('golden records', () => {
  const records = [...golden.records, ...withClaims.records]
  it.each(records)('are read and written as ever: $description', ({ bytes, expected }) => {
    const { id, ...fields } = expected
    const opened = decodeRecord(decodeBase64url(bytes)!)!
    const { key, ...others } = opened
    expect([idOf(opened), others]).toEqual([id, fields])
    expect(encodeBase64url(encodeRecord({ ...(fields as Omit<OpenedRecord, 'key'>), key }))).toBe(
      bytes,
    )
  })
})

describe('golden cookies', () => {
  it.each(golden.cookies)('open for ever: $description', async (vector) => {
    const { name, maxChunks, version, header, expected, notice } = vector
    const [secret, ...older] = vector.secrets
    const sessions = createSessions({
      secret: [secret!, ...older],
      version,
      cookie: { name, maxChunks },
      now: () => golden.now + 1000,
    })
    const session = await sessions.open(header)
    const { status, id, subject, authenticatedAt, createdAt, expiresAt } = session
    const data = JSON.stringify(session.data)
    expect(status).toBe('active')
    expect(session.flash('notice') ?? null).toEqual(notice)
    session.regenerate()
    // A new credential takes some bytes.
    session.unset('x')
    const persistent = (await sessions.save(session))[0]!.includes('; Max-Age=')
    expect({ id, subject, authenticatedAt, createdAt, expiresAt, persistent, data }).toEqual(
      expected,
    )
  })

  it('open once a new secret seals', async () => {
    const { header, secrets } = golden.cookies[0]!
    const secret = ['a secret that is newer than all of them', ...secrets] as [string, ...string[]]
    const sessions = createSessions({ secret, now: () => golden.now })
    expect((await sessions.open(header)).data).toEqual({ visits: 1 })
  })
})

describe('golden records of stores', () => {
  it.each(kept.stored)('open for ever: $description', async ({ header, record, expected }) => {
    const now = () => kept.now + 1000
    const store = createMemoryStore({ now })
    // What options the one had that wrote it does not matter to the one that reads it.
    const found = { ...store, read: async () => record as StoredRecord }
    const sessions = createSessions({ secret: kept.secret, now, store: found })
    const { data, id, rotationId, status, subject } = await sessions.open(header)
    expect({ data, id, rotationId, subject }).toEqual(expected)
    expect(status).toBe('active')
  })
})
