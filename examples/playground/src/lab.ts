/** The playground of one visitor: their settings, their stores, and what happened. */
import { createSessions, type SessionStore, type Sessions, StoreError } from 'sojourn'
import { type ResilientPolicy, resilient } from 'sojourn/resilience'
import { createDeviceBrowser, type DeviceBrowser } from 'sojourn/testing'
import { BROWSERS, type BrowserName, fill, type Jar, requestOf, store } from './jars.ts'
import { countCalls, note, type Observed, observe } from './probe.ts'
import type { Settings } from './settings.ts'
import { createShop, type Data, type Shown } from './shop.ts'
import { createStore } from './stores.ts'
import type { Env } from './worker.ts'

const ORIGIN = 'https://shop.example'

type Fetch = (request: Request) => Promise<Response>

const HOUR_MS = 3_600_000
const MAX_SEEN = 60
const MAX_LABS = 100

/** One visitor. */
export class Lab {
  settings: Settings
  /** The newest request first. */
  readonly seen: Observed[] = []
  /** What the last experiment showed, until it is shown. */
  result: string | null = null
  /** Browsers with keys of their own, which this isolate keeps, for sessions that are bound to them. */
  readonly devices = new Map<BrowserName, DeviceBrowser>()
  /** The step of the tour that comes next. */
  step = 0
  readonly #env: Env
  readonly #stores = new Map<string, SessionStore | undefined>()
  readonly #shops = new Map<string, Fetch>()

  constructor(settings: Settings, env: Env) {
    this.settings = settings
    this.#env = env
  }

  readonly now = (): number => Date.now() + this.settings.ahead * HOUR_MS

  /** Sends a request of one browser to the shop, and stores its cookies. */
  async visit(jar: Jar, method: string, path: string, form?: FormData): Promise<Response> {
    form?.set('device', BROWSERS[jar.name].device)
    const url = new URL(path, ORIGIN)
    const init = { method, ...(form && { body: form }) }
    const send = (request: Request): Promise<Response> => this.#send(jar, request)
    if (this.settings.binding !== 'device') return await send(requestOf(jar, url, init))
    // Registers a key where a response asks for one, and proves it before a request that needs it.
    const device =
      this.devices.get(jar.name) ?? createDeviceBrowser({ origin: ORIGIN, now: this.now })
    this.devices.set(jar.name, device)
    fill(device, jar, ORIGIN)
    return await device.fetch(send, url, init)
  }

  async #send(jar: Jar, request: Request): Promise<Response> {
    const { method, url } = request
    const path = new URL(url).pathname
    const [seen, response] = await observe({ browser: jar.name, method, path }, () =>
      this.#shop()(request).catch(refused),
    )
    seen.breaker = String(this.#store()?.details?.()?.readBreaker ?? 'off')
    store(jar, response)
    if (path === '/session-status') return response
    this.seen.unshift(seen)
    this.seen.length = Math.min(this.seen.length, MAX_SEEN)
    return response
  }

  /** What a browser shows of the shop. */
  async look(jar: Jar, path = '/'): Promise<Shown> {
    return await (await this.visit(jar, 'GET', path)).json()
  }

  /** Figures of the store: its breakers, the retries that are left. */
  details(): Readonly<Record<string, unknown>> {
    return this.#store()?.details?.() ?? {}
  }

  #shop(): Fetch {
    const { binding, secrets, snapshot, store } = this.settings
    const key = JSON.stringify([binding, secrets, snapshot, store, this.#breaker()])
    const shop = this.#shops.get(key) ?? createShop(this.#sessions())
    this.#shops.set(key, shop)
    return shop
  }

  /** Everybody has secrets of their own, so that nobody meets the sessions of another visitor. */
  #sessions(): Sessions<Data> {
    const { binding, id, secrets, snapshot, store: name } = this.settings
    const secretOf = (number: number): string => `${this.#env.SESSION_SECRET} ${id} ${number}`
    const [first = 1, ...former] = secrets
    const kept = this.#store()
    const isInsecure = this.#env.SESSION_INSECURE_COOKIE === '1'
    return createSessions<Data>({
      secret: [secretOf(first), ...former.map(secretOf)],
      now: this.now,
      onEvent: note,
      idleTimeout: 8 * 3600,
      factors: ['passkey'],
      // One for each store, so that changing it is not signing out.
      cookie: isInsecure
        ? { name: `${name}-session`, secure: false }
        : { name: `__Host-${name}-session` },
      ...(kept && { store: kept }),
      ...(kept && snapshot && { snapshot: { maxAge: 0, staleIfError: 600 } }),
      ...(binding === 'browser' && { binding: { userAgent: true } }),
      ...(binding === 'device' && { deviceBound: { enforce: 'always' as const } }),
    })
  }

  /** One for each setting of the breaker, which is fixed when it is made; the retry policy is asked for at each call. */
  #store(): SessionStore | undefined {
    const { store: name } = this.settings
    const key = `${name} ${JSON.stringify(this.#breaker())}`
    if (this.#stores.has(key)) return this.#stores.get(key)
    const fault = () => this.settings.fault
    const plain = this.#stores.has(name)
      ? this.#stores.get(name)
      : createStore(name, this.#env, fault, this.now)
    const policy = (): ResilientPolicy => ({
      attempts: this.settings.attempts,
      attemptTimeoutMs: this.settings.timeoutMs,
      breaker: this.#breaker(),
    })
    this.#stores.set(name, plain)
    this.#stores.set(key, plain && resilient(countCalls(plain), policy))
    return this.#stores.get(key)
  }

  #breaker(): { consecutiveFailures: number; openMs: number } {
    return { consecutiveFailures: this.settings.failures, openMs: this.settings.openMs }
  }
}

/** Answers a change that the store refused: another attempt would be refused too. */
function refused(error: unknown): Response {
  if (!(error instanceof StoreError)) throw error
  return new Response('The store refused', { status: 500 })
}

const labs = new Map<string, Lab>()

/** The playground of a visitor; one that nobody has used for long makes way. */
export function labOf(settings: Settings, env: Env): Lab {
  const lab = labs.get(settings.id) ?? new Lab(settings, env)
  labs.delete(settings.id)
  labs.set(settings.id, lab)
  const [oldest] = labs.keys()
  if (labs.size > MAX_LABS && oldest) labs.delete(oldest)
  lab.settings = settings
  return lab
}

/** The browsers, in the order of the page. */
export const NAMES = Object.keys(BROWSERS) as BrowserName[]
