import { data } from 'react-router'
import { summarize } from '../../story/shop.ts'
import type { Route } from './+types/home.ts'
import { commitSession, getSession } from './sessions.server.ts'

export async function loader({ request }: Route.LoaderArgs) {
  const session = await getSession(request.headers.get('cookie'))
  const summary = summarize(session.sojourn)
  return data(summary, { headers: { 'set-cookie': await commitSession(session) } })
}

// A page sends the headers of its loader only when told to.
export const headers = ({ loaderHeaders }: Route.HeadersArgs) => loaderHeaders

export default function Home({ loaderData }: Route.ComponentProps) {
  return <p>{loaderData}</p>
}
