/** Faults of device binding that are put in on purpose. */
import type { Plant, SourceChange } from './plant-source.ts'

function plant(name: string, rule: string, ...source: readonly SourceChange[]): Plant {
  return { name, profile: 'bound', rule, source }
}

export const BOUND_PLANTS: readonly Plant[] = [
  plant(
    'a copy from before the latest proof is asked for a key, which is taken',
    '11 another key',
    {
      file: 'device-bound/guard.ts',
      from: 'return isFormer && isRecent && proof === claim.n',
      to: "return isFormer && isRecent && typeof proof === 'number'",
    },
    { file: 'device-bound/operations.ts', from: '|| proof < before.n', to: '|| proof < -1' },
  ),
  plant('a second key is registered in one generation', '11 another key', {
    file: 'device-bound/operations.ts',
    from: "return before.t === t ? 'used-challenge' : 'second-key'",
    to: "if (before.t === t) return 'used-challenge'",
  }),
  plant('a bound cookie is good for ever', '11 bound without the device', {
    file: 'device-bound/guard.ts',
    from: 'if (now < until! + GRACE_MS)',
    to: 'if (now < until! + Infinity)',
  }),
  plant('the bound cookie of another session is believed', '11 bound without the device', {
    file: 'device-bound/guard.ts',
    from: 'if (id !== idOf(state) || key !== claim.t) continue',
    to: 'if (id === undefined || key === undefined) continue',
  }),
  plant('nobody asks for a proof', '11 not enforced', {
    file: 'device-bound/guard.ts',
    from: 'if (!isEmpty) return own',
    to: 'if (!isEmpty || !isAnswered) return own',
  }),
  plant('a step-up takes the key away', '11 binding lost', {
    file: 'session/operations.ts',
    from: 'claims: { ...claims, f:',
    to: 'claims: { ...claims, d: undefined, f:',
  }),
  plant('a proof is good twice', '12 proof applied twice', {
    file: 'device-bound/answer.ts',
    from: "return claim && number < claim.n ? 'used-challenge' : number",
    to: 'return claim ? claim.n : number',
  }),
  plant('a proof by any key is taken', '12 unknown key', {
    file: 'device-bound/answer.ts',
    from: '(await isSignedBy(claim.k, proof.signature, proof.signed))',
    to: 'proof.signed.length > 0',
  }),
  plant('a challenge is good for ever', '12 old challenge', {
    file: 'device-bound/answer.ts',
    from: 'instance.options.now() >= until',
    to: 'instance.options.now() < until - Infinity',
  }),
  plant('a challenge outlives a rotation', '12 old challenge', {
    file: 'device-bound/answer.ts',
    from: 'if (isFormer ||',
    to: 'if ((isFormer && generation === undefined) ||',
  }),
  plant('a browser gives its key up when its challenge is too old', '13 device locked out', {
    file: 'device-bound/answer.ts',
    from: 'return challenge(asked, claim, isOld ? undefined : number)',
    to: "return refuse(asked, number ?? 'expired-challenge')",
  }),
]
