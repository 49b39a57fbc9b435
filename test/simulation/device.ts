/** The device of a browser: its keys, and the sessions that it has bound to them. */
import { thumbprintOf } from '../../src/device-bound/public-key.ts'
import { signAs } from './fake-crypto.ts'

/** A key of a device. */
export interface DeviceKey {
  /** `x.y`, as the library has public keys. */
  readonly text: string
  readonly thumbprint: string
}

/** A session that is bound to a key, as the browser knows it. */
export interface BoundSession {
  readonly id: string
  readonly key: DeviceKey
  /** The challenge for the next proof, where the server has sent one. */
  challenge: string | null
}

export class Device {
  /** By id. */
  readonly sessions: Map<string, BoundSession> = new Map()
  /** Refreshes under way, by id of the session. */
  readonly refreshing: Map<string, Promise<string | null>> = new Map()
}

const textOf = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString('base64url')

/** Makes a key. */
export async function createKey(random: () => number): Promise<DeviceKey> {
  const number = (): string =>
    textOf(Uint8Array.from({ length: 32 }, () => Math.floor(random() * 256)))
  const text = `${number()}.${number()}`
  return { text, thumbprint: await thumbprintOf(text) }
}

/** Makes a proof; that of a registration has the key. */
export function prove({ text }: DeviceKey, challenge: string, isFirst: boolean): string {
  const [x, y] = text.split('.')
  const jwk = isFirst ? { jwk: { crv: 'P-256', kty: 'EC', x, y } } : {}
  const head = textOf(JSON.stringify({ alg: 'ES256', typ: 'dbsc+jwt', ...jwk }))
  const signed = `${head}.${textOf(JSON.stringify({ jti: challenge }))}`
  return `${signed}.${textOf(signAs(text, signed))}`
}

/** A text in a header that is a structured field, by the name of its parameter; without one the first text. */
export function fieldOf(header: string | null, name?: string): string | null {
  const pattern = name === undefined ? /"([^"]*)"/ : new RegExp(`;\\s*${name}="([^"]*)"`)
  return pattern.exec(header ?? '')?.[1] ?? null
}
