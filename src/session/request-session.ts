/** The session of one request, as a recorder of operations on its draft. */
import {
  applyRules,
  assertSubject,
  assertTime,
  expectArgument,
  isToken,
  keyOf,
  quote,
  refuseUnless,
} from '../check.ts'
import type { Change } from '../codec/entries.ts'
import { nameOf, newNonce } from '../codec/generation.ts'
import { idOf, type SessionState } from '../codec/session-record.ts'
import { encodeText } from '../crypto/text.ts'
import { fingerprint } from '../emit.ts'
import { SessionCommittedError, SessionError } from '../errors.ts'
import { DESTROY_RULES, LOGIN_RULES } from './argument-rules.ts'
import type { Draft } from './draft.ts'
import type { Instance } from './instance.ts'
import { setReader } from './instances.ts'
import {
  change,
  isOfOther,
  type Login,
  type Operation,
  ownValue,
  prove,
  type Rotation,
  retag,
  rotate,
  signIn,
  sweepFlash,
  updateValue,
  withValue,
} from './operations.ts'
import type {
  DestroyOptions,
  FlashOf,
  FlashValueOf,
  Frozen,
  ItemOf,
  LoginOptions,
  NumberKey,
  OnceOptions,
  Session,
  SessionData,
  SessionStatus,
} from './session.ts'

/** Implements {@link Session}; its fields are private, so printing one shows no data. */
export class RequestSession<D extends SessionData> implements Session<D, D> {
  readonly #draft: Draft
  readonly #instance: Instance
  /** The flash values that this request may still read. */
  #flash: SessionState['flash']
  #rotation: Rotation | undefined

