/** An isolate: one instance of the library, and a handler that does what a request asks for. */
import { deviceOf } from '../../src/device-bound/index.ts'
import {
  createSessions,
  type Session,
  type SessionEvent,
  type Sessions,
  type SessionsOptions,
} from '../../src/index.ts'
import { cached } from '../../src/stores/cached.ts'
import { resilient } from '../../src/stores/resilient.ts'
import type { SessionStore } from '../../src/stores/store.ts'
import { markInProcess } from '../../src/stores/takes-entry.ts'
import { isFrequent } from '../support/sessions.ts'
import type { Use } from './actions.ts'
import {
  type Effect,
  type Exchange,
  fingerprint,
  type History,
  type OnceRun,
  type Seen,
} from './history.ts'
import { wrapMethods } from './network.ts'
import type { IsolateConfig, RunConfig } from './profiles.ts'
import type { World } from './world.ts'

const SECRETS = [
  'the first secret of the simulation, 32+',
  'the other secret of the simulation, 32+',
]
export const COOKIE = 's'
export const BOUND_COOKIE = 's-bound'

export class Isolate {
  readonly number: number
  readonly config: IsolateConfig
  readonly sessions: Sessions
  readonly #world: World
  readonly #hasStore: boolean
  isAlive = true

  constructor(
    world: World,
    number: number,
    config: IsolateConfig,
    run: RunConfig,
    store: SessionStore | null,
    timeoutFactor: number,
    now: () => number,
  ) {
    this.#world = world
    this.#hasStore = store !== null && !run.revocations
    this.number = number
    this.config = config
    const options: SessionsOptions = {
      secret: config.order ? [SECRETS[1]!, SECRETS[0]!] : [SECRETS[0]!, SECRETS[1]!],
      cookie: { name: COOKIE },
      version: config.version,
      idleTimeout: run.idleTimeout * timeoutFactor,
      absoluteTimeout: run.absoluteTimeout * timeoutFactor,
      renewAfter: run.renewAfter,
      onStoreFailure: run.onStoreFailure,
      snapshot: run.snapshot,
      seal: run.seal,
      ...(run.deviceBound && { deviceBound: run.deviceBound.options }),
      now,
      onEvent(event: SessionEvent) {
        if (!isFrequent(event)) world.current.events.push(event)
      },
      ...(config.version > 1 && {
        migrate: (data: unknown) => ({ ...(data as object), migrated: true }),
      }),
      ...(store && this.#placeOf(store, run, now)),
    }
    this.sessions = createSessions(options)
  }

  #placeOf(given: SessionStore, run: RunConfig, now: () => number): Partial<SessionsOptions> {
    const store = this.#around(given, run, now)
    if (run.revocations) return { revocations: { store, ...run.revocations } }
    return run.maxSessions ? { store, maxSessions: run.maxSessions } : { store }
  }

  /** Whoever was killed calls nobody any more. */
  #around(
    store: SessionStore,
    { resilient: retries, cached: cache }: RunConfig,
    now: () => number,
  ) {
    const mortal = wrapMethods(store, (_, args, run) =>
      this.isAlive ? run(args) : new Promise(() => {}),
    )
    const outer = retries ? resilient(mortal, { now }) : mortal
    return this.#watched(cache ? cached(outer, { ...cache, now }) : outer)
  }

  /** Records which sessions each activity tries to create, to write and to end. */
  #watched(store: SessionStore): SessionStore {
    const watched = wrapMethods(store, async (name, args, run) => {
      const { creates, ends, writes } = this.#world.current
      const print = typeof args[0] === 'string' ? fingerprint(args[0]) : ''
      if (name === 'write') writes.add(print)
      if (name === 'write' && args[2] === null) creates.add(print)
      if (name !== 'end') return await run(args)
      ends.set(print, false)
      const wasLive = await run(args)
      ends.set(print, true)
      return wasLive
    })
    // Half of them send an entry with each write, half only once it was refused.
    if (this.number % 2) markInProcess(watched.write)
    return watched
  }

  /** Answers one request. */
  async answer(exchange: Exchange, asked: Request, history: History): Promise<Response> {
    const print = (session: Session): string => {
      const text = fingerprint(session.id)
      history.ids.set(text, session.id)
      return text
    }
    const handler = this.sessions.handler(async (request) => {
      const session = await this.sessions.get(request)
      exchange.seen = look(session, print(session), this.#world)
      if (exchange.action.think) await this.#world.sleep(exchange.action.think)
      for (const [i, use] of exchange.action.uses.entries()) {
        await this.#use(session, use, `${exchange.id}.${i}`, exchange, history)
      }
      exchange.aims = print(session)
      return new Response(null)
    })
    return await handler(asked)
  }

  async #use(session: Session, use: Use, token: string, exchange: Exchange, history: History) {
    const effect: Effect = { token, use, exchange, acked: Infinity, isLeft: false }
    switch (use.op) {
      case 'append':
        session.append(`a${use.key}`, token)
        break
      case 'increment':
        session.increment(`c${use.key}`)
        break
      case 'update':
        session.update(`u${use.key}`, (n = 0) => n + 1)
        break
      case 'set':
        session.set(`s${use.key}`, token)
        break
      case 'unset':
        session.unset(`s${use.key}`)
        break
      case 'flash':
        session.flash('f', token)
        break
      case 'login': {
        const before = session.subject
        session.login(`u${use.user}`, { tags: [`t${use.user}`] })
        // The data of somebody else are left behind, and what was just written with them.
        if (before !== null && before !== session.subject) {
          for (const one of exchange.effects) one.isLeft = true
        }
        break
      }
      case 'bind':
        session.bind()
        return
      case 'once':
        await this.#once(session, use.key, exchange, history)
        return
      case 'regenerate':
        // Every other rotation of somebody who is signed in is a step-up.
        if (session.subject === null || exchange.id % 2) session.regenerate()
        else this.#elevate(session, session.subject, exchange, history)
        break
      default:
        session[use.op]()
    }
    exchange.effects.push(effect)
  }

  #elevate(session: Session, user: string, { jar }: Exchange, { proofs }: History): void {
    session.elevate('passkey')
    // An outage may allow no change: then it has thrown.
    proofs.push({ user, at: session.factors.passkey!, jar })
  }

  async #once(session: Session, key: number, exchange: Exchange, history: History): Promise<void> {
    // Without a store there is nothing to hold a lease in.
    if (exchange.seen?.status !== 'active' || !this.#hasStore) return
    const user = String(session.subject)
    const work = async (): Promise<string> => {
      const run: OnceRun = { key, user, exchange, from: this.#world.now(), to: Infinity }
      history.onceRuns.push(run)
      await this.#world.sleep(this.#world.current.random() * 1500)
      run.to = this.#world.now()
      return user
    }
    const from = await session.once(`k${key}`, work, { lease: 5, ttl: 10 })
    history.onceResults.push({ exchange, users: [user, from] })
  }
}

function look(session: Session, print: string, { now, current }: World): Seen {
  const { bound, status, subject, data, factors } = session
  const flash = session.flash('f') as string | undefined
  return {
    at: now(),
    status,
    subject,
    rotationId: session.rotationId,
    print,
    data: { ...data },
    factors: { ...factors },
    flash,
    bound,
    key: deviceOf(session)?.thumbprint ?? null,
    events: current.events.length,
  }
}
