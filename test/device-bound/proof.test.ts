import { describe, expect, it } from 'vitest'
import { encodeBase64url } from '../../src/crypto/base64url.ts'
import { parseObject } from '../../src/device-bound/json.ts'
import { type Proof, parseProof } from '../../src/device-bound/proof.ts'
import {
  algorithmOf,
  type DeviceAlgorithm,
  isSignedBy,
  jwkOf,
  publicKeyOf,
  thumbprintOf,
} from '../../src/device-bound/public-key.ts'

const { subtle } = crypto
const BOTH: readonly DeviceAlgorithm[] = ['ES256', 'RS256']
const text = (value: string): string => encodeBase64url(new TextEncoder().encode(value))
const json = (value: unknown): string => text(JSON.stringify(value))

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const rsa = (bits: number) => ({
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: bits,
  publicExponent: new Uint8Array([1, 0, 1]),
})
type Kind = { name: string; hash: string }

const pair = async (kind: Kind): Promise<CryptoKeyPair> =>
  (await subtle.generateKey(kind, true, ['sign', 'verify'])) as CryptoKeyPair
const publicJwk = async ({ publicKey }: CryptoKeyPair): Promise<Record<string, unknown>> => {
  const { crv, e, kty, n, x, y } = await subtle.exportKey('jwk', publicKey)
  return kty === 'EC' ? { kty, crv, x, y } : { kty, n, e }
}
const sign = async (kind: Kind, { privateKey }: CryptoKeyPair, signed: string) =>
  new Uint8Array(await subtle.sign(kind, privateKey, new TextEncoder().encode(signed)))

/** A proof by a new key, and its parts. */
async function prove(kind: Kind = EC, alg = 'ES256', more: object = {}) {
  const keys = await pair(kind)
  const jwk = await publicJwk(keys)
  const signed = `${json({ alg, typ: 'dbsc+jwt', jwk, ...more })}.${json({ jti: 'a challenge' })}`
  const signature = await sign(kind, keys, signed)
  return { jwk, keys, signed, signature, proof: `${signed}.${encodeBase64url(signature)}` }
}

/** The answer to a proof: the fault, or whether its own key has signed it. */
async function verdict(header: string, algorithms = BOTH): Promise<string> {
  const proof = parseProof(header, algorithms)
  if (typeof proof === 'string') return proof
  const key = publicKeyOf(proof.jwk, proof.algorithm)
  if (!key) return 'key'
  return (await isSignedBy(key, proof.signature, proof.signed)) ? 'good' : 'signature'
}

