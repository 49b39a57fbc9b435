/** The headers of a Node response, in the form of the Fetch standard. */
import type { OwnHead } from '../transport/response.ts'

/** The head of a response, as Node and Fastify have it. */
export interface NodeHead {
  statusCode: number
  getHeader(name: string): number | string | string[] | undefined
  getHeaders(): Readonly<Record<string, number | string | string[] | undefined>>
  setHeader(name: string, value: string | readonly string[]): unknown
  removeHeader(name: string): void
}

/** The members of `Headers` that reading and marking a response take, on the head itself. */
export class HeadHeaders {
  readonly #head: NodeHead

  constructor(head: NodeHead) {
    this.#head = head
  }

  #all(name: string): string[] {
    const value = this.#head.getHeader(name)
    return Array.isArray(value) ? value : value === undefined ? [] : [String(value)]
  }

  get(name: string): string | null {
    const all = this.#all(name)
    return all.length ? all.join(', ') : null
  }

  getSetCookie(): string[] {
    return this.#all('set-cookie')
  }

  set(name: string, value: string): void {
    this.#head.setHeader(name, value)
  }

  append(name: string, value: string): void {
    const all = [...this.#all(name), value]
    this.#head.setHeader(name, name === 'set-cookie' ? all : all.join(', '))
  }

  delete(name: string): void {
    this.#head.removeHeader(name)
  }

  clear(): void {
    for (const name of Object.keys(this.#head.getHeaders())) this.delete(name)
  }

  /** Sets all of these, beside the cookies that are set already. */
  put(headers: Iterable<[string, string]>): void {
    for (const [name, value] of headers) {
      if (name === 'set-cookie') this.append(name, value)
      else this.set(name, value)
    }
  }

  *[Symbol.iterator](): Iterator<[string, string]> {
    for (const [name, value] of Object.entries(this.#head.getHeaders())) {
      if (name === 'set-cookie') for (const one of this.#all(name)) yield [name, one]
      else yield [name, Array.isArray(value) ? value.join(', ') : String(value)]
    }
  }
}

/** Returns the head as a `Response` has it; marking it changes the head itself. */
export function headResponse(head: NodeHead): Response {
  const { statusCode: code } = head
  const status = code < 200 || code > 599 ? 500 : code
  const headers: unknown = new HeadHeaders(head)
  // The members that committing reads: to make a `Response`, and to copy it, takes ten times as long.
  const parts: OwnHead & Partial<Response> = {
    status,
    headers: headers as Headers,
    body: null,
    isOwn: true,
  }
  return parts as Response
}
