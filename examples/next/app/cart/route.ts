import { seeOther, withSession } from '../../lib/session.ts'

export async function POST(request: Request) {
  return await withSession(async (session) => {
    const item = String((await request.formData()).get('item'))
    session.update('cart', (cart = []) => [...cart, item])
    session.flash('notice', `${item} is in your cart`)
    return seeOther('/')
  })
}