describe('a proof of possession', () => {
  it.each([
    ['ES256', EC],
    ['RS256', rsa(2048)],
  ] as const)('by %s is good, bare, quoted and with parameters', async (alg, kind) => {
    const { proof } = await prove(kind, alg)
    expect((parseProof(proof, BOTH) as Proof).jti).toBe('a challenge')
    for (const header of [proof, `"${proof}"`, ` "${proof}" ; q=1`, `\t${proof} `]) {
      expect(await verdict(header)).toBe('good')
    }
  })

  it('by an algorithm that is not in the list is refused', async () => {
    const { proof } = await prove()
    expect(await verdict(proof, ['RS256'])).toBe('algorithm')
  })

  it.each(['none', 'HS256', 'ES384', 'PS256', 'es256', 'ES256K', ''])(
    'by the algorithm "%s" is refused',
    async (alg) => {
      const { proof } = await prove(EC, alg)
      expect(await verdict(proof)).toBe('algorithm')
    },
  )

  it('whose algorithm is that of another key is refused', async () => {
    const { jwk, proof } = await prove(EC, 'RS256')
    expect(await verdict(proof)).toBe('key')
    expect(publicKeyOf(jwk, 'ES256')).toBe(`${jwk.x}.${jwk.y}`)
    const other = await prove(rsa(2048), 'ES256')
    expect(await verdict(other.proof)).toBe('key')
  })

  it('without a signature is refused, with "none" too', async () => {
    const { signed } = await prove(EC, 'none')
    expect(await verdict(`${signed}.`)).toBe('malformed')
    const { signed: own } = await prove()
    expect(await verdict(`${own}.`)).toBe('malformed')
    expect(await verdict(`${own}.AA`)).toBe('signature')
  })

  it('with a signature in DER is refused', async () => {
    const { keys, signed, signature } = await prove()
    expect(signature.length).toBe(64)
    const half = (from: number): number[] => {
      const bytes = [...signature.slice(from, from + 32)]
      while (bytes.length > 1 && bytes[0] === 0) bytes.shift()
      return (bytes[0] ?? 0) > 127 ? [0, ...bytes] : bytes
    }
    const [r, s] = [half(0), half(32)]
    const body = [2, r.length, ...r, 2, s.length, ...s]
    const der = new Uint8Array([48, body.length, ...body])
    expect(await verdict(`${signed}.${encodeBase64url(der)}`)).toBe('signature')
    const key = publicKeyOf(await publicJwk(keys), 'ES256')!
    expect(await isSignedBy(key, new Uint8Array(64), signed)).toBe(false)
    expect(await isSignedBy(key, signature, signed)).toBe(true)
  })

  it('of which any part was changed is refused', async () => {
    const { jwk, proof, signature, signed } = await prove()
    const [head, payload] = signed.split('.') as [string, string]
    const encoded = encodeBase64url(signature)
    const other = json({ jti: 'another challenge' })
    expect(await verdict(`${head}.${other}.${encoded}`)).toBe('signature')
    const renamed = json({ typ: 'dbsc+jwt', alg: 'ES256', jwk })
    expect(await verdict(`${renamed}.${payload}.${encoded}`)).toBe('signature')
    const { jwk: stranger } = await prove()
    const foreign = json({ alg: 'ES256', typ: 'dbsc+jwt', jwk: stranger })
    expect(await verdict(`${foreign}.${payload}.${encoded}`)).toBe('signature')
    expect(await verdict(proof)).toBe('good')
  })

  it('of another type, or with a critical extension, is refused', async () => {
    for (const more of [
      { typ: 'JWT' },
      { typ: 'dpop+jwt' },
      { typ: undefined },
      { alg: undefined },
      { crit: ['b64'] },
    ]) {
      const { proof } = await prove(EC, 'ES256', more)
      expect([more, await verdict(proof)]).toEqual([more, 'malformed'])
    }
  })

  it('with a name twice is refused, at any depth and however it is spelled', async () => {
    const { jwk, keys } = await prove()
    const own = JSON.stringify(jwk)
    const heads = [
      `{"alg":"none","alg":"ES256","typ":"dbsc+jwt","jwk":${own}}`,
      `{"alg":"ES256","typ":"dbsc+jwt","jwk":${own},"jwk":${own}}`,
      `{"alg":"ES256","\\u0061lg":"ES256","typ":"dbsc+jwt","jwk":${own}}`,
      `{"alg":"ES256","typ":"dbsc+jwt","jwk":${own.replace('{', '{"kty" : "EC",')}}`,
    ]
    for (const head of heads) {
      const signed = `${text(head)}.${json({ jti: 'a challenge' })}`
      const signature = encodeBase64url(await sign(EC, keys, signed))
      expect([head, await verdict(`${signed}.${signature}`)]).toEqual([head, 'malformed'])
    }
    const signed = `${json({ alg: 'ES256', typ: 'dbsc+jwt', jwk })}.${text('{"jti":"a","jti":"b"}')}`
    const signature = encodeBase64url(await sign(EC, keys, signed))
    expect(await verdict(`${signed}.${signature}`)).toBe('malformed')
    // The same name in two objects is none twice, nor is one that only a value spells.
    const fine = `{"alg":"ES256","typ":"dbsc+jwt","jwk":${own},"x":{"alg":"\\"alg\\":"}}`
    const good = `${text(fine)}.${json({ jti: 'a' })}`
    expect(await verdict(`${good}.${encodeBase64url(await sign(EC, keys, good))}`)).toBe('good')
  })

  it('that is no JWS at all is refused', async () => {
    const { proof, signed } = await prove()
    const [head] = signed.split('.') as [string]
    const all = [
      '',
      '.',
      '..',
      '...',
      'a',
      'a.b.c',
      '"',
      `"${head}`,
      `${head}.e30.AA.AA`,
      `${head}.e30.AA`,
      `${head}.W10.AA`,
      `${head}.bnVsbA.AA`,
      `W10.${json({ jti: 'a' })}.AA`,
      `${head}.${json({ jti: 1 })}.AA`,
      `${head}.${json({ jti: 'a' })}=.AA`,
      `${head}.${json({ jti: 'a' })}.A`,
      `${signed}.AA, ${signed}.AA`,
      `${proof}.AA`,
      `${proof}.`,
      `${encodeBase64url(new Uint8Array([0xff, 0xfe]))}.${json({ jti: 'a' })}.AA`,
    ]
    for (const header of all) expect([header, await verdict(header)]).toEqual([header, 'malformed'])
  })

  it('of a megabyte is refused before anything of it is read', async () => {
    const { signed } = await prove()
    const [head] = signed.split('.') as [string]
    const long = `${head}.${json({ jti: 'a'.repeat(1_000_000) })}.AA`
    expect(await verdict(long)).toBe('malformed')
    expect(await verdict(`"${'a'.repeat(1_000_000)}`)).toBe('malformed')
    const most = `${head}.${json({ jti: 'a'.repeat(5000) })}.`
    expect(await verdict(most + 'A'.repeat(8192 - most.length))).toBe('signature')
    expect(await verdict(most + 'A'.repeat(8194 - most.length))).toBe('malformed')
  })
})

