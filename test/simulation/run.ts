/** Runs a list of actions in a world, and keeps what happened. */
import { SessionError } from '../../src/errors.ts'
import type { Action, RequestAction } from './actions.ts'
import { describeAction } from './actions.ts'
import { Clients, fateOf } from './clients.ts'
import { type CreateKV, Deployment } from './deployment.ts'
import { SLACK } from './facts.ts'
import { FIRST_THIEF, LAST_JAR } from './generate.ts'
import { type EndAttempt, type Exchange, fingerprint, type History } from './history.ts'
import { Network, type Trouble } from './network.ts'
import type { Plant } from './plants.ts'
import type { RunConfig } from './profiles.ts'
import type { Isolate } from './server.ts'
import { Transcript } from './transcript.ts'
import { type Activity, World, within } from './world.ts'

/** What one run gave. */
export interface Run {
  readonly history: History
  /** Lines; empty unless asked for. */
  readonly trace: readonly string[]
}

/** Milliseconds until a breaker has closed again, until KV has forgotten nothing. */
const CALM = 45_000
const CALM_KV = 200_000
const PATIENCE = 120_000

export async function runActions(
  config: RunConfig,
  actions: readonly Action[],
  { plant = null, traced = false }: { plant?: Plant | null; traced?: boolean } = {},
): Promise<Run> {
  const world = new World(config.seed)
  const { createKVPlaces } = config.store === 'kv' ? await import('./kv-places.ts') : NO_KV
  return await within(world, async () => {
    const simulation = new Simulation(world, config, plant, traced, createKVPlaces)
    await simulation.run(actions)
    return { history: simulation.history, trace: simulation.trace() }
  })
}

const NO_KV = { createKVPlaces: undefined }

class Simulation {
  readonly history: History = {
    exchanges: [],
    ends: [],
    listings: [],
    onceRuns: [],
    proofs: [],
    failovers: [],
    thefts: [],
    troubles: [],
    problems: [],
    hasVersions: false,
    ids: new Map(),
    restarted: new Set(),
  }
  readonly #world: World
  readonly #config: RunConfig
  readonly #plant: Plant | null
  readonly #network: Network
  readonly #deployment: Deployment
  readonly #clients: Clients = new Clients()
  readonly #transcript: Transcript
  readonly #start: number
  /** Responses on their way, for the plant that mixes them up. */
  readonly #onTheirWay: { exchange: Exchange; setCookies: readonly string[] }[] = []

  constructor(
    world: World,
    config: RunConfig,
    plant: Plant | null,
    isTraced: boolean,
    createKVPlaces: CreateKV,
  ) {
    this.#world = world
    this.#start = world.now()
    this.#config = config
    this.#plant = plant
    const network = new Network(world, config, isTraced)
    this.#network = network
    this.#transcript = new Transcript(world, network)
    const { history } = this
    this.#deployment = new Deployment({ world, config, network, history, plant, createKVPlaces })
  }

  trace(): string[] {
    return this.#transcript.lines()
  }

