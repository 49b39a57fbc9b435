/**
 * Two browsers in one: the cookies of each are stored in the real one, under names that begin with its letter. The
 * application sees a request of an ordinary browser.
 */

import type { DeviceBrowser } from 'sojourn/testing'

export const BROWSERS = {
  a: {
    name: 'Browser A',
    device: 'Firefox on a laptop',
    agent: 'Mozilla/5.0 (X11; Linux x86_64) Firefox/151.0',
  },
  b: {
    name: 'Browser B',
    device: 'Safari on a phone',
    agent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 27_0) Safari/605.1',
  },
} as const
export type BrowserName = keyof typeof BROWSERS

/** Tells whether it names a browser. */
export const isBrowser = (name: string): name is BrowserName => Object.hasOwn(BROWSERS, name)

/** The cookies of one browser, and the `Set-Cookie` values that the real one is to get. */
export interface Jar {
  readonly name: BrowserName
  readonly cookies: Map<string, string>
  readonly changes: string[]
}

/** Takes the cookies of one browser out of those of the real one. */
export function openJar(name: BrowserName, header: string | null): Jar {
  const cookies = new Map<string, string>()
  for (const pair of header?.split('; ') ?? []) {
    const at = pair.indexOf('=')
    if (pair.startsWith(`${name}~`)) cookies.set(pair.slice(2, at), pair.slice(at + 1))
  }
  return { name, cookies, changes: [] }
}

/** Makes a request of this browser. */
export function requestOf({ cookies, name }: Jar, url: string | URL, init: RequestInit): Request {
  const headers = new Headers({ 'user-agent': BROWSERS[name].agent })
  const cookie = [...cookies].map((pair) => pair.join('=')).join('; ')
  if (cookie) headers.set('cookie', cookie)
  return new Request(url, { ...init, headers })
}

/**
 * Gives a device the cookies of a browser: all of them if it has none yet, else those that were changed from outside. It forgets
 * by itself those whose time is up, on the clock of the visitor.
 */
export function fill({ jar: own }: DeviceBrowser, { cookies }: Jar, origin: string): void {
  const isFresh = own.cookies(origin).length === 0
  const headers = new Headers()
  for (const [name, value] of cookies) {
    const there = own.get(name, origin)
    const isChanged = there !== undefined && there !== value
    if (isFresh || isChanged) headers.append('set-cookie', `${name}=${value}; Path=/; Secure`)
  }
  own.store(new Response(null, { headers }), origin)
}

/** Stores the cookies of a response. */
export function store(jar: Jar, response: Response): void {
  for (const line of response.headers.getSetCookie()) {
    const [, name = '', value = ''] = /^([^=]*)=([^;]*)/.exec(line) ?? []
    if (value) jar.cookies.set(name, value)
    else jar.cookies.delete(name)
    jar.changes.push(`${jar.name}~${line}`)
  }
}

/** Gives a browser the cookies of another one, as a thief has them. */
export function steal(from: Jar, to: Jar): void {
  const headers = new Headers()
  const set = (name: string, value: string, more = ''): void => {
    const secure = name.startsWith('__Host-') ? '; Secure' : ''
    headers.append('set-cookie', `${name}=${value}; Path=/; HttpOnly; SameSite=Lax${secure}${more}`)
  }
  for (const name of to.cookies.keys()) set(name, '', '; Max-Age=0')
  for (const [name, value] of from.cookies) set(name, value)
  store(to, new Response(null, { headers }))
}
