import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { importSession } from '../../src/migrate/import.ts'
import type { CookieImporter, ImportedSession } from '../../src/migrate/index.ts'

export type Middleware = (
  request: IncomingMessage & { session: Record<string, unknown> },
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

/** The `Cookie` header a browser sends after these `Set-Cookie` values; what was removed is not in it. */
export function headerOf(setCookies: readonly string[], before = ''): string {
  const jar = new Map(before ? before.split('; ').map((pair) => split(pair)) : [])
  for (const line of setCookies) {
    const [pair, ...attributes] = line.split('; ')
    const [name, value] = split(pair!)
    if (/^max-age=0|1970/im.test(attributes.join('\n'))) jar.delete(name)
    else jar.set(name, value)
  }
  return [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
}

function split(pair: string): [string, string] {
  const at = pair.indexOf('=')
  return [pair.slice(0, at), pair.slice(at + 1)]
}

/** Runs connect middleware in a server of its own, lets `use` work, and returns the cookies set. */
export async function cookiesOf(
  middleware: Middleware,
  use: (request: IncomingMessage & { session: Record<string, unknown> }) => void,
  cookie = '',
): Promise<string> {
  const server = createServer((request, response) => {
    middleware(request as never, response, (error) => {
      if (!error) use(request as never)
      response.statusCode = error ? 500 : 200
      response.end('ok')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { cookie } })
  await response.text()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
  return headerOf(response.headers.getSetCookie(), cookie)
}

/** What an importer makes of a `Cookie` header. */
export async function read<D extends Record<string, unknown>>(
  importer: CookieImporter<D>,
  header: string,
  now: number = Date.now(),
): Promise<(Partial<ImportedSession<D>> & { removed?: string[] }) | null> {
  const found = await importSession([importer], header, now)
  if (!found) return null
  const { removals, origin: _, ...session } = found
  return { ...session, removed: removals.map((line) => line.split('=')[0]!) }
}

/** Every header that differs from this one in one character of a value. */
export function tampered(header: string): string[] {
  const start = header.indexOf('=') + 1
  const places = [...header.slice(start)].map((_, i) => start + i)
  return places
    .filter((at) => !/[;= ]/.test(header[at]!))
    .map((at) => header.slice(0, at) + (header[at] === 'A' ? 'B' : 'A') + header.slice(at + 1))
}
