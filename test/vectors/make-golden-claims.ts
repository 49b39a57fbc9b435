/**
 * Makes golden-claims.json: records with the field `c`, to be read for ever.
 *
 * `node test/vectors/make-golden-claims.ts > test/vectors/golden-claims.json`, but see README.md first.
 */
import { FIRST } from '../../src/codec/generation.ts'
import {
  type Claims,
  encodeRecord,
  idOf,
  type OpenedRecord,
} from '../../src/codec/session-record.ts'
import { encodeBase64url } from '../../src/crypto/base64url.ts'

const NOW = Date.UTC(2026, 10, 28, 20, 30, 0)

function recordOf(description: string, claims: Claims): object {
  const key = Uint8Array.from({ length: 16 }, (_, i) => i)
  const fields: Omit<OpenedRecord, 'key'> = {
    generation: FIRST,
    claims,
    createdAt: NOW,
    renewedAt: NOW + 1000,
    subject: 'user-1',
    authenticatedAt: NOW,
    idleTimeout: undefined,
    absoluteTimeout: undefined,
    persistent: false,
    counter: 0,
    version: 1,
    text: '{"a":1}',
    hasFlash: false,
  }
  const bytes = encodeBase64url(encodeRecord({ key, ...fields }))
  return { description, bytes, expected: { id: idOf({ key }), ...fields } }
}

const f = { passkey: NOW / 1000, 'ä\n\\"': 0 }

const d = {
  t: '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I',
  k: 'l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs.9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA',
  g: 2,
  r: 3,
  n: 4,
  p: NOW,
}

const golden = {
  about: 'Made by Sojourn 0.1.0, format version 1. Never made again; see README.md',
  records: [
    recordOf('tags', { t: ['sid:08a5', 'tenant:7', 'ä'] }),
    recordOf('factors', { f }),
    recordOf('an actor', { a: 'support-7' }),
    recordOf('a device', { d }),
    recordOf('all claims', { t: ['tenant:7'], f, a: 'ä' }),
  ],
}

console.log(JSON.stringify(golden, null, 2))
