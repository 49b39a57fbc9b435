import { seeOther, withSession } from '../../lib/session.ts'

/** `withSession` does in a route handler too. */
export async function POST() {
  await withSession((session) => session.destroy())
  return seeOther('/')
}
