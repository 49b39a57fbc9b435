import { redirect } from 'react-router'
import { getSession } from '../sessions.server.ts'
import type { Route } from './+types/sign-out.ts'

export async function action({ context }: Route.ActionArgs) {
  const session = await getSession(context)
  session.destroy()
  return redirect('/', 303)
}
