/** Makes up what happens in a run. */
import type { Action, RequestAction, Use } from './actions.ts'
import { TROUBLES, type Trouble } from './network.ts'
import type { RunConfig } from './profiles.ts'
import { streamOf } from './world.ts'

/** The first thief; browsers are below. */
export const FIRST_THIEF = 10
/** The first of the browsers that sign in at the end, where a user has a limit of sessions. */
export const LAST_JAR = 200
/** The first number of the requests at the end, when everything works again. */
export const LAST_ID = 100_000
/** The user as whom thieves sign in. */
export const MALLORY = 9

const OPS: Readonly<Record<string, number>> = {
  read: 22,
  append: 16,
  increment: 12,
  update: 10,
  set: 14,
  unset: 3,
  flash: 3,
  login: 8,
  regenerate: 6,
  destroy: 4,
  once: 2,
}

/** Every action of a run, by time. */
export function generate(config: RunConfig, Kind: typeof Story = Story): Action[] {
  const random = streamOf(config.seed, `actions ${config.profile}`)
  const story = new Kind(config, random)
  const length = 12 + Math.floor(random() * 24)
  for (let i = 0; i < length; i++) story.next()
  return story.actions.sort((a, b) => a.at - b.at)
}

/** What happens, one thing after the other. */
export class Story {
  readonly actions: Action[] = []
  protected readonly config: RunConfig
  readonly #random: () => number
  protected readonly browsers: number
  protected thieves = 0
  protected at = 0
  protected id = 1

  constructor(config: RunConfig, random: () => number) {
    this.config = config
    this.#random = random
    this.browsers = 1 + this.below(2)
    for (let jar = 0; jar < this.browsers; jar++) {
      if (this.chance(75)) this.request({ jar, uses: [{ op: 'login', user: jar }] })
      else this.request({ jar, uses: [{ op: 'set', key: 0 }] })
      this.at += 500
    }
  }

  next(): void {
    this.at += this.#gap()
    const others = Object.entries(this.config.rates)
    const total = others.reduce((sum, [, weight]) => sum + weight, 0)
    if (this.#random() * 100 >= total) {
      this.visit()
      return
    }
    const type = this.#weighed(this.config.rates)
    const isolate = this.below(this.config.isolates.length)
    const jar = this.below(this.browsers)
    const at = this.at
    const id = this.id++
    if (type === 'steal') {
      const thief = FIRST_THIEF + this.thieves++
      this.actions.push({ type, id, at, jar, thief })
    } else if (type === 'revoke') this.actions.push({ type, id, at, isolate, jar })
    else if (type === 'revokeAll') {
      const except = this.chance(30) ? jar : null
      this.actions.push({ type, id, at, isolate, user: this.user(jar), except })
    } else if (type === 'list') this.actions.push({ type, id, at, isolate, user: this.user(jar) })
    else if (type === 'restart') {
      this.actions.push({ type, id, at, isolate, newer: this.chance(40) })
    } else if (type === 'jump') {
      const drift = this.below(3000) - 1500
      this.actions.push({ type, id, at, isolate, drift })
    } else if (type === 'trouble') this.#trouble(id)
    else if (type === 'failover') {
      this.actions.push({ type, id, at, loses: 200 + this.below(3000) })
    }
  }

