import { requireUser } from '../../lib/session.ts'
import { Summary } from '../summary.tsx'

/** For who is signed in; others are sent home. */
export default async function Account() {
  await requireUser()
  return (
    <main>
      <h1>Account</h1>
      <Summary />
    </main>
  )
}
