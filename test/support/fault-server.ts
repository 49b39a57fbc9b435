/** Stands in front of the bridge and does to requests and answers what networks and servers do. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

/** What becomes of one request. */
export type HttpFault =
  | { type: 'pass' }
  /** The connection is closed without a byte. */
  | { type: 'refuse' }
  /** Nothing comes back; `applied`: after the request took effect. */
  | { type: 'hang'; applied?: boolean }
  /** Headers come, the body does not end: one byte every `everyMs`. */
  | { type: 'slow-body'; everyMs: number }
  /** Half of the body, then the connection is closed. */
  | { type: 'cut-body' }
  /** Half of the body, properly ended: JSON that is not whole. */
  | { type: 'half-json' }
  /** A status with these headers and this body. */
  | { type: 'status'; status: number; headers?: Record<string, string>; body?: string }
  /** This body under 200. */
  | { type: 'body'; body: string; contentType?: string }
  /** This many bytes under 200. */
  | { type: 'oversize'; bytes: number }
  /** Takes effect, then the connection is closed. */
  | { type: 'lost-answer' }
  /** Takes effect twice; the second answer comes back. */
  | { type: 'duplicate' }
  /** Answered with 504 at once, takes effect when `release` is called. */
  | { type: 'reorder' }

export interface FaultServer {
  readonly url: string
  /** Requests so far. */
  readonly count: number
  /** One fault for each of the next requests. */
  inject(...faults: readonly HttpFault[]): void
  /** Every further request, until `up`. */
  down(fault: HttpFault): void
  up(): void
  /** Sends what `reorder` held back. */
  release(): Promise<void>
  close(): Promise<void>
}

interface Held {
  readonly request: IncomingMessage
  readonly body: string
}

interface Answer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: string
}

export async function startFaultServer(target: string): Promise<FaultServer> {
  const planned: HttpFault[] = []
  const held: Held[] = []
  const timers = new Set<NodeJS.Timeout>()
  let standing: HttpFault = { type: 'pass' }
  let count = 0

  async function forward({ request, body }: Held): Promise<Answer> {
    const { host: _, 'content-length': __, connection: ___, ...headers } = request.headers
    const response = await fetch(`${target}${request.url === '/' ? '' : request.url}`, {
      method: request.method ?? 'POST',
      headers: headers as Record<string, string>,
      body,
    })
    const kept = ['content-type', 'upstash-sync-token']
    const entries = [...response.headers].filter(([name]) => kept.includes(name))
    return {
      status: response.status,
      headers: Object.fromEntries(entries),
      body: await response.text(),
    }
  }

  function reply(response: ServerResponse, answer: Answer): void {
    response.writeHead(answer.status, answer.headers)
    response.end(answer.body)
  }

  const json = { 'content-type': 'application/json' }

  async function act(fault: HttpFault, one: Held, response: ServerResponse): Promise<void> {
    switch (fault.type) {
      case 'pass':
        return reply(response, await forward(one))
      case 'refuse':
        return void response.destroy()
      case 'hang':
        if (fault.applied) await forward(one)
        return
      case 'slow-body': {
        response.writeHead(200, json)
        const timer = setInterval(() => response.write(' '), fault.everyMs)
        timers.add(timer)
        response.on('close', () => clearInterval(timer))
        return
      }
      case 'cut-body': {
        const { body } = await forward(one)
        response.writeHead(200, { ...json, 'content-length': String(body.length) })
        response.write(body.slice(0, body.length / 2), () => response.destroy())
        return
      }
      case 'half-json': {
        const answer = await forward(one)
        return reply(response, { ...answer, body: answer.body.slice(0, answer.body.length / 2) })
      }
      case 'status': {
        const { status, headers = {}, body = '{"error":"fault"}' } = fault
        return reply(response, { status, headers: { ...json, ...headers }, body })
      }
      case 'body': {
        const { body, contentType = 'application/json' } = fault
        return reply(response, { status: 200, headers: { 'content-type': contentType }, body })
      }
      case 'oversize': {
        const body = `{"result":"${'x'.repeat(fault.bytes)}"}`
        return reply(response, { status: 200, headers: json, body })
      }
      case 'lost-answer':
        await forward(one)
        return void response.destroy()
      case 'duplicate':
        await forward(one)
        return reply(response, await forward(one))
      case 'reorder':
        held.push(one)
        return reply(response, { status: 504, headers: json, body: '{"error":"timeout"}' })
    }
  }

  const server = createServer((request, response) => {
    count++
    const fault = planned.shift() ?? standing
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const one = { request, body: Buffer.concat(chunks).toString() }
      act(fault, one, response).catch(() => response.destroy())
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${port}`,
    get count() {
      return count
    },
    inject: (...faults) => void planned.push(...faults),
    down(fault) {
      standing = fault
    },
    up() {
      standing = { type: 'pass' }
      planned.length = 0
    },
    async release(): Promise<void> {
      for (const one of held.splice(0)) await forward(one)
    },
    async close(): Promise<void> {
      for (const timer of timers) clearInterval(timer)
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
