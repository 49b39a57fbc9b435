/** Browsers with keys: what they ask for by themselves, and what thieves ask for in their place. */
import type { DeviceAction, RequestAction } from './actions.ts'
import type { Clients, Letter } from './clients.ts'
import type { Deployment } from './deployment.ts'
import { createKey, type Device, type DeviceKey, fieldOf, prove } from './device.ts'
import { type DeviceAsk, fingerprint, type History } from './history.ts'
import { writtenBy } from './lineages.ts'
import type { Network } from './network.ts'
import type { RunConfig } from './profiles.ts'
import { BOUND_COOKIE } from './server.ts'
import type { Arrived, Traffic } from './traffic.ts'
import type { Activity, World } from './world.ts'

export interface DeviceTrafficOptions {
  readonly world: World
  readonly clients: Clients
  readonly config: RunConfig
  readonly deployment: Deployment
  readonly history: History
  readonly network: Network
}

/** A challenge that a registration may answer. */
interface Offer {
  readonly challenge: string
  /** When it was given out. */
  readonly at: number
  /** Fingerprint of the session. */
  readonly print: string | null
}

/** What is asked for, before it is sent. */
interface Question extends Pick<DeviceAsk, 'task' | 'proof' | 'key' | 'challengedAt'> {
  /** The session's id, of a refresh. */
  readonly id: string | null
  readonly print: string | null
}

/** Refreshes with one proof after the other before a browser gives up: more where they overlap. */
const TRIES = { shared: 3, apart: 8 }
/** Milliseconds after which a browser waits for no answer any more. */
const PATIENCE = 40_000
/** The first number of requests that browsers make by themselves. */
const FIRST_ID = 1_000_000

export class DeviceTraffic {
  readonly #traffic: Traffic
  readonly #options: DeviceTrafficOptions
  readonly #sharesRefresh: boolean
  /** By browser, with the task: what it sent last. */
  readonly #sent: Map<string, Question> = new Map()
  readonly #offers: Map<number, Offer> = new Map()
  readonly #challengedAt: Map<string, number> = new Map()
  /** How much each activity has asked for. */
  readonly #counts: Map<Activity, number> = new Map()
  #asked = 0

  constructor(traffic: Traffic, options: DeviceTrafficOptions) {
    this.#traffic = traffic
    this.#options = options
    const { deviceBound } = options.config
    this.#sharesRefresh = deviceBound ? deviceBound.sharesRefresh : false
  }

  /** Sends a request of a page, after what its bound cookie needs; registers a key where the response asks for one. */
  async request(action: RequestAction, activity: Activity): Promise<void> {
    const { clients, config } = this.#options
    const { device } = clients.get(action.jar)
    if (!config.deviceBound) return void (await this.#traffic.send(action, activity))
    const skipped = device && (await this.#prepare(action.jar, device, activity))
    const letter: Letter = {
      method: action.uses.length > 0 ? 'POST' : 'GET',
      headers: skipped ? { 'secure-session-skipped': skipped } : {},
    }
    const arrived = await this.#traffic.send(action, activity, letter)
    if (arrived) await this.#registerWhereAsked(arrived, activity)
  }

  /** Does something with keys, proofs and bound cookies. */
  async act({ jar, of, what }: DeviceAction, activity: Activity): Promise<void> {
    const { clients } = this.#options
    const { device, jar: cookies } = clients.get(jar)
    if (what === 'swap') cookies.swap(BOUND_COOKIE, clients.get(of).jar)
    else if (what === 'refresh') {
      for (const id of device?.sessions.keys() ?? []) {
        await this.#refreshOnce(jar, device!, id, activity)
      }
    } else if (what === 'own-key') {
      const offer = this.#offers.get(of)
      if (offer) await this.#register(jar, offer, activity)
    } else if (what === 'own-proof') await this.#proveByOwnKey(jar, of, activity)
    else {
      const question = this.#sent.get(`${what === 'replay' ? 'refresh' : 'register'} ${of}`)
      if (question) await this.#ask(jar, question, activity)
    }
  }

  /** Refreshes what needs to be; returns why that did not work. */
  async #prepare(jar: number, device: Device, activity: Activity): Promise<string | null> {
    const { clients, world } = this.#options
    let skipped: string | null = null
    for (const id of [...device.sessions.keys()]) {
      const isThere = clients.get(jar).jar.get(BOUND_COOKIE, world.now()) !== null
      if (!isThere) skipped = (await this.#refreshOnce(jar, device, id, activity)) ?? skipped
    }
    return skipped
  }

  async #refreshOnce(
    jar: number,
    device: Device,
    id: string,
    activity: Activity,
  ): Promise<string | null> {
    const there = this.#sharesRefresh && device.refreshing.get(id)
    if (there) return await there
    const refreshing = this.#refresh(jar, device, id, activity)
    device.refreshing.set(id, refreshing)
    const skipped = await refreshing
    device.refreshing.delete(id)
    return skipped
  }

  async #refresh(
    jar: number,
    device: Device,
    id: string,
    activity: Activity,
  ): Promise<string | null> {
    const most = this.#sharesRefresh ? TRIES.shared : TRIES.apart
    for (let tries = 1; ; tries++) {
      const session = device.sessions.get(id)
      if (!session) return null
      const { challenge, key } = session
      const question = this.#questionOf(id, key, challenge)
      const arrived = await this.#ask(jar, question, activity)
      if (!arrived) return 'unreachable'
      this.#takeChallenges(device, arrived)
      const asked = arrived.exchange.device!
      if (asked.told === 'later') return 'server_error'
      if (asked.told === 'challenged' && tries < most) continue
      // Another key was registered meanwhile.
      if (device.sessions.get(id)?.key !== key) return null
      if (asked.told === 'granted') this.#follow(device, arrived, key, id)
      else {
        asked.gaveUp = true
        device.sessions.delete(id)
      }
      return null
    }
  }

