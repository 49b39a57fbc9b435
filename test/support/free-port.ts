/** A loopback port for a server that is a process of its own. */
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Below the ports that systems give to outgoing connections and to servers that ask for any: nobody takes one between this
 * choice and the start of the server, or while a server is down that will be started again.
 */
const FIRST = 20_000
/** Ports of each worker of vitest. */
const SHARE = 2000

const first = FIRST + SHARE * (Number(process.env.VITEST_POOL_ID ?? 0) % 6)
let next = Math.floor(Math.random() * SHARE)

/** Returns a port where nobody listens. No two callers get the same, also in workers of vitest that run at once. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = first + (next++ % SHARE)
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
}
