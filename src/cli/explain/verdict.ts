/** The verdict on a cookie: why it opens a session or none, and what to do. */
import type { Invalidity, SessionEvent } from '../../events.ts'
import type { Instance } from '../../session/instance.ts'
import { expiryOf } from '../../session/reasons.ts'
import { adviceOn } from '../errors.ts'
import { count, duration, sentence } from '../words.ts'
import type { Inspection } from './inspect.ts'
export interface Verdict {
  /** The status of the session, or the reason for which there is none. */
  readonly reason: string
  readonly text: string
  /** One sentence that says what to do; left out where all is well. */
  readonly advice?: string
  /** The answers of the store. */
  readonly store: readonly string[]
}

type EventOf<T extends SessionEvent['type']> = Extract<SessionEvent, { type: T }>

/** Judges an inspection. `hint`: what the cookie seems to be. */
export function judge(instance: Instance, inspection: Inspection, hint?: string): Verdict {
  const { status } = inspection
  const store = storeLines(instance, inspection)
  const of = <T extends SessionEvent['type']>(type: T): EventOf<T> | undefined =>
    inspection.events.find((event): event is EventOf<T> => event.type === type)
  if (status === 'active') return { ...live(inspection), store }
  if (status === 'new') return { ...nothing(inspection, hint), store: [] }
  if (isNoteAlone(inspection)) return { ...nothing(inspection, hint), store }
  const invalid = of('session.invalid')
  if (invalid) return { ...closed(inspection, invalid, hint), store: [] }
  const expired = of('session.expired')
  if (expired) return { ...over(instance, inspection, expired), store }
  const replaced = of('session.superseded') ?? of('session.reused')
  if (replaced) return { ...rotated(replaced), store }
  if (of('session.missing')) return { ...missing(instance, inspection), store }
  const { error } = inspection
  if (status === 'degraded' && error) {
    const isNewer = error.code === 'ERR_SESSION_READ_ONLY'
    const text = isNewer
      ? error.message
      : `Nobody knows, since the store did not answer: ${error.message}`
    const advice = isNewer
      ? 'Finish the deployment, or its rollback'
      : `${sentence(adviceOn(error))} Meanwhile the visitor stays signed in and cannot write`
    return { reason: error.reason ?? error.code, text, advice, store }
  }
  return {
    reason: error?.code ?? status,
    text: `It opens, and what is in it is refused (${error?.code ?? status})`,
    advice:
      'See docs/error-handling.md for this code: a schema, migrate or codec that has changed, or a store that went back',
    store,
  }
}

type Words = Omit<Verdict, 'store'>

function live({ events }: Inspection): Words {
  const text = 'The session is live: a request with this cookie opens it'
  const isHealed = events.some(({ type }) => type === 'store.rolled-back')
  if (!isHealed) return { reason: 'active', text }
  return {
    reason: 'active',
    text: `${text}. The store has an older state than the cookie, and gets the newest one back`,
    advice: 'Look at the replication of the store: it lost its last writes',
  }
}

function nothing({ cookies, name }: Inspection, hint: string | undefined): Words {
  const text = `${cookies.notes.length ? 'Only the note of a sign-in or sign-out is in it, and no session cookie' : 'There is no session cookie in it'}: the name looked for is ${name}`
  if (hint) return { reason: 'no-cookie', text, advice: hint }
  const advice = cookies.notes.length
    ? 'Paste the whole Cookie header. If this is all of it, the browser has no session cookie: npx sojourn doctor shows whether one is set'
    : 'Paste the value of the session cookie, or the whole Cookie header of a request. Another name: --cookie, or SESSION_COOKIE_NAME'
  return { reason: 'no-cookie', text, advice }
}

/** Tells whether a note came without its cookie, and opens nothing by itself. */
function isNoteAlone({ cookies, status, tokens }: Inspection): boolean {
  const isGone = status === 'missing' || status === 'expired' || status === 'invalid'
  return isGone && !tokens.length && cookies.notes.length > 0
}

