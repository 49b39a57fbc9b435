/** Promises 11 to 13, with `deviceBound`: what copies without the key are worth, and what the device itself is. */
import { checkEnded } from './check-access.ts'
import { liveSession } from './check-signed-in.ts'
import {
  type Asking,
  askingOf,
  isAsking,
  isGranted,
  isOf,
  isSeen,
  mayHaveSignedIn,
  mustBelieve,
} from './device-facts.ts'
import { type Facts, SLACK } from './facts.ts'
import { FIRST_THIEF, LAST_ID } from './generate.ts'
import type { Exchange, Seen } from './history.ts'
import { type Lineage, rotationsOf } from './lineages.ts'
import type { BoundConfig } from './profiles.ts'

/** Milliseconds for which requests may be under way with a bound cookie whose time is up, or without the first one. */
const GRACE = 30_000
/** Milliseconds for which a challenge of a registration is good; that of a refresh is as much longer as the bound cookie. */
const REGISTRATION = 300_000

/** What every request that saw a session tells of its device. */
export function checkBound(facts: Facts, reader: Exchange, lineage: Lineage): void {
  const { deviceBound } = facts.config
  if (!deviceBound) return
  checkProven(facts, reader, lineage, deviceBound)
  checkEnforced(facts, reader, deviceBound)
  if (reader.seen!.status === 'active') checkKey(facts, reader, lineage)
  if (reader.seen!.bound !== false || !mustBelieve(facts, reader, lineage)) return
  const text = `its bound cookie, of request ${reader.holds!.id}, is good`
  facts.report('13 device locked out', reader, text)
}

/** A session is proven to whoever has a bound cookie of it, for the time of that, or of a registration's way back. */
function checkProven(
  facts: Facts,
  reader: Exchange,
  lineage: Lineage,
  { options: { maxAge } }: BoundConfig,
): void {
  const { at, bound, key } = reader.seen!
  if (bound !== true) return
  const isGood = (one: Exchange): boolean =>
    isOf(one, key) &&
    facts.sessionOf(one) === lineage &&
    at < one.done + 1000 * maxAge + GRACE + SLACK
  if (reader.holds && isGood(reader.holds)) return
  const isUnderWay = ({ sent, ...one }: Asking): boolean =>
    isOf(one, key) && sent <= at && at < Math.min(one.done, sent + GRACE) + GRACE + SLACK
  if (askingOf(lineage, 'register').some(isUnderWay)) return
  const holds = reader.holds
    ? `has the bound cookie of request ${reader.holds.id}`
    : 'has no bound cookie'
  facts.report('11 bound without the device', reader, `browser ${reader.jar} ${holds}`)
}

/** Where a proof is asked for, there is no session without. */
function checkEnforced(
  facts: Facts,
  reader: Exchange,
  { options: { enforce } }: BoundConfig,
): void {
  const isEmpty = enforce === 'always' || (enforce === 'writes' && reader.action.uses.length > 0)
  if (reader.seen!.bound !== false || !isEmpty) return
  facts.report('11 not enforced', reader, 'it sees the session, and does not prove its device')
}

/** A key that was registered stays, until a sign-in or another one that the same browser registers. */
function checkKey(facts: Facts, reader: Exchange, lineage: Lineage): void {
  const { at, bound, key } = reader.seen!
  const last = askingOf(lineage, 'register')
    .filter((one) => isGranted(one) && isSeen(facts, one, reader))
    .at(-1)
  if (!last || facts.isForgotten(last.sent, last.done) || mayHaveSignedIn(lineage, last, at)) return
  const isLater = (one: Asking): boolean => one !== last && one.done > last.sent && one.sent < at
  const keys = [last, ...askingOf(lineage, 'register').filter(isLater)].map((one) => one.device.key)
  if (bound !== null && keys.includes(key)) return
  const text = `${bound === null ? 'it is bound to nothing' : `its key is ${key}`}, after the registration by request ${last.id}`
  facts.report(bound === null ? '11 binding lost' : '11 another key', reader, text)
}

