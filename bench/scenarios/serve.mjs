// Node listeners behind a loopback socket, called like everything else: Request in, Response out.
import { once } from 'node:events'
import { createServer } from 'node:http'

export async function serve(listener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${server.address().port}`

  function handle(request) {
    // As behind a proxy that ends TLS, so that Secure cookies are set.
    const headers = { ...Object.fromEntries(request.headers), 'x-forwarded-proto': 'https' }
    return fetch(origin + new URL(request.url).pathname, { headers })
  }
  async function stop() {
    server.close()
    server.closeAllConnections()
  }
  return Object.assign(handle, { stop })
}

/** Sends a Response through Express or Fastify. */
export async function respond(reply, response) {
  for (const [name, value] of response.headers) reply.header(name, value)
  return reply.send(await response.text())
}
