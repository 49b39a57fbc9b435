/** The session of the request that Next is answering, wherever its code runs. */
import { cookies, headers } from 'next/headers.js'
import { SessionError } from '../errors.ts'
import type { Session, SessionData } from '../session/session.ts'
import type { Sessions } from '../session/sessions.ts'

/** Opens it from the request's headers, with these cookies. */
export async function open<D extends SessionData>(
  sessions: Sessions<D>,
  cookie: string,
): Promise<Session<D>> {
  const sent = new Headers(await headers())
  sent.set('cookie', cookie)
  return await sessions.get(new Request('http://localhost', { headers: sent }))
}

/** Its `Cookie` header as it is now: what an action has set is in it. */
export async function cookieHeader(): Promise<string> {
  try {
    return (await cookies())
      .getAll()
      .filter(({ value }) => value)
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ')
  } catch (error) {
    // Next throws for purposes of its own too.
    if (!String(Object(error).message).includes('outside a request scope')) throw error
    throw new SessionError(
      'There is no request: call getSession() and withSession() in a server component, server action or route handler, not as a module loads',
    )
  }
}
