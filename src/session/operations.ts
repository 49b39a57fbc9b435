/**
 * Changes to a session, recorded so that they can be replayed on a newer state of it.
 *
 * Every operation takes a state and returns the next one. A commit that finds a newer record replays
 * them all on that.
 */
import { applyRules, TAGS } from '../check.ts'
import type { Change } from '../codec/entries.ts'
import { FIRST, nextGeneration } from '../codec/generation.ts'
import { ID_BYTES, type SessionState } from '../codec/session-record.ts'
import type { SessionStatus } from './session.ts'

/** One recorded change. */
export interface Operation {
  (state: SessionState): SessionState
  /** Its changes, the same on every state; `undefined`: they depend on the state. */
  changes?: readonly Change[]
  /** The key whose value a function computes from the one that is there. */
  updates?: string
  /** It signs a user in. */
  signsIn?: true
  /** The same sign-in for a session that another handler of the response has begun: it replaces the credential. */
  rotating?: Operation
  /** It applies deferred writes of earlier requests. */
  isDeferred?: true
  /** Made by the library and not by the application: a commit may go without it. */
  isAutomatic?: true
}

type Values = Readonly<Record<string, unknown>>
export type Same = (a: unknown, b: unknown) => boolean

/** Tells whether the application made any of them: the library sweeps flash values and imports by itself. */
export function hasChanges(operations: readonly Operation[]): boolean {
  return operations.some(({ isAutomatic }) => !isAutomatic)
}

/** Tells whether the application changed a session: set something in it, asked for a key (`bind`), or ended it. */
export function isChanged(draft: {
  readonly operations: readonly Operation[]
  readonly status: SessionStatus
  readonly device?: { readonly asks?: boolean }
}): boolean {
  const { device, operations, status } = draft
  return status === 'destroyed' || device?.asks === true || hasChanges(operations)
}

/** Replays every operation on `state`, in order. */
export function applyAll(operations: readonly Operation[], state: SessionState): SessionState {
  return operations.reduce((current, operation) => operation(current), state)
}

/** Makes changes on a state, in order. */
export function applyChanges(
  changes: readonly Change[],
  same: Same,
  state: SessionState,
): SessionState {
  let current = state
  for (const [section, key, op, value] of changes) {
    const values = section === 0 ? current.data : current.flash
    const next = withValue(values, key, changed(ownValue(values, key), op, value, same))
    current = section === 0 ? { ...current, data: next } : { ...current, flash: next }
  }
  return current
}

/** Returns the value after a change. What cannot be added to stays: somebody set it meanwhile. */
function changed(there: unknown, op: Change[2], value: unknown, same: Same): unknown {
  if (op === 'set') return value
  if (op === 'take') return same(there, value) ? undefined : there
  const base = there ?? (op === 'add' ? 0 : [])
  if (op === 'add') {
    const sum = typeof base === 'number' ? base + (value as number) : Number.NaN
    // JSON would make nothing of an infinite one.
    return Number.isFinite(sum) ? sum : there
  }
  return Array.isArray(base) ? Object.freeze([...base, ...(value as unknown[])]) : there
}

/** Tells whether a change is one of data, and not of flash. */
export function isOfData([section]: Change): boolean {
  return section === 0
}

/** Tells whether a change commutes with others: additions, and flash, which only grows and is taken. */
export function isAddition([section, , op]: Change): boolean {
  return section === 1 || op === 'add' || op === 'append'
}

/** Returns the changes of a request. An `update` is a `set` of the result of its function. */
export function changesOf(operations: readonly Operation[], current: SessionState): Change[] {
  const all: Change[] = []
  const updated = new Set<string>()
  for (const { updates } of operations) if (updates !== undefined) updated.add(updates)
  for (const { changes } of operations) {
    for (const one of changes ?? []) if (!isOfData(one) || !updated.has(one[1])) all.push(one)
  }
  for (const key of updated) all.push([0, key, 'set', ownValue(current.data, key)])
  return all
}

/** Tells whether any of them changes data. */
export function setsData(operations: readonly Operation[]): boolean {
  return operations.some(({ changes, updates }) => updates !== undefined || changes?.some(isOfData))
}

/**
 * Returns the additions that can be made in no way: another request has set their key to what is no
 * number, or no list. An addition to what the same changes set is theirs alone.
 */
export function leftOut(changes: readonly Change[], { data }: SessionState): Change[] {
  return changes.filter((one) => {
    const [, key, op] = one
    if (!isOfData(one) || !isAddition(one)) return false
    const value = ownValue(data, key)
    const takes = op === 'add' ? typeof value === 'number' : Array.isArray(value)
    const isOwn = (other: Change): boolean => other[1] === key && !isAddition(other)
    return value !== undefined && !takes && !changes.some(isOwn)
  })
}

/** Records changes whose values are copied already. */
export function change(changes: readonly Change[], same: Same): Operation {
  const operation: Operation = (state) => applyChanges(changes, same, state)
  operation.changes = changes
  return operation
}

