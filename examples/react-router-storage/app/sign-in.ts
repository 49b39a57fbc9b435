import { redirect } from 'react-router'
import type { Route } from './+types/sign-in.ts'
import { commitSession, getSession } from './sessions.server.ts'

export async function action({ request }: Route.ActionArgs) {
  const session = await getSession(request.headers.get('cookie'))
  const name = String((await request.formData()).get('name'))
  session.sojourn.login(name)
  session.flash('notice', `Welcome, ${name}`)
  const headers = { 'set-cookie': await commitSession(session) }
  return redirect('/account', { status: 303, headers })
}
