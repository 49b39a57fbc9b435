import { redirect } from 'next/navigation'
import { getSession } from '../../lib/session.ts'
import { Summary } from '../summary.tsx'

/** For who is signed in. It asks itself: the proxy turns others away, but a matcher may miss. */
export default async function Account() {
  if ((await getSession()).subject === null) redirect('/')
  return (
    <main>
      <h1>Account</h1>
      <Summary />
    </main>
  )
}
