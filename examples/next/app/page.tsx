import { Suspense } from 'react'
import { getSession } from '../lib/session.ts'
import { addItem, signIn } from './actions.ts'
import { Summary } from './summary.tsx'

/** Reads the session too, beside the summary and later: the store is asked once. */
async function Count() {
  await new Promise((resolve) => setTimeout(resolve, 50))
  const { length } = (await getSession()).get('cart') ?? []
  return <p id="count">{`${length} in your cart`}</p>
}

export default function Home() {
  return (
    <main>
      <Summary />
      <Suspense fallback={<p>Counting…</p>}>
        <Count />
      </Suspense>
      <form action={addItem}>
        <input name="item" aria-label="Item" required />
        <button type="submit">Add</button>
      </form>
      <form action={signIn}>
        <input name="name" aria-label="Name" required />
        <button type="submit">Sign in</button>
      </form>
      <form action="/sign-out" method="post">
        <button type="submit">Sign out</button>
      </form>
    </main>
  )
}
