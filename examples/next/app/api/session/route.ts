import { getSession, withSession } from '../../../lib/session.ts'

/** Reads in a route handler, and says what becomes of writing there. */
export async function GET() {
  const session = await getSession()
  try {
    // @ts-expect-error The session is read-only here.
    session.set('cart', [])
  } catch (error) {
    return Response.json({ user: session.subject, error: (error as Error).message })
  }
  return new Response('It was not refused', { status: 500 })
}

/** Empties the cart: `withSession` writes in a route handler as in an action. */
export async function DELETE() {
  await withSession((session) => session.unset('cart'))
  return new Response(null, { status: 204 })
}
