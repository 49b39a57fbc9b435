/** The trace of a run, for whoever reads it: what happened, and every call of the store. */
import { parseSetCookie } from './browser.ts'
import type { Exchange } from './history.ts'
import type { Network } from './network.ts'
import type { World } from './world.ts'

export class Transcript {
  readonly #lines: { at: number; text: string }[] = []
  readonly #world: World
  readonly #network: Network
  readonly #start: number

  constructor(world: World, network: Network) {
    this.#world = world
    this.#network = network
    this.#start = world.now()
  }

  /** Adds a line, if anybody asked for the trace. */
  say(text: string): void {
    if (this.#network.isTraced) this.#lines.push({ at: this.#world.now(), text })
  }

  /** Adds what a handler saw, and which cookies its response sets. */
  sayAnswer(exchange: Exchange, setCookies: readonly string[]): void {
    if (!this.#network.isTraced) return
    const { activity, aims, code, device, id, jar, outcome, seen } = exchange
    const { bound = null, status, subject, data } = seen ?? {}
    const who = `${status} ${subject ?? 'nobody'}${bound === null ? '' : bound ? ' bound' : ' not bound'}`
    const found = seen ? `${who} ${JSON.stringify(data)}` : 'nothing'
    if (device) {
      const { key, task, told } = device
      this.say(`  ${id}: browser ${jar}, ${task} of ${aims} by key ${key?.slice(0, 6)}: ${told}`)
    }
    const events = activity.events.map(({ type }) => type).join(' ')
    const names = setCookies.map((header) => {
      const { name, until } = parseSetCookie(header, 0)
      return until > 0 ? name : `-${name}`
    })
    this.say(
      `  ${id}: ${outcome}${code ? ` ${code}` : ''}, saw ${found} [${events}] sets ${names.join(' ') || 'nothing'}`,
    )
  }

  /** Returns all lines by time; none unless asked for. */
  lines(): string[] {
    const calls = this.#network.log.map(({ at, activity, name, what }) => ({
      at,
      text: `    ${activity}: ${name} ${what}`,
    }))
    return [...this.#lines, ...calls]
      .map((line, i) => ({ ...line, i }))
      .sort((a, b) => a.at - b.at || a.i - b.i)
      .map(({ at, text }) => `${((at - this.#start) / 1000).toFixed(3).padStart(9)}  ${text}`)
  }
}