  #trouble(id: number): void {
    const trouble: Trouble = TROUBLES[this.below(TROUBLES.length)]!
    const lasts = this.pick(1000, 5000, 20_000, 60_000)
    this.actions.push({ type: 'trouble', id, at: this.at, trouble, lasts })
    this.at += this.below(300)
  }

  /** One request, or a few that overlap, or a scene that chance alone would rarely play. */
  protected visit(): void {
    if (this.chance(10)) {
      const scenes = [
        this.#fixation,
        this.#doubleClick,
        this.#burst,
        this.#additions,
        this.#renewal,
        ...(this.config.rates.trouble ? [this.#writeOnly] : []),
        ...(this.config.rates.failover ? [this.#lostTail, this.#lostTail] : []),
      ]
      scenes[this.below(scenes.length)]!.call(this)
      return
    }
    const isThief = this.thieves > 0 && this.chance(30)
    const jar = isThief ? FIRST_THIEF + this.below(this.thieves) : this.below(this.browsers)
    const count = this.chance(25) ? 2 + this.below(2) : 1
    for (let i = 0; i < count; i++) {
      this.request({ jar, uses: this.uses(jar, isThief) })
      if (i + 1 < count) this.at += this.below(80)
    }
  }

  /**
   * Somebody collects the cookies of rotations that the store may not have taken, and plants the
   * session from before them in a browser whose user then signs in.
   */
  #fixation(): void {
    const attacker = FIRST_THIEF + this.thieves++
    const victim = this.browsers + this.below(2)
    const smooth = { think: 0, down: 20, lost: false }
    this.request({ jar: attacker, uses: [{ op: 'set', key: 0 }], ...smooth })
    this.at += 1000
    this.actions.push({ type: 'steal', id: this.id++, at: this.at, jar: attacker, thief: victim })
    const trouble: Trouble = this.pick('read-only', 'read-only', 'flaky', 'hangs')
    const lasts = trouble === 'hangs' ? 20_000 : 5000
    if (this.config.rates.trouble) {
      this.actions.push({ type: 'trouble', id: this.id++, at: this.at, trouble, lasts })
    }
    for (let i = 1 + this.below(3); i >= 0; i--) {
      this.at += trouble === 'hangs' ? 6000 : 600
      this.request({ jar: attacker, uses: [{ op: 'regenerate' }], ...smooth })
    }
    this.at += this.pick(8000, 40_000)
    this.request({ jar: victim, uses: [{ op: 'login', user: 4 }], ...smooth })
    this.at += this.pick(3000, 40_000)
    for (const jar of [attacker, victim, attacker]) {
      this.request({ jar, uses: this.chance(50) ? [] : [{ op: 'append', key: 0 }], ...smooth })
      this.at += 1000
    }
  }

  /** The same sign-in twice, in two tabs or by two clicks. */
  #doubleClick(): void {
    const jar = this.below(this.browsers)
    const user = this.user(jar)
    this.request({ jar, uses: [{ op: 'login', user }] })
    this.at += this.below(200)
    this.request({ jar, uses: [{ op: 'login', user }] })
    this.at += this.pick(10, 300, 2000)
    this.request({ jar, uses: [{ op: 'append', key: 1 }] })
  }

  /** A copied cookie that writes as fast as it can, and an owner who signs out meanwhile. */
  #burst(): void {
    const jar = this.below(this.browsers)
    const thief = FIRST_THIEF + this.thieves++
    this.actions.push({ type: 'steal', id: this.id++, at: this.at, jar, thief })
    const end = this.below(8)
    for (let i = 0; i < 8; i++) {
      this.at += this.below(25)
      this.request({ jar: thief, uses: [{ op: this.pick('set', 'update', 'append'), key: 0 }] })
      if (i !== end) continue
      const op = this.pick('destroy', 'regenerate', 'destroy')
      this.request({ jar, uses: [{ op }] })
    }
  }

  /** Many additions at once, from everywhere. */
  #additions(): void {
    const jar = this.below(this.browsers)
    for (let i = 3 + this.below(5); i > 0; i--) {
      this.at += this.below(15)
      this.request({ jar, uses: [{ op: this.pick('increment', 'append', 'update'), key: 0 }] })
    }
  }

  /** Additions from several tabs, shortly before and after the store loses the last of them. */
  #lostTail(): void {
    const jar = this.below(this.browsers)
    const add = (count: number): void => {
      for (let i = 0; i < count; i++) {
        this.at += this.below(30)
        this.request({ jar, uses: [{ op: this.pick('append', 'increment', 'update'), key: 0 }] })
      }
    }
    add(2 + this.below(4))
    this.at += this.below(200)
    const loses = this.pick(30, 100, 300, 1000)
    this.actions.push({ type: 'failover', id: this.id++, at: this.at, loses })
    add(2 + this.below(4))
    this.at += this.below(1500)
    add(1 + this.below(3))
  }

  /** A session that comes to life again shortly before its end, by a read or by a write. */
  #renewal(): void {
    const jar = this.below(this.browsers)
    const { idleTimeout } = this.config
    this.request({ jar, uses: [] })
    this.at += 1000 * this.pick(idleTimeout * 0.4, idleTimeout * 0.8, idleTimeout * 1.1)
    this.request({ jar, uses: this.chance(50) ? [] : [{ op: 'set', key: 1 }] })
    this.at += 1000
    this.request({ jar, uses: [] })
  }

  /** A session that is written to while nothing can be read, and comes back shortly before the last write is too old. */
  #writeOnly(): void {
    const jar = this.below(this.browsers)
    const { idleTimeout, renewAfter } = this.config
    this.request({ jar, uses: [] })
    this.at += 500
    this.actions.push({
      type: 'trouble',
      id: this.id++,
      at: this.at,
      trouble: 'write-only',
      lasts: 300_000,
    })
    for (let i = 1 + this.below(4); i >= 0; i--) {
      this.at += this.pick(20_000, 50_000)
      this.request({ jar, uses: [{ op: 'append', key: 0 }] })
    }
    this.at += 1000 * (idleTimeout - renewAfter - 10)
    this.request({ jar, uses: [] })
  }

  protected request(given: Pick<RequestAction, 'jar' | 'uses'> & Partial<RequestAction>): void {
    const isSlow = this.chance(8)
    this.actions.push({
      type: 'request',
      id: this.id++,
      at: this.at,
      isolate: this.below(this.config.isolates.length),
      up: 1 + this.below(40),
      think: this.chance(70) ? 0 : this.chance(85) ? this.below(400) : this.below(8000),
      down: isSlow ? 200 + this.below(5000) : 1 + this.below(60),
      lost: this.chance(3),
      ...given,
    })
  }

  protected uses(jar: number, isThief: boolean): Use[] {
    const count = this.chance(75) ? 1 : 2
    const uses: Use[] = []
    for (let i = 0; i < count; i++) {
      const op = this.#weighed(OPS)
      // Signing in twice in one request leaves data behind that nobody can tell from lost ones.
      if (op === 'read' || (op === 'login' && uses.some((use) => use.op === op))) continue
      if (op === 'login') uses.push({ op, user: isThief ? MALLORY : this.user(jar) })
      else if (op === 'regenerate' || op === 'destroy') uses.push({ op })
      else uses.push({ op: op as 'set', key: this.below(2) })
      if (op === 'destroy') break
    }
    return uses
  }

  /** Mostly a browser's own. */
  protected user(jar: number): number {
    return this.chance(88) ? jar : this.below(this.browsers + 1)
  }

  #gap(): number {
    const kind = this.#random() * 100
    if (kind < 40) return this.below(120)
    if (kind < 76) return 200 + this.below(3000)
    if (kind < 90) return 3000 + this.below(17_000)
    if (kind < 98) return 20_000 + this.below(60_000)
    return 100_000 + this.below(600_000)
  }

  #weighed(weights: Readonly<Record<string, number>>): string {
    const entries = Object.entries(weights)
    let left = this.#random() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [name, weight] of entries) {
      left -= weight
      if (left < 0) return name
    }
    return entries.at(-1)![0]
  }

  protected pick<T>(...list: T[]): T {
    return list[this.below(list.length)]!
  }

  protected below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  protected chance(percent: number): boolean {
    return this.#random() * 100 < percent
  }
}
