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
import { type Finding, fine, note, wrong } from './finding.ts'
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
  if (!set) return [checkPage(second), noCookie(first, name), checkClock(second, undefined)]
  const opened = tokens && (await open(tokens, first, set))
  return [
    checkPage(second),
    ...checkName(first, set, name),
    ...checkAttributes(set),
    ...checkPrefix(set),
    ...checkLength(set),
    checkSecure(set),
    await checkReturns(visits, set, opened),
    ...checkKeys([set, sessionCookie(second, name), sessionCookie(visits.other, name)]),
    ...checkCache(set, sessionCookie(visits.other, name)),
    checkVary(second),
    ...checkSizes(first, second),
    checkClock(first, opened?.opened.renewedAt),
  ]
}

/** Finds the session cookie that a visit set, by its name, or else by its looks: something may have renamed it. */
function sessionCookie(visit: Visit, name: string): SetCookie | undefined {
  const all = setCookiesOf(visit)
  const named = all.filter((one) => one.name === name)
  return named.filter((one) => !isRemoval(one)).at(-1) ?? all.find(isOurs) ?? named[0]
}

function checkPage({ page: { response } }: Visit): Finding {
  const { status } = response
  if (status < 500) return fine('page', `The page answers with status ${status}`)
  return wrong(
    'page',
    `The page answers with status ${status}`,
    'See the log of the application, and of the proxies before it',
  )
}

function noCookie(first: Visit, name: string): Finding {
  const others = setCookiesOf(first).length
  const seen = others ? `, and ${others} other${others > 1 ? 's' : ''}` : ''
  return wrong(
    'cookie',
    `No cookie of the name ${name} came${seen}`,
    'Give the doctor a page that starts a session, or the form that does (--form), and the name if it is another one (--cookie, SESSION_COOKIE_NAME). If the page does start one, its response is not committed, or something in between removes Set-Cookie',
  )
}

function checkName(first: Visit, set: SetCookie, name: string): Finding[] {
  if (set.name !== name) {
    return [
      wrong(
        'cookie',
        `A session cookie came under the name ${set.name}, and the application reads ${name}: something in between renames it`,
        'Let it rename the Cookie header too, or better neither. If the application does call it so: --cookie, or SESSION_COOKIE_NAME',
      ),
    ]
  }
  const { hop } = set
  const same = setCookiesOf(first).filter((one) => one.hop === hop && one.name === name)
  if (same.length < 2)
    return [fine('cookie', `The session cookie came: a browser keeps it ${lifetimeOf(set)}`)]
  const text = `One answer sets the cookie ${same.length} times`
  return [
    wrong(
      'cookie',
      text,
      'Is the response committed twice, or are there two sessions of one name?',
    ),
  ]
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
): Promise<Finding> {
  const lost = 'Every request starts a new session, and nobody stays signed in'
  if (jar.get(set.name, second.page.url) === undefined && !second.page.cookie?.includes(set.name)) {
    return wrong('returns', `A browser does not send it back. ${lost}`, 'See what is wrong above')
  }
  if (set.name !== name)
    return wrong('returns', `The application does not find it. ${lost}`, 'See what is wrong above')
  if (tokens && !opened) {
    return wrong(
      'returns',
      'It does not open with the secret that is known here',
      'Is SESSION_SECRET that of the application, and its cookie of the same name? npx sojourn explain says more',
    )
  }
  const again = setCookiesOf(second)
    .filter((one) => one.name === name)
    .at(-1)
  if (!again) return fine('returns', 'It comes back, and is taken')
  if (isRemoval(again)) {
    return wrong(
      'returns',
      'It comes back, and is refused: the second answer removes it',
      'Do all instances have the same secret, and the same store?',
    )
  }
  if (!tokens || !opened) {
    return note(
      'returns',
      'It comes back, and is set again: whether as the same session is not known without a secret',
      'With SESSION_SECRET set the doctor knows',
    )
  }
  const reopened = await open(tokens, second, again)
  if (reopened && idOf(reopened.opened) === idOf(opened.opened)) {
    return fine('returns', 'It comes back, and is the same session')
  }
  return wrong(
    'returns',
    `It comes back, and another session takes its place. ${lost}`,
    'Do all instances have the same secret, and the same store? Does a proxy pass the Cookie header on?',
  )
}
