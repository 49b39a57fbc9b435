/** What a visitor has set: in a cookie, so that every visitor has a playground of their own. */
import { FAULTS, type Fault } from './faults.ts'
import { STORES, type StoreName } from './stores.ts'

/** What a session can be bound to. */
export const BINDINGS = {
  nothing: 'Sessions go anywhere',
  browser: 'Bound to the browser',
  device: 'Bound to a key of the device',
} as const
export type Binding = keyof typeof BINDINGS

export interface Settings {
  /** Of the visitor: their log, their memory store and their secrets. */
  readonly id: string
  readonly store: StoreName
  /** A copy of the data in the cookie, for outages. */
  readonly snapshot: boolean
  /** What a session is bound to. */
  readonly binding: Binding
  readonly fault: Fault
  /** Hours that the clock is ahead. */
  readonly ahead: number
  /** The secrets by number; the first seals, all open. */
  readonly secrets: readonly number[]
  /** Of `resilient`: attempts per call, milliseconds for each, failures that open the breaker, milliseconds for which it opens. */
  readonly attempts: number
  readonly timeoutMs: number
  readonly failures: number
  readonly openMs: number
}

/** The range of each slider: least, most, step. */
export const SLIDERS = {
  attempts: [1, 5, 1],
  timeoutMs: [100, 2000, 100],
  failures: [1, 10, 1],
  openMs: [500, 10_000, 500],
} as const
export type Slider = keyof typeof SLIDERS

const DEFAULTS: Omit<Settings, 'id'> = {
  store: 'memory',
  snapshot: true,
  binding: 'nothing',
  fault: 'healthy',
  ahead: 0,
  secrets: [1],
  attempts: 3,
  timeoutMs: 500,
  failures: 5,
  openMs: 1000,
}

const COOKIE = 'playground'

/** Reads the settings of a request; a new visitor gets an id. */
export function readSettings(request: Request): Settings {
  const cookie = request.headers.get('cookie') ?? ''
  const [, text = ''] = new RegExp(`(?:^|; )${COOKIE}=([^;]*)`).exec(cookie) ?? []
  let settings: Settings = { ...DEFAULTS, id: crypto.randomUUID().slice(0, 8) }
  try {
    const given = Object.entries(JSON.parse(decodeURIComponent(text)))
    const { id, secrets } = Object.fromEntries(given) as Partial<Settings>
    if (/^[\da-f]{8}$/.test(String(id))) settings = { ...settings, id: String(id) }
    if (isSecrets(secrets)) settings = { ...settings, secrets }
    for (const [name, value] of given) settings = change(settings, name, String(value))
  } catch {
    // No cookie, or one that somebody has edited.
  }
  return settings
}

const isSecrets = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length > 0 && value.length < 9 && value.every(Number.isInteger)

/** The `Set-Cookie` value that keeps the settings. They are no secret. */
export const settingsCookie = (settings: Settings): string =>
  `${COOKIE}=${encodeURIComponent(JSON.stringify(settings))}; Path=/; SameSite=Lax; Max-Age=31536000`

/** Changes one setting; what is no value of it changes nothing. */
export function change(settings: Settings, name: string, value: string): Settings {
  if (name === 'store' && Object.hasOwn(STORES, value))
    return { ...settings, store: value as StoreName }
  if (name === 'fault' && Object.hasOwn(FAULTS, value))
    return { ...settings, fault: value as Fault }
  if (name === 'binding' && Object.hasOwn(BINDINGS, value))
    return { ...settings, binding: value as Binding }
  if (name === 'snapshot') return { ...settings, snapshot: value === 'true' }
  if (name === 'ahead') {
    const hours = Number(value)
    return hours >= 0 && hours <= 10_000 ? { ...settings, ahead: hours } : settings
  }
  if (Object.hasOwn(SLIDERS, name)) {
    const [least, most] = SLIDERS[name as Slider]
    const number = Number(value)
    return number >= least && number <= most ? { ...settings, [name]: number } : settings
  }
  return settings
}

/** Adds a secret that seals from now on, or drops all former ones. */
export function rotate(settings: Settings, step: string): Settings {
  const [newest = 1, ...former] = settings.secrets
  if (step === 'drop') return { ...settings, secrets: [newest] }
  return { ...settings, secrets: [newest + 1, newest, ...former].slice(0, 8) }
}
