/** The playground: sign in, fill a cart, and see what Sojourn did for it. */
import { createSessions, type Session, type Sessions } from 'sojourn'
import { renderPage } from './page.ts'
import { note, observe, observed } from './probe.ts'

/** What `.dev.vars` sets. */
interface Env {
  SESSION_SECRET: string
  /** `1` for browsers that refuse `Secure` cookies on http://localhost, such as Safari. */
  SESSION_INSECURE_COOKIE?: string
}

/** What the playground keeps in a session. */
export interface Data {
  cart: readonly string[]
  count: number
}

type Action = (session: Session<Data>, form: FormData) => string

const actions: Record<string, Action> = {
  '/sign-in': (session, form) => {
    const name = String(form.get('name') ?? '')
      .trim()
      .slice(0, 40)
    if (!name) return 'Type a name first'
    session.login(name, { persistent: form.has('remember') })
    return `Welcome, ${name}. Your session has a new id, and your cart is still here`
  },
  '/sign-out': (session) => {
    session.destroy()
    return ''
  },
  '/cart/add': (session, form) => {
    const item = String(form.get('item') ?? '').slice(0, 40)
    session.update('cart', (cart = []) => [...cart, item])
    return `${item} is in your cart`
  },
  '/cart/remove': (session, form) => {
    const at = Number(form.get('at'))
    session.update('cart', (cart = []) => cart.filter((_, i) => i !== at))
    return 'Removed from your cart'
  },
  '/count': (session) => {
    session.update('count', (n = 0) => n + 1)
    return `Counted to ${session.get('count')}`
  },
  '/regenerate': (session) => {
    session.regenerate()
    return 'Same session, new id: the old one is dead'
  },
}

let sessions: Sessions<Data> | undefined

function sessionsOf(env: Env): Sessions<Data> {
  sessions ??= createSessions<Data>({
    secret: env.SESSION_SECRET,
    onEvent: note,
    ...(env.SESSION_INSECURE_COOKIE === '1' ? { cookie: { name: 'session', secure: false } } : {}),
  })
  return sessions
}

// SameSite=Lax keeps other sites from posting these forms with the visitor's cookie.
async function act(current: Sessions<Data>, request: Request, action: Action): Promise<Response> {
  const session = await current.get(request)
  const notice = action(session, await request.formData())
  if (notice) session.flash('notice', notice)
  return new Response(null, { status: 303, headers: { location: '/' } })
}

async function show(current: Sessions<Data>, request: Request): Promise<Response> {
  const session = await current.get(request)
  const page = renderPage(
    session,
    session.flash('notice'),
    request.headers.get('cookie'),
    observed(),
  )
  const headers = { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }
  return new Response(page, { headers })
}

/** Spoils one character of the cookie, as somebody would who tries to forge one. */
function tamper(request: Request): Response {
  const headers = new Headers({ location: '/' })
  const [, name, value] =
    /((?:__Host-)?session)=([\w-]+)/.exec(request.headers.get('cookie') ?? '') ?? []
  if (name && value) {
    const spoiled = value.slice(0, 40) + (value[40] === 'A' ? 'B' : 'A') + value.slice(41)
    const secure = name.startsWith('__Host-') ? '; Secure' : ''
    headers.append('set-cookie', `${name}=${spoiled}; Path=/; HttpOnly; SameSite=Lax${secure}`)
  }
  return new Response(null, { status: 303, headers })
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url)
    const action = request.method === 'POST' ? actions[pathname] : undefined
    if (request.method === 'POST' && pathname === '/tamper') return tamper(request)
    if (!action && pathname !== '/') return new Response('Not found', { status: 404 })
    const seen = observe(`${request.method} ${pathname}`)
    const current = sessionsOf(env)
    const handle = current.handler((r) => (action ? act(current, r, action) : show(current, r)))
    const response = await handle(request)
    seen.setCookie = response.headers.has('set-cookie')
    return response
  },
}
