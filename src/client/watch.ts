/** The logic of {@link watchSession}, over whatever stands for the browser. */
import type { SignInStatus } from '../session/status.ts'

/** Options for {@link watchSession}. */
export interface WatchOptions {
  /** The address of `sessions.statusHandler()`, on the origin of the page. */
  url: string
  /** Seconds between two questions while the page is visible, 1 to 86,400. (default: 60) */
  interval?: number
  /** Seconds before the end of the session at which `onExpiring` is called, 0 to 86,400. (default: 120) */
  warnBefore?: number
  /**
   * Asks by `POST`, which renews the session, after the visitor has pressed a key, a button or a finger.
   * `false`: only other requests of the page renew it. (default: `true`)
   */
  keepAlive?: boolean
  /**
   * Called once somebody else is signed in than this page was made for, or nobody is any more, in this tab, in
   * another one or on the server. (default: `location.reload()`)
   */
  onChange?: (now: SignInStatus, before: SignInStatus) => void
  /** Called once the session ends in `warnBefore` seconds or less, once for each approach. */
  onExpiring?: (secondsLeft: number) => void
  /** Called when the session has more time again, after `onExpiring`: here or in another tab. */
  onRenewed?: (secondsLeft: number) => void
}

/** The watch of one page. */
export interface SessionWatch {
  /**
   * Asks at once, as after a sign-in or sign-out by `fetch`, and tells the other tabs. `null`: nobody knows,
   * because the browser is offline or the store is down.
   */
  check(): Promise<SignInStatus | null>
  /** Ends every timer, listener, question and channel. */
  stop(): void
}

/** An answer of the endpoint, as tabs pass it on. Times are epoch milliseconds. */
export interface Answer extends SignInStatus {
  /** The time at which it was asked. */
  readonly at: number
}

/** The parts of a browser that a watch needs. */
export interface WatchWorld {
  now(): number
  /** Rejects unless there is an answer. */
  ask(method: 'GET' | 'POST', signal: AbortSignal): Promise<SignInStatus>
  isVisible(): boolean
  setTimeout(run: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
  reload(): void
  /**
   * Calls `wake` when the page may have become visible, hidden or online again, `act` when the visitor does something, and
   * `hear` with the answers of other tabs. Returns what tells those of an answer, and what ends it all.
   */
  connect(
    wake: () => void,
    act: () => void,
    hear: (answer: Answer) => void,
  ): readonly [tell: (answer: Answer) => void, end: () => void]
}

/** Milliseconds that a question may take. */
const PATIENCE_MS = 10_000
/** Milliseconds between two questions because the page came into view. */
const PAUSE_MS = 2000

type ResolvedOptions = WatchOptions &
  Required<Pick<WatchOptions, 'interval' | 'warnBefore' | 'keepAlive'>>

/** Implements {@link SessionWatch}. */
export class Watch implements SessionWatch {
  readonly #options: ResolvedOptions
  readonly #world: WatchWorld
  readonly #tell: (answer: Answer) => void
  readonly #end: () => void
  /** The answer that this page goes by. */
  #latest: Answer | undefined
  /** The last answer of another tab. */
  #heard: Answer | undefined
  #asking: Promise<SignInStatus | null> | undefined
  #askedAt = 0
  #controller = new AbortController()
  #timer: unknown
  /** The visitor has done something since the last question. */
  #isActive = false
  #isWarned = false
  #isStopped = false

  constructor(options: ResolvedOptions, world: WatchWorld) {
    this.#options = options
    this.#world = world
    const connection = world.connect(
      () => this.#wake(),
      () => this.#act(),
      (answer) => this.#hear(answer),
    )
    ;[this.#tell, this.#end] = connection
    // Also where the page was opened in the background: it would not know whom it is for.
    void this.check()
  }

  check(): Promise<SignInStatus | null> {
    if (this.#isStopped) return Promise.resolve(null)
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  /** Is bound, so that it can be handed on: an effect of React returns it. */
  readonly stop = (): void => {
    this.#isStopped = true
    this.#world.clearTimeout(this.#timer)
    this.#controller.abort()
    this.#end()
  }

  async #ask(): Promise<SignInStatus | null> {
    const world = this.#world
    const known = this.#latest
    const at = world.now()
    const method = this.#isActive && this.#options.keepAlive ? 'POST' : 'GET'
    this.#askedAt = at
    this.#isActive = false
    this.#controller = new AbortController()
    const limit = world.setTimeout(() => this.#controller.abort(), PATIENCE_MS)
    const status = await world.ask(method, this.#controller.signal).catch(() => null)
    world.clearTimeout(limit)
    if (this.#isStopped) return null
    if (!status) {
      // Offline, or a store that is down, signs nobody out.
      this.#isActive ||= method === 'POST'
      this.#schedule(this.#options.interval)
      return null
    }
    const answer = { ...status, at }
    this.#tell(answer)
    // Unless another tab has asked later, and was faster.
    if (this.#latest === known || !(this.#latest!.at > at)) this.#take(answer)
    if (this.#heard && this.#heard.at > this.#latest!.at) this.#take(this.#heard)
    return status
  }

  #hear(answer: Answer): void {
    this.#heard = answer
    // Before its first own answer a page does not know whom it is for.
    if (this.#latest && answer.at > this.#latest.at) this.#take(answer)
  }

  #wake(): void {
    if (!this.#world.isVisible()) this.#world.clearTimeout(this.#timer)
    else if (this.#isPast(PAUSE_MS)) void this.check()
    else this.#schedule()
  }

  #act(): void {
    this.#isActive = true
    // A session that cannot be renewed any more is not asked about at each key.
    if (this.#isWarned && this.#options.keepAlive && this.#isPast(PATIENCE_MS)) void this.check()
  }

  #take(answer: Answer): void {
    const { onChange, onExpiring, onRenewed, warnBefore } = this.#options
    const before = this.#latest
    const wasWarned = this.#isWarned
    this.#latest = answer
    const left = this.#secondsLeft()
    const isNear = left <= warnBefore
    this.#isWarned = isNear && (wasWarned || this.#world.isVisible())
    this.#schedule()
    if (before && isOther(before, answer)) {
      if (onChange) onChange(answer, before)
      else this.#world.reload()
    } else if (this.#isWarned && !wasWarned) onExpiring?.(left)
    else if (wasWarned && !isNear) onRenewed?.(left)
  }

  /** @param seconds Until the next question. (default: until the warning, or the end, at most `interval`) */
  #schedule(seconds?: number): void {
    const { interval, warnBefore } = this.#options
    const world = this.#world
    world.clearTimeout(this.#timer)
    if (!world.isVisible()) return
    const next = seconds ?? this.#secondsLeft() - (this.#isWarned ? 0 : warnBefore)
    const ms = 1000 * Math.max(1, Math.min(next, interval))
    this.#timer = world.setTimeout(() => void this.check(), ms)
  }

  #secondsLeft(): number {
    const { at = 0, secondsLeft } = this.#latest ?? {}
    if (typeof secondsLeft !== 'number') return Infinity
    return Math.ceil(secondsLeft - (this.#world.now() - at) / 1000)
  }

  #isPast(ms: number): boolean {
    return Math.abs(this.#world.now() - this.#askedAt) >= ms
  }
}

/** Tells whether two answers are about different people. While secrets are replaced a mark has several parts. */
function isOther(a: SignInStatus, b: SignInStatus): boolean {
  const parts = a.who?.split('.') ?? []
  const isSame = parts.some((part) => b.who?.split('.').includes(part))
  return a.signedIn !== b.signedIn || (a.signedIn && !isSame)
}
