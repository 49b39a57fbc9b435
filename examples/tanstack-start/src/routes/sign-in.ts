import { createFileRoute } from '@tanstack/react-router'
import { session } from '../session.ts'

const seeOther = (location: string) => new Response(null, { status: 303, headers: { location } })

export const Route = createFileRoute('/sign-in')({
  server: {
    middleware: [session],
    handlers: {
      POST: async ({ context, request }) => {
        const current = await context.session()
        const name = String((await request.formData()).get('name'))
        current.login(name)
        current.flash('notice', `Welcome, ${name}`)
        return seeOther('/account')
      },
    },
  },
})
