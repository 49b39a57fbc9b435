/** Holds the head of a Node response until the session is saved. */

import type { NodeHead } from './node-headers.ts'

/** The members of Node's `ServerResponse`, and of that of HTTP/2, that are used. */
export interface NodeResponse extends NodeHead {
  statusMessage: string
  readonly headersSent: boolean
  readonly destroyed?: boolean
  readonly writableFinished: boolean
  writeHead(status: number): unknown
  write(chunk: string | Uint8Array): boolean
  end(chunk?: string | Uint8Array): unknown
  flushHeaders?(): void
  once(event: 'close', listener: () => void): unknown
  emit(event: 'drain'): boolean
}

/** Hooks of {@link holdHead}. */
export interface HeadHooks {
  /** Saves, and sets headers. It is awaited, and what was written meanwhile follows. */
  before(): Promise<void>
  /**
   * Answers instead, with the head still to be sent, once everything that was held is dropped.
   *
   * @param isOver The handler has ended its response. Otherwise it is still writing, and what it writes
   * from now on is dropped, whoever answers.
   */
  failed(error: unknown, isOver: boolean): void
  /** Is called once before the head of the answer that `failed` arranged. */
  answering(): void
}

type Method = 'writeHead' | 'write' | 'end' | 'flushHeaders'
type Call = (...given: unknown[]) => unknown

const METHODS: readonly Method[] = ['writeHead', 'write', 'end', 'flushHeaders']

/**
 * Makes the head wait for `before`, whatever sends it: `writeHead`, `write`, `end` and `flushHeaders`
 * are kept in order from the first of them, and repeated afterwards. Headers of `writeHead` are set at once, so
 * that `before` sees them. While the head waits, `headersSent` is true and `write` returns false.
 *
 * The methods stay replaced for good: another middleware may have wrapped them since.
 */
export function holdHead(response: NodeResponse, hooks: HeadHooks): void {
  const original = {} as Record<Method, Call>
  for (const name of METHODS) original[name] = response[name] as Call
  const call = (name: Method, given: readonly unknown[]): unknown =>
    original[name].apply(response, given as unknown[])
  // `compression` replaces `on` and passes it to its own stream, whose 'drain' cannot be emitted from here.
  const canDrain = !Object.hasOwn(response, 'on')
  const held: [Method, readonly unknown[]][] = []
  let state: 'waiting' | 'held' | 'answering' | 'through' | 'dropped' = 'waiting'
  let isEnded = false

  const repeat = (): void => {
    state = 'through'
    if (response.destroyed) return
    let isFull = false
    for (const [name, given] of held) isFull = call(name, given) === false && name === 'write'
    if (!isFull && !isEnded) response.emit('drain')
  }
  const fail = (error: unknown): void => {
    state = 'answering'
    if (response.destroyed) return
    hooks.failed(error, isEnded)
    if (!isEnded) state = 'dropped'
  }
  const keep = (name: Method, given: readonly unknown[]): unknown => {
    if (isEnded) return name === 'write' ? false : response
    if (name === 'writeHead') {
      // Node calls it for an implicit head too.
      if (state === 'held') return response
      given = setHead(response, given)
    }
    held.push([name, given])
    if (name === 'end') isEnded = true
    if (state !== 'held') {
      state = 'held'
      show(response, 'headersSent', () => state === 'held')
      show(response, 'writableEnded', () => state === 'held' && isEnded)
      hooks.before().then(repeat, fail)
    }
    return name === 'write' ? !canDrain : response
  }
  for (const name of METHODS) {
    response[name] = ((...given: unknown[]) => {
      if (state === 'answering') {
        state = 'through'
        hooks.answering()
      }
      if (state === 'through') return call(name, given)
      if (state === 'dropped') return name === 'write' ? false : response
      return keep(name, given)
    }) as never
  }
}

/** Shows `true` for a property while `isTrue()`, and otherwise what Node computes. */
function show(response: NodeResponse, name: string, isTrue: () => boolean): void {
  const get = (): unknown =>
    isTrue() || Reflect.get(Object.getPrototypeOf(response), name, response)
  Object.defineProperty(response, name, { get, configurable: true })
}

/**
 * Applies the arguments of `writeHead(status, reason?, headers?)` and returns those without headers.
 * Headers are an object, or names and values in turn.
 */
function setHead(response: NodeResponse, given: readonly unknown[]): readonly unknown[] {
  const [status, ...rest] = given
  const hasReason = typeof rest[0] === 'string'
  const headers = rest[hasReason ? 1 : 0] ?? {}
  response.statusCode = Number(status)
  const pairs = Array.isArray(headers) ? inPairs(headers) : Object.entries(headers)
  const values = new Map<string, unknown[]>()
  for (const [name, value] of pairs) {
    if (value === undefined) continue
    values.set(name, [...(values.get(name) ?? []), value].flat())
  }
  for (const [name, all] of values) {
    response.setHeader(name, (all.length > 1 ? all.map(String) : all[0]) as string)
  }
  return hasReason ? [status, rest[0]] : [status]
}

function inPairs(list: readonly unknown[]): [string, unknown][] {
  const flat = list.flat()
  return flat.flatMap((name, i) =>
    i % 2 ? [] : [[String(name), flat[i + 1]] as [string, unknown]],
  )
}
