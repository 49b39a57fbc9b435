import type { HealthReport } from '../../observe/health.ts'
import { guardStore } from '../../persistence/persistence.ts'
import type { Instance } from '../../session/instance.ts'
import type { SessionStore, StoredPage, StoredRecord } from '../../stores/store.ts'
import type { Command } from '../command.ts'
import { callStore, withSessions } from '../load.ts'
import { count, size } from '../words.ts'
import { noStore } from './no-store.ts'
import { limitOf } from './prune.ts'

/** Sessions that are counted by default. */
const LIMIT = 10_000

interface Figures {
  sessions: number
  signedIn: number
  bytes: number
  largest: number
  /** `false`: there are more than the limit. */
  isComplete: boolean
}

/** Counts sessions, and asks how the store is. */
export const stats: Command = {
  name: 'stats',
  summary: 'Counts the sessions of the store, and asks how it is',
  options: ['config', 'store', 'limit'],
  details: `Goes through the store until --limit (default: ${LIMIT}), opens nothing, writes at most a probe, and needs no secret`,
  examples: [
    ['npx sojourn stats --config sojourn.config.js', 'Figures'],
    ['npx sojourn stats --limit 1000000 --json', 'All of them, for a script'],
  ],
  run: ({ values }) =>
    withSessions(values, { secret: false }, async ({ instance, sessions }) => {
      const { store } = instance.options
      if (!store) throw noStore()
      const health = await sessions.health()
      // Its own words say more than the report.
      if (!health.ok) await guardStore(store, undefined, async () => store.health?.())
      const figures = health.ok ? await countAll(instance, store, limitOf(values, LIMIT)) : null
      return {
        ok: health.ok,
        text: textOf(store, health, figures),
        json: { store: store.name, atomic: store.atomic, health, ...figures },
      }
    }),
}

async function countAll(
  instance: Instance,
  store: SessionStore,
  limit: number,
): Promise<Figures | null> {
  if (!store.page) return null
  const figures = { sessions: 0, signedIn: 0, bytes: 0, largest: 0, isComplete: true }
  for (let cursor: string | null = null; ; ) {
    const page: StoredPage = await callStore(instance, store, 'page', (call) =>
      store.page!(cursor, call),
    )
    for (const { record } of page.records) add(figures, record)
    if (page.cursor === null) return figures
    if (figures.sessions >= limit) return { ...figures, isComplete: false }
    cursor = page.cursor
  }
}

function add(figures: Figures, { entries = [], keys, value }: StoredRecord): void {
  const bytes = entries.reduce((sum, entry) => sum + entry.length, value.length)
  figures.sessions++
  if (keys?.length) figures.signedIn++
  figures.bytes += bytes
  figures.largest = Math.max(figures.largest, bytes)
}

function textOf(store: SessionStore, health: HealthReport, figures: Figures | null): string {
  const { error = '', latencyMs = 0 } = health.store ?? {}
  const answers = health.ok
    ? `answers in ${Math.round(latencyMs)} ms`
    : `does not answer (${error})`
  const about = `The store "${store.name}" ${answers}.\n`
  if (!health.ok) return `${about}Is it running, and is its address reachable from here?\n`
  if (!figures) return `${about}It cannot be gone through, so its sessions are not counted.\n`
  const { bytes, isComplete, largest, sessions, signedIn } = figures
  const average = sessions ? bytes / sessions : 0
  const more = isComplete ? '' : 'At least '
  return `${about}${more}${count(sessions, 'session')}, ${signedIn.toLocaleString('en-US')} with a user.
${size(Math.round(average))} each, the largest ${size(largest)}, ${size(bytes)} in all.
`
}