/** What is true of all that was asked with keys. */
export function checkDevices(facts: Facts): void {
  const { deviceBound } = facts.config
  if (!deviceBound) return
  const granted = facts.history.exchanges.filter(isGranted)
  for (const [i, one] of granted.entries()) {
    const again = granted.slice(0, i).find((other) => other.device.proof === one.device.proof)
    if (again && !facts.isForgotten(again.sent, again.done)) {
      facts.report('12 proof applied twice', one, `it was applied in request ${again.id}`)
    }
    checkChallenge(facts, one, deviceBound)
    const lineage = facts.sessionOf(one)
    if (!lineage) continue
    checkEnded(facts, one, lineage)
    if (one.device.task === 'register') checkReplaced(facts, one, lineage)
    else if (!askingOf(lineage, 'register').some((other) => isOf(other, one.device.key))) {
      facts.report('12 unknown key', one, 'its key was never registered')
    }
  }
  for (const one of facts.history.exchanges) {
    if (isAsking(one)) {
      checkKept(facts, one)
      checkTaken(facts, one)
    } else checkLast(facts, one, deviceBound)
  }
}

/** A challenge is good for its time, and within its generation. */
function checkChallenge(facts: Facts, one: Asking, { options: { maxAge } }: BoundConfig): void {
  const { challengedAt, task } = one.device
  const life = REGISTRATION + (task === 'refresh' ? 1000 * maxAge : 0)
  const arrived = one.sent + one.action.up
  if (arrived > challengedAt + life + SLACK) {
    const text = `its challenge is ${(arrived - challengedAt) / 1000} s old`
    facts.report('12 old challenge', one, text)
  }
  const lineage = facts.sessionOf(one)
  const rotation =
    lineage &&
    rotationsOf(lineage).find(
      (other) =>
        other.sent > challengedAt &&
        other.fate === 'kept' &&
        facts.lineages.found(other) === lineage &&
        facts.lineages.target(other) === lineage &&
        facts.isSettled(other, one),
    )
  if (!rotation) return
  facts.report('12 old challenge', one, `it is from before the rotation by ${rotation.id}`)
}

/** Nobody but a browser itself registers another key in the place of its own, and that after a rotation. */
function checkReplaced(facts: Facts, one: Asking, lineage: Lineage): void {
  // One that was sent first may be applied first, and answered last.
  const before = askingOf(lineage, 'register').filter(
    (other) => isGranted(other) && other.sent < one.sent && other.done < one.done,
  )
  const last = before.at(-1)
  if (!last || isOf(last, one.device.key) || facts.isForgotten(last.sent, last.done)) return
  if (mayHaveSignedIn(lineage, last, one.done)) return
  const isRotated = rotationsOf(lineage).some(
    ({ sent, done }) => sent < one.done && done > last.sent,
  )
  if (last.jar === one.jar && isRotated) return
  // Whoever has the bound cookie of the proof after a rotation, by whatever theft, is taken for the browser.
  const proofs = askingOf(lineage, 'refresh').filter(({ sent }) => sent > last.sent)
  if (isRotated && proofs.some((proof) => proof === one.holds)) return
  const text = `it replaces the key of browser ${last.jar}, of request ${last.id}`
  facts.report('11 another key', one, text)
}

/** A browser whose session lives, and has its key, is not told to give the key up. */
function checkKept(facts: Facts, one: Asking): void {
  if (!one.device.gaveUp || one.jar >= FIRST_THIEF) return
  const seen = { at: one.done, status: 'missing' } as Seen
  const lineage = liveSession(facts, { ...one, seen })
  if (!lineage || facts.sessionOf(one) !== lineage || !hasKey(facts, lineage, one)) return
  // The network repeated its proof, and lost the answer of the one that was good.
  const { proof, told } = one.device
  const isRepeated = askingOf(lineage, 'refresh').some(
    (other) => other !== one && isGranted(other) && other.device.proof === proof,
  )
  if (told === 'challenged' && isRepeated) return
  facts.report('13 device locked out', one, `it was told to give its key up: ${one.device.told}`)
}