  static {
    setReader((session) => (#draft in session ? [session.#draft, session.#instance] : undefined))
  }

  /** @param seen The flash values that this request may read, and that it drops. */
  constructor(draft: Draft, instance: Instance, seen: SessionState['flash']) {
    this.#draft = draft
    this.#instance = instance
    this.#flash = seen
    if (Object.keys(seen).length && !draft.readOnly) {
      this.#apply(sweepFlash(seen, instance.context.same))
    }
    // `session.cart = []`, as in other libraries, would not be saved: it throws.
    Object.preventExtensions(this)
  }

  get id(): string {
    return idOf(this.#draft.current)
  }
  get rotationId(): string {
    const { current } = this.#draft
    const bytes = encodeText(`${idOf(current)}.${nameOf(current.generation)}`)
    // Under two starting values: 64 bits.
    return fingerprint(bytes) + fingerprint(bytes, 0x01234567)
  }
  get status(): SessionStatus {
    return this.#draft.status
  }
  get data(): Frozen<D> {
    return Object.freeze(this.#draft.current.data) as Frozen<D>
  }
  get createdAt(): number {
    return this.#draft.current.createdAt
  }
  get expiresAt(): number {
    return this.#instance.context.expiresAt(this.#draft.current)
  }
  get subject(): string | null {
    return this.#draft.current.subject
  }
  get tags(): readonly string[] {
    return Object.freeze(this.#draft.current.claims?.t ?? [])
  }
  get authenticatedAt(): number | null {
    const { current, doubt } = this.#draft
    return doubt ? null : current.authenticatedAt
  }
  get factors(): Readonly<Record<string, number>> {
    const { current, doubt } = this.#draft
    return Object.freeze((!doubt && current.claims?.f) || {})
  }
  get actor(): string | null {
    return this.#draft.current.claims?.a ?? null
  }
  get bound(): boolean | null {
    return this.#draft.device?.bound ?? null
  }

  get<K extends keyof D>(key: K): Frozen<D[K]> {
    return ownValue(this.#draft.current.data, key) as Frozen<D[K]>
  }

  has(key: keyof D): boolean {
    return Object.hasOwn(this.#draft.current.data, key)
  }

  set<K extends keyof D>(key: K, value: D[K] | Frozen<D[K]>): void {
    this.#make([0, keyOf(key), 'set', this.#copy(value, String(key))])
  }

  unset(key: keyof D): void {
    this.#make([0, keyOf(key), 'set'])
  }

  update<K extends keyof D>(
    key: K,
    fn: (current: Frozen<D[K]> | undefined) => D[K] | Frozen<D[K]>,
  ): void {
    const path = keyOf(key)
    expectArgument(typeof fn === 'function', 'fn', 'a function', fn)
    this.#change(updateValue(path, (now) => this.#copy(fn(now as Frozen<D[K]> | undefined), path)))
  }

  increment<K extends NumberKey<D>>(key: K, by = 1): void {
    const now = Number(this.#current(key, 'number') ?? 0)
    const holds = typeof by === 'number' && Number.isFinite(now + by)
    expectArgument(holds, 'by', 'a finite number, and so must be the sum', by)
    this.#make([0, keyOf(key), 'add', by])
  }

  append<K extends keyof D>(key: K, ...items: ItemOf<D[K]>[]): void {
    this.#current(key, 'list')
    this.#make([0, keyOf(key), 'append', this.#copy(items, String(key))])
  }

  flash<K extends string>(key: K): FlashOf<K>
  flash<K extends string>(key: K, value: FlashValueOf<K>): void
  flash(key: string, ...value: [unknown?]): unknown {
    if (value.length === 0) {
      const found = ownValue(this.#flash, key)
      this.#flash = withValue(this.#flash, key, undefined)
      return found
    }
    return this.#make([1, keyOf(key), 'set', this.#copy(value[0], `flash.${key}`)])
  }

  login(subject: string, options: LoginOptions = {}): void {
    assertSubject(subject)
    const chosen = applyRules<Omit<Login, 'subject'>>('login.', LOGIN_RULES, options)
    const { idleTimeout, absoluteTimeout = this.#instance.options.absoluteTimeout } = chosen
    assertTime('login.idleTimeout', idleTimeout, 'absoluteTimeout', absoluteTimeout)
    // Data of a newer version are left behind, but for those of the same user.
    const draft = this.#draft
    const login = { subject, ...chosen }
    this.#assertWritable(isOfOther(draft.current, login))
    if (/^(superseded|unproven)$/.test(draft.status)) draft.status = 'missing'
    draft.readOnly = null
    this.#trust()
    this.#change(signIn(login, this.#draw(), this.#instance.options.version, draft.found !== null))
  }

  tag(...tags: string[]): void {
    this.#change(retag(tags, tags))
  }

  untag(...tags: string[]): void {
    this.#change(retag(tags, []))
  }

  regenerate(): void {
    this.#assertWritable()
    // A session that no cookie names yet has nothing to replace.
    if (this.#draft.found) this.#apply(rotate(this.#draw()))
  }

  bind(): void {
    this.#assertWritable()
    const { device } = this.#draft
    refuseUnless(!!device, 'deviceBound', 'set for bind()', device)
    device!.asks = true
  }

  elevate(factor: string): void {
    const { factors } = this.#instance.options
    const holds = factors ? factors.includes(factor) : isToken(factor)
    expectArgument(holds, 'factor', factors ? `one of ${factors}` : 'a name without spaces', factor)
    this.#assertWritable()
    if (this.subject === null) throw new TypeError('Cannot elevate session: nobody is signed in')
    this.#trust()
    this.regenerate()
    this.#change(prove(factor, this.#draw().at, this.subject))
  }

  destroy(options?: DestroyOptions): void {
    const { clear, reason } = applyRules<DestroyOptions>('destroy.', DESTROY_RULES, options)
    const draft = this.#draft
    if (draft.status !== 'destroyed') {
      this.#assertWritable(true, true)
      const nobody = { claims: undefined, data: {}, subject: null, authenticatedAt: null }
      draft.current = { ...draft.current, ...nobody }
      draft.status = 'destroyed'
      this.#instance.context.changed(draft)
    }
    draft.clearsSite ??= clear
    draft.endReason ??= reason
  }

  async once<T>(key: string, fn: () => Promise<T>, options?: OnceOptions): Promise<T> {
    const { current } = this.#draft
    const { runOnce } = await import('./once.ts')
    return runOnce(this.#instance, this.#draft, current, key, fn, options)
  }

  /** Lets this client see the session as it is, once it has proven something. */
  #trust(): void {
    const { doubt } = this.#draft
    if (!doubt) return
    this.#draft.doubt = undefined
    this.#apply(doubt)
  }

  #copy(value: unknown, path: string): unknown {
    return value === undefined ? undefined : this.#instance.format.copy(value, path)
  }

  /** Draws the credential of this request, once: rotating twice in a request is rotating. */
  #draw(): Rotation {
    const { context, options } = this.#instance
    let key: SessionState['key'] | undefined
    const drawKey = () => (key ??= context.newKey())
    this.#rotation ??= { nonce: newNonce(), key: drawKey, at: options.now() }
    return this.#rotation
  }

  #current(key: keyof D, kind: 'number' | 'list'): unknown {
    const value = this.get(key)
    const fits = kind === 'list' ? Array.isArray(value) : typeof value === kind
    if (fits || value === undefined || value === null) return value ?? undefined
    throw new TypeError(`Cannot add to ${quote(String(key))}: it holds no ${kind}`)
  }

  #make(one: Change): void {
    this.#change(change([one], this.#instance.context.same))
  }

  #change(operation: Operation): void {
    this.#assertWritable()
    this.#apply(operation)
    this.#instance.context.changed(this.#draft)
  }

  #apply(operation: Operation): void {
    const { current } = this.#draft
    const next = operation(current)
    if (this.#draft.current !== current) {
      throw new SessionError('Cannot change session in update(): return the new value')
    }
    this.#draft.current = next
    this.#draft.operations.push(operation)
  }

  /** `ends`: data that were found and cannot be read may be left behind. */
  #assertWritable(ends = false, signsOut = false): void {
    const { found, readOnly, refused, saving, status } = this.#draft
    if (saving) {
      throw new SessionCommittedError(
        'Cannot change session: its response was committed; change it before the response is returned',
      )
    }
    if (status === 'destroyed') {
      throw new SessionError('Cannot change session: it was destroyed by this request', {
        code: 'ERR_SESSION_DESTROYED',
      })
    }
    if (refused && signsOut) return
    if (refused) throw refused
    if (readOnly && !(ends && found)) throw readOnly
  }
}
