/** Holds the head of a Node response until the session is saved. */
import { expectArgument } from '../check.ts'
import type { NodeHead } from './node-headers.ts'

/** The members of Node's `ServerResponse`, and of that of HTTP/2, that are used. */
export interface NodeResponse extends NodeHead {
  statusMessage: string
  readonly headersSent: boolean
  readonly destroyed?: boolean
  destroy?(): unknown
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
  /**
   * Saves, and sets headers on `head`. It is awaited, and what was written meanwhile follows.
   *
   * @param save `false`: it is that of the answer which `failed` arranged, and saves nothing.
   */
  before(head: NodeHead, save?: false): Promise<void>
  /**
   * Answers instead, with the head still to be sent, once everything that was held is dropped.
   *
   * @param isOver The handler has ended its response. Otherwise it is still writing: then it has to end the response at once,
   * so that what the handler writes from now on is dropped.
   */
  failed(error: unknown, isOver: boolean): void
}

type Method = 'writeHead' | 'write' | 'end' | 'flushHeaders'
type Change = 'setHeader' | 'removeHeader' | 'appendHeader'
type Call = (...given: unknown[]) => unknown

const METHODS: readonly Method[] = ['writeHead', 'write', 'end', 'flushHeaders']
const CHANGES: readonly Change[] = ['setHeader', 'removeHeader', 'appendHeader']

/**
 * Makes the head wait for `before`, whatever sends it: `writeHead`, `write`, `end` and `flushHeaders`
 * are kept in order from the first of them, and repeated afterwards. Headers of `writeHead` are set at once, so
 * that `before` sees them. While the head waits, `headersSent` is true, `write` returns false, and to change a header
 * throws, as after the head has left: whoever answers a second time would give the first answer another length.
 *
 * The methods stay replaced for good: another middleware may have wrapped them since.
 */
export function holdHead(response: NodeResponse, hooks: HeadHooks): void {
  const own: { [name in Method | Change]?: unknown } = response
  const original = {} as Record<Method | Change, Call>
  for (const name of [...METHODS, ...CHANGES]) original[name] = own[name] as Call
  const call = (name: Method, given: readonly unknown[]): unknown =>
    original[name].apply(response, given as unknown[])
  // `compression` replaces `on` and passes it to its own stream, whose 'drain' cannot be emitted from here.
  const canDrain = !Object.hasOwn(response, 'on')
  const held: [Method, readonly unknown[]][] = []
  const hold: Hold = { state: 'waiting', isEnded: false }
  let status = 0
  let save: false | undefined

  const repeat = (): void => {
    hold.state = 'through'
    if (response.destroyed) return
    // Whatever has been assigned to it meanwhile.
    response.statusCode = status
    let isFull = false
    for (const [name, given] of held) isFull = call(name, given) === false && name === 'write'
    if (!isFull && !hold.isEnded) response.emit('drain')
  }
  const fail = (error: unknown): void => {
    if (response.destroyed) return
    // Node refuses what was held, and the head has left; or the answer to an error fails too.
    if (save === false || (hold.state === 'through' && response.headersSent))
      return void response.destroy?.()
    save = false
    const isOver = hold.isEnded
    held.length = 0
    Object.assign(hold, { state: 'waiting', isEnded: false })
    hooks.failed(error, isOver)
  }
  const keep = (name: Method, given: readonly unknown[]): unknown => {
    if (hold.isEnded) return name === 'write' ? false : response
    if (name === 'writeHead') {
      // Node calls it for an implicit head too.
      if (hold.state === 'held') return response
      given = setHead(response, given)
    } else assertChunk(name === 'write', given[0])
    held.push([name, given])
    if (name === 'end') hold.isEnded = true
    if (hold.state !== 'held') {
      hold.state = 'held'
      Object.assign(response, { [HOLD]: hold })
      Object.defineProperties(response, SHOWN)
      status = response.statusCode
      hooks.before(headOf(response, original), save).then(repeat).catch(fail)
    }
    return name === 'write' ? !canDrain : response
  }
  for (const name of METHODS) {
    own[name] = (...given: unknown[]) => {
      return hold.state === 'through' ? call(name, given) : keep(name, given)
    }
  }
  for (const name of CHANGES) {
    own[name] = (...given: unknown[]) => {
      if (hold.state === 'held') throw tooLate()
      return original[name].apply(response, given)
    }
  }
}

interface Hold {
  state: 'waiting' | 'held' | 'through'
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

/** Creates the error that Node throws for a header that is changed after the head has left. */
const tooLate = (): Error =>
  Object.assign(new Error('Response has begun'), { code: 'ERR_HTTP_HEADERS_SENT' })

/** Returns the head of a response whose own methods refuse changes by now. */
function headOf(response: NodeResponse, original: Record<Change, Call>): NodeHead {
  return {
    statusCode: response.statusCode,
    getHeader: (name) => response.getHeader(name),
    getHeaders: () => response.getHeaders(),
    setHeader: original.setHeader.bind(response),
    removeHeader: original.removeHeader.bind(response) as NodeHead['removeHeader'],
  }
}

/** Throws, while its caller can still be told, for a body that Node would refuse to send later. */
function assertChunk(isWritten: boolean, chunk: unknown): void {
  // The first argument of `end` may be the callback, or none.
  const isNone = !isWritten && typeof (chunk ?? assertChunk) === 'function'
  const holds = isNone || typeof chunk === 'string' || ArrayBuffer.isView(chunk)
  expectArgument(holds, 'chunk', 'a text or bytes', chunk)
}

/**
 * Applies the arguments of `writeHead(status, reason?, headers?)` and returns those without headers.
 * Headers are an object, or a list of names and values, in turn or in pairs, in which a name may come again.
 */
function setHead(response: NodeResponse, [status, ...rest]: readonly unknown[]): unknown[] {
  const reason = typeof rest[0] === 'string' ? [rest.shift()] : []
  const headers = rest[0] ?? {}
  response.statusCode = Number(status)
  const list: unknown[] = Array.isArray(headers) ? headers : Object.entries(headers)
  const isFlat = !Array.isArray(list[0])
  const known = new Map<string, unknown>()
  for (let i = 0; i < list.length; i += isFlat ? 2 : 1) {
    const [name, value] = (isFlat ? list.slice(i, i + 2) : list[i]) as [string, string]
    if (value === undefined) continue
    const key = String(name).toLowerCase()
    const all = list === headers && known.has(key) ? [known.get(key), value].flat() : value
    known.set(key, all)
    response.setHeader(name, all as string)
  }
  return [status, ...reason]
}
