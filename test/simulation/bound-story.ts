/** What happens in a run whose sessions are bound to devices. */
import type { DeviceAction, Use } from './actions.ts'
import { FIRST_THIEF, Story } from './generate.ts'

const MINUTES: readonly number[] = [200, 290, 305, 325, 340, 420, 700].map((s) => 1000 * s)

export class BoundStory extends Story {
  protected override visit(): void {
    if (!this.chance(45)) {
      super.visit()
      return
    }
    const scenes = [
      this.#comeBack,
      this.#theft,
      this.#theft,
      this.#attack,
      this.#rotation,
      this.#signIn,
      this.#race,
      this.#lateKey,
    ]
    scenes[this.below(scenes.length)]!.call(this)
  }

  protected override uses(jar: number, isThief: boolean): Use[] {
    return this.chance(5) ? [{ op: 'bind' }] : super.uses(jar, isThief)
  }

  /** A browser that was away for minutes, and opens all its tabs again. */
  #comeBack(): void {
    const jar = this.below(this.browsers)
    this.at += this.pick(...MINUTES)
    for (let tabs = 1 + this.below(3); tabs > 0; tabs--) {
      this.request({ jar, uses: this.uses(jar, false) })
      this.at += this.below(60)
    }
  }

  /** Somebody copies cookies, and uses the copy for as long as it is good, and longer. */
  #theft(): void {
    const jar = this.below(this.browsers)
    const thief = this.#steal(jar)
    for (let count = 1 + this.below(4); count > 0; count--) {
      this.at += this.pick(this.below(200), 2000, 30_000, 100_000, 305_000, 345_000)
      const isOwner = this.chance(40)
      if (isOwner) this.request({ jar, uses: this.uses(jar, false) })
      else if (this.chance(40)) this.#abuse(thief, jar)
      else this.request({ jar: thief, uses: this.chance(50) ? [] : this.uses(thief, true) })
    }
  }

  #attack(): void {
    const jar = this.below(this.browsers)
    const thief =
      this.thieves > 0 && this.chance(70)
        ? FIRST_THIEF + this.below(this.thieves)
        : this.#steal(jar)
    this.#abuse(thief, jar)
    this.at += this.below(300)
    this.request({ jar: thief, uses: [] })
  }

  /** A rotation that keeps the key, the proof after it, and whoever is there at that moment. */
  #rotation(): void {
    const jar = this.below(this.browsers)
    this.request({ jar, uses: [{ op: 'regenerate' }] })
    this.at += this.pick(60, 1000, 20_000)
    const thief = this.chance(60) ? this.#steal(jar) : null
    this.at += this.below(2000)
    this.#device({ jar, of: jar, what: 'refresh' })
    for (let count = 2 + this.below(4); count > 0; count--) {
      this.at += this.below(400)
      const isThief = thief !== null && this.chance(60)
      this.request({ jar: isThief ? thief : jar, uses: this.chance(70) ? [] : [{ op: 'bind' }] })
    }
  }

  /** A sign-in, and a copy that is made around the time at which the browser registers. */
  #signIn(): void {
    const jar = this.below(this.browsers)
    this.request({ jar, uses: [{ op: 'login', user: this.user(jar) }] })
    this.at += this.pick(this.below(100), this.below(2500))
    const thief = this.#steal(jar)
    this.at += this.below(1000)
    this.#abuse(thief, jar)
    this.at += this.below(1000)
    for (const one of [thief, jar, thief]) {
      this.request({ jar: one, uses: this.chance(70) ? [] : this.uses(one, one === thief) })
      this.at += this.below(20_000)
    }
  }

  /** Proofs under way while the session is written to, rotated or ended. */
  #race(): void {
    const jar = this.below(this.browsers)
    const user = this.user(jar)
    for (let count = 1 + this.below(3); count > 0; count--) {
      this.#device({ jar, of: jar, what: 'refresh' })
      this.at += this.below(40)
      if (this.chance(60)) continue
      const op = this.pick('append', 'update', 'regenerate', 'destroy', 'login', 'regenerate')
      if (op === 'login') this.request({ jar, uses: [{ op, user }] })
      else if (op === 'append' || op === 'update') this.request({ jar, uses: [{ op, key: 0 }] })
      else this.request({ jar, uses: [{ op }] })
      this.at += this.below(60)
    }
  }

  /** A challenge that is answered when the browser wakes up, after its time or after a rotation. */
  #lateKey(): void {
    const jar = this.below(this.browsers)
    this.request({ jar, uses: [this.chance(50) ? { op: 'login', user: jar } : { op: 'bind' }] })
    this.at += this.pick(2000, 100_000, 200_000, 320_000, 400_000)
    if (this.chance(30)) {
      this.request({ jar, uses: [{ op: 'regenerate' }] })
      this.at += this.pick(100, 40_000)
    }
    this.#device({ jar, of: jar, what: 'own-key' })
  }

  #abuse(thief: number, of: number): void {
    const what = this.pick(
      'replay',
      'replay-registration',
      'own-key',
      'own-proof',
      'swap',
      'refresh',
    )
    const other = this.thieves > 1 && this.chance(50) ? FIRST_THIEF + this.below(this.thieves) : of
    this.#device({ jar: thief, of: what === 'swap' ? other : of, what })
  }

  #device(given: Pick<DeviceAction, 'jar' | 'of' | 'what'>): void {
    this.actions.push({ type: 'device', id: this.id++, at: this.at, ...given })
  }

  #steal(jar: number): number {
    const thief = FIRST_THIEF + this.thieves++
    const isPartial = this.chance(40)
    this.actions.push({ type: 'steal', id: this.id++, at: this.at, jar, thief, isPartial })
    return thief
  }
}
