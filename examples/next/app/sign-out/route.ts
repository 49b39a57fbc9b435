import { seeOther, withSession } from '../../lib/session.ts'

export async function POST() {
  return await withSession((session) => {
    session.destroy()
    return seeOther('/')
  })
}