describe('the key of a proof', () => {
  it('with private parts is refused', async () => {
    const { keys, jwk } = await prove()
    const whole = await subtle.exportKey('jwk', keys.privateKey)
    expect(publicKeyOf({ ...jwk, d: whole.d }, 'ES256')).toBe(null)
    const modulus = await prove(rsa(2048), 'RS256')
    for (const name of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']) {
      expect(publicKeyOf({ ...modulus.jwk, [name]: 'AQ' }, 'RS256')).toBe(null)
      expect(publicKeyOf({ ...jwk, [name]: undefined }, 'ES256')).toBe(null)
    }
    expect(publicKeyOf(modulus.jwk, 'RS256')).toBe(modulus.jwk.n)
  })

  it('on another curve, or on none, is refused', async () => {
    const p384 = await pair({ ...EC, namedCurve: 'P-384' } as Kind)
    expect(publicKeyOf(await publicJwk(p384), 'ES256')).toBe(null)
    const { jwk } = await prove()
    expect(publicKeyOf({ ...jwk, crv: 'secp256k1' }, 'ES256')).toBe(null)
    expect(publicKeyOf({ ...jwk, kty: 'OKP' }, 'ES256')).toBe(null)
    for (const wrong of [undefined, 1, '', `${jwk.x}A`, `${jwk.x}`.slice(1), `${jwk.x}=`]) {
      expect(publicKeyOf({ ...jwk, x: wrong }, 'ES256')).toBe(null)
      expect(publicKeyOf({ ...jwk, y: wrong }, 'ES256')).toBe(null)
    }
    const { proof, signed } = await prove(EC, 'ES256', { jwk: { ...jwk, y: jwk.x } })
    expect(await verdict(proof)).toBe('signature')
    expect(await isSignedBy(`${jwk.x}.${jwk.x}`, new Uint8Array(64), signed)).toBe(false)
  })

  it('of RSA under 2048 bits, or with another exponent, is refused', async () => {
    const small = await prove(rsa(1024), 'RS256')
    expect(await verdict(small.proof)).toBe('key')
    const { jwk } = await prove(rsa(2048), 'RS256')
    for (const e of ['AQ', 'Aw', 'AAEAAQ', '', undefined])
      expect(publicKeyOf({ ...jwk, e }, 'RS256')).toBe(null)
    const padded = new Uint8Array(257)
    padded.fill(255, 1)
    expect(publicKeyOf({ ...jwk, n: encodeBase64url(padded) }, 'RS256')).toBe(null)
    const huge = new Uint8Array(513).fill(255)
    expect(publicKeyOf({ ...jwk, n: encodeBase64url(huge) }, 'RS256')).toBe(null)
    // One bit less than 2048.
    const short = new Uint8Array(256).fill(127)
    expect(publicKeyOf({ ...jwk, n: encodeBase64url(short) }, 'RS256')).toBe(null)
  })

  it('of RSA with 2048 to 4096 bits is taken', () => {
    const sizes = [new Uint8Array(256).fill(128), new Uint8Array(512).fill(255)]
    for (const n of sizes.map(encodeBase64url)) {
      expect(publicKeyOf({ kty: 'RSA', e: 'AQAB', n }, 'RS256')).toBe(n)
      for (const kty of ['EC', 'oct', undefined]) {
        expect(publicKeyOf({ kty, e: 'AQAB', n }, 'RS256')).toBe(null)
      }
    }
  })

  it('that says it is for something else, or is none, is refused', async () => {
    const { jwk } = await prove()
    expect(publicKeyOf({ ...jwk, use: 'sig', alg: 'ES256' }, 'ES256')).toBe(`${jwk.x}.${jwk.y}`)
    expect(publicKeyOf({ ...jwk, use: 'enc' }, 'ES256')).toBe(null)
    expect(publicKeyOf({ ...jwk, alg: 'RS256' }, 'ES256')).toBe(null)
    for (const none of [undefined, null, 'key', 1, [], {}, [jwk]]) {
      expect(publicKeyOf(none, 'ES256')).toBe(null)
      expect(publicKeyOf(none, 'RS256')).toBe(null)
    }
  })
})

