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
  const hold: Hold = { state: 'waiting', isEnded: false }

  const repeat = (): void => {
    hold.state = 'through'
    if (response.destroyed) return
    let isFull = false
    for (const [name, given] of held) isFull = call(name, given) === false && name === 'write'
    if (!isFull && !hold.isEnded) response.emit('drain')
  }
  const fail = (error: unknown): void => {
    hold.state = 'answering'
    if (response.destroyed) return
    hooks.failed(error, hold.isEnded)
    if (!hold.isEnded) hold.state = 'dropped'
  }
  const keep = (name: Method, given: readonly unknown[]): unknown => {
    if (hold.isEnded) return name === 'write' ? false : response
    if (name === 'writeHead') {
      // Node calls it for an implicit head too.
      if (hold.state === 'held') return response
      given = setHead(response, given)
    }
    held.push([name, given])
    if (name === 'end') hold.isEnded = true
    if (hold.state !== 'held') {
      hold.state = 'held'
      show(response, hold)
      hooks.before().then(repeat, fail)
    }
    return name === 'write' ? !canDrain : response
  }
  for (const name of METHODS) {
    response[name] = ((...given: unknown[]) => {
      if (hold.state === 'answering') {
        hold.state = 'through'
        hooks.answering()
      }
      if (hold.state === 'through') return call(name, given)
      if (hold.state === 'dropped') return name === 'write' ? false : response
      return keep(name, given)
    }) as never
  }
}

/** The progress of one head. */
interface Hold {
  state: 'waiting' | 'held' | 'answering' | 'through' | 'dropped'
  isEnded: boolean
}

const HOLD: unique symbol = Symbol('sojourn')

type Held = NodeResponse & { [HOLD]: Hold }

/** Returns what Node computes for a property. */
const nodes = (response: Held, name: string): unknown =>
  Reflect.get(Object.getPrototypeOf(response), name, response)

/**
 * The properties that a response shows while its head waits. All responses share the getters: those of each one
 * would make V8 keep its shape apart, and the response in memory for as long as that.
 */
const SHOWN: PropertyDescriptorMap & ThisType<Held> = {
  headersSent: {
    get() {
      return this[HOLD].state === 'held' || nodes(this, 'headersSent')
    },
    configurable: true,
  },
  writableEnded: {
    get() {
      const { isEnded, state } = this[HOLD]
      return (state === 'held' && isEnded) || nodes(this, 'writableEnded')
    },
    configurable: true,
  },
}

/** Shows on a response that its head waits. */
function show(response: NodeResponse, hold: Hold): void {
  Object.assign(response, { [HOLD]: hold })
  Object.defineProperties(response, SHOWN)
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
