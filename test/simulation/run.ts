/** Runs a list of actions in a world, and keeps what happened. */
import { SessionError } from '../../src/errors.ts'
import { type Action, describeAction, type RequestAction, type Use } from './actions.ts'
import { Clients } from './clients.ts'
import { type CreateKV, Deployment } from './deployment.ts'
import { Device } from './device.ts'
import { DeviceTraffic } from './device-traffic.ts'
import { SLACK } from './facts.ts'
import { FIRST_THIEF, LAST_ID, LAST_JAR } from './generate.ts'
import { type EndAttempt, emptyHistory, fingerprint, type History } from './history.ts'
import { Network, type Trouble } from './network.ts'
import type { Plant } from './plant-source.ts'
import type { RunConfig } from './profiles.ts'
import type { Isolate } from './server.ts'
import { Traffic } from './traffic.ts'
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
  readonly history = emptyHistory()
  readonly #world: World
  readonly #config: RunConfig
  readonly #network: Network
  readonly #deployment: Deployment
  readonly #clients: Clients
  readonly #devices: DeviceTraffic
  readonly #transcript: Transcript
  readonly #start: number

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
    const network = new Network(world, config, isTraced)
    this.#network = network
    this.#transcript = new Transcript(world, network)
    const { history } = this
    const deployment = new Deployment({ world, config, network, history, plant, createKVPlaces })
    const { deviceBound } = config
    const isKeyless = (jar: number): boolean =>
      !deviceBound || jar >= LAST_JAR || deviceBound.keyless.includes(jar)
    const clients = new Clients((jar) => (isKeyless(jar) ? null : new Device()))
    const swapsCookies = plant?.swapsCookies ?? false
    const transcript = this.#transcript
    const shared = { world, clients, deployment, history, transcript, swapsCookies }
    this.#devices = new DeviceTraffic(new Traffic(shared), { ...shared, config, network })
    this.#deployment = deployment
    this.#clients = clients
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
        void this.#devices.request(action, activity)
        break
      case 'device':
        void this.#devices.act(action, activity)
        break
      case 'steal':
        this.#steal(action.jar, action.thief, action.isPartial ?? false)
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

  #steal(jar: number, thief: number, isPartial: boolean): void {
    const at = this.#world.now()
    this.#clients.steal(jar, thief, isPartial, at)
    this.history.thefts.push({ thief, jar, at })
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
      const isolate = i % this.#deployment.isolates.length
      const given = { id: 200_000 + i, jar: LAST_JAR + i, isolate, up: 1 + i }
      this.#ask({ ...QUICK, ...given, uses: [{ op: 'login', user: 0 }] })
    }
  }

  #ask(action: RequestAction): void {
    const activity = this.#world.activity(`request ${action.id}`)
    this.#transcript.say(describeAction(action))
    void this.#world.as(activity, () => this.#devices.request(action, activity))
  }

  /** Everything works again; every browser looks twice, once after a write. With keys it signs in after that, and looks again. */
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
    const { deviceBound, maxSessions, store } = this.#config
    await step(store === 'kv' ? CALM_KV : CALM)
    let id = LAST_ID
    const { jars } = this.#clients
    for (const round of ['read', 'append', 'read', ...(deviceBound ? ['login', 'read'] : [])]) {
      for (const jar of jars) {
        const isolate = jar % this.#deployment.isolates.length
        const action = { ...QUICK, id: id++, jar, isolate, uses: usesOf(round, jar) }
        await step(10_000, () => this.#ask(action))
      }
    }
    if (maxSessions) await step(10_000, () => this.#signInAtOnce())
    for (let user = 0; user < 3; user++) {
      await step(10_000, () => void this.#list(this.#deployment.isolates[0]!, `u${user}`, true))
    }
  }
}

/** What a browser does in a round at the end. */
function usesOf(round: string, jar: number): Use[] {
  if (jar >= FIRST_THIEF || round === 'read') return []
  return round === 'login' ? [{ op: 'login', user: jar }] : [{ op: 'append', key: 0 }]
}

/** A request that nothing happens to. */
const QUICK = { type: 'request', at: 0, up: 1, think: 0, down: 1, lost: false } as const
