/** Visits to a page, as a browser makes them. */
import type { CookieJar } from '../../testing/cookie-jar.ts'
import { CommandError } from '../command.ts'
import { fillForm } from './form.ts'

/** One answer on the way to a page. */
export interface Hop {
  readonly url: URL
  readonly response: Response
  /** The page; empty where it was not read. */
  readonly text: string
  /** The `Cookie` header that was sent; `null`: none. */
  readonly cookie: string | null
  /** Epoch milliseconds. */
  readonly sentAt: number
  readonly receivedAt: number
}

/** A visit to a page, with the redirects that lead to it. */
export interface Visit {
  readonly hops: readonly Hop[]
  /** The last answer. */
  readonly page: Hop
}

const MAX_REDIRECTS = 10
const TIMEOUT_MS = 10_000

/**
 * Sends a form, with the hidden fields of the page that has it: that at the address, or the one that leads there.
 *
 * @param fields As `name=ada&remember=on`.
 * @throws CommandError when nobody answers.
 */
export async function sendForm(address: URL, jar: CookieJar, fields: string): Promise<Visit> {
  const before = await visit(address, jar, undefined, true)
  const form = fillForm(before.page.text, fields, before.page.url)
  const sent = await visit(form?.action ?? address, jar, form?.fields ?? fields)
  return { ...sent, hops: [...before.hops, ...sent.hops] }
}

/**
 * Visits a page, and follows redirects.
 *
 * @param form Fields that are sent there; left out: the page is only looked at.
 * @param reads Reads the page too.
 * @throws CommandError when nobody answers.
 */
export async function visit(
  address: URL,
  jar: CookieJar,
  form?: string,
  reads = false,
): Promise<Visit> {
  const hops: Hop[] = []
  let fields = form
  for (let url = address; ; ) {
    const hop = await request(url, jar, fields, reads)
    hops.push(hop)
    jar.store(hop.response, url)
    const location = hop.response.headers.get('location')
    const isRedirect = location !== null && [301, 302, 303, 307, 308].includes(hop.response.status)
    if (!isRedirect || !URL.canParse(location, url)) return { hops, page: hop }
    if (hops.length > MAX_REDIRECTS) {
      throw new CommandError(
        `${nameOf(address)} redirects more than ${MAX_REDIRECTS} times`,
        'Does a page send visitors away because their session does not come back?',
      )
    }
    url = new URL(location, url)
    // The others have the form sent once more.
    if (hop.response.status < 307) fields = undefined
  }
}

/** Names a page without its query, which may hold tokens. */
export function nameOf({ origin, pathname }: URL): string {
  return origin + pathname
}

async function request(
  url: URL,
  jar: CookieJar,
  form: string | undefined,
  reads: boolean,
): Promise<Hop> {
  const cookie = jar.header(url)
  const sentAt = Date.now()
  const headers = new Headers({ accept: 'text/html,*/*;q=0.8', 'user-agent': 'sojourn doctor' })
  if (cookie !== null) headers.set('cookie', cookie)
  if (form !== undefined) {
    headers.set('content-type', 'application/x-www-form-urlencoded')
    headers.set('origin', url.origin)
    headers.set('sec-fetch-site', 'same-origin')
  }
  const sent = form === undefined ? {} : { method: 'POST', body: form }
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const response = await fetch(url, { ...sent, headers, redirect: 'manual', signal })
    const receivedAt = Date.now()
    const text = reads ? await response.text() : ''
    if (!reads) await response.body?.cancel()
    return { url, response, text, cookie, sentAt, receivedAt }
  } catch (error) {
    throw whyNot(url, error)
  }
}

function whyNot(url: URL, error: unknown): CommandError {
  const { cause, code: own, name } = Object(error) as Record<string, unknown>
  const code = String(Object(cause).code ?? own ?? '')
  const at = nameOf(url)
  if (name === 'TimeoutError') {
    return new CommandError(
      `${at} did not answer within ${TIMEOUT_MS / 1000} seconds`,
      'Is it reachable from here?',
    )
  }
  if (/HEADERS_OVERFLOW/.test(code)) {
    return new CommandError(
      `${at} answers with more than 16 KB of headers`,
      'Browsers and proxies refuse that: store less in cookies',
    )
  }
  const isTls = /CERT|SSL|TLS|SIGNATURE|ISSUER/.test(code)
  const word = /^[A-Z_]+$/.test(code) ? ` (${code})` : ''
  return new CommandError(
    `${at} cannot be reached${word}`,
    isTls
      ? 'Its certificate is not trusted here. NODE_EXTRA_CA_CERTS names a file with further authorities'
      : 'Is the address right, and is it reachable from here?',
  )
}
