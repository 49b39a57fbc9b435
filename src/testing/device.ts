/** A browser with Device Bound Session Credentials, for tests: a cookie jar, and keys that never leave it. */
import { expectOptions } from '../check.ts'
import { encodeBase64url } from '../crypto/base64url.ts'
import { type CookieJar, type CookieJarOptions, createCookieJar } from './cookie-jar.ts'

type App = (request: Request) => Response | Promise<Response>

/** A session that the browser has bound to one of its keys. */
export interface BoundSession {
  /** The session identifier that the server gave. */
  readonly id: string
  /** Thumbprint of the key (RFC 7638). */
  readonly thumbprint: string
  readonly refreshUrl: string
  /** The names of the cookies that it refreshes. */
  readonly cookies: readonly string[]
  /** The challenge for the next proof, if the server has sent one. */
  readonly challenge: string | undefined
}

/** Something that the browser asked for by itself. */
export interface DeviceRequest {
  readonly path: string
  readonly status: number
  /** The proof that it sent; `null`: none. */
  readonly proof: string | null
}

/** A browser that binds sessions to its device. */
export interface DeviceBrowser {
  /** Its cookies. A copy of them is what a thief gets: `header()` of it, in a jar of another browser. */
  readonly jar: CookieJar
  /** Its bound sessions, by identifier. */
  readonly bound: ReadonlyMap<string, BoundSession>
  /** Everything that it asked for by itself, in order. */
  readonly asked: readonly DeviceRequest[]
  /**
   * Sends a request as the jar does. Before it refreshes the bound cookies that are missing, and afterwards
   * registers a key where the response asks for one.
   */
  fetch(app: App, url?: string | URL, init?: RequestInit): Promise<Response>
  /** Refreshes a bound session now, or all of them. */
  refresh(app: App, id?: string): Promise<void>
  /** Registers a new key, as if `response` had just come. */
  register(app: App, response: Response): Promise<void>
  /**
   * Signs a challenge with the key of a bound session.
   *
   * @throws TypeError when there is no such session.
   */
  prove(id: string, challenge: string): Promise<string>
}

/** Options for {@link createDeviceBrowser}. */
export interface DeviceBrowserOptions extends CookieJarOptions {
  /** The algorithms of its hardware. (default: `['ES256', 'RS256']`) */
  algorithms?: readonly ('ES256' | 'RS256')[]
}

/** Refreshes with one proof after the other before the browser gives up. */
const MAX_TRIES = 3
const KINDS = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  RS256: {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
} as const

type Algorithm = keyof typeof KINDS
interface DeviceKey {
  readonly algorithm: Algorithm
  readonly pair: CryptoKeyPair
  readonly jwk: JsonWebKey
  readonly thumbprint: string
}

const encoder = new TextEncoder()
const jsonText = (value: unknown): string => encodeBase64url(encoder.encode(JSON.stringify(value)))
/** A parameter of a structured field (RFC 9651) that is a text. */
const parameter = (field: string, name: string): string | undefined =>
  new RegExp(`;\\s*${name}="([^"]*)"`).exec(field)?.[1]

async function createKey(algorithm: Algorithm): Promise<DeviceKey> {
  const { subtle } = crypto
  const usages: KeyUsage[] = ['sign', 'verify']
  const pair = (await subtle.generateKey(KINDS[algorithm], false, usages)) as CryptoKeyPair
  const { crv, e, kty, n, x, y } = await subtle.exportKey('jwk', pair.publicKey)
  const jwk = (algorithm === 'ES256' ? { crv, kty, x, y } : { e, kty, n }) as JsonWebKey
  const hash = await subtle.digest('SHA-256', encoder.encode(JSON.stringify(jwk)))
  return { algorithm, pair, jwk, thumbprint: encodeBase64url(new Uint8Array(hash)) }
}

/** Makes a proof (`dbsc+jwt`); with a registration it has the key. */
async function sign(key: DeviceKey, challenge: string, isFirst: boolean): Promise<string> {
  const { algorithm, jwk, pair } = key
  const head = { alg: algorithm, typ: 'dbsc+jwt', ...(isFirst && { jwk }) }
  const signed = `${jsonText(head)}.${jsonText({ jti: challenge })}`
  const bytes = encoder.encode(signed)
  const signature = await crypto.subtle.sign(KINDS[algorithm], pair.privateKey, bytes)
  return `${signed}.${encodeBase64url(new Uint8Array(signature))}`
}

class Browser implements DeviceBrowser {
  readonly jar: CookieJar
  readonly asked: DeviceRequest[] = []
  readonly bound: Map<string, BoundSession> = new Map()
  readonly #algorithms: readonly Algorithm[]
  readonly #keys: Map<string, DeviceKey> = new Map()

  constructor({ algorithms = ['ES256', 'RS256'], ...options }: DeviceBrowserOptions) {
    this.jar = createCookieJar(options)
    this.#algorithms = algorithms
  }

