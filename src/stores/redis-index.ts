/** The rare calls of a store in Redis, loaded when one is made: finding sessions, going through all, and its health. */
import { skipForeign } from './errors.ts'
import { MARK_SECONDS } from './limits.ts'
import { inspect, ping, type RedisAsk } from './redis-inspect.ts'
import { decode, noUsableReply } from './redis-record.ts'
import type { ScriptName } from './redis-scripts.ts'
import type { SessionIndex, SessionStore, StoredEntry, StoredRecord } from './store.ts'

/**
 * Runs a script that Redis most likely knows by its SHA-1. `null` sends its text: a command that is
 * applied after its caller has gone must not depend on another one that loads the script.
 */
export type RunScript = (
  name: ScriptName,
  sha: string | null,
  args: readonly string[],
  signal: AbortSignal | undefined,
) => Promise<unknown>

/** The parts of the store that its rare calls need. */
export interface RedisKeys {
  readonly ask: RedisAsk
  now(): number
  /** The beginning of the keys of records, and of those of the index. */
  readonly records: string
  readonly index: string
  run: RunScript
}

export const LIST_SHA: string = '900c0034247be1730205a369cf06fa68265de3ec'
export const PAGE_SHA: string = '2517af4f13519ad0ac993130e0f33403415a11a5'

function recordIn(text: unknown, now: number): StoredRecord | null {
  try {
    return decode(text, now)
  } catch (error) {
    return skipForeign(error)
  }
}

/** Pairs alternating ids and records, and drops expired ones and what is no record of ours. */
function entriesOf(pairs: readonly unknown[], now: number): StoredEntry[] {
  const found: StoredEntry[] = []
  for (let i = 0; i < pairs.length; i += 2) {
    const record = recordIn(pairs[i + 1], now)
    if (record) found.push({ id: String(pairs[i]), record })
  }
  return found
}

interface RareCalls
  extends SessionIndex,
    Required<Pick<SessionStore, 'page' | 'health' | 'inspect'>> {}

export function rareCalls({ ask, index, now, records, run }: RedisKeys): RareCalls {
  return {
    async list(key, { signal } = {}) {
      const args = ['2', records, index, encodeURIComponent(key)]
      const result = await run('LIST', LIST_SHA, args, signal)
      if (!Array.isArray(result) || result.length % 2) throw noUsableReply()
      return entriesOf(result, now()).filter(({ record }) => record.keys?.includes(key))
    },

    async end(key, { signal, except = '', markFor = MARK_SECONDS } = {}) {
      const [time, ms] = [Math.floor(now()), Math.ceil(markFor * 1000)]
      const args = ['2', records, index, encodeURIComponent(key), except, String(time), String(ms)]
      const count = await run('END_ALL', null, args, signal)
      if (typeof count !== 'number') throw noUsableReply()
      return count
    },

    async page(cursor, { signal } = {}) {
      // A key that nobody has: it takes the script to the node of a cluster where the records are.
      const result = await run('PAGE', PAGE_SHA, ['1', records, cursor ?? '0'], signal)
      if (!Array.isArray(result) || !(result.length % 2)) throw noUsableReply()
      const [next, ...pairs] = result
      const isLast = String(next) === '0'
      return { records: entriesOf(pairs, now()), cursor: isLast ? null : String(next) }
    },

    health: ({ signal } = {}) => ping(ask, signal),
    inspect: ({ signal } = {}) => inspect(ask, now, signal),
  }
}
