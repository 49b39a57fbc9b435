/**
 * The playground: two browsers, a store to break, and what Sojourn does about it.
 *
 * `shop.ts` is the application. Everything else stands around it: `jars.ts` are its two browsers, `faults.ts` and
 * `stores.ts` what it stands on, `probe.ts` what is seen of it, and this file is what the buttons of the page do.
 */
import type { SessionObjectNamespace } from 'sojourn/durable-object'
import type { KVBinding } from 'sojourn/kv'
import errorHandling from '../../../docs/error-handling.md'
import { EVENTS_PATH } from './events.ts'
import { experiments } from './experiments.ts'
import { type BrowserName, isBrowser, type Jar, openJar } from './jars.ts'
import { type Lab, labOf, NAMES } from './lab.ts'
import { renderPage } from './page.ts'
import type { Pane } from './panes.ts'
import { change, readSettings, rotate, settingsCookie } from './settings.ts'
import { isConfigured } from './stores.ts'
import { STEPS } from './tour.ts'

export { SessionObject } from 'sojourn/durable-object'

/** What `.dev.vars` and `wrangler.toml` set. */
export interface Env {
  SESSION_SECRET: string
  SESSIONS_KV: KVBinding
  SESSIONS: SessionObjectNamespace
  /** `1` for browsers that refuse `Secure` cookies on http://localhost, such as Safari. */
  SESSION_INSECURE_COOKIE?: string
  UPSTASH_REDIS_REST_URL?: string
  UPSTASH_REDIS_REST_TOKEN?: string
}

/** One request of the page. */
interface Visit {
  readonly request: Request
  readonly env: Env
  readonly lab: Lab
  readonly jars: Readonly<Record<BrowserName, Jar>>
}

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** Answers with a response, and gives the real browser the cookies of the two. */
function answer({ jars, lab }: Visit, body: string | null, init: ResponseInit): Response {
  const headers = new Headers(init.headers)
  headers.set('cache-control', 'no-store')
  headers.append('set-cookie', settingsCookie(lab.settings))
  for (const name of NAMES) {
    for (const line of jars[name].changes) headers.append('set-cookie', line)
  }
  return new Response(body, { ...init, headers })
}

const redirect = (visit: Visit, location = '/'): Response =>
  answer(visit, null, { status: 303, headers: { location } })

/** Draws the whole page, whatever went wrong in one of the browsers. */
async function show(
  visit: Visit,
  failed?: { name: BrowserName; response: Response },
): Promise<Response> {
  const { env, jars, lab, request } = visit
  const bye = new URL(request.url).searchParams.get('bye')
  const panes: Pane[] = []
  for (const name of NAMES) {
    const shown = await lab.look(jars[name], bye === name ? '/?bye' : '/')
    const refusal = failed?.name === name ? refusalOf(failed.response) : null
    panes.push({ jar: jars[name], shown, refusal, now: lab.now() })
  }
  const page = renderPage({ lab, panes, isConfigured: (name) => isConfigured(name, env) })
  lab.result = null
  const headers = { 'content-type': 'text/html; charset=utf-8', 'content-security-policy': POLICY }
  const after = failed?.response.headers.get('retry-after')
  const status = failed?.response.status ?? 200
  return answer(visit, page, {
    status,
    headers: after ? { ...headers, 'retry-after': after } : headers,
  })
}

/** Says why the shop refused a request. */
function refusalOf({ headers, status }: Response): string {
  if (status === 401) {
    const isKnown = headers.get('www-authenticate')?.includes('insufficient')
    return isKnown
      ? '401: first prove the passkey, within the last five minutes.'
      : '401: nobody is signed in.'
  }
  if (status === 403) return '403: only the user may do that, and not who acts for them.'
  const after = headers.get('retry-after')
  const advice = after ? `Try again in ${after} s.` : 'Another attempt would be refused too.'
  return `${status}: the store could not take it, so nothing was changed, and nobody is signed out. ${advice}`
}

/** Passes a form on to the shop, as one of the browsers. */
async function browse(visit: Visit, name: BrowserName, path: string): Promise<Response> {
  const form = await visit.request.formData()
  const response = await visit.lab.visit(visit.jars[name], 'POST', path, form)
  if (response.status >= 400) return show(visit, { name, response })
  advance(visit.lab, form)
  const isBye = response.headers.get('location')?.includes('bye')
  return redirect(visit, isBye ? `/?bye=${name}` : '/')
}

/** Goes on to the next step of the tour, if this was the one that came next. */
function advance(lab: Lab, form: FormData): void {
  if (form.get('tour') === String(lab.step)) lab.step = Math.min(lab.step + 1, STEPS.length)
}

/** Changes the playground itself. */
async function control(visit: Visit, name: string): Promise<Response> {
  const { jars, lab, request } = visit
  const form = await request.formData()
  const value = String(form.get('value') ?? '')
  if (name === 'tour') lab.step = 0
  else if (name === 'secrets') lab.settings = rotate(lab.settings, value)
  else if (Object.hasOwn(experiments, name)) lab.result = await experiments[name]!(lab, jars)
  else lab.settings = change(lab.settings, name, value)
  advance(lab, form)
  return redirect(visit)
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url)
    const header = request.headers.get('cookie')
    if (pathname === EVENTS_PATH) {
      return new Response(errorHandling, {
        headers: { 'content-type': 'text/plain; charset=utf-8' },
      })
    }
    const lab = labOf(readSettings(request), env)
    const jars = { a: openJar('a', header), b: openJar('b', header) }
    const visit: Visit = { request, env, lab, jars }
    const isPost = request.method === 'POST'
    if (pathname === '/') return show(visit)
    const [, room = '', rest = ''] = /^\/(\w+)\/(.+)$/.exec(pathname) ?? []
    if (isBrowser(room) && rest === 'session-status') {
      return lab.visit(jars[room], request.method, '/session-status')
    }
    // SameSite=Lax keeps other sites from posting these forms with the visitor's cookies.
    if (isPost && isBrowser(room)) return browse(visit, room, `/${rest}`)
    if (isPost && room === 'lab') return control(visit, rest)
    return new Response('Not found', { status: 404 })
  },
}