/** Drops the flash values that this request could read, and none that others have set since. */
export function sweepFlash(seen: Values, same: Same): Operation {
  const changes = Object.keys(seen).map((key): Change => [1, key, 'take', seen[key]])
  const operation = change(changes, same)
  operation.isAutomatic = true
  return operation
}

/** Replaces a value by what `fn` makes of the one that is there at that moment. */
export function updateValue(key: string, fn: (current: unknown) => unknown): Operation {
  const operation: Operation = (state) => ({
    ...state,
    data: withValue(state.data, key, fn(ownValue(state.data, key))),
  })
  operation.updates = key
  return operation
}

/** A new credential, drawn once: a rotation that is replayed leads to the same one. */
export interface Rotation {
  readonly nonce: string
  /** Returns a fresh key, always the same: a rotation takes its key share, a new session takes all. */
  readonly key: () => SessionState['key']
  /** Epoch milliseconds. */
  readonly at: number
}

/** Replaces the credential; the session and its id stay. */
export function rotate({ nonce, key, at }: Rotation): Operation {
  return (state) => {
    if (state.generation.nonce === nonce) return state
    const next = state.key.length > ID_BYTES ? key().slice() : state.key
    if (next !== state.key) next.set(state.key.subarray(0, ID_BYTES))
    return { ...state, key: next, generation: nextGeneration(state.generation, nonce, at) }
  }
}

/** The arguments of a sign-in. */
export interface Login {
  readonly subject: string
  readonly persistent: boolean
  /** Seconds; `undefined`: as configured. */
  readonly idleTimeout: number | undefined
  /** Seconds; `undefined`: as configured. */
  readonly absoluteTimeout: number | undefined
  /** The application's name for this sign-in. */
  readonly label: string | undefined
  /** Somebody else who acts for the subject. */
  readonly actor: string | undefined
  readonly tags: readonly string[] | undefined
}

/** Tells whether a session is that of somebody else: of another user, or in other hands. */
export function isOfOther(
  { claims, subject }: SessionState,
  login: Pick<Login, 'subject' | 'actor'>,
): boolean {
  return subject !== login.subject || claims?.a !== login.actor
}

/**
 * Signs a user in: the timeouts start afresh, and the credential is replaced. Over the session of
 * somebody else, or over data of a version newer than `version`, it starts a new session instead.
 */
export function signIn(
  login: Login,
  rotation: Rotation,
  version: number,
  rotates: boolean,
): Operation {
  const { at } = rotation
  const today = at - (at % 1000)
  const { actor, tags, ...fields } = login
  const operation: Operation = (state) => {
    const isOther = isOfOther(state, login)
    const startsOver = (isOther && state.subject !== null) || state.version > version
    const base = startsOver ? startOver(state, rotation, version) : state
    const f = isOther ? undefined : base.claims?.f
    return {
      ...(rotates && base === state ? rotate(rotation)(base) : base),
      ...fields,
      claims: f || actor || tags ? { f, a: actor, t: tags && [...tags] } : undefined,
      createdAt: today,
      renewedAt: today,
      authenticatedAt: at,
      binding: undefined,
    }
  }
  operation.signsIn = true
  if (!rotates) operation.rotating = signIn(login, rotation, version, true)
  return operation
}

/** Records that `subject` has proven a factor at `at`, epoch milliseconds; nothing where a store has lost the sign-in. */
export function prove(factor: string, at: number, subject: string | null): Operation {
  return (state) => {
    const { claims } = state
    if (state.subject !== subject) return state
    return { ...state, claims: { ...claims, f: { ...claims?.f, [factor]: at } } }
  }
}

/** Takes tags out of a session, and puts others in. Throws as `login` does for tags that it cannot have. */
export function retag(out: readonly string[], into: readonly string[]): Operation {
  return (state) => {
    const { claims } = state
    const tags = [...(claims?.t ?? []).filter((one) => !out.includes(one)), ...into]
    // What is no tag would stay where it was meant to go.
    for (const some of [out, tags]) applyRules('', { tags: TAGS }, { tags: some })
    return { ...state, claims: { ...claims, t: tags } }
  }
}

/** A new session: nothing of the old one but the flash that this request left. */
function startOver(state: SessionState, { key }: Rotation, version: number): SessionState {
  const { flash } = state
  const none = { claims: undefined, counter: 0, writes: undefined, markFor: undefined, data: {} }
  return { ...state, ...none, key: key(), generation: FIRST, version, flash }
}

/** Returns the value under an own key. */
export function ownValue(values: Values, key: PropertyKey): unknown {
  return Object.hasOwn(values, key) ? values[key as string] : undefined
}

/** Returns the same values but for one key; `undefined` removes it. */
export function withValue(values: Values, key: string, value: unknown): Values {
  if (value !== undefined) return { ...values, [key]: value }
  const { [key]: _, ...rest } = values
  return rest
}
