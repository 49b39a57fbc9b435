/** Checks of whole answers: caching, `Vary`, the size of headers, the clock. */
import { CDN_HEADER } from '../../transport/response.ts'
import { duration, size } from '../words.ts'
import { fine, type Judgement, note, wrong } from './finding.ts'
import type { SetCookie } from './set-cookie.ts'
import type { Hop, Visit } from './visit.ts'

/** A time in a header for CDNs; that of nginx has nothing else in it. */
const LASTS = /(?:max-?age=|^)[1-9]/i
/** Headers by which caches say that an answer is a copy. */
const HIT_HEADERS = 'x-cache cf-cache-status x-vercel-cache x-cache-status cache-status'.split(' ')
/** Bytes of headers that nginx (`proxy_buffer_size`) and others take by default. */
const SMALL_HEADERS = 4096
const LARGE_HEADERS = 8192
/** Seconds: a replaced cookie is told from a stolen one by as much. */
const MAX_OFFSET = 30

/** Checks that no cache gives the cookie of one visitor to another. */
export function checkCache(first: SetCookie, other: SetCookie | undefined): Judgement[] {
  const { headers } = first.hop.response
  const control = headers.get('cache-control')?.toLowerCase() ?? ''
  const found: Judgement[] = []
  const advice =
    'Sojourn sends "private, no-store" beside a cookie: does a proxy or middleware replace it?'
  const purge = 'Purge the cache, then sign everybody out: npx sojourn sign-everybody-out'
  const answer = 'The answer that sets the cookie'
  if (!/\b(private|no-store)\b/.test(control)) {
    const text = control ? 'lets caches store it' : 'has no Cache-Control'
    found.push(wrong(`${answer} ${text}`, advice))
  }
  const cdn = [...headers].find(([name, value]) => CDN_HEADER.test(name) && LASTS.test(value))
  if (cdn) found.push(wrong(`${answer} has ${cdn[0]}, which lets a CDN store it`, advice))
  if (isCopy(first.hop)) {
    found.push(wrong(`${answer} comes from a cache: every visitor gets this session`, purge))
  }
  if (other?.value === first.value) {
    const text = 'Two visitors got the same cookie: a cache stores it, and they share a session'
    found.push(wrong(text, purge))
  }
  return found.length ? found : [fine('No cache may store the answer that sets it')]
}

/** Tells whether a cache says that an answer is a copy. */
function isCopy({ response: { headers } }: Hop): boolean {
  return (
    Number(headers.get('age') ?? 0) > 0 ||
    HIT_HEADERS.some((name) => /\bhit\b/i.test(headers.get(name) ?? ''))
  )
}

/** Checks that caches tell the pages of visitors apart. */
export function checkVary({ page: { response } }: Visit): Judgement {
  const { headers } = response
  const vary = headers.get('vary')?.toLowerCase() ?? ''
  const control = headers.get('cache-control')?.toLowerCase() ?? ''
  const isPrivate = /\b(private|no-store)\b/.test(control)
  if (/\bcookie\b|\*/.test(vary)) return fine('The page says "Vary: Cookie"')
  const text = 'The page does not say "Vary: Cookie"'
  const advice =
    'Sojourn adds it when a page used the session: does a proxy or middleware remove it?'
  if (isPrivate) return note(`${text}; it is ${control}, which is enough for most caches`, advice)
  return wrong(`${text}, so a cache may show one visitor's page to another`, advice)
}

/** Checks that headers fit through proxies. */
export function checkSizes(first: Visit, second: Visit): Judgement {
  const sent = second.page.cookie?.length ?? 0
  const received = Math.max(...first.hops.map(({ response }) => bytesOf(response.headers)))
  const text = `${size(sent)} of cookies in a request, ${size(received)} of headers in an answer`
  const advice = 'Store less in the session, or give it a store'
  if (sent > LARGE_HEADERS || received > LARGE_HEADERS) {
    return wrong(`${text}: many proxies refuse more than 8 KB`, advice)
  }
  if (received > SMALL_HEADERS) {
    const more = 'nginx takes 4 KB by default (proxy_buffer_size) and answers 502 above'
    return note(`${text}: ${more}`, advice)
  }
  return fine(text)
}

function bytesOf(headers: Headers): number {
  let bytes = 0
  headers.forEach((value, name) => {
    bytes += name.length + value.length + 4
  })
  return bytes
}

/**
 * Checks the clock of the site against that of this machine.
 *
 * @param sealedAt Time at which the application says that it began the session, epoch milliseconds: its own clock, where
 * `Date` may be that of a proxy.
 */
export function checkClock(visit: Visit, sealedAt: number | undefined): Judgement {
  const { receivedAt, response, sentAt } = visit.page
  const now = (sentAt + receivedAt) / 2
  const age = Number(response.headers.get('age') ?? 0)
  const date = Date.parse(response.headers.get('date') ?? '') + 1000 * age
  const ahead = ((sealedAt ?? date) - now) / 1000
  if (Number.isNaN(ahead)) return note('The answer has no Date, so its clock is not known')
  const whose = sealedAt === undefined ? 'of whoever answers' : 'of the application'
  if (Math.abs(ahead) < MAX_OFFSET) {
    return fine(`The clock ${whose} is that of this machine, within ${MAX_OFFSET} seconds`)
  }
  const way = ahead > 0 ? 'ahead of' : 'behind'
  return wrong(
    `The clock ${whose} is ${duration(Math.abs(ahead))} ${way} that of this machine`,
    'Synchronize clocks (NTP): timeouts are shifted by as much, and from an hour on cookies of one server are refused by another',
  )
}
