/** An application with device-bound sessions, a browser that binds them, and thieves. */
import type { SessionsOptions } from '../../src/index.ts'
import type { DeviceBoundOptions } from '../../src/options.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import {
  type Clock,
  type CookieJar,
  createClock,
  createCookieJar,
  createDeviceBrowser,
} from '../../src/testing/index.ts'
import { createWorld } from '../support/sessions.ts'

export const REGISTER = '/device-bound/register'
export const REFRESH = '/device-bound/refresh'
export const SESSION = '__Host-session'
export const BOUND = '__Host-session-bound'

/** The session as a request saw it. */
export interface Seen {
  status: string
  subject: string | null
  bound: boolean | null
  id: string
}

/** Makes the application. Its pages do what their path says. */
export function createBoundWorld(
  deviceBound: true | DeviceBoundOptions = true,
  options: Partial<SessionsOptions> = {},
  clock: Clock = createClock(),
) {
  const store = createMemoryStore({ now: clock })
  const world = createWorld({ store, deviceBound, ...options }, clock)
  const { sessions } = world
  const app = sessions.handler(async (request) => {
    const session = await sessions.get(request)
    const { pathname, searchParams } = new URL(request.url)
    const { bound, id, status, subject } = session
    if (pathname === '/login') session.login(searchParams.get('as') ?? 'ada')
    if (pathname === '/regenerate') session.regenerate()
    if (pathname === '/logout') session.destroy()
    if (pathname === '/bind') session.bind()
    if (pathname === '/write') session.set('n', 1)
    return Response.json({ bound, id, status, subject } satisfies Seen)
  })
  const browser = createDeviceBrowser({ now: clock })
  const seenBy = async (response: Response): Promise<Seen> => response.json()
  /** What the browser sees of a page. */
  const see = async (path = '/', init?: RequestInit): Promise<Seen> =>
    seenBy(await browser.fetch(app, path, init))
  /** Copies the cookies of the browser, and nothing else, into another one. */
  const steal = (from: CookieJar = browser.jar): CookieJar => {
    const jar = createCookieJar({ now: clock })
    const headers = new Headers()
    // A thief keeps them for ever.
    for (const { name, value } of from.cookies())
      headers.append('set-cookie', `${name}=${value}; Path=/; Secure; Max-Age=999999`)
    jar.store(new Response(null, { headers }))
    return jar
  }
  /** What a browser without keys sees of a page. */
  const seeWith = async (jar: CookieJar, path = '/', init?: RequestInit): Promise<Seen> =>
    seenBy(await jar.fetch(app, path, init))
  const paths = (): string[] => browser.asked.map(({ path, status }) => `${status} ${path}`)
  /** The reasons of refusals, in order. */
  const refusals = (): string[] =>
    world.events.flatMap((event) => (event.type === 'device.refused' ? [event.reason] : []))
  const post = (jar: CookieJar, path: string, headers: Record<string, string>) =>
    jar.fetch(app, path, { method: 'POST', headers })
  /** The one bound session of the browser. */
  const only = () => [...browser.bound.values()][0]!
  return { ...world, app, browser, only, paths, post, refusals, see, seeWith, steal, store }
}

/** Reads the challenge in a header. */
export const challengeIn = (response: Response, name: string): string | undefined => {
  const header = response.headers.get(`secure-session-${name}`) ?? ''
  return /(?:^|challenge=)"([^"]*)"/.exec(header)?.[1]
}
