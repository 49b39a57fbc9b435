/** A browser's cookies, as far as the session's own go. */

interface Cookie {
  readonly value: string
  /** Epoch milliseconds. */
  readonly until: number
}

const MAX_BYTES = 4096

export class Jar {
  readonly #cookies: Map<string, Cookie>

  constructor(cookies: Iterable<[string, Cookie]> = []) {
    this.#cookies = new Map(cookies)
  }

  /** A copy, by somebody who sends every cookie for as long as he likes. */
  copy(now: number): Jar {
    const there = [...this.#cookies].filter(([, { until }]) => now < until)
    return new Jar(there.map(([name, { value }]) => [name, { value, until: Infinity }]))
  }

  /** The `Cookie` header; `null` when there is nothing to send. */
  header(now: number): string | null {
    const pairs: string[] = []
    for (const [name, { value, until }] of this.#cookies) {
      if (now < until) pairs.push(`${name}=${value}`)
    }
    return pairs.length > 0 ? pairs.join('; ') : null
  }

  /** The names of the cookies that would be sent. */
  names(now: number): string[] {
    return [...this.#cookies].filter(([, { until }]) => now < until).map(([name]) => name)
  }

  /** The value of a cookie that would be sent. */
  get(name: string, now: number): string | null {
    const cookie = this.#cookies.get(name)
    return cookie && now < cookie.until ? cookie.value : null
  }

  /** Has in the place of its own cookie of a name that of another browser, and sends it for longer than that one would. */
  swap(name: string, other: Jar | null): void {
    const cookie = other === null ? undefined : other.#cookies.get(name)
    if (cookie) this.#cookies.set(name, { ...cookie, until: Infinity })
    else this.#cookies.delete(name)
  }

  take(setCookies: readonly string[], now: number): void {
    for (const header of setCookies) {
      const { name, value, until } = parseSetCookie(header, now)
      // RFC 6265bis, 5.6: a larger one is dropped without a word.
      if (name.length + value.length > MAX_BYTES) continue
      if (until <= now) this.#cookies.delete(name)
      else this.#cookies.set(name, { value, until })
    }
  }
}

/** Name, value and end of a cookie. */
export function parseSetCookie(header: string, now: number): Cookie & { name: string } {
  const [pair = '', ...attributes] = header.split('; ')
  const at = pair.indexOf('=')
  const age = attributes.find((text) => text.startsWith('Max-Age='))?.slice(8)
  const until = age === undefined ? Infinity : now + Number(age) * 1000
  return { name: pair.slice(0, at), value: pair.slice(at + 1), until }
}
