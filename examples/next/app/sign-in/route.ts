import { seeOther, withSession } from '../../lib/session.ts'

export async function POST(request: Request) {
  const name = String((await request.formData()).get('name'))
  return await withSession((session) => {
    session.login(name)
    session.flash('notice', `Welcome, ${name}`)
    return seeOther('/account')
  })
}
