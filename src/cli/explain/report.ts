/** The outcome of `explain` in words. Shows no secret, token, cookie or session data; subject and id only when asked to. */
import { idOf } from '../../codec/session-record.ts'
import type { Instance } from '../../session/instance.ts'
import { expiryOf } from '../../session/reasons.ts'
import { usageError } from '../command.ts'
import { count, distance, duration, plain } from '../words.ts'
import { fingerprintOf, type InspectedToken, type Inspection } from './inspect.ts'
import type { Verdict } from './verdict.ts'

/** A line of the report: what it is about, and what is known. */
export type Line = readonly [topic: string, text: string]

/** The fields that `--show` may name. */
export type Shown = ReadonlySet<'subject' | 'id'>

/**
 * Reads `--show`.
 *
 * @throws CommandError with exit code 2 for anything but `subject` and `id`.
 */
export function parseShow(text: string | undefined): Shown {
  const words = text === undefined ? [] : text.split(',').map((word) => word.trim())
  if (words.every((word) => word === 'subject' || word === 'id')) return new Set(words)
  throw usageError('--show takes "subject", "id", or both', 'For example: --show subject,id')
}

/** Returns what `--json` tells beside the verdict. Times are epoch milliseconds, timeouts seconds. */
export function jsonOf(instance: Instance, inspection: Inspection, shown: Shown): object {
  const { about, cookies, tokens } = inspection
  return {
    cookies: tokens.map(({ closed, opened: _, ...token }) => ({ ...token, ...closed })),
    notes: cookies.notes.length,
    deferred: cookies.deferred.length,
    ...(about && { session: sessionOf(instance, about, shown) }),
  }
}

function sessionOf(
  instance: Instance,
  about: NonNullable<Inspection['about']>,
  shown: Shown,
): object {
  const { authenticatedAt, claims, createdAt, persistent, renewedAt, subject } = about
  return {
    fingerprint: fingerprintOf(about),
    createdAt,
    renewedAt,
    authenticatedAt,
    expiresAt: instance.context.expiresAt(about),
    ...timeoutsOf(instance, about),
    persistent,
    factors: { ...claims?.f },
    bound: claims?.d !== undefined,
    ...(shown.has('id') && { id: idOf(about) }),
    ...(shown.has('subject') && { subject, actor: claims?.a ?? null }),
  }
}

function timeoutsOf(
  { context }: Instance,
  about: NonNullable<Inspection['about']>,
): { idleTimeout: number; absoluteTimeout: number } {
  const idleEnd = context.expiresAt({ ...about, renewedAt: 0, createdAt: Infinity })
  const absoluteEnd = context.expiresAt({ ...about, renewedAt: Infinity, createdAt: 0 })
  return { idleTimeout: idleEnd / 1000, absoluteTimeout: absoluteEnd / 1000 }
}

const DEFAULTS =
  "these are defaults; for the application's use --config, or SESSION_IDLE_TIMEOUT and SESSION_ABSOLUTE_TIMEOUT"

/** Returns the lines of the report. `isDefault`: nobody has given timeouts. */
export function linesOf(
  instance: Instance,
  inspection: Inspection,
  verdict: Verdict,
  shown: Shown,
  isDefault: boolean,
): Line[] {
  const { about, cookies, keyIds, tokens } = inspection
  const now = instance.options.now()
  const beside = [
    ...(cookies.notes.length ? [count(cookies.notes.length, 'note')] : []),
    ...(cookies.deferred.length ? [count(cookies.deferred.length, 'deferred write')] : []),
  ]
  return [
    ...tokens.flatMap((token) => tokenLines(token, keyIds, now)),
    ...(beside.length ? [['Beside it', beside.join(', ')] as const] : []),
    ...(about ? sessionLines(instance, about, shown) : []),
    ...(about && isDefault ? [['', DEFAULTS] as const] : []),
    ...verdict.store.map((text) => ['Store', text] as const),
  ]
}

function tokenLines(
  { bytes, keyId, opened, position, sealedAt }: InspectedToken,
  keyIds: readonly string[],
  now: number,
): Line[] {
  const lines: Line[] = bytes ? [['Cookie', count(bytes, 'byte')]] : []
  if (keyId === undefined) return lines
  const use = position ? 'opens and no longer seals' : 'seals and opens'
  const whose =
    position === undefined
      ? `of none of ${count(keyIds.length, 'secret')} here (${keyIds.join(', ')})`
      : `secret ${position + 1} of ${keyIds.length}, which ${use}`
  lines.push(['Key', `${keyId}: ${whose}`])
  // An hour is all that a token says in the clear.
  if (sealedAt !== undefined && !opened) {
    const hour = `${new Date(sealedAt).toISOString().slice(0, 16)}Z`
    lines.push(['Sealed', `${hour} to an hour later, ${distance(sealedAt, now)}`])
  }
  return lines
}

function sessionLines(
  instance: Instance,
  about: NonNullable<Inspection['about']>,
  shown: Shown,
): Line[] {
  const now = instance.options.now()
  const { authenticatedAt, claims, createdAt, persistent, renewedAt, subject } = about
  const { age, idleFor } = expiryOf(instance, about)
  const { absoluteTimeout, idleTimeout } = timeoutsOf(instance, about)
  const who = (name: string): string =>
    shown.has('subject') ? plain(name) : 'somebody (--show subject)'
  const lines: Line[] = [['Session', `${fingerprintOf(about)} in events and logs`]]
  if (shown.has('id')) lines.push(['Id', idOf(about)])
  // The cookie of a session in a store does not say who is signed in.
  if (subject !== null) {
    lines.push(['Signed in', `${who(subject)}, ${distance(authenticatedAt ?? createdAt, now)}`])
  }
  if (claims?.a !== undefined) lines.push(['Actor', who(claims.a)])
  for (const [name, at] of Object.entries(claims?.f ?? {})) {
    lines.push(['Factor', `${plain(name)}, proven ${distance(at, now)}`])
  }
  if (claims?.d) lines.push(['Device', 'bound to a key of its device, which is not looked at here'])
  const outlives = persistent ? ', outlives the browser' : ''
  const idle = ends(renewedAt + 1000 * idleTimeout, now)
  const absolute = ends(createdAt + 1000 * absoluteTimeout, now)
  return [
    ...lines,
    ['Age', `began ${duration(age)} ago, last renewed ${duration(idleFor)} ago${outlives}`],
    [
      'Timeouts',
      `idle ${duration(idleTimeout)}: ${idle}; absolute ${duration(absoluteTimeout)}: ${absolute}`,
    ],
  ]
}

const ends = (time: number, now: number): string =>
  `${time > now ? 'ends' : 'ended'} ${distance(time, now)}`
