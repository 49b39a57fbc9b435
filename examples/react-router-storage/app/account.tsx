import { data, redirect } from 'react-router'
import { summarize } from '../../story/shop.ts'
import type { Route } from './+types/account.ts'
import { commitSession, getSession } from './sessions.server.ts'

export async function loader({ request }: Route.LoaderArgs) {
  const session = await getSession(request.headers.get('cookie'))
  if (session.sojourn.subject === null) throw redirect('/', 303)
  const summary = summarize(session.sojourn)
  return data(summary, { headers: { 'set-cookie': await commitSession(session) } })
}

export const headers = ({ loaderHeaders }: Route.HeadersArgs) => loaderHeaders

export default function Account({ loaderData }: Route.ComponentProps) {
  return <p>{loaderData}</p>
}
