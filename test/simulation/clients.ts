/** Browsers: their cookies, and what the responses they received have told them. */
import type { RequestAction } from './actions.ts'
import { Jar, parseSetCookie } from './browser.ts'
import type { Device } from './device.ts'
import { type DeviceAsk, type Effect, type Exchange, rotates } from './history.ts'
import { BOUND_COOKIE, COOKIE } from './server.ts'
import type { Activity } from './world.ts'

interface Client {
  readonly jar: Jar
  /** Rotations whose responses it has received. */
  readonly knows: Set<number>
  /** Effects in each cookie that holds deferred writes. */
  readonly waits: Map<string, readonly Effect[]>
  /** Fingerprint of the session that it was last told of. */
  session: string | null
  /** What it makes keys with; `null`: nothing. */
  readonly device: Device | null
}

/** What a request is made of, beside its cookies. */
export interface Letter {
  readonly path?: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly device?: DeviceAsk | null
  /** Fingerprint of the session that it is about. */
  readonly aims?: string | null
}

const DEFERRED = `${COOKIE}.d`

export class Clients {
  readonly #clients: Map<number, Client> = new Map()
  /** The requests that bound cookies came from. */
  readonly #grants: Map<string, Exchange> = new Map()
  readonly #createDevice: (jar: number) => Device | null

  constructor(createDevice: (jar: number) => Device | null) {
    this.#createDevice = createDevice
  }

  get jars(): number[] {
    return [...this.#clients.keys()]
  }

  get(jar: number): Client {
    const client = this.#clients.get(jar) ?? {
      jar: new Jar(),
      knows: new Set(),
      waits: new Map(),
      session: null,
      device: this.#createDevice(jar),
    }
    this.#clients.set(jar, client)
    return client
  }

  steal(from: number, thief: number, isPartial: boolean, now: number): void {
    const { jar, knows, waits, session } = this.get(from)
    const copy = jar.copy(now)
    if (isPartial) copy.swap(BOUND_COOKIE, null)
    this.#clients.set(thief, {
      jar: copy,
      knows: new Set(knows),
      waits: new Map(waits),
      session,
      device: this.#createDevice(thief),
    })
  }

  /** A request as it leaves the browser, and its `Cookie` header. */
  send(
    action: RequestAction,
    activity: Activity,
    isolate: number,
    now: number,
    { aims = null, device = null }: Letter = {},
  ) {
    const { jar, knows, waits } = this.get(action.jar)
    const names = new Set(jar.names(now))
    const waiting = [...waits].flatMap(([name, effects]) => (names.has(name) ? effects : []))
    const exchange: Exchange = {
      id: action.id,
      action,
      jar: action.jar,
      isolate,
      activity,
      sent: now,
      knows: new Set(knows),
      waits: [...new Set(waiting)],
      holds: this.#grants.get(jar.get(BOUND_COOKIE, now) ?? '') ?? null,
      device,
      seen: null,
      effects: [],
      aims,
      outcome: 'pending',
      code: null,
      done: Infinity,
      received: Infinity,
      fate: 'unknown',
    }
    return { exchange, header: jar.header(now) }
  }

  receive(exchange: Exchange, setCookies: readonly string[], now: number): void {
    const client = this.get(exchange.jar)
    exchange.received = now
    client.jar.take(setCookies, now)
    if (exchange.device?.told === 'granted') this.#noteGrant(exchange, setCookies, now)
    if (rotates(exchange)) client.knows.add(exchange.id)
    if (exchange.outcome === 'ok' && exchange.aims && !exchange.device)
      client.session = exchange.aims
    if (exchange.fate === 'kept') for (const effect of exchange.effects) effect.acked = now
    followDeferred(exchange, client, setCookies, now)
  }

  #noteGrant(exchange: Exchange, setCookies: readonly string[], now: number): void {
    for (const header of setCookies) {
      const { name, value } = parseSetCookie(header, now)
      if (name === BOUND_COOKIE) this.#grants.set(value, exchange)
    }
  }
}

/** What the response says of the request's own writes. */
export function fateOf({ activity, outcome, seen }: Exchange): Exchange['fate'] {
  if (activity.events.some(({ type }) => type === 'commit.deferred')) return 'deferred'
  // What was said while it was opened speaks of other cookies too.
  const since = activity.events.slice(seen?.events ?? 0).map(({ type }) => type)
  const isDropped = since.some((type) => /^session\.(superseded|missing|reused)$/.test(type))
  if (isDropped && !since.includes('session.created')) return 'dropped'
  if (seen?.status === 'superseded' && !since.includes('session.login')) return 'dropped'
  // A request that does not prove its device changes nothing of the session, which it does not see.
  if (seen?.status === 'unproven' && !since.includes('session.created')) return 'dropped'
  return outcome === 'ok' ? 'kept' : 'unknown'
}

/** What the response says of writes that waited: those that are gone without a word were applied. */
function followDeferred(
  { activity, effects, waits }: Exchange,
  client: Client,
  setCookies: readonly string[],
  now: number,
): void {
  const removed: Effect[] = []
  const isDropped = activity.events.some(({ type }) => type === 'commit.dropped')
  let isCarried = isDropped
  for (const header of setCookies) {
    const { name, until } = parseSetCookie(header, now)
    if (!name.startsWith(DEFERRED)) continue
    if (until > now) {
      isCarried = true
      // Nobody can tell which of those that waited was dropped.
      client.waits.set(name, isDropped ? effects : [...waits, ...effects])
    } else {
      removed.push(...(client.waits.get(name) ?? []))
      client.waits.delete(name)
    }
  }
  if (isCarried) return
  for (const effect of removed) effect.acked = Math.min(effect.acked, now)
}
