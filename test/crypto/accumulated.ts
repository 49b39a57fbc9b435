import { deriveSubkey, importXaesKey, PREFIX_BYTES } from '../../src/crypto/xaes.ts'
import { createShake128 } from '../support/shake128.ts'
import { toHex } from './support.ts'

// Enough to keep WebCrypto busy on runtimes where each call waits for a thread.
const BATCH = 200

/**
 * The accumulated test of C2SP: the hash of `count` random messages, each under a key of its own.
 */
export async function accumulatedHash(count: number): Promise<string> {
  const input = createShake128()
  const output = createShake128()
  for (let done = 0; done < count; done += BATCH) {
    const sealed: Promise<Uint8Array>[] = []
    for (let i = done; i < Math.min(done + BATCH, count); i++) {
      const key = input.read(32)
      const nonce = input.read(24)
      const plaintext = input.read(input.read(1)[0]!)
      const aad = input.read(input.read(1)[0]!)
      sealed.push(seal(key, nonce, plaintext, aad))
    }
    for (const bytes of await Promise.all(sealed)) output.write(bytes)
  }
  return toHex(output.read(32))
}

type Bytes = Uint8Array<ArrayBuffer>

async function seal(key: Bytes, nonce: Bytes, plaintext: Bytes, aad: Bytes): Promise<Bytes> {
  const subkey = await deriveSubkey(await importXaesKey(key), nonce.subarray(0, PREFIX_BYTES))
  const iv = nonce.subarray(PREFIX_BYTES)
  return new Uint8Array(await subkey.seal(iv, aad, plaintext))
}
