/** The option `deviceBound` of an instance, with its defaults, and the bound cookie. */
import { BoundedMap } from '../bounded-map.ts'
import {
  applyRules,
  type Complete,
  integerRule,
  isToken,
  type Rule,
  refuseUnless,
  wordRule,
} from '../check.ts'
import type { DeviceBoundOptions } from '../options.ts'
import type { Instance } from '../session/instance.ts'
import { perInstance } from '../session/instances.ts'
import { type CookieFound, createSessionCookie, type SessionCookie } from '../transport/cookie.ts'
import type { BoundCookie } from './tokens.ts'

/** A path, without dots that a URL would resolve. */
const PATH = /^(?:\/(?!\.\.?(?:\/|$))[\w.~-]+)+$/

/** The rules of {@link DeviceBoundOptions}. */
const RULES: Record<string, Rule> = {
  cookie: [undefined, 'a token', isToken],
  maxAge: integerRule(600, 300, 86_400),
  path: ['/device-bound', 'a path such as "/device-bound"', (value: string) => PATH.test(value)],
  algorithms: [
    ['ES256', 'RS256'],
    'a list of ES256 and RS256',
    (value: unknown) =>
      Array.isArray(value) && !!value[0] && value.every((one) => /^[ER]S256$/.test(one)),
  ],
  enforce: wordRule('guard', 'writes', 'always'),
}

export interface Settings extends Complete<Omit<DeviceBoundOptions, 'cookie'>> {
  readonly cookie: SessionCookie
  /** The attributes of the bound cookie, as session instructions spell them. */
  readonly attributes: string
  /** Bound cookies that this isolate has opened. */
  readonly known: BoundedMap<string, BoundCookie>
}

/** A request that has no bound cookie. */
export const NO_COOKIES: CookieFound = {
  tokens: [],
  chunks: [],
  notes: [],
  deferred: [],
  budget: { newHours: 0 },
}

export const settingsOf: (instance: Instance) => Settings = perInstance((instance) => {
  const { cache, cookie: session, deviceBound } = instance.options
  const given = deviceBound === true ? {} : deviceBound
  const { cookie: name, ...rest } = applyRules<Settings & { cookie?: string }>(
    'deviceBound.',
    RULES,
    given,
  )
  const sessionName = instance.cookie.name
  // What is beside the session cookie already has its name, a point, and more.
  const isOwn = name !== sessionName && !name?.startsWith(`${sessionName}.`)
  refuseUnless(isOwn, 'deviceBound.cookie', 'another name than that of the session cookie', name)
  const cookie = createSessionCookie({
    ...session,
    name: name ?? `${sessionName}-bound`,
    maxChunks: 1,
  })
  const [, attributes = ''] = cookie.remove(NO_COOKIES)[0]!.split('Max-Age=0; ')
  return { ...rest, cookie, attributes, known: new BoundedMap(cache.maxEntries) }
})

/** Returns what a browser asks for by itself; nothing for a request that is for the application. */
export function taskOf(
  { path }: Settings,
  { method, url }: Request,
): 'register' | 'refresh' | undefined {
  // Deno and Bun hand on a `Host` that is none.
  if (method !== 'POST' || !URL.canParse(url)) return undefined
  const { pathname } = new URL(url)
  const tasks = ['register', 'refresh'] as const
  return tasks.find((task) => pathname === `${path}/${task}`)
}
