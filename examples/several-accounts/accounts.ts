/** Several accounts in one browser: a session for each, under a cookie of its own. */
import { createSessions, type Sessions, type SessionsOptions } from 'sojourn'

/** Makes sessions for so many accounts, which share everything but the name of the cookie. */
export function createAccounts(options: SessionsOptions, most = 4) {
  const all = Array.from(
    { length: most },
    (_, i): Sessions =>
      createSessions({ ...options, cookie: { ...options.cookie, name: `__Host-account-${i}` } }),
  )
  /** The sessions of the account that a path is of: `/u/1/inbox`. */
  const of = (request: Request): Sessions | undefined => {
    const [, number = '0'] = /^\/u\/(\d+)(?:\/|$)/.exec(new URL(request.url).pathname) ?? []
    return all[Number(number)]
  }
  /** Who is signed in to each; `null`: nobody. For the page that lets a user choose. */
  const users = (request: Request): Promise<(string | null)[]> =>
    Promise.all(all.map(async (one) => (await one.get(request)).subject))
  /** Signs a user in to the account that is theirs already, or to the first that is free; -1: none is. */
  const signIn = async (request: Request, user: string): Promise<number> => {
    const there = await users(request)
    const number = there.includes(user) ? there.indexOf(user) : there.indexOf(null)
    if (number >= 0) (await all[number]!.get(request)).login(user)
    return number
  }
  /** Commits whichever of them a request used. */
  const handler = (fn: (request: Request) => Response | Promise<Response>) =>
    all.reduce<(request: Request) => Response | Promise<Response>>(
      (inner, one) => one.handler(inner),
      fn,
    )
  return { of, users, signIn, handler }
}