/** The key of a browser whose session lives, by a challenge that is good, is not refused where it has to be the only one. */
function checkTaken(facts: Facts, one: Asking): void {
  const { challengedAt, task, told } = one.device
  if (task !== 'register' || told !== 'refused' || one.jar >= FIRST_THIEF) return
  const seen = { at: one.done, status: 'missing' } as Seen
  const lineage = liveSession(facts, { ...one, seen })
  if (!lineage || facts.sessionOf(one) !== lineage) return
  if (one.done + SLACK > challengedAt + REGISTRATION) return
  const offers = facts.history.exchanges.filter(
    ({ done, jar }) => done === challengedAt && jar === one.jar,
  )
  const rotations = rotationsOf(lineage).filter(({ sent }) => sent < one.done)
  // The challenge is of the generation that the request opened, or made: of requests that were answered at the same
  // moment, any of them. What it opened may be a copy from before a rotation that its browser had not heard of.
  const [before] = offers
    .map((offer) =>
      rotations.filter(
        (other) => other === offer || offer.knows.has(other.id) || facts.isSettled(other, offer),
      ),
    )
    .sort((a, b) => a.length - b.length)
  if (!before) return
  const isFormer = before.length < rotations.length
  // After a rotation a proof by the key before allows for another one, and a failover may forget either.
  const proofs = askingOf(lineage, 'refresh')
  const isForgotten = [...rotations, ...proofs].some((other) =>
    facts.isForgotten(other.sent, other.done),
  )
  const since = Math.max(...before.map(({ sent }) => sent))
  const others = askingOf(lineage, 'register').filter(
    (other) => other !== one && other.sent < one.done,
  )
  // The bound cookie that came along may be of a proof before the latest one.
  const latest = proofs.filter(({ sent }) => sent > since && sent < one.done).at(-1)
  const isOutdated = latest !== undefined && one.holds !== latest
  if (isFormer || isForgotten || isOutdated || others.some(({ done }) => done > since)) return
  facts.report('13 device locked out', one, 'its key was refused, though the challenge is good')
}

/** Whether the key of a request is for certain that of the session. */
function hasKey(facts: Facts, lineage: Lineage, { device, done }: Asking): boolean {
  const registrations = askingOf(lineage, 'register').filter(({ sent }) => sent < done)
  const own = registrations.find((one) => isGranted(one) && isOf(one, device.key))
  if (!own || facts.isForgotten(own.sent, own.done) || mayHaveSignedIn(lineage, own, done))
    return false
  return registrations.every((one) => isOf(one, device.key) || one.done < own.sent)
}

/** A browser with keys that signs in when everything works is bound by that. */
function checkLast(facts: Facts, reader: Exchange, { keyless }: BoundConfig): void {
  const { id, jar, seen } = reader
  if (id < LAST_ID || jar >= FIRST_THIEF || keyless.includes(jar) || reader.action.uses.length > 0)
    return
  const signIn = facts.history.exchanges.find(
    (one) =>
      one.jar === jar && one.id >= LAST_ID && one.action.uses.some(({ op }) => op === 'login'),
  )
  if (!signIn || signIn.sent > reader.sent || seen?.bound === true) return
  // Data of a newer version are not written, neither is the key.
  const isLater = ({ device, jar: other, outcome, sent }: Exchange): boolean =>
    other === jar &&
    sent >= signIn.sent &&
    (device ? device.told === 'later' : outcome === 'failed')
  if (facts.history.hasVersions && facts.history.exchanges.some(isLater)) return
  facts.report(
    '13 device locked out',
    reader,
    `after its sign-in it is ${seen?.status}, bound: ${seen?.bound}`,
  )
}
