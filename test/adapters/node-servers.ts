/** Real servers of Node, each with the session middleware, and a client that shows what came over the wire. */
import { request as ask, createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, createServer as createServer2 } from 'node:http2'
import { createRequire } from 'node:module'
import type { AddressInfo, Server } from 'node:net'
import express, { type Express } from 'express'
import { session } from '../../src/adapters/node.ts'
import type { Session, Sessions } from '../../src/index.ts'

// Both come without types.
const require = createRequire(import.meta.url)
const compression = require('compression') as (options: object) => unknown
const express4 = require('express-4') as typeof express

/** A request of Node, of Express and of HTTP/2 alike, once the middleware has run. */
export type Req = IncomingMessage & { session(): Promise<Session> }
export type Handler = (req: Req, res: ServerResponse) => unknown

export interface Answer {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly body: string
  readonly cookies: readonly string[]
}

export interface Running {
  readonly port: number
  get(path: string, options?: { method?: string; cookie?: string }): Promise<Answer>
  close(): Promise<void>
}

/** One way to run `(req, res)` handlers. */
export interface Host {
  readonly name: string
  /** The framework turns errors into answers, and `next(error)` reaches it. */
  readonly hasErrors: boolean
  serve(sessions: Sessions, handler: Handler): Promise<Running>
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

async function close(server: Server): Promise<void> {
  if ('closeAllConnections' in server) (server.closeAllConnections as () => void)()
  await new Promise((resolve) => server.close(resolve))
}

const listOf = (value: string | string[] | undefined): string[] => [value ?? []].flat()

/** Asks with Node's own client, which hides nothing. */
export function get(
  port: number,
  path: string,
  { method = 'GET', cookie = '' } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = cookie ? { cookie } : {}
    const sent = ask(
      { host: '127.0.0.1', port, path, method, headers, agent: false },
      (message) => {
        const chunks: Buffer[] = []
        message.on('data', (chunk) => chunks.push(chunk))
        message.on('error', reject)
        message.on('end', () => {
          const body = Buffer.concat(chunks).toString()
          const { headers: all, statusCode = 0 } = message
          resolve({ status: statusCode, headers: all, body, cookies: listOf(all['set-cookie']) })
        })
      },
    )
    sent.on('error', reject)
    sent.end()
  })
}

async function run(listener: (req: never, res: never) => unknown): Promise<Running> {
  const server = createServer(listener as never)
  const port = await listen(server)
  return { port, get: (path, options) => get(port, path, options), close: () => close(server) }
}

const plain: Host = {
  name: 'http',
  hasErrors: false,
  serve(sessions, handler) {
    const use = session(sessions)
    return run((req: Req, res: ServerResponse) => {
      use(req, res)
      Promise.resolve(handler(req, res)).catch(() => {
        res.statusCode = 500
        res.end('sorry')
      })
    })
  },
}

/** Asks over HTTP/2, without TLS. */
function get2(port: number, path: string, { method = 'GET', cookie = '' } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const client = connect(`http://127.0.0.1:${port}`)
    client.on('error', reject)
    const stream = client.request({ ':path': path, ':method': method, ...(cookie && { cookie }) })
    let head: Record<string, string | string[] | undefined> = {}
    let body = ''
    stream.setEncoding('utf8')
    stream.on('response', (headers) => {
      head = headers as typeof head
    })
    stream.on('data', (chunk) => {
      body += chunk
    })
    stream.on('error', reject)
    stream.on('end', () => {
      client.close()
      const cookies = listOf(head['set-cookie'])
      resolve({ status: Number(head[':status']), headers: head, body, cookies })
    })
    stream.end()
  })
}

const http2: Host = {
  name: 'http2',
  hasErrors: false,
  async serve(sessions, handler) {
    const use = session(sessions)
    const server = createServer2((req, res) => {
      use(req, res)
      Promise.resolve(handler(req as unknown as Req, res as unknown as ServerResponse)).catch(
        () => {
          res.statusCode = 500
          res.end('sorry')
        },
      )
    })
    const port = await listen(server as unknown as Server)
    return {
      port,
      get: (path, options) => get2(port, path, options),
      close: () => close(server as unknown as Server),
    }
  },
}

/** Express, with middlewares before and after the session's. */
function expressHost(
  name: string,
  create: () => Express,
  before: readonly unknown[] = [],
  after: readonly unknown[] = [],
): Host {
  return {
    name,
    hasErrors: true,
    serve(sessions, handler) {
      const app = create()
      for (const one of [...before, session(sessions), ...after]) app.use(one as never)
      // Express 4 does not look at promises.
      app.use((req, res, next) => {
        Promise.resolve(handler(req as unknown as Req, res)).catch(next)
      })
      return run(app as never)
    },
  }
}

const squeeze = compression({ threshold: 0 })

export const hosts: readonly Host[] = [
  plain,
  http2,
  expressHost('Express 5', express),
  expressHost('Express 4', express4),
  expressHost('Express 5 behind compression', express, [squeeze]),
  expressHost('Express 5 before compression', express, [], [squeeze]),
]
