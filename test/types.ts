/** What must and must not compile. Checked by `tsc`, never run. */
import { Hono } from 'hono'
import { z } from 'zod'
import { session } from '../src/adapters/hono.ts'
import type { ReadonlySession } from '../src/adapters/next.ts'
import { createSessionMiddleware } from '../src/adapters/react-router.ts'
import { sessionHandle } from '../src/adapters/sveltekit.ts'
import { withSessions } from '../src/adapters/workers.ts'
import { createSessions, type Frozen, type Session, type Sessions } from '../src/index.ts'
import { fromIronSession } from '../src/migrate/index.ts'
import { alertOn } from '../src/observe/alerts.ts'
import { logEvents } from '../src/observe/log.ts'
import { recordEvents } from '../src/observe/otel.ts'
import { fromEnv, production } from '../src/presets.ts'
import { resilient } from '../src/stores/resilient.ts'
import type { SessionStore } from '../src/stores/store.ts'

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
  const { cart } = current.data
  holds<Equal<typeof cart, Frozen<Cart> | undefined>>()
  // @ts-expect-error Without a schema nothing is there on a first visit.
  cart.items
  // @ts-expect-error What is inside is read-only too.
  cart?.items.push('book')
  // @ts-expect-error As is what get() gives.
  current.get('cart')?.items.push('book')
  current.update('cart', (now) => {
    // @ts-expect-error And what update() gives.
    now?.items.push('book')
    return now ?? { items: [] }
  })
  current.update('cart', (now) => ({ items: [...(now?.items ?? []), 'book'] }))
  current.set('cart', current.get('cart') ?? { items: [] })
  // As the sessions that an application passes around.
  const passed: Session<{ visits: number; cart: Cart }> = current
  await sessions.save(passed)
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

declare module '../src/session/session.ts' {
  interface SessionFlash {
    'types.notice': string
    'types.wrong': { fields: string[] }
  }
}

export async function flash(read: ReadonlySession): Promise<void> {
  const current = await createSessions({ secret: '' }).open(null)
  const notice = current.flash('types.notice')
  holds<Equal<typeof notice, string | undefined>>()
  current.flash('types.notice', 'Saved')
  // @ts-expect-error It is declared as a text.
  current.flash('types.notice', 5)
  // @ts-expect-error What is handed out is read-only.
  current.flash('types.wrong')?.fields.push('name')
  const other = current.flash('other')
  holds<Equal<typeof other, unknown>>()
  current.flash('other', 5)
  const shown = read.flash('types.notice')
  holds<Equal<typeof shown, string | undefined>>()
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
  const got = current.get('visits')
  holds<Equal<typeof got, number>>()
  const name = current.get('name')
  holds<Equal<typeof name, string | undefined>>()
  const whole: Sessions<{ visits: number; name?: string | undefined }> = createSessions({
    secret: '',
    schema,
  })
  await whole.get(request)
  const required = z.object({ visits: z.number() })
  const { data } = await createSessions({ secret: '', schema: required }).get(request)
  // @ts-expect-error Without a default it is not there on a first visit.
  data.visits.toFixed()
  // @ts-expect-error Nor in what get() gives.
  ;(await createSessions({ secret: '', schema: required }).open(null)).get('visits').toFixed()
  // @ts-expect-error The schema has no such key.
  current.get('nope')
}

export async function importedData(request: Request): Promise<void> {
  const schema = z.object({ cart: z.array(z.string()).default([]), seen: z.number().default(0) })
  const toSession = () => ({ data: { cart: ['x'] }, subject: null })
  const importer = fromIronSession({ password: '', cookieName: 'old', toSession })
  const importFrom = [fromIronSession<z.infer<typeof schema>>({ password: '', cookieName: 'old' })]
  const current = await createSessions({ secret: '', schema, importFrom }).get(request)
  const { seen } = current.data
  holds<Equal<typeof seen, number>>()
  // @ts-expect-error The schema decides what there is: this importer leaves `seen` out.
  createSessions({ secret: '', schema, importFrom: [importer] })
}

export async function users(sessions: Sessions<{ visits: number }>): Promise<void> {
  const current = await sessions.open(null)
  const [info] = await sessions.list(current)
  await sessions.revoke(info!.id, { subject: current })
  await sessions.revokeAll(current, { except: current.id })
  // @ts-expect-error Nobody may be signed in: give the session, and not its subject.
  await sessions.revokeAll(current.subject)
}

export function options(): void {
  const env: { SESSION_SECRET?: string | undefined } = {}
  createSessions({ secret: env.SESSION_SECRET })
  // @ts-expect-error It cannot be left out.
  createSessions({})
  // @ts-expect-error A list of secrets has at least one.
  createSessions({ secret: [] })
  // @ts-expect-error There is no such option.
  createSessions({ secret: '', idleTimeOut: 5 })
}

export function notCalled(): void {
  // @ts-expect-error It makes a preset: production().
  fromEnv({}, production)
  // @ts-expect-error It makes a listener: logEvents(console).
  createSessions({ secret: '', onEvent: logEvents })
  // @ts-expect-error It makes a listener: recordEvents().
  createSessions({ secret: '', onEvent: recordEvents })
  // @ts-expect-error It makes a listener: alertOn({ rules, notify }).
  createSessions({ secret: '', onEvent: [alertOn] })
}

export function policies(store: SessionStore): void {
  resilient(store, { operations: { read: { attempts: 1 } } })
  // @ts-expect-error There is no such operation.
  resilient(store, { operations: { reads: { attempts: 1 } } })
}

export function hono(): void {
  const sessions = createSessions<{ visits: number }>({ secret: '' })
  new Hono().use(session(sessions)).get('/', async (c) => {
    const { session: open } = c.var
    holds<Equal<typeof open, () => Promise<Session<{ visits: number }>>>>()
    const { visits } = (await open()).data
    holds<Equal<typeof visits, number | undefined>>()
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
    // @ts-expect-error Without a default it is not there on a first visit.
    current.data.visits.toFixed()
    return new Response(String(current.get('visits')))
  },
)

export const workerWithDefaults = withSessions(
  (env: { SECRET: string }) => ({
    secret: env.SECRET,
    schema: z.object({ visits: z.number().default(0) }),
  }),
  async (request, _env, _ctx, sessions) => {
    const { visits } = (await sessions.get(request)).data
    holds<Equal<typeof visits, number>>()
    return new Response(String(visits))
  },
)

export async function adapters(sessions: Sessions<{ visits: number }>): Promise<void> {
  const schema = z.object({ visits: z.number().default(0) })
  const defaults = createSessions({ secret: '', schema })
  new Hono().use(session(defaults)).get('/', async (c) => {
    const { visits } = (await c.var.session()).data
    holds<Equal<typeof visits, number>>()
    return c.text(String(visits))
  })
  const [, getSession] = createSessionMiddleware(sessions)
  holds<Equal<Awaited<ReturnType<typeof getSession>>, Session<{ visits: number }>>>()
  sessionHandle(sessions)
  sessionHandle(defaults)
}

/** The properties of a session that are no methods. */
type Property = {
  [K in keyof Session]-?: Session[K] extends (...given: never[]) => unknown ? never : K
}[keyof Session]

export function serverComponents(): void {
  holds<Equal<keyof ReadonlySession, Property | 'get' | 'has' | 'flash'>>()
}
