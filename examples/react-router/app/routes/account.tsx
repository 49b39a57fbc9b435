import { Form, redirect } from 'react-router'
import { summarize } from '../../../story/shop.ts'
import { getSession } from '../sessions.server.ts'
import type { Route } from './+types/account.ts'

export async function loader({ context }: Route.LoaderArgs) {
  const session = await getSession(context)
  if (session.subject === null) throw redirect('/', 303)
  return summarize(session)
}

export default function Account({ loaderData }: Route.ComponentProps) {
  return (
    <main>
      <p>{loaderData}</p>
      <Form method="post" action="/sign-out">
        <button type="submit">Sign out</button>
      </Form>
    </main>
  )
}
