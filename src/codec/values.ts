/** Values that can be stored: copied when they come in, frozen when they go out. */
import { kindOf, quote } from '../check.ts'
import { SessionSerializationError } from '../errors.ts'

/** Turns values into text and back. The default is JSON; `devalue` fits. */
export interface SessionCodec {
  stringify(value: unknown): string
  parse(text: string): unknown
}

const MAX_DEPTH = 1000

/** Returns a frozen copy of `value`, or throws {@link SessionSerializationError}. */
export type CopyValue = (value: unknown, path: string) => unknown

/** Copies what JSON preserves, and refuses what JSON would lose, naming its path. */
export const copyJson: CopyValue = (value, path) => copy(value, path, null)

/** Copies by a round trip through the codec. */
export function copyWith(codec: SessionCodec): CopyValue {
  return (value, path) => {
    try {
      // Codecs make an empty object of it.
      if (value instanceof Promise) throw new TypeError()
      return deepFreeze(codec.parse(codec.stringify(value)))
    } catch (cause) {
      throw new SessionSerializationError(
        `Cannot store ${quote(path)}: the codec refused it (${cause instanceof Error ? cause.name : typeof cause})`,
        path,
      )
    }
  }
}

/** Position of a value; becomes a path string only in an error message. */
interface Place {
  readonly key: string | number
  /** The object or list that contains it. */
  readonly above: Place | null
  readonly value: unknown
  readonly depth: number
}

function copy(value: unknown, key: string | number, above: Place | null): unknown {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
  // JSON has no negative zero; adding 0 removes the sign.
  if (typeof value === 'number' && Number.isFinite(value)) return value + 0
  const here: Place = { key, above, value, depth: above ? above.depth + 1 : 0 }
  if (typeof value !== 'object') throw refusal(here)
  // Looking for a cycle with each value would take the square of the time.
  if (here.depth === MAX_DEPTH) throw refusal(here, 'a cycle, or over 1000 levels deep,')
  // To freeze an empty array takes long, and a visitor can send a million of them.
  if (Array.isArray(value) && !value.length) return NO_ITEMS
  if (Array.isArray(value)) {
    return Object.freeze(Array.from(value, (item, i) => copy(item, i, here)))
  }
  if (!isPlainObject(value)) throw refusal(here)
  if (Object.getOwnPropertySymbols(value).length) throw refusal(here, 'a key that is a symbol')
  const all: Record<string, unknown> = { ...value }
  for (const name of Object.keys(all)) {
    if (all[name] === undefined) delete all[name]
    else all[name] = copy(all[name], name, here)
  }
  return Object.freeze(all)
}

const NO_ITEMS: readonly never[] = Object.freeze([])

/** Object literals and null-prototype objects, also of another realm. */
function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function refusal(place: Place, kind?: string): SessionSerializationError {
  const { value } = place
  const what =
    kind ??
    (typeof value === 'object'
      ? `a ${value?.constructor?.name ?? 'class instance'}`
      : kindOf(value))
  const advice =
    value instanceof Promise ? 'await it first' : 'store a string or number, or use a codec'
  const path = pathOf(place)
  return new SessionSerializationError(
    `Cannot store ${quote(path)}: ${what} would not survive JSON; ${advice}`,
    path,
  )
}

function pathOf({ key, above }: Place): string {
  if (!above) return String(key)
  return pathOf(above) + (typeof key === 'number' ? `[${key}]` : `.${key}`)
}

/** Freezes a value and all it holds, but for bytes, which cannot be frozen. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  if (ArrayBuffer.isView(value) || Object.isFrozen(value)) return value
  if (value instanceof Map || value instanceof Set || value instanceof Date) refuseChanges(value)
  Object.freeze(value)
  for (const item of Object.values(value)) deepFreeze(item)
  return value
}

/** Freezes the inside of a value from a codec: a change of it would be lost without a word. */
function refuseChanges(value: Map<unknown, unknown> | Set<unknown> | Date): void {
  const kind = Object.getPrototypeOf(value)
  for (const name of Object.getOwnPropertyNames(kind)) {
    if (/^(set|add|delete|clear)/.test(name)) Object.defineProperty(value, name, { value: refuse })
  }
  if (!(value instanceof Date)) for (const items of value.entries()) items.forEach(deepFreeze)
}

function refuse(): never {
  throw new TypeError('Cannot change a value of the session in place: change a copy and set that')
}

/**
 * Returns the same value, its lists and plain objects as frozen copies: those that a schema or a migration
 * puts in may be an application's own, such as one object of defaults for everybody. What else it holds is
 * handed on as it is.
 */
export function freezeCopy<T>(value: T, copies: Map<unknown, unknown> = new Map()): T {
  if (typeof value !== 'object' || value === null) return value
  if (!Array.isArray(value) && !isPlainObject(value)) return value
  const known = copies.get(value)
  if (known) return known as T
  const copied = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>
  copies.set(value, copied)
  for (const key of Object.keys(copied)) copied[key] = freezeCopy(copied[key], copies)
  return Object.freeze(copied) as T
}

/** No data. */
export const EMPTY: Record<string, unknown> = Object.freeze({})
