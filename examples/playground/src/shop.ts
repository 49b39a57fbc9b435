/** The application: a shop with a cart, as anybody would write it with Sojourn. The playground around it is its two browsers. */
import type { Session, SessionInfo, Sessions } from 'sojourn'
import { deviceOf } from 'sojourn/device-bound'
import { requireSession } from 'sojourn/guard'

/** What the shop keeps in a session. */
export interface Data {
  cart: readonly string[]
  count: number
}

/** What a page of the shop shows. */
export interface Shown {
  readonly status: Session['status']
  /** The store could not be asked: nobody knows who this is. */
  readonly isUnknown: boolean
  readonly subject: string | null
  readonly actor: string | null
  /** Epoch milliseconds of the last proof, by factor. */
  readonly factors: Readonly<Record<string, number>>
  readonly data: Partial<Data>
  readonly notice: string | null
  readonly id: string
  readonly rotationId: string
  readonly expiresAt: number
  /** Thumbprint of the key that the session is bound to; `null`: of none. */
  readonly key: string | null
  readonly devices: readonly SessionInfo[]
}

const STAFF = 'support:sam'

/** Changes the session and says what it did. */
type Action = (session: Session<Data>, form: FormData, sessions: Sessions<Data>) => Promise<string>

const actions: Record<string, Action> = {
  '/sign-in': async (session, form) => {
    const name = textOf(form, 'name')
    if (!name) return 'Type a name first.'
    session.login(name, { persistent: form.has('remember'), label: textOf(form, 'device') })
    return `Welcome, ${name}. New credential, and the cart is still here.`
  },
  '/act-as': async (session, form) => {
    const name = textOf(form, 'name')
    session.login(name, {
      actor: STAFF,
      label: 'Support',
      absoluteTimeout: 1800,
      idleTimeout: 1800,
    })
    return `You act for ${name}, for half an hour. ${name} sees it in the list of devices.`
  },
  '/prove': async (session) => {
    session.elevate('passkey')
    return 'Passkey proven: it counts for five minutes.'
  },
  '/account/e-mail': async () => 'E-mail address changed: the passkey was proven lately enough.',
  '/cart/add': async (session, form) => {
    const item = textOf(form, 'item')
    session.append('cart', item)
    return `${item} is in the cart.`
  },
  '/cart/remove': async (session, form) => {
    const at = Number(form.get('at'))
    session.update('cart', (cart = []) => cart.filter((_, i) => i !== at))
    return 'Removed from the cart.'
  },
  '/count': async (session) => {
    session.increment('count')
    return `Counted to ${session.get('count')}.`
  },
  '/regenerate': async (session) => {
    session.regenerate()
    return 'Same session, new credential: a copy of the former cookie opens nothing.'
  },
  '/devices/sign-out': async (session, form, sessions) => {
    await sessions.revoke(textOf(form, 'id'), { subject: session })
    return 'That device is signed out.'
  },
  '/devices/sign-out-others': async (session, _, sessions) => {
    const count = await sessions.revokeAll(session, { except: session.id })
    return `Signed out ${count} other ${count === 1 ? 'device' : 'devices'}.`
  },
}

const textOf = (form: FormData, name: string): string =>
  String(form.get(name) ?? '')
    .trim()
    .slice(0, 40)

const redirect = (location: string): Response =>
  new Response(null, { status: 303, headers: { location } })

/** Makes the shop: a fetch handler. Its pages are JSON, which the playground draws. */
export function createShop(sessions: Sessions<Data>): (request: Request) => Promise<Response> {
  const status = sessions.statusHandler()
  const guard = requireSession<Data>(sessions, { factors: { passkey: 300 }, actor: false })
  return sessions.handler(async (request) => {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname === '/session-status') return status(request)
    const session = await sessions.get(request)
    if (request.method === 'GET') return Response.json(await show(session, sessions, searchParams))
    if (pathname.startsWith('/account/')) {
      const refusal = await guard(request)
      if (refusal) return refusal
    }
    if (pathname === '/sign-out') {
      session.destroy({ clear: ['cache'] })
      // A session that has ended carries no message.
      return redirect('/?bye')
    }
    const form = await request.formData()
    const notice = await actions[pathname]?.(session, form, sessions)
    if (notice === undefined) return new Response('Not found', { status: 404 })
    session.flash('notice', notice)
    return redirect('/')
  })
}

async function show(
  session: Session<Data>,
  sessions: Sessions<Data>,
  search: URLSearchParams,
): Promise<Shown> {
  const { actor, data, expiresAt, factors, id, rotationId, status, subject } = session
  const notice = search.has('bye')
    ? 'Signed out, and the session is gone.'
    : session.flash('notice')
  const isListed = subject !== null && status === 'active'
  return {
    status,
    isUnknown: status === 'degraded' && subject === null && !Object.keys(data).length,
    subject,
    actor,
    factors,
    data,
    notice: typeof notice === 'string' ? notice : null,
    id,
    rotationId,
    expiresAt,
    key: deviceOf(session)?.thumbprint ?? null,
    // Without a store there is no list, and while it is down neither.
    devices: isListed ? await sessions.list(subject).catch(() => []) : [],
  }
}
