/** Changes of the device that a session is bound to. Each is judged by the record that it is written on. */
import type { DeviceClaim, SessionState } from '../codec/session-record.ts'
import type { DeviceRefusal } from '../events.ts'
import type { Operation } from '../session/operations.ts'

/** A change that the record may refuse, however often it is replayed. */
export interface DeviceChange {
  readonly operation: Operation
  /** Returns why the state that it was last made on refused it; `null`: it was made. */
  refusal(): DeviceRefusal | null
}

/**
 * Binds a key, to a session that is bound to none in this generation.
 *
 * @param proof The number of the proof whose bound cookie came along.
 * @param now Epoch milliseconds.
 */
export function bindKey(
  { k, t }: Pick<DeviceClaim, 'k' | 't'>,
  proof: number,
  now: number,
): DeviceChange {
  return deviceChange((before, { generation: { number } }) => {
    if (before?.g === number) return before.t === t ? 'used-challenge' : 'second-key'
    // Whoever has overheard the challenge has the session cookie alone, or a bound cookie from before that proof.
    if (before && (before.r !== number || proof < before.n)) return 'former-key'
    return { t, k, g: number, r: number, n: 0, p: now }
  })
}

/**
 * Counts a proof, which makes its challenge worthless. A record that lost proofs to a failover catches up: a cache may have
 * them still, and ask for the same number.
 *
 * @param proof The number of proofs before it.
 * @param now Epoch milliseconds.
 */
export function countProof(key: string, proof: number, now: number): DeviceChange {
  return deviceChange((before, { generation: { number } }) => {
    if (before?.t !== key) return 'signature'
    if (proof < before.n) return 'used-challenge'
    return { ...before, r: number, n: proof + 1, p: now }
  })
}

type Change = (before: DeviceClaim | undefined, state: SessionState) => DeviceClaim | DeviceRefusal

function deviceChange(change: Change): DeviceChange {
  let refusal: DeviceRefusal | null = null
  const operation: Operation = (state) => {
    const next = change(state.claims?.d, state)
    refusal = typeof next === 'string' ? next : null
    return typeof next === 'string' ? state : { ...state, claims: { ...state.claims, d: next } }
  }
  return { operation, refusal: () => refusal }
}
