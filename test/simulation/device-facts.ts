/** What a run says of devices, for all checks. */
import { endOf, type Facts } from './facts.ts'
import { FIRST_THIEF } from './generate.ts'
import type { DeviceAsk, Exchange } from './history.ts'
import type { Lineage } from './lineages.ts'

/** A request about a key. */
export type Asking = Exchange & { readonly device: DeviceAsk }

/** Whether a request brings a bound cookie that has to do: no other key may have taken the place of its own. */
export function mustBelieve(facts: Facts, reader: Exchange, lineage: Lineage): boolean {
  const { deviceBound } = facts.config
  const { holds, seen } = reader
  if (!deviceBound || !holds?.device || reader.jar >= FIRST_THIEF) return false
  if (facts.sessionOf(holds) !== lineage || facts.isForgotten(holds.sent, holds.done)) return false
  // The browser has it until then.
  if (seen!.at > holds.sent + 1000 * deviceBound.options.maxAge) return false
  return askingOf(lineage, 'register').every((one) =>
    isOf(one, holds.device!.key)
      ? !isGranted(one) || isSeen(facts, one, reader)
      : one.done < holds.sent || one.sent > seen!.at,
  )
}

/** Whether a request was sent when no copy could be older than a registration. A response that was lost tells its browser nothing. */
export function isSeen(facts: Facts, one: Asking, reader: Exchange): boolean {
  const isLost = one.received === Infinity
  const lateness = facts.lateness(isLost ? { ...one, jar: -1 } : one, reader)
  return (isLost ? one.done : one.received) + lateness < reader.sent
}

export const isAsking = (one: Exchange): one is Asking => one.device !== null
export const isGranted = (one: Exchange): one is Asking => one.device?.told === 'granted'
export const isOf = ({ device }: Pick<Exchange, 'device'>, key: string | null): boolean =>
  device?.key === key

/** What was asked with keys for a session, by the time it was answered. */
export function askingOf({ visits }: Lineage, task: DeviceAsk['task']): Asking[] {
  return visits
    .filter(isAsking)
    .filter(({ device }) => device.task === task)
    .sort((a, b) => a.done - b.done)
}

/** Whether a sign-in may have taken a key away since it was registered. */
export function mayHaveSignedIn({ effects }: Lineage, { sent }: Asking, until: number): boolean {
  return effects.some(
    ({ exchange, use }) => use.op === 'login' && endOf(exchange) > sent && exchange.sent < until,
  )
}
