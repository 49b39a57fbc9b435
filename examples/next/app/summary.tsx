import { getSession } from '../lib/session.ts'

/** One line that says what the session is. */
export async function Summary() {
  const session = await getSession()
  const cart = (session.get('cart') ?? []).join(', ')
  const notice = String(session.flash('notice') ?? '')
  const user = session.subject ?? 'nobody'
  return <p id="summary">{`user: ${user}; cart: ${cart}; notice: ${notice}; id: ${session.id}`}</p>
}