describe('the thumbprint of a key', () => {
  it('is that of the example in RFC 7638, 3.1', async () => {
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw'
    const jwk = { kty: 'RSA', n, e: 'AQAB', alg: 'RS256', kid: '2011-04-29' }
    const key = publicKeyOf(jwk, 'RS256')!
    expect(await thumbprintOf(key)).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
    expect([algorithmOf(key), jwkOf(key)]).toEqual(['RS256', { e: 'AQAB', kty: 'RSA', n }])
  })

  it('is that of the example in RFC 9449, 6.1, for a point', async () => {
    const jwk = {
      kty: 'EC',
      x: 'l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs',
      y: '9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA',
      crv: 'P-256',
    }
    const key = publicKeyOf(jwk, 'ES256')!
    expect(await thumbprintOf(key)).toBe('0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I')
    expect([algorithmOf(key), jwkOf(key)]).toEqual(['ES256', jwk])
  })
})

describe('parseObject()', () => {
  const parse = (value: string) => parseObject(new TextEncoder().encode(value))

  it('takes an object, and null for whatever else JSON can be, or for what is none', () => {
    expect(parse(' {"a":[{"b":1}]} ')).toEqual({ a: [{ b: 1 }] })
    for (const other of [
      '[]',
      '[{}]',
      'null',
      '1',
      'true',
      '"{}"',
      '',
      '{',
      '{"a":1}}',
      '\ufeff{}',
    ])
      expect([other, parse(other)]).toEqual([other, null])
    expect(parseObject(new Uint8Array([0x22, 0xff, 0x22]))).toBe(null)
  })
})
