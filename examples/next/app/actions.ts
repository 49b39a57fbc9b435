'use server'
import { redirect } from 'next/navigation'
import { withSession } from '../lib/session.ts'

/** Stays on the page, which shows at once what was written. */
export async function addItem(form: FormData) {
  const item = String(form.get('item'))
  await withSession((session) => {
    session.update('cart', (cart = []) => [...cart, item])
    session.flash('notice', `${item} is in your cart`)
  })
}

export async function signIn(form: FormData) {
  const name = String(form.get('name'))
  await withSession((session) => {
    session.login(name)
    session.flash('notice', `Welcome, ${name}`)
  })
  redirect('/account')
}
