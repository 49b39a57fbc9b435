import { redirect } from 'react-router'
import type { Route } from './+types/sign-out.ts'
import { destroySession, getSession } from './sessions.server.ts'

export async function action({ request }: Route.ActionArgs) {
  const session = await getSession(request.headers.get('cookie'))
  return redirect('/', { status: 303, headers: { 'set-cookie': await destroySession(session) } })
}
