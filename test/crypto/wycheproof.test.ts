import { describe, expect, it } from 'vitest'
import { importXaesKey } from '../../src/crypto/xaes.ts'
import cmac from '../vectors/wycheproof-aes-cmac.json' with { type: 'json' }
import gcm from '../vectors/wycheproof-aes-gcm.json' with { type: 'json' }
import hkdf from '../vectors/wycheproof-hkdf-sha256.json' with { type: 'json' }
import { fromHex, toHex } from './support.ts'

describe('AES-GCM as tokens use it', () => {
  it('gives the verdict of Wycheproof on every case', async () => {
    for (const { tcId, key, iv, aad, msg, ct, tag, result } of gcm.tests) {
      const subkey = await crypto.subtle.importKey('raw', fromHex(key), 'AES-GCM', false, [
        'encrypt',
        'decrypt',
      ])
      const algorithm = { name: 'AES-GCM', iv: fromHex(iv), additionalData: fromHex(aad) }
      const opened = await crypto.subtle
        .decrypt(algorithm, subkey, fromHex(ct + tag))
        .then(toHex, () => null)
      expect([tcId, opened]).toEqual([tcId, result === 'valid' ? msg : null])
      if (result !== 'valid') continue
      const sealed = await crypto.subtle.encrypt(algorithm, subkey, fromHex(msg))
      expect([tcId, toHex(sealed)]).toEqual([tcId, ct + tag])
    }
    expect(gcm.tests).toHaveLength(133)
  })
})

describe('importXaesKey()', () => {
  it('has the CMAC subkey that Wycheproof expects: one block of CMAC is AES of K1 xor the block', async () => {
    for (const { tcId, key, msg, tag, result } of cmac.tests) {
      const { cbc, k1 } = await importXaesKey(fromHex(key))
      const blocks = await crypto.subtle.encrypt({ name: 'AES-CBC', iv: k1 }, cbc, fromHex(msg))
      expect([tcId, toHex(blocks).slice(0, 32) === tag]).toEqual([tcId, result === 'valid'])
    }
    expect(cmac.tests).toHaveLength(28)
  })
})

describe('HKDF-SHA-256 as key rings use it', () => {
  it.each([0, 32])('gives the keys of Wycheproof with a salt of %i zero bytes', async (zeros) => {
    for (const { tcId, ikm, info, size, okm } of hkdf.tests) {
      const input = await crypto.subtle.importKey('raw', fromHex(ikm), 'HKDF', false, [
        'deriveBits',
      ])
      const algorithm = {
        name: 'HKDF',
        hash: 'SHA-256',
        salt: new Uint8Array(zeros),
        info: fromHex(info),
      }
      const bits = await crypto.subtle.deriveBits(algorithm, input, 8 * size)
      expect([tcId, toHex(bits)]).toEqual([tcId, okm])
    }
    expect(hkdf.tests).toHaveLength(23)
  })
})
