/** Values that can be kept: copied when they come in, frozen when they go out. */
import { kindOf } from './check.ts'
import { SessionSerializationError } from './errors.ts'

/** Turns values into text and back. The default is JSON; `devalue` fits. */
export interface SessionCodec {
  stringify(value: unknown): string
  parse(text: string): unknown
}

const MAX_DEPTH = 1000

/** Returns a frozen copy of `value`, or throws {@link SessionSerializationError}. */
export type CopyValue = (value: unknown, path: string) => unknown

/** Copies what JSON keeps and refuses what JSON would lose, naming its path. */
export const copyJson: CopyValue = (value, path) => copy(value, path, [])

/** Copies by a round trip through the codec. */
export function copyWith(codec: SessionCodec): CopyValue {
  return (value, path) => {
    try {
      return deepFreeze(codec.parse(codec.stringify(value)))
    } catch (cause) {
      throw new SessionSerializationError(
        `Cannot keep "${path}": the codec refused it (${cause instanceof Error ? cause.name : typeof cause})`,
        path,
      )
    }
  }
}

function copy(value: unknown, path: string, above: readonly unknown[]): unknown {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
  // JSON has no negative zero; adding 0 removes the sign.
  if (typeof value === 'number' && Number.isFinite(value)) return value + 0
  if (typeof value !== 'object') throw refusal(value, path)
  if (above.includes(value)) throw refusal(value, path, 'a cycle')
  if (above.length === MAX_DEPTH) throw refusal(value, path, `nested over ${MAX_DEPTH} levels deep`)
  const within = [...above, value]
  if (Array.isArray(value)) {
    return Object.freeze(Array.from(value, (item, i) => copy(item, `${path}[${i}]`, within)))
  }
  if (!isPlainObject(value)) throw refusal(value, path)
  if (Object.getOwnPropertySymbols(value).length)
    throw refusal(value, path, 'a key that is a symbol')
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return Object.freeze(
    Object.fromEntries(entries.map(([key, item]) => [key, copy(item, `${path}.${key}`, within)])),
  )
}

/** Object literals and null-prototype objects, also of another realm. */
function isPlainObject(value: object): boolean {
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

function refusal(value: unknown, path: string, kind?: string): SessionSerializationError {
  const what =
    kind ??
    (typeof value === 'object'
      ? `a ${value?.constructor?.name ?? 'class instance'}`
      : kindOf(value))
  return new SessionSerializationError(
    `Cannot keep "${path}": ${what} would not survive JSON; keep a string or number, or use a codec`,
    path,
  )
}

/** Freezes a value and all it holds; what cannot be frozen (bytes, the inside of a Map) is not. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value
  if (ArrayBuffer.isView(value) || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const item of Object.values(value)) deepFreeze(item)
  return value
}
