import { createFileRoute } from '@tanstack/react-router'
import { session } from '../session.ts'

const seeOther = (location: string) => new Response(null, { status: 303, headers: { location } })

export const Route = createFileRoute('/sign-out')({
  server: {
    middleware: [session],
    handlers: {
      POST: async ({ context }) => {
        const current = await context.session()
        current.destroy()
        return seeOther('/')
      },
    },
  },
})