  async run(actions: readonly Action[]): Promise<void> {
    const world = this.#world
    const problem = (error: unknown): void => {
      const text = String((error as Error)?.stack ?? error)
      this.history.problems.push({ rule: '10 unhandled rejection', text, at: world.now() })
    }
    process.on('unhandledRejection', problem)
    try {
      for (const action of actions) {
        const activity = world.activity(`${action.type} ${action.id}`)
        const wait = this.#start + action.at - world.now()
        world.as(activity, () => world.after(wait, () => this.#act(action, activity)))
      }
      const last = actions.at(-1)?.at ?? 0
      const end = this.#start + last + PATIENCE
      world.after(end - world.now(), () => {})
      await world.run(() => world.now() >= end)
      await this.#finish()
    } finally {
      // Promises that were rejected last are reported in the next turn.
      await new Promise((resolve) => void setImmediate(resolve))
      process.off('unhandledRejection', problem)
    }
  }

  #act(action: Action, activity: Activity): void {
    this.#transcript.say(describeAction(action))
    switch (action.type) {
      case 'request':
        void this.#request(action, activity)
        break
      case 'steal':
        this.#steal(action.jar, action.thief)
        break
      case 'revoke':
      case 'revokeAll':
        void this.#end(action)
        break
      case 'list':
        void this.#list(this.#deployment.isolates[action.isolate]!, `u${action.user}`, false)
        break
      case 'restart':
        this.#deployment.start(action.isolate, action.newer)
        break
      case 'trouble':
        this.#trouble(action.trouble as Trouble, action.lasts)
        break
      case 'jump':
        this.#deployment.jump(action.isolate, action.drift)
        break
      case 'failover':
        this.history.failovers.push({ at: this.#world.now(), loses: action.loses })
        this.#deployment.failover(action.loses)
    }
  }

  #steal(jar: number, thief: number): void {
    this.#clients.steal(jar, thief)
    this.history.thefts.push({ thief, jar, at: this.#world.now() })
  }

  #trouble(trouble: Trouble, lasts: number): void {
    const now = this.#world.now()
    this.#network.trouble = trouble
    const record = { from: now, to: now + lasts }
    this.history.troubles.push(record)
    this.#world.after(lasts, () => {
      if (this.#network.trouble !== trouble) return
      this.#network.trouble = null
      this.#transcript.say(`the trouble is over`)
    })
  }

  async #request(action: RequestAction, activity: Activity): Promise<void> {
    const isolate = this.#deployment.isolates[action.isolate]!
    const now = this.#world.now()
    const { exchange, header } = this.#clients.send(action, activity, isolate.number, now)
    this.history.exchanges.push(exchange)
    await this.#world.sleep(action.up)
    let setCookies: readonly string[] = []
    try {
      const response = await isolate.answer(exchange, header, this.history)
      setCookies = response.headers.getSetCookie()
      exchange.outcome = response.status === 200 ? 'ok' : 'failed'
      exchange.code = response.status === 200 ? null : String(response.status)
    } catch (error) {
      exchange.outcome = 'failed'
      exchange.code = error instanceof SessionError ? error.code : 'unexpected'
      if (exchange.code === 'unexpected') {
        const text = String((error as Error).stack ?? error)
        this.history.problems.push({ rule: '10 unexpected error', text, at: this.#world.now() })
      }
    }
    exchange.done = this.#world.now()
    exchange.fate = fateOf(exchange)
    if (!isolate.isAlive) exchange.outcome = 'broken'
    this.#transcript.sayAnswer(exchange, setCookies)
    if (!isolate.isAlive || action.lost) return
    this.#onTheirWay.push({ exchange, setCookies })
    await this.#world.sleep(action.down)
    const cookies = this.#take(exchange)
    this.#clients.receive(exchange, cookies, this.#world.now())
    this.#transcript.say(`  browser ${exchange.jar} has response ${exchange.id}`)
  }

  /** The cookies that arrive with a response. */
  #take(exchange: Exchange): readonly string[] {
    const at = this.#onTheirWay.findIndex((one) => one.exchange === exchange)
    const own = this.#onTheirWay.splice(at, 1)[0]!.setCookies
    if (!this.#plant?.swapsCookies || !this.#onTheirWay.length) return own
    const [other] = this.#onTheirWay.splice(0, 1)
    this.#onTheirWay.unshift({ exchange: other!.exchange, setCookies: own })
    return other!.setCookies
  }

  async #end(action: Extract<Action, { type: 'revoke' | 'revokeAll' }>): Promise<void> {
    const { sessions } = this.#deployment.isolates[action.isolate]!
    const spared = action.type === 'revokeAll' && action.except !== null ? action.except : null
    const about = action.type === 'revoke' ? action.jar : spared
    const id = about === null ? null : this.#idOf(about)
    const { revocations, store } = this.#config
    if ((store === 'none' && !revocations) || (about !== null && id === null)) return
    const attempt: EndAttempt = {
      kind: action.type,
      from: this.#world.now(),
      to: Infinity,
      done: Infinity,
      print: action.type === 'revoke' ? fingerprint(id!) : null,
      user: action.type === 'revokeAll' ? `u${action.user}` : null,
      except: spared === null ? null : fingerprint(id!),
      place: action.isolate,
    }
    this.history.ends.push(attempt)
    try {
      if (action.type === 'revoke') await sessions.revoke(id!)
      else {
        const except = id === null ? {} : { except: id }
        // Each user has a tag, and no other session has it.
        if (action.id % 2) await sessions.revokeAll(attempt.user!, except)
        else await sessions.revokeBy(`t${action.user}`, except)
      }
      attempt.to = this.#world.now()
      this.#transcript.say(`  ${action.type} ${action.id} is done`)
    } catch (error) {
      this.#expectKnown(error, action.type)
      this.#transcript.say(`  ${action.type} ${action.id} failed`)
    }
    attempt.done = this.#world.now()
  }

  /** The id of the session that a browser was last told of. */
  #idOf(jar: number): string | null {
    const { session } = this.#clients.get(jar)
    return (session && this.history.ids.get(session)) ?? null
  }

  async #list(isolate: Isolate, user: string, isFinal: boolean): Promise<void> {
    if (this.#config.store === 'none' || this.#config.seal === 'cookie') return
    const from = this.#world.now()
    try {
      const infos = await isolate.sessions.list(user)
      const prints = infos.map(({ id }) => fingerprint(id))
      const tagged = isFinal ? await isolate.sessions.listBy(user.replace('u', 't')) : infos
      // One that ends between the two lists, by whatever clock, is in the first alone.
      const soon = this.#world.now() + SLACK
      const [byUser, byTag] = [infos, tagged].map((all) =>
        all.filter(({ expiresAt }) => expiresAt > soon).map(({ id }) => fingerprint(id)),
      ) as [string[], string[]]
      const at = this.#world.now()
      this.history.listings.push({ user, from, at, prints, tagged: { byTag, byUser }, isFinal })
      this.#transcript.say(`  ${user} has ${prints.join(' ') || 'no sessions'}`)
    } catch (error) {
      this.#expectKnown(error, 'list')
    }
  }

  #expectKnown(error: unknown, what: string): void {
    if (error instanceof SessionError) return
    const text = `${what}: ${String((error as Error).stack ?? error)}`
    this.history.problems.push({ rule: '10 unexpected error', text, at: this.#world.now() })
  }

  /** A user signs in from several new browsers, everywhere at once. */
  #signInAtOnce(): void {
    for (let i = 0; i < 4; i++) {
      const action: RequestAction = {
        type: 'request',
        id: 200_000 + i,
        at: 0,
        jar: LAST_JAR + i,
        isolate: i % this.#deployment.isolates.length,
        uses: [{ op: 'login', user: 0 }],
        up: 1 + i,
        think: 0,
        down: 1,
        lost: false,
      }
      const activity = this.#world.activity(`request ${action.id}`)
      this.#transcript.say(describeAction(action))
      void this.#world.as(activity, () => this.#request(action, activity))
    }
  }

  /** Everything works again; every browser looks twice, once after a write. */
  async #finish(): Promise<void> {
    const world = this.#world
    this.#network.isCalm = true
    this.#network.trouble = null
    this.#transcript.say('everything works again')
    const step = async (ms: number, act?: () => void): Promise<void> => {
      if (act) world.as(world.activity(`at the end, ${world.now()}`), act)
      const until = world.now() + ms
      world.after(ms, () => {})
      await world.run(() => world.now() >= until)
    }
    await step(this.#config.store === 'kv' ? CALM_KV : CALM)
    let id = 100_000
    const { jars } = this.#clients
    for (const round of ['read', 'append', 'read']) {
      for (const jar of jars) {
        const uses =
          round === 'append' && jar < FIRST_THIEF ? [{ op: 'append', key: 0 } as const] : []
        const action: RequestAction = {
          type: 'request',
          id: id++,
          at: 0,
          jar,
          isolate: jar % this.#deployment.isolates.length,
          uses,
          up: 1,
          think: 0,
          down: 1,
          lost: false,
        }
        const activity = world.activity(`request ${action.id}`)
        this.#transcript.say(describeAction(action))
        await step(10_000, () => void world.as(activity, () => this.#request(action, activity)))
      }
    }
    if (this.#config.maxSessions) await step(10_000, () => this.#signInAtOnce())
    for (let user = 0; user < 3; user++) {
      await step(10_000, () => void this.#list(this.#deployment.isolates[0]!, `u${user}`, true))
    }
  }
}
