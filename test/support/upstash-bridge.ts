/** Speaks Upstash's REST protocol in front of a real redis-server, for tests. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'

export const TOKEN = 'token-canary-7d1f'

type Reply = string | number | null | RedisError | Reply[]

class RedisError {
  readonly message: string

  constructor(message: string) {
    this.message = message
  }
}

/** Reads one RESP2 reply at `at`; `undefined` when it is not complete yet. */
function parse(data: Buffer, at: number): { reply: Reply; end: number } | undefined {
  const line = data.indexOf('\r\n', at)
  if (line < 0) return undefined
  const text = data.toString('utf8', at + 1, line)
  const start = line + 2
  switch (data[at]) {
    case 43:
      return { reply: text, end: start }
    case 45:
      return { reply: new RedisError(text), end: start }
    case 58:
      return { reply: Number(text), end: start }
    case 36: {
      const length = Number(text)
      if (length < 0) return { reply: null, end: start }
      if (data.length < start + length + 2) return undefined
      return { reply: data.toString('utf8', start, start + length), end: start + length + 2 }
    }
    default: {
      if (Number(text) < 0) return { reply: null, end: start }
      const items: Reply[] = []
      let end = start
      for (let i = 0; i < Number(text); i++) {
        const item = parse(data, end)
        if (!item) return undefined
        items.push(item.reply)
        end = item.end
      }
      return { reply: items, end }
    }
  }
}

/** One connection; replies come in the order of the commands. */
function createClient(port: number) {
  let socket: Socket | undefined
  let data: Buffer = Buffer.alloc(0)
  const waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void }[] = []

  function lost(): void {
    socket = undefined
    data = Buffer.alloc(0)
    for (const { reject } of waiting.splice(0)) reject(new Error('Redis is down'))
  }

  function open(): Socket {
    if (socket) return socket
    const mine = connect(port, '127.0.0.1')
    mine.on('data', (chunk) => {
      data = Buffer.concat([data, chunk])
      for (let next = parse(data, 0); next; next = parse(data, 0)) {
        data = data.subarray(next.end)
        waiting.shift()?.resolve(next.reply)
      }
    })
    mine.on('error', () => {})
    mine.on('close', () => mine === socket && lost())
    socket = mine
    return mine
  }

  function send(command: readonly unknown[]): Promise<Reply> {
    const words = command.map((word) => Buffer.from(String(word)))
    const parts = words.map((word) => [
      Buffer.from(`$${word.length}\r\n`),
      word,
      Buffer.from('\r\n'),
    ])
    return new Promise((resolve, reject) => {
      waiting.push({ resolve, reject })
      open().write(Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...parts.flat()]))
    })
  }

  return { send, close: () => socket?.destroy() }
}

function encode(reply: Reply, base64: boolean): unknown {
  if (Array.isArray(reply)) return reply.map((item) => encode(item, base64))
  if (typeof reply !== 'string' || !base64 || reply === 'OK') return reply
  return Buffer.from(reply).toString('base64')
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

export interface Bridge {
  readonly url: string
  /** The commands of every HTTP request so far, one list each. */
  readonly requests: unknown[][]
  /** The sync token that came with each request. */
  readonly syncTokens: (string | undefined)[]
  /** Sends a command to Redis without HTTP. */
  redis(...command: (string | number)[]): Promise<unknown>
  close(): Promise<void>
}

export async function startBridge(redisPort: number): Promise<Bridge> {
  const client = createClient(redisPort)
  const requests: unknown[][] = []
  const syncTokens: (string | undefined)[] = []

  function answer(response: ServerResponse, status: number, body: unknown): void {
    response.writeHead(status, {
      'content-type': 'application/json',
      'upstash-sync-token': `sync-${requests.length}`,
    })
    response.end(JSON.stringify(body))
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request)
    if (request.method !== 'POST') return answer(response, 405, { error: 'Method not allowed' })
    if (request.headers['content-type'] !== 'application/json') {
      return answer(response, 400, { error: 'ERR content type must be application/json' })
    }
    if (request.headers.authorization !== `Bearer ${TOKEN}`) {
      return answer(response, 401, { error: 'WRONGPASS invalid or missing auth token' })
    }
    const json = JSON.parse(body)
    const many = request.url === '/pipeline' || request.url === '/multi-exec'
    if (!many && request.url !== '/') return answer(response, 404, { error: 'Not found' })
    requests.push(many ? json : [json])
    syncTokens.push(request.headers['upstash-sync-token'] as string | undefined)
    const base64 = request.headers['upstash-encoding'] === 'base64'
    const items = (await Promise.all((many ? json : [json]).map(client.send))).map((reply) =>
      reply instanceof RedisError ? { error: reply.message } : { result: encode(reply, base64) },
    )
    const [first = {}] = items
    answer(response, !many && 'error' in first ? 400 : 200, many ? items : first)
  }

  const server = createServer((request, response) => {
    handle(request, response).catch(() => answer(response, 500, { error: 'Unable to connect' }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    syncTokens,
    redis: (...command) => client.send(command),
    async close(): Promise<void> {
      client.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