  async fetch(app: App, url?: string | URL, init?: RequestInit): Promise<Response> {
    let skipped: string | null = null
    for (const { cookies, id } of this.bound.values()) {
      const isMissing = cookies.some((name) => this.jar.get(name, url) === undefined)
      if (isMissing) skipped = (await this.#refresh(app, id)) ?? skipped
    }
    const headers = new Headers(init?.headers)
    if (skipped) headers.set('secure-session-skipped', skipped)
    const response = await this.jar.fetch(app, url, { ...init, headers })
    this.#takeChallenges(response)
    await this.register(app, response)
    return response
  }

  async refresh(app: App, id?: string): Promise<void> {
    for (const one of id === undefined ? this.bound.keys() : [id]) await this.#refresh(app, one)
  }

  async register(app: App, response: Response): Promise<void> {
    const field = response.headers.get('secure-session-registration')
    const names = /^\(([^)]*)\)/.exec(field ?? '')?.[1]?.split(' ')
    const algorithm = this.#algorithms.find((one) => names?.includes(one))
    const path = parameter(field ?? '', 'path')
    if (!algorithm || path === undefined) return
    const key = await createKey(algorithm)
    const proof = await sign(key, parameter(field!, 'challenge') ?? '', true)
    const answer = await this.#ask(app, path, proof, {})
    if (answer.ok) await this.#follow(answer, path, key)
  }

  async prove(id: string, challenge: string): Promise<string> {
    const key = this.#keys.get(id)
    if (!key) throw new TypeError('The browser has bound no session of this identifier')
    return sign(key, challenge, false)
  }

  /** Returns why the session was skipped; `null`: it was refreshed, or is bound no more. */
  async #refresh(app: App, id: string): Promise<string | null> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { challenge, refreshUrl } = this.bound.get(id)!
      const proof = challenge === undefined ? null : await this.prove(id, challenge)
      let answer: Response
      try {
        answer = await this.#ask(app, refreshUrl, proof, { 'sec-secure-session-id': `"${id}"` })
      } catch {
        return 'unreachable'
      }
      this.#takeChallenges(answer)
      if (answer.status === 403) continue
      if (answer.status >= 500) return 'server_error'
      if (answer.ok) await this.#follow(answer, refreshUrl, this.#keys.get(id)!, id)
      else this.#forget(id)
      return null
    }
    this.#forget(id)
    return null
  }

  async #ask(
    app: App,
    path: string,
    proof: string | null,
    more: Record<string, string>,
  ): Promise<Response> {
    const headers = { ...more, ...(proof !== null && { 'secure-session-response': proof }) }
    const answer = await this.jar.fetch(app, path, { method: 'POST', headers })
    this.asked.push({ path, status: answer.status, proof })
    return answer
  }
  async #follow(answer: Response, path: string, key: DeviceKey, before?: string): Promise<void> {
    const body = await answer.clone().text()
    // Without instructions everything stays as it is.
    if (!body) return
    const told = JSON.parse(body)
    const id: string = told.session_identifier
    if (told.continue === false || (before !== undefined && id !== before)) {
      if (before !== undefined) this.#forget(before)
      return
    }
    const cookies: string[] = told.credentials.map(({ name }: { name: string }) => name)
    const { thumbprint } = key
    const refreshUrl: string = told.refresh_url ?? path
    this.#keys.set(id, key)
    this.bound.set(id, { id, thumbprint, refreshUrl, cookies, challenge: undefined })
    this.#takeChallenges(answer)
  }

  #takeChallenges({ headers }: Response): void {
    const fields = headers.get('secure-session-challenge') ?? ''
    for (const [field, challenge] of fields.matchAll(/"([^"]*)"(?:;\s*[\w-]+="[^"]*")*/g)) {
      const session = this.bound.get(parameter(field, 'id') ?? '')
      if (session) this.bound.set(session.id, { ...session, challenge })
    }
  }

  #forget(id: string): void {
    this.bound.delete(id)
    this.#keys.delete(id)
  }
}

/**
 * Makes a browser that has Device Bound Session Credentials as Chrome has them: it registers a key when a response asks for
 * one, holds requests while a bound cookie is missing, and refreshes it first. Its scope is its origin. Other browsers are a
 * cookie jar alone.
 *
 * @throws TypeError when `origin` is not a URL.
 *
 * @example
 * const browser = createDeviceBrowser({ now: clock })
 * await browser.fetch(app, '/login', { method: 'POST' })  // registers a key
 * clock.advance(3600)
 * await browser.fetch(app, '/account')                    // refreshes, then asks for the page
 */
export function createDeviceBrowser(options: DeviceBrowserOptions = {}): DeviceBrowser {
  expectOptions('options', options)
  return new Browser(Object(options))
}
