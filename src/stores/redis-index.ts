/** Finds a user's sessions in Redis, and all of them. Rarely needed, so loaded when it is. */

import { decode, unusable } from './redis-record.ts'
import type { ScriptName } from './redis-scripts.ts'
import {
  type BuryOptions,
  type StoredEntry,
  type StoredPage,
  type StoredRecord,
  TOMBSTONE,
} from './store.ts'

/** Runs a script that Redis most likely knows by its SHA-1. */
export type RunScript = (
  name: ScriptName,
  sha: string,
  args: readonly string[],
  signal: AbortSignal | undefined,
) => Promise<unknown>

/** What is needed of the store. */
export interface RedisKeys {
  /** What the keys of records, and those of users, begin with. */
  readonly records: string
  readonly users: string
  now(): number
  run: RunScript
}

export const LIST_SHA: string = '3f92ffd16f6e4c2421a4a7f3c80cf7401343fba6'
export const BURY_SHA: string = 'bb3bfa49b95f39f2d47dd5cb6a7aeea8894fe683'
export const PAGE_SHA: string = 'afea068e1e5da4c566320b999df3208fb3568a82'

/** Of ids and records, alternating, those that live. */
function entriesOf(pairs: readonly unknown[], now: number): StoredEntry[] {
  const found: StoredEntry[] = []
  for (let i = 0; i < pairs.length; i += 2) {
    const record = decode(pairs[i + 1], now)
    if (record && record.value !== TOMBSTONE) found.push({ id: String(pairs[i]), record })
  }
  return found
}

export async function list(
  { run, records, users, now }: RedisKeys,
  subject: string,
  signal?: AbortSignal,
): Promise<StoredEntry[]> {
  const args = ['2', users + encodeURIComponent(subject), records]
  const result = await run('LIST', LIST_SHA, args, signal)
  if (!Array.isArray(result) || result.length % 2) throw unusable()
  return entriesOf(result, now()).filter(({ record }) => record.subject === subject)
}

export async function bury(
  { run, records, users, now }: RedisKeys,
  subject: string,
  { version, expiresAt }: StoredRecord,
  { signal, except = '' }: BuryOptions = {},
): Promise<number> {
  const owner = encodeURIComponent(subject)
  const time = Math.floor(now())
  const count = await run(
    'BURY',
    BURY_SHA,
    [
      '2',
      users + owner,
      records,
      except,
      encodeURIComponent(version),
      String(Math.max(1, Math.ceil(expiresAt - time))),
      `${Math.floor(expiresAt)}\n\n${TOMBSTONE}`,
      owner,
      String(time),
    ],
    signal,
  )
  if (typeof count !== 'number') throw unusable()
  return count
}

export async function page(
  { run, records, now }: RedisKeys,
  cursor: string | null,
  signal?: AbortSignal,
): Promise<StoredPage> {
  // A key that nobody has: it takes the script to the node of a cluster where the records are.
  const result = await run('PAGE', PAGE_SHA, ['1', records, cursor ?? '0'], signal)
  if (!Array.isArray(result) || !(result.length % 2)) throw unusable()
  const [next, ...pairs] = result
  return {
    records: entriesOf(pairs, now()),
    cursor: String(next) === '0' ? null : String(next),
  }
}
