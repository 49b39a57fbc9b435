import { createFileRoute } from '@tanstack/react-router'
import { session } from '../session.ts'

const seeOther = (location: string) => new Response(null, { status: 303, headers: { location } })

export const Route = createFileRoute('/cart')({
  server: {
    middleware: [session],
    handlers: {
      POST: async ({ context, request }) => {
        const current = await context.session()
        const item = String((await request.formData()).get('item'))
        current.append('cart', item)
        current.flash('notice', `${item} is in your cart`)
        return seeOther('/')
      },
    },
  },
})
