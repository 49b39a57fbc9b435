import { redirect } from 'react-router'
import { getSession } from '../sessions.server.ts'
import type { Route } from './+types/sign-in.ts'

export async function action({ request, context }: Route.ActionArgs) {
  const session = await getSession(context)
  const name = String((await request.formData()).get('name'))
  session.login(name)
  session.flash('notice', `Welcome, ${name}`)
  return redirect('/account', 303)
}