function closed(
  { keyIds, tokens }: Inspection,
  { aheadBy = 0, keyId, reason }: Invalidity,
  hint: string | undefined,
): Words {
  switch (reason) {
    case 'unknown-key':
      return {
        reason,
        text: `It was sealed under the key ${keyId}, which is that of none of the ${count(keyIds.length, 'secret')} known here (${keyIds.join(', ')})`,
        advice:
          "If SESSION_SECRET is that of the application here, a secret was replaced without the first of three steps, or dropped too early: put the former one back behind the new one. Else it is another application's cookie",
      }
    case 'future':
      return {
        reason,
        text: `It was made in the future: the clock of a server is ${duration(aheadBy)} ahead of this one, or more`,
        advice:
          'Synchronize the clocks of all servers (NTP): an hour is what is tolerated. npx sojourn doctor shows the clock of a site',
      }
    case 'newer':
      return {
        reason,
        text: 'A newer version of Sojourn sealed it',
        advice:
          'Update the deployment that does not take it: a version opens what the one before it seals',
      }
    case 'forged':
      if (tokens.every(({ side }) => side)) {
        const [what, name] = tokens.every(({ side }) => side === 'note')
          ? ['the note of a sign-in or sign-out', 'n']
          : ['a deferred write', 'd']
        return {
          reason: 'no-cookie',
          text: `It is ${what}, which travels beside the session cookie and is no session by itself`,
          advice: `Paste the cookie without .${name} and four characters at the end of its name, or the whole Cookie header`,
        }
      }
      return {
        reason,
        text: `It names the key ${keyId}, which is known here, and does not open with it: it was cut or changed, or made for a cookie of another name`,
        advice:
          'Is the value complete, and the name right (--cookie, or SESSION_COOKIE_NAME)? If so, somebody is guessing',
      }
    default:
      // The first of several cookies opens nothing without the others.
      if (tokens.every(({ isPart }) => isPart)) {
        const text = 'A large session is in several cookies, and not all of them are here'
        return { reason, text, advice: 'Paste the whole Cookie header' }
      }
      return {
        reason,
        text: 'It is cut, or nothing that Sojourn made',
        advice:
          hint ??
          'Is the value complete? A terminal takes 4,095 characters of a line: use a pipe or a file for more',
      }
  }
}

function over(
  instance: Instance,
  { about }: Inspection,
  { age, idleFor, reason }: EventOf<'session.expired'>,
): Words {
  if (reason === 'not-before') {
    return {
      reason,
      text: `It is over: notBefore says that sessions from ${duration(age)} ago count no more`,
      advice:
        'Its user, or everybody, was signed out on purpose: see the option notBefore, and controls',
    }
  }
  const { timeout } = about ? expiryOf(instance, about) : { timeout: 0 }
  const since =
    reason === 'idle' ? `was last renewed ${duration(idleFor)} ago` : `began ${duration(age)} ago`
  const option = `${reason}Timeout`
  return {
    reason,
    text: `It has expired: it ${since}, and the ${reason} timeout is ${duration(timeout)}`,
    advice: `If that is too short for its visitors: ${option}, or login(subject, { ${option} })`,
  }
}

function rotated({ sinceRotation, type }: EventOf<'session.superseded' | 'session.reused'>): Words {
  const since = `login() or regenerate() replaced this cookie ${duration(sinceRotation)} ago`
  if (type === 'session.superseded') {
    return {
      reason: 'superseded',
      text: `${since}, and the new one is on its way`,
      advice:
        'Nothing: a request that was under way meanwhile writes nothing, and the next one has the new cookie',
    }
  }
  return {
    reason: 'reused',
    text: `${since}: it is a copy, or its replacement never arrived`,
    advice:
      'If it may have been stolen, end the session: explain --show id, then npx sojourn revoke <id>',
  }
}

function missing({ options: { store } }: Instance, { tokens }: Inspection): Words {
  const opened = tokens.find((token) => token.opened)?.opened
  const isIdOnly = opened?.text === null
  if (!store && isIdOnly) {
    return {
      reason: 'no-store',
      text: 'The session lives in a store, and none is named here',
      advice: 'Set SESSION_STORE, or the two variables of Upstash, or use --config',
    }
  }
  if (store && !isIdOnly && !opened?.extra) {
    return {
      reason: 'missing',
      text: 'The cookie carries its session itself, and the store does not have it',
      advice: 'Is the store right? The cookie was made without one',
    }
  }
  return {
    reason: 'missing',
    text: 'The session has ended, or the store lost it',
    advice:
      'It was signed out or revoked; or the store forgot it: evicted, restarted empty, or another database or prefix than that of the application. npx sojourn stats shows what is there',
  }
}

function storeLines(
  { options: { store } }: Instance,
  { events, status, tokens }: Inspection,
): string[] {
  if (!store) {
    const carries = tokens.some(({ opened }) => opened?.text)
    return [carries ? 'none: the cookie carries the session' : 'none is named here']
  }
  const failure = events.find(
    ({ type }) => type === 'store.degraded' || type === 'store.unavailable',
  )
  const name = `"${store.name}"`
  if (failure) {
    const { code, reason, word } = failure as EventOf<'store.degraded'>
    return [`${name} did not answer: ${[reason, word, code].filter(Boolean).join(', ')}`]
  }
  if (events.some(({ type }) => type === 'session.missing')) return [`${name} does not have it`]
  if (events.some(({ type }) => /superseded|reused/.test(type)))
    return [`${name} has it, with a newer credential`]
  return status === 'active' || events.some(({ type }) => type === 'session.expired')
    ? [`${name} answered`]
    : []
}
