/**
 * The device that a session is bound to, with the option `deviceBound`.
 *
 * @module
 * @example
 * import { deviceOf } from 'sojourn/device-bound'
 *
 * const session = await sessions.get(request)
 * const device = deviceOf(session)
 * if (device) console.log(device.thumbprint, session.bound)
 */
import { expectArgument } from '../check.ts'
import { draftOf } from '../session/instances.ts'
import { algorithmOf, type DeviceAlgorithm } from './public-key.ts'

export type { DeviceBoundOptions } from '../options.ts'
export type { DeviceAlgorithm }

/** The device that a session is bound to. */
export interface BoundDevice {
  /** Thumbprint of its public key (RFC 7638, SHA-256), 43 characters of base64url. */
  readonly thumbprint: string
  readonly algorithm: DeviceAlgorithm
  /** Epoch milliseconds at which the key was last proven. */
  readonly provenAt: number
}

/**
 * Returns the device that a session is bound to, whether this request proves it ({@link Session.bound}) or not;
 * `null` where it is bound to none, or not shown (status `'unproven'`).
 *
 * @throws TypeError for what is no session.
 */
export function deviceOf(session: object): BoundDevice | null {
  const [draft] = draftOf(session) ?? []
  expectArgument(draft, 'session', 'an awaited session', session)
  const claim = draft!.current.claims?.d
  return claim ? { thumbprint: claim.t, algorithm: algorithmOf(claim.k), provenAt: claim.p } : null
}
