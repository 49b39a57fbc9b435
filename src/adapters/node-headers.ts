/** The headers of a Node response, in the form of the Fetch standard. */

import type { OwnHead } from '../transport/response.ts'

/** The head of a response, as Node and Fastify have it. */
export interface NodeHead {
  statusCode: number
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
    return [this.#head.getHeaders()[name.toLowerCase()] ?? []].flat().map(String)
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

  *[Symbol.iterator](): Iterator<[string, string]> {
    for (const [name, value] of Object.entries(this.#head.getHeaders())) {
      const all = [value ?? []].flat().map(String)
      if (name !== 'set-cookie') yield [name, all.join(', ')]
      else for (const one of all) yield [name, one]
    }
  }
}

/** Returns the head as a `Response` has it; marking it changes the head itself. */
export function headResponse(head: NodeHead): Response {
  const status = statusOf(head)
  const headers = new HeadHeaders(head)
  const ok = status >= 200 && status < 300
  // The members that committing reads: to make a `Response`, and to copy it, takes ten times as long.
  const parts: OwnHead & Partial<Response> = { status, ok, body: null, isOwn: true }
  return Object.assign(parts, { headers }) as unknown as Response
}

/** Returns a copy of the head, as a `Response` without a body. */
export function copyHead(head: NodeHead): Response {
  return new Response(null, { status: statusOf(head), headers: [...new HeadHeaders(head)] })
}

function statusOf({ statusCode }: NodeHead): number {
  return statusCode < 200 || statusCode > 599 ? 500 : statusCode
}

/** Sets the headers that differ, so that all others keep the spelling and the type that they have. */
export function setChanged(head: NodeHead, after: Headers): void {
  const before = new HeadHeaders(head)
  for (const [name] of [...before]) if (!after.has(name)) before.delete(name)
  for (const [name, value] of after) {
    if (name !== 'set-cookie' && before.get(name) !== value) before.set(name, value)
  }
  const cookies = after.getSetCookie()
  if (cookies.join('\n') !== before.getSetCookie().join('\n')) head.setHeader('set-cookie', cookies)
}
