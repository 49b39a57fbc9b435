import Link from 'next/link'
import type { ReactNode } from 'react'

export const metadata = { title: 'Sojourn on Next.js' }

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <nav>
          <Link href="/">Shop</Link> <Link href="/account">Account</Link>{' '}
          <Link href="/about">About</Link>
        </nav>
        {children}
      </body>
    </html>
  )
}
