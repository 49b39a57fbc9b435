/** Requests on their way to an isolate, and responses on their way back. */
import { SessionError } from '../../src/errors.ts'
import type { RequestAction } from './actions.ts'
import { type Clients, fateOf, type Letter } from './clients.ts'
import type { Deployment } from './deployment.ts'
import type { DeviceAsk, Exchange, History } from './history.ts'
import type { Transcript } from './transcript.ts'
import type { Activity, World } from './world.ts'

export interface TrafficOptions {
  readonly world: World
  readonly clients: Clients
  readonly deployment: Deployment
  readonly history: History
  readonly transcript: Transcript
  /** Responses that are under way at once may get each other's cookies. */
  readonly swapsCookies: boolean
}

/** A response that a browser has. */
export interface Arrived {
  readonly exchange: Exchange
  readonly response: Response
  readonly body: string
}

export class Traffic {
  readonly #options: TrafficOptions
  /** Responses on their way, for the plant that mixes them up. */
  readonly #onTheirWay: { exchange: Exchange; setCookies: readonly string[] }[] = []

  constructor(options: TrafficOptions) {
    this.#options = options
  }

  /** Sends a request, and returns the response if it arrives; `null`: it does not. */
  async send(
    action: RequestAction,
    activity: Activity,
    letter: Letter = {},
  ): Promise<Arrived | null> {
    const { clients, deployment, history, transcript, world } = this.#options
    const isolate = deployment.isolates[action.isolate]!
    const now = world.now()
    const { exchange, header } = clients.send(action, activity, isolate.number, now, letter)
    const { device } = exchange
    history.exchanges.push(exchange)
    await world.sleep(action.up)
    let setCookies: readonly string[] = []
    let arrived: Arrived | null = null
    try {
      const response = await isolate.answer(exchange, requestOf(letter, header), history)
      setCookies = response.headers.getSetCookie()
      arrived = { exchange, response, body: device ? await response.text() : '' }
      if (device) device.told = toldBy(arrived)
      exchange.outcome = isDone(arrived) ? 'ok' : 'failed'
      exchange.code = exchange.outcome === 'ok' ? null : String(response.status)
    } catch (error) {
      exchange.outcome = 'failed'
      exchange.code = error instanceof SessionError ? error.code : 'unexpected'
      if (exchange.code === 'unexpected') {
        const text = String((error as Error).stack ?? error)
        history.problems.push({ rule: '10 unexpected error', text, at: world.now() })
      }
    }
    exchange.done = world.now()
    exchange.fate = fateOf(exchange)
    if (!isolate.isAlive) exchange.outcome = 'broken'
    transcript.sayAnswer(exchange, setCookies)
    if (!isolate.isAlive || action.lost) return null
    this.#onTheirWay.push({ exchange, setCookies })
    await world.sleep(action.down)
    const cookies = this.#take(exchange)
    clients.receive(exchange, cookies, world.now())
    transcript.say(`  browser ${exchange.jar} has response ${exchange.id}`)
    return arrived
  }

  /** The cookies that arrive with a response. */
  #take(exchange: Exchange): readonly string[] {
    const at = this.#onTheirWay.findIndex((one) => one.exchange === exchange)
    const own = this.#onTheirWay.splice(at, 1)[0]!.setCookies
    if (!this.#options.swapsCookies || !this.#onTheirWay.length) return own
    const [other] = this.#onTheirWay.splice(0, 1)
    this.#onTheirWay.unshift({ exchange: other!.exchange, setCookies: own })
    return other!.setCookies
  }
}

function requestOf({ path = '/', method = 'GET', headers }: Letter, cookie: string | null) {
  const all = { ...headers, ...(cookie !== null && { cookie }) }
  return new Request(`https://example.com${path}`, { method, headers: all })
}

const isDone = ({ exchange: { device }, response }: Arrived): boolean =>
  device ? device.told === 'granted' : response.status === 200

/** What the answer to a registration or a refresh says. */
function toldBy({ body, response: { status } }: Arrived): DeviceAsk['told'] {
  if (status >= 500) return 'later'
  if (status === 403) return 'challenged'
  if (status !== 200) return 'refused'
  return JSON.parse(body).continue === false ? 'over' : 'granted'
}
