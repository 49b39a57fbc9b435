/** What the examples have in common: a shop, with a cart, a notice and an account. */
import type { Session, Sessions } from 'sojourn'
import { requireSession } from 'sojourn/guard'

export interface Shop {
  cart: string[]
}

/** One line that says what the session is. Reads the notice, and so consumes it. */
export function summarize(session: Session<Shop>): string {
  const cart = session.get('cart') ?? []
  const notice = session.flash('notice') ?? ''
  return `user: ${session.subject ?? 'nobody'}; cart: ${cart.join(', ')}; notice: ${notice}; id: ${session.id}`
}

const seeOther = (location: string) => new Response(null, { status: 303, headers: { location } })

/** The shop for every runtime that calls a function with a `Request`. */
export function createShop(sessions: Sessions<Shop>): (request: Request) => Promise<Response> {
  const guard = requireSession(sessions, { onMissing: '/' })
  return async (request) => {
    const { pathname } = new URL(request.url)
    const session = await sessions.get(request)
    switch (`${request.method} ${pathname}`) {
      case 'GET /':
        return new Response(summarize(session))
      case 'GET /account':
        return (await guard(request)) ?? new Response(summarize(session))
      case 'POST /cart': {
        const item = String((await request.formData()).get('item'))
        session.update('cart', (cart = []) => [...cart, item])
        session.flash('notice', `${item} is in your cart`)
        return seeOther('/')
      }
      case 'POST /sign-in': {
        const name = String((await request.formData()).get('name'))
        session.login(name)
        session.flash('notice', `Welcome, ${name}`)
        return seeOther('/account')
      }
      case 'POST /sign-out':
        session.destroy()
        return seeOther('/')
      default:
        return new Response('Not found', { status: 404 })
    }
  }
}
