/** The playground: sign in, fill a cart, break the store, and see what Sojourn did about it. */
import { type Session, type Sessions, StoreError } from 'sojourn'
import type { SessionObjectNamespace } from 'sojourn/durable-object'
import type { KVBinding } from 'sojourn/kv'
import { createSealer } from 'sojourn/seal'
import { FAULTS, type Fault, fault, setFault } from './faults.ts'
import { renderError, renderPage } from './page.ts'
import { observe, observed } from './probe.ts'
import { isConfigured, STORES, type StoreName, sessionsIn } from './stores.ts'

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

/** What the playground keeps in a session. */
export interface Data {
  cart: readonly string[]
  count: number
}

/** Changes the session and says what it did. */
type Action = (session: Session<Data>, form: FormData, request: Request) => string

const actions: Record<string, Action> = {
  '/sign-in': (session, form, request) => {
    const name = String(form.get('name') ?? '')
      .trim()
      .slice(0, 40)
    if (!name) return 'Type a name first'
    session.login(name, { persistent: form.has('remember'), label: deviceOf(request) })
    return `Welcome, ${name}. Your session has a new credential, and your cart is still here`
  },
  '/cart/add': (session, form) => {
    const item = String(form.get('item') ?? '').slice(0, 40)
    session.append('cart', item)
    return `${item} is in your cart`
  },
  '/cart/remove': (session, form) => {
    const at = Number(form.get('at'))
    session.update('cart', (cart = []) => cart.filter((_, i) => i !== at))
    return 'Removed from your cart'
  },
  '/count': (session) => {
    session.increment('count')
    return `Counted to ${session.get('count')}`
  },
  '/regenerate': (session) => {
    session.regenerate()
    return 'Same session, new credential: the former cookie opens nothing'
  },
}

/** What needs more than the session, and says where to go. */
type Task = (visit: Visit, form: FormData) => Promise<string>

const tasks: Record<string, Task> = {
  // A session that has ended cannot carry a notice, so this one is carried sealed in the address.
  '/sign-out': async ({ sessions, request, env }) => {
    const session = await sessions.get(request)
    session.destroy()
    const sealer = createSealer({ secret: env.SESSION_SECRET })
    const text = 'You are signed out, and your session is gone'
    return `/?notice=${await sealer.seal(text, { purpose: 'notice', ttl: 60 })}`
  },
  '/devices/sign-out': async ({ sessions, request }, form) => {
    const session = await sessions.get(request)
    const mine = session.subject === null ? [] : await sessions.list(session.subject)
    const id = String(form.get('id') ?? '')
    if (mine.some((one) => one.id === id)) await sessions.revoke(id)
    session.flash('notice', 'That device is signed out')
    return '/'
  },
  '/devices/sign-out-everywhere': async ({ sessions, request }) => {
    const session = await sessions.get(request)
    if (session.subject === null) return '/'
    const count = await sessions.revokeAll(session.subject, { except: session.id })
    session.flash('notice', `Signed out ${count} other ${count === 1 ? 'device' : 'devices'}`)
    return '/'
  },
}

/** One request, and where its session lives. */
interface Visit {
  readonly request: Request
  readonly env: Env
  readonly store: StoreName
  readonly snapshot: boolean
  readonly sessions: Sessions<Data>
}

/** Which browser this is, as far as its name tells. */
function deviceOf({ headers }: Request): string {
  const agent = headers.get('user-agent') ?? ''
  const browser = /Edg|Firefox|Chrome|Safari/.exec(agent)?.[0] ?? 'A browser'
  const system = /Windows|Android|iPhone|Mac OS|Linux/.exec(agent)?.[0]
  return system ? `${browser} on ${system}` : browser
}

const redirect = (location: string, cookies: readonly string[] = []): Response =>
  new Response(null, {
    status: 303,
    headers: [
      ['location', location],
      ...cookies.map((one): [string, string] => ['set-cookie', one]),
    ],
  })

// SameSite=Lax keeps other sites from posting these forms with the visitor's cookie.
async function act(visit: Visit, path: string): Promise<Response> {
  const { request, sessions } = visit
  const form = await request.clone().formData()
  const task = tasks[path]
  if (task) return redirect(await task(visit, form))
  const session = await sessions.get(request)
  const notice = actions[path]?.(session, form, request)
  if (notice) session.flash('notice', notice)
  return redirect('/')
}

