import { Summary } from '../summary.tsx'

/** For who is signed in; the proxy turns everybody else away. */
export default function Account() {
  return (
    <main>
      <h1>Account</h1>
      <Summary />
    </main>
  )
}