  #questionOf(id: string, key: DeviceKey, challenge: string | null): Question {
    const proof = challenge === null ? null : prove(key, challenge, false)
    const challengedAt = this.#challengedAt.get(challenge ?? '') ?? Infinity
    return {
      task: 'refresh',
      id,
      print: fingerprint(id),
      proof,
      key: proof && key.thumbprint,
      challengedAt,
    }
  }

  async #registerWhereAsked(arrived: Arrived, activity: Activity): Promise<void> {
    const { clients } = this.#options
    const { exchange, response } = arrived
    const { jar } = exchange
    const { device } = clients.get(jar)
    if (device) this.#takeChallenges(device, arrived)
    const challenge = fieldOf(response.headers.get('secure-session-registration'), 'challenge')
    if (challenge === null) return
    const offer: Offer = {
      challenge,
      at: exchange.done,
      print: writtenBy(exchange) ?? exchange.aims,
    }
    this.#offers.set(jar, offer)
    if (device) await this.#register(jar, offer, activity)
  }

  /** Registers a key that is made for it. */
  async #register(jar: number, offer: Offer, activity: Activity): Promise<void> {
    const { clients, network, world } = this.#options
    const { challenge, at, print } = offer
    const key = await createKey(activity.random)
    await world.sleep(network.isCalm ? 10 : 1500 * activity.random() ** 2)
    const proof = prove(key, challenge, true)
    const { thumbprint } = key
    const question = { id: null, print, proof, key: thumbprint, challengedAt: at }
    const arrived = await this.#ask(jar, { task: 'register', ...question }, activity)
    const { device } = clients.get(jar)
    const isGranted = arrived?.exchange.device?.told === 'granted'
    if (device && isGranted) this.#follow(device, arrived, key)
  }

  /** Has the session of a browser challenged, and answers with a key that is not the browser's. */
  async #proveByOwnKey(jar: number, of: number, activity: Activity): Promise<void> {
    const { clients, history } = this.#options
    const id = history.ids.get(clients.get(of).session ?? '')
    if (id === undefined) return
    const key = await createKey(activity.random)
    const arrived = await this.#ask(jar, this.#questionOf(id, key, null), activity)
    const challenge = fieldOf(arrived?.response.headers.get('secure-session-challenge') ?? null)
    if (!arrived || challenge === null) return
    this.#challengedAt.set(challenge, arrived.exchange.done)
    await this.#ask(jar, this.#questionOf(id, key, challenge), activity)
  }

  /** Asks at the path of a task; twice, when the network repeats it. */
  async #ask(jar: number, question: Question, parent: Activity): Promise<Arrived | null> {
    const { deployment, network, world } = this.#options
    const { task, id, print, proof, key, challengedAt } = question
    const count = (this.#counts.get(parent) ?? 0) + 1
    this.#counts.set(parent, count)
    if (proof !== null) this.#sent.set(`${task} ${jar}`, question)
    const letter = (): Letter => ({
      path: `/device-bound/${task}`,
      method: 'POST',
      headers: {
        ...(id !== null && { 'sec-secure-session-id': `"${id}"` }),
        ...(proof !== null && { 'secure-session-response': proof }),
      },
      device: { task, key, proof, challengedAt, told: null, gaveUp: false },
      aims: print,
    })
    const activity = world.activity(`${parent.name}, ${task} ${count}`)
    const { random } = activity
    const send = (isLost: boolean): Promise<Arrived | null> => {
      const [up, down, slow] = [random() * 40, random() * 60, random()]
      const { isCalm } = network
      const action: RequestAction = {
        type: 'request',
        id: FIRST_ID + this.#asked++,
        at: 0,
        jar,
        isolate: Math.floor(random() * deployment.isolates.length),
        uses: [],
        up: Math.round(1 + up),
        think: 0,
        down: Math.round(1 + down + (slow < 0.08 && !isCalm ? 5000 * random() : 0)),
        lost: (isLost || random() < 0.05) && !isCalm,
      }
      return this.#traffic.send(action, activity, letter())
    }
    return await world.as(activity, async () => {
      if (random() < 0.04 && !network.isCalm) void send(true)
      return await Promise.race([send(false), world.sleep(PATIENCE).then(() => null)])
    })
  }

  /** Follows session instructions. */
  #follow(device: Device, arrived: Arrived, key: DeviceKey, before?: string): void {
    const id: string = JSON.parse(arrived.body).session_identifier
    if (before !== undefined && id !== before) {
      device.sessions.delete(before)
      return
    }
    device.sessions.set(id, { id, key, challenge: null })
    this.#takeChallenges(device, arrived)
  }

  #takeChallenges(device: Device, { exchange, response }: Arrived): void {
    const field = response.headers.get('secure-session-challenge')
    const challenge = fieldOf(field)
    const session = device.sessions.get(fieldOf(field, 'id') ?? '')
    if (!session || challenge === null) return
    this.#challengedAt.set(challenge, exchange.done)
    session.challenge = challenge
  }
}