async function show(visit: Visit): Promise<Response> {
  const { env, request, sessions, store } = visit
  const session = await sessions.get(request)
  const sealed = new URL(request.url).searchParams.get('notice') ?? ''
  const sealer = createSealer({ secret: env.SESSION_SECRET })
  const notice = session.flash('notice') ?? (await sealer.open(sealed, { purpose: 'notice' }))
  const listed = store !== 'cookie' && session.subject !== null && session.status === 'active'
  const page = renderPage({
    session,
    notice,
    cookie: cookieOf(request, store)?.[0] ?? null,
    waiting: request.headers.get('cookie')?.match(/\.d[\w-]{4}=/g)?.length ?? 0,
    requests: observed(),
    store,
    snapshot: visit.snapshot,
    fault: fault(),
    configured: (name) => isConfigured(name, env),
    health: await sessions.health(),
    devices: listed ? await sessions.list(session.subject ?? '').catch(() => []) : [],
  })
  const headers = { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }
  return new Response(page, { headers })
}

/** The session's cookie in a request: all of it, its name, its value. */
function cookieOf(request: Request, store: StoreName): RegExpExecArray | null {
  const name = store === 'cookie' ? 'session' : store
  const pattern = new RegExp(`(?<![\\w-])((?:__Host-)?${name})=([\\w-]+)`)
  return pattern.exec(request.headers.get('cookie') ?? '')
}

/** Spoils one character of the cookie, as somebody would who tries to forge one. */
function tamper(request: Request, store: StoreName): Response {
  const [, cookie, value] = cookieOf(request, store) ?? []
  if (!cookie || !value) return redirect('/')
  const spoiled = value.slice(0, 40) + (value[40] === 'A' ? 'B' : 'A') + value.slice(41)
  const secure = cookie.startsWith('__Host-') ? '; Secure' : ''
  return redirect('/', [`${cookie}=${spoiled}; Path=/; HttpOnly; SameSite=Lax${secure}`])
}

/** The settings of the playground itself: no secret, so a plain cookie. */
function settingsOf(request: Request, env: Env): { store: StoreName; snapshot: boolean } {
  const cookie = request.headers.get('cookie') ?? ''
  const name = (/playground-store=([\w-]+)/.exec(cookie)?.[1] ?? 'cookie') as StoreName
  const store = Object.hasOwn(STORES, name) && isConfigured(name, env) ? name : 'cookie'
  return { store, snapshot: cookie.includes('playground-snapshot=on') }
}

async function configure(path: string, request: Request): Promise<Response> {
  const form = await request.formData()
  const value = String(form.get('value') ?? '')
  if (path === '/fault' && Object.hasOwn(FAULTS, value)) setFault(value as Fault)
  if (path === '/store')
    return redirect('/', [`playground-store=${encodeURIComponent(value)}; Path=/`])
  if (path === '/snapshot')
    return redirect('/', [`playground-snapshot=${value === 'on' ? 'on' : ''}; Path=/`])
  return redirect('/')
}

/** Answers a change that the store refused: another attempt would be refused too. */
function refused(error: unknown): Response {
  if (!(error instanceof StoreError)) throw error
  return new Response(null, { status: 500, headers: { 'cache-control': 'no-store' } })
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url)
    const settings = settingsOf(request, env)
    const isPost = request.method === 'POST'
    if (isPost && ['/fault', '/store', '/snapshot'].includes(pathname)) {
      return configure(pathname, request)
    }
    if (isPost && pathname === '/tamper') return tamper(request, settings.store)
    const isAction = isPost && (Object.hasOwn(actions, pathname) || Object.hasOwn(tasks, pathname))
    if (!isAction && pathname !== '/') return new Response('Not found', { status: 404 })
    const seen = observe(`${request.method} ${pathname}`)
    const sessions = sessionsIn(settings.store, settings.snapshot, env)
    const visit: Visit = { request, env, sessions, ...settings }
    const answer = sessions.handler(() => (isAction ? act(visit, pathname) : show(visit)))
    const response = await answer(request).catch(refused)
    seen.setCookie = response.headers.has('set-cookie')
    seen.status = response.status
    if (response.status < 500) return response
    const headers = new Headers(response.headers)
    headers.set('content-type', 'text/html; charset=utf-8')
    const page = renderError(headers.get('retry-after'))
    return new Response(page, { status: response.status, headers })
  },
}
