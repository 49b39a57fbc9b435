import { Form } from 'react-router'
import { summarize } from '../../../story/shop.ts'
import { getSession, guard } from '../sessions.server.ts'
import type { Route } from './+types/account.ts'

export const middleware: Route.MiddlewareFunction[] = [
  async ({ request }) => {
    const refusal = await guard(request)
    if (refusal) throw refusal
  },
]

export async function loader({ context }: Route.LoaderArgs) {
  return summarize(await getSession(context))
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
