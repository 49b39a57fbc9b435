/**
 * AES-GCM of `node:crypto`, where it is there (Node, Deno, Bun). WebCrypto hands every text to a pool of
 * threads, which for the few hundred bytes of a session takes several times as long as to encrypt them here.
 */
import { type CreateAesGcm, useAesGcm } from '../crypto/aes-gcm.ts'

type Bytes = Uint8Array<ArrayBuffer>

interface Cipher {
  setAAD(bytes: Bytes): void
  update(bytes: Bytes): Bytes
  final(): Bytes
  getAuthTag(): Bytes
  setAuthTag(tag: Bytes): void
}

interface NodeCrypto {
  createSecretKey(bytes: Bytes): object
  createCipheriv(name: string, key: object, iv: Bytes): Cipher
  createDecipheriv(name: string, key: object, iv: Bytes): Cipher
}

const NAME = 'aes-256-gcm'
const TAG_BYTES = 16

const ofNode =
  ({ createCipheriv, createDecipheriv, createSecretKey }: NodeCrypto): CreateAesGcm =>
  (bytes) => {
    const key = createSecretKey(bytes)
    return {
      seal(iv, additionalData, plaintext) {
        const cipher = createCipheriv(NAME, key, iv)
        cipher.setAAD(additionalData)
        const sealed = new Uint8Array(plaintext.length + TAG_BYTES)
        sealed.set(cipher.update(plaintext))
        cipher.final()
        sealed.set(cipher.getAuthTag(), plaintext.length)
        return sealed.buffer
      },
      open(iv, additionalData, sealed) {
        const end = sealed.length - TAG_BYTES
        const cipher = createDecipheriv(NAME, key, iv)
        cipher.setAAD(additionalData)
        cipher.setAuthTag(sealed.subarray(end))
        const { buffer, byteOffset } = cipher.update(sealed.subarray(0, end))
        // Throws where the tag is another one.
        cipher.final()
        return buffer.slice(byteOffset, byteOffset + end)
      },
    }
  }

interface Runtime {
  readonly process?: { getBuiltinModule?(name: 'crypto'): NodeCrypto | undefined }
}

/** Seals and opens with `node:crypto` from now on, in this process. */
export function useNodeAes(): void {
  const node = (globalThis as Runtime).process?.getBuiltinModule?.('crypto')
  if (node?.createSecretKey) useAesGcm(ofNode(node))
}
