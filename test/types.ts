/** What must and must not compile. Checked by `tsc`, never run. */
import { Hono } from 'hono'
import { z } from 'zod'
import { session } from '../src/adapters/hono.ts'
import { withSessions } from '../src/adapters/workers.ts'
import { createSessions, type Session } from '../src/index.ts'

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const holds = <T extends true>(_?: T): void => {}

interface Cart {
  items: string[]
  coupon?: string
}

export async function typedData(request: Request): Promise<void> {
  const sessions = createSessions<{ visits: number; cart: Cart }>({ secret: '' })
  const current = await sessions.get(request)
  const visits = current.get('visits')
  holds<Equal<typeof visits, number | undefined>>()
  // @ts-expect-error There is no such key.
  current.get('nope')
  // @ts-expect-error The value has another type.
  current.set('visits', 'many')
  // @ts-expect-error What is handed out is read-only.
  current.data.visits = 5
  current.update('visits', (n = 0) => n + 1)
  // @ts-expect-error The result has another type.
  current.update('visits', () => 'one')
  current.set('cart', { items: [], coupon: 'ten' })
  current.login('ada', { persistent: true })
}

export async function untypedData(request: Request): Promise<void> {
  const current = await createSessions({ secret: '' }).get(request)
  current.set('anything', 1)
}

export async function schemaData(request: Request): Promise<void> {
  const schema = z.object({ visits: z.number().default(0), name: z.string().optional() })
  const current = await createSessions({ secret: '', schema }).get(request)
  const { visits } = current.data
  holds<Equal<typeof visits, number>>()
  // @ts-expect-error The schema has no such key.
  current.get('nope')
}

export function options(): void {
  // @ts-expect-error A list of secrets has at least one.
  createSessions({ secret: [] })
  // @ts-expect-error There is no such option.
  createSessions({ secret: '', idleTimeOut: 5 })
}

export function hono(): void {
  const sessions = createSessions<{ visits: number }>({ secret: '' })
  new Hono().use(session(sessions)).get('/', async (c) => {
    const { session: open } = c.var
    holds<Equal<typeof open, () => Promise<Session<{ visits: number }>>>>()
    // @ts-expect-error There is no such key.
    ;(await c.var.session()).get('nope')
    return c.text('ok')
  })
  new Hono<{ Bindings: { SECRET: string } }>()
    .use(session((c) => createSessions<{ visits: number }>({ secret: c.env.SECRET })))
    .get('/', async (c) => c.json((await c.var.session()).get('visits') ?? 0))
}

export const worker = withSessions(
  (env: { SECRET: string }) => ({ secret: env.SECRET, schema: z.object({ visits: z.number() }) }),
  async (request, env, _ctx, sessions) => {
    holds<Equal<typeof env, { SECRET: string }>>()
    const current = await sessions.get(request)
    // @ts-expect-error There is no such key.
    current.get('nope')
    return new Response(String(current.get('visits')))
  },
)
