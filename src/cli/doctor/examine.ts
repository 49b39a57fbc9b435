/** Examines three visits to a page. */
import type { CookieTokens, OpenedCookie } from '../../codec/cookie-tokens.ts'
import { idOf } from '../../codec/session-record.ts'
import type { CookieJar } from '../../testing/cookie-jar.ts'
import { duration } from '../words.ts'
import {
  checkAttributes,
  checkKeys,
  checkLength,
  checkPrefix,
  checkSecure,
} from './cookie-checks.ts'
import { about, type Finding, fine, type Judgement, note, wrong } from './finding.ts'
import { checkCache, checkClock, checkSizes, checkVary } from './response-checks.ts'
import { isOurs, isRemoval, type SetCookie, setCookiesOf } from './set-cookie.ts'
import type { Visit } from './visit.ts'

/** Three visits, and what is known beside them. */
export interface Visits {
  /** Without cookies. */
  readonly first: Visit
  /** With those that came. */
  readonly second: Visit
  /** Without cookies again: another visitor. */
  readonly other: Visit
  /** The browser of the first two. */
  readonly jar: CookieJar
  /** The name of the session cookie. */
  readonly name: string
  /** Opens cookies; `null`: no secret is known. */
  readonly tokens: CookieTokens | null
}

/** Returns what there is to say, in the order of what a visitor would notice. */
export async function examine(visits: Visits): Promise<Finding[]> {
  const { first, name, second, tokens } = visits
  const set = sessionCookie(first, name)
  const page = about('page', checkPage(second))
  if (!set) {
    const clock = about('clock', checkClock(second, undefined))
    return [...page, ...about('cookie', noCookie(first, name)), ...clock]
  }
  const opened = tokens && (await open(tokens, first, set))
  const other = sessionCookie(visits.other, name)
  return [
    ...page,
    ...about('cookie', checkName(first, set, name)),
    ...about('attributes', checkAttributes(set)),
    ...about('prefix', checkPrefix(set)),
    ...about('size', checkLength(set)),
    ...about('secure', checkSecure(set)),
    ...about('returns', await checkReturns(visits, set, opened)),
    ...about('returns', checkKeys([set, sessionCookie(second, name), other])),
    ...about('cache', checkCache(set, other)),
    ...about('vary', checkVary(second)),
    ...about('size', checkSizes(first, second)),
    ...about('clock', checkClock(first, opened?.opened.renewedAt)),
  ]
}

/** Finds the session cookie that a visit set, by its name, or else by its looks: something may have renamed it. */
function sessionCookie(visit: Visit, name: string): SetCookie | undefined {
  const all = setCookiesOf(visit)
  const named = all.filter((one) => one.name === name)
  return named.filter((one) => !isRemoval(one)).at(-1) ?? all.find(isOurs) ?? named[0]
}

function checkPage({ page: { response } }: Visit): Judgement {
  const { status } = response
  if (status < 500) return fine(`The page answers with status ${status}`)
  return wrong(
    `The page answers with status ${status}`,
    'See the log of the application, and of the proxies before it',
  )
}

function noCookie(first: Visit, name: string): Judgement {
  const others = setCookiesOf(first).length
  const seen = others ? `, and ${others} other${others > 1 ? 's' : ''}` : ''
  return wrong(
    `No cookie of the name ${name} came${seen}`,
    'Give the doctor a page that starts a session, or the form that does (--form), and the name if it is another one (--cookie, SESSION_COOKIE_NAME). If the page does start one, its response is not committed, or something in between removes Set-Cookie',
  )
}

function checkName(first: Visit, set: SetCookie, name: string): Judgement {
  if (set.name !== name) {
    return wrong(
      `A session cookie came under the name ${set.name}, and the application reads ${name}: something in between renames it`,
      'Let it rename the Cookie header too, or better neither. If the application does call it so: --cookie, or SESSION_COOKIE_NAME',
    )
  }
  const { hop } = set
  const same = setCookiesOf(first).filter((one) => one.hop === hop && one.name === name)
  if (same.length < 2) return fine(`The session cookie came: a browser keeps it ${lifetimeOf(set)}`)
  return wrong(
    `One answer sets the cookie ${same.length} times`,
    'Is the response committed twice, or are there two sessions of one name?',
  )
}

/** Says how long a browser keeps a cookie. */
function lifetimeOf({ attributes }: SetCookie): string {
  const seconds = Number(attributes.get('max-age'))
  if (attributes.has('max-age') && seconds > 0) return `for ${duration(seconds)}`
  return attributes.has('expires') ? 'for some time' : 'until it is closed'
}

/** Opens the cookie that a visit set; also where something renamed it. */
async function open(
  tokens: CookieTokens,
  visit: Visit,
  { hop, name, value }: SetCookie,
): Promise<OpenedCookie | undefined> {
  const chunks = setCookiesOf(visit)
    .filter((one) => one.hop === hop && /^\.[1-3]$/.test(one.name.slice(name.length)))
    .filter((one) => one.name.startsWith(name))
  const isChunked = /^[2-4]\./.test(value)
  const token = isChunked ? value.slice(2) + chunks.map((one) => one.value).join('') : value
  const [opened] = await tokens.openAll({ tokens: [token], budget: { newHours: 4 } })
  return opened
}

/** Checks that the second visit finds the session of the first. */
async function checkReturns(
  { jar, name, second, tokens }: Visits,
  set: SetCookie,
  opened: OpenedCookie | undefined | null,
): Promise<Judgement> {
  const lost = 'Every request starts a new session, and nobody stays signed in'
  if (jar.get(set.name, second.page.url) === undefined && !second.page.cookie?.includes(set.name)) {
    return wrong(`A browser does not send it back. ${lost}`, 'See what is wrong above')
  }
  if (set.name !== name)
    return wrong(`The application does not find it. ${lost}`, 'See what is wrong above')
  if (tokens && !opened) {
    return wrong(
      'It does not open with the secret that is known here',
      'Is SESSION_SECRET that of the application, and its cookie of the same name? npx sojourn explain says more',
    )
  }
  const again = setCookiesOf(second)
    .filter((one) => one.name === name)
    .at(-1)
  if (!again) return fine('It comes back, and is taken')
  if (isRemoval(again)) {
    return wrong(
      'It comes back, and is refused: the second answer removes it',
      'Do all instances have the same secret, and the same store?',
    )
  }
  if (!tokens || !opened) {
    return note(
      'It comes back, and is set again: whether as the same session is not known without a secret',
      'With SESSION_SECRET set the doctor knows',
    )
  }
  const reopened = await open(tokens, second, again)
  if (reopened && idOf(reopened.opened) === idOf(opened.opened)) {
    return fine('It comes back, and is the same session')
  }
  return wrong(
    `It comes back, and another session takes its place. ${lost}`,
    'Do all instances have the same secret, and the same store? Does a proxy pass the Cookie header on?',
  )
}
