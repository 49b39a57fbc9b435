import type { HealthReport } from '../../observe/health.ts'
import type { Instance } from '../../session/instance.ts'
import type { SessionStore, StoredRecord, StoreProblem, StoreWarning } from '../../stores/store.ts'
import { limitOf } from '../arguments.ts'
import type { Command } from '../command.ts'
import { callStore, pagesOf, storeOf, withSessions } from '../load.ts'
import { count, plain, size } from '../words.ts'

const LIMIT = 10_000

/** `isComplete: false`: there are more than the limit. */
const NONE = { sessions: 0, signedIn: 0, bytes: 0, largest: 0, isComplete: true }

type Figures = typeof NONE

export const stats: Command = {
  name: 'stats',
  summary: 'Counts the sessions of the store, and asks how it is',
  options: ['config', 'store', 'limit'],
  details: `Goes through the store until --limit (default: ${LIMIT}), opens nothing, and needs no secret. It writes one record, and ends it, to see whether the store takes any`,
  examples: [
    ['npx sojourn stats --config sojourn.config.js', 'Figures'],
    ['npx sojourn stats --limit 1000000 --json', 'All of them, for a script'],
  ],
  run: ({ values }) =>
    withSessions(values, { secret: false }, async ({ instance, sessions }) => {
      const store = storeOf(instance)
      const limit = limitOf(values, LIMIT)
      const health = await sessions.health({ deep: true })
      // If it does not answer at all, its own words say more than the report.
      if (health.store?.error) {
        await callStore(instance, store, 'read', async (call) => store.health?.(call))
      }
      const figures = await countAll(instance, store, limit)
      return {
        ok: health.ok,
        text: healthText(store, health) + figuresText(figures),
        json: { store: store.name, atomic: store.atomic, health, ...figures },
      }
    }),
}

const STATES: Record<StoreProblem | StoreWarning, string> = {
  full: 'It is full: sign-ins and changes fail, ending sessions works. Give it more memory or disk',
  'read-only':
    'It takes no writes: a replica, or a disk that is full. Use the address of the primary',
  emptied: 'It lost everything that was in it',
  lagging: 'Its answers, or its replicas, are seconds behind',
  migrations: 'A table or a column is missing: npx sojourn migrate --apply, or --print',
  'eviction-policy': 'It drops sessions to make room: maxmemory-policy noeviction loses none',
  clock: 'Its clock and that of this machine are over a minute apart: synchronize them (NTP)',
}

function healthText({ name }: SessionStore, { ok, store }: HealthReport): string {
  const { details = {}, error, latencyMs = 0, problems = [], warnings = [] } = store ?? {}
  const lines = [`The store "${name}" answers in ${Math.round(latencyMs)} ms.`]
  for (const state of [...problems, ...warnings]) lines.push(`${STATES[state]}.`)
  if (!ok && !problems.length) lines.push(`It refuses a probe (${error}): look at its own log.`)
  const known = Object.entries(details).filter(([, value]) => value !== null)
  if (known.length) lines.push(`${known.map(([key, value]) => `${key} ${value}`).join(', ')}.`)
  return `${lines.map(plain).join('\n')}\n`
}

async function countAll(
  instance: Instance,
  store: SessionStore,
  limit: number,
): Promise<Figures | null> {
  if (!store.page) return null
  const figures = { ...NONE }
  for await (const { cursor, records } of pagesOf(instance, store)) {
    for (const { record } of records) add(figures, record)
    if (cursor !== null && figures.sessions >= limit) return { ...figures, isComplete: false }
  }
  return figures
}

function add(figures: Figures, { entries = [], keys, value }: StoredRecord): void {
  const bytes = entries.reduce((sum, entry) => sum + entry.length, value.length)
  figures.sessions++
  if (keys?.length) figures.signedIn++
  figures.bytes += bytes
  figures.largest = Math.max(figures.largest, bytes)
}

function figuresText(figures: Figures | null): string {
  if (!figures) return 'It cannot be gone through, so its sessions are not counted.\n'
  const { bytes, isComplete, largest, sessions, signedIn } = figures
  const average = sessions ? bytes / sessions : 0
  const more = isComplete ? '' : 'At least '
  return `${more}${count(sessions, 'session')}, ${signedIn.toLocaleString('en-US')} with a user.
${size(Math.round(average))} each, the largest ${size(largest)}, ${size(bytes)} in all.
`
}
