import { Form } from 'react-router'
import { summarize } from '../../../story/shop.ts'
import { getSession } from '../sessions.server.ts'
import type { Route } from './+types/home.ts'

export async function loader({ context }: Route.LoaderArgs) {
  return summarize(await getSession(context))
}

export default function Home({ loaderData }: Route.ComponentProps) {
  return (
    <main>
      <p>{loaderData}</p>
      <Form method="post" action="/cart">
        <input name="item" required />
        <button type="submit">Add to the cart</button>
      </Form>
      <Form method="post" action="/sign-in">
        <input name="name" required />
        <button type="submit">Sign in</button>
      </Form>
    </main>
  )
}
