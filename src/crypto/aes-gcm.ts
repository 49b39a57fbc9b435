/** AES-256-GCM: WebCrypto's, or that of a runtime which has a faster one. */

type Bytes = Uint8Array<ArrayBuffer>

/** AES-256-GCM under one key. */
export interface AesGcm {
  /** Returns the ciphertext, and the tag behind it. */
  seal(iv: Bytes, additionalData: Bytes, plaintext: Bytes): ArrayBuffer | Promise<ArrayBuffer>
  /** Throws or rejects, with whatever error, for what was not sealed so. */
  open(iv: Bytes, additionalData: Bytes, sealed: Bytes): ArrayBuffer | Promise<ArrayBuffer>
}

/** Makes the cipher of a key of 32 bytes, which the caller erases afterwards. */
export type CreateAesGcm = (key: Bytes) => AesGcm | Promise<AesGcm>

const name = 'AES-GCM'

async function ofWebCrypto(bytes: Bytes): Promise<AesGcm> {
  const { subtle } = crypto
  const key = await subtle.importKey('raw', bytes, name, false, ['encrypt', 'decrypt'])
  return {
    seal: (iv, additionalData, plaintext) =>
      subtle.encrypt({ name, iv, additionalData }, key, plaintext),
    open: (iv, additionalData, sealed) => subtle.decrypt({ name, iv, additionalData }, key, sealed),
  }
}

/** Creates the ciphers of keys that are derived from now on. */
export let createAesGcm: CreateAesGcm = ofWebCrypto

/** Replaces WebCrypto in this process, by an adapter of its runtime. What is sealed stays the same. */
export function useAesGcm(create: CreateAesGcm): void {
  createAesGcm = create
}
