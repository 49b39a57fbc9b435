/** A user's sessions: finding them and calling them back. Loaded when it is first needed. */
import { assertSubject, expectArgument } from '../check.ts'
import { SessionError } from '../errors.ts'
import type { Instance } from '../session/instance.ts'
import { isOver } from '../session/open.ts'
import type { SessionStore, StoredEntry } from '../stores/store.ts'
import { guardStore, tombstone } from './commits.ts'
import { requireStore } from './require-store.ts'
import { recordsOf } from './stored-record.ts'

/** What can be told about a session without its cookie. Times are epoch milliseconds. */
export interface SessionInfo {
  /** Its public handle, for `revoke`. */
  readonly id: string
  readonly subject: string | null
  /** What `login` called it. */
  readonly label: string | null
  readonly createdAt: number
  /** Its last renewal: it was in use then, and perhaps for up to `renewAfter` seconds after. */
  readonly lastSeenAt: number
  readonly expiresAt: number
  readonly authenticatedAt: number | null
}

/** Finds and ends sessions by user. */
export interface Subjects {
  list(subject: string): Promise<SessionInfo[]>
  all(): AsyncIterable<SessionInfo>
  revoke(id: string): Promise<boolean>
  revokeAll(subject: string, options?: { except?: string }): Promise<number>
}

const required = (what: string): SessionError =>
  new SessionError(`Cannot find sessions: ${what}`, { code: 'ERR_STORE_REQUIRED' })

export function createSubjects(instance: Instance): Subjects {
  const store = requireStore(instance)
  const { context, options } = instance
  const records = recordsOf(instance)

  const infoOf = async ({ id, record }: StoredEntry): Promise<SessionInfo[]> => {
    try {
      const { state } = await records.unseal(id, record)
      if (isOver(instance, state)) return []
      const { subject, label = null, createdAt, renewedAt, authenticatedAt } = state
      const expiresAt = context.expiresAt(state)
      return [{ id, subject, label, createdAt, lastSeenAt: renewedAt, expiresAt, authenticatedAt }]
    } catch (error) {
      // Nobody can use it any more, and it must not hide the others.
      if (error instanceof SessionError) return []
      throw error
    }
  }

  const assertReadable = (): void => {
    if (options.seal === 'cookie') throw required('with seal "cookie" only their cookies open them')
  }

  const indexOf = (): NonNullable<SessionStore['index']> => {
    if (store.index) return store.index
    throw required(`the store "${store.name}" has no index of users`)
  }

  return {
    async list(subject) {
      assertSubject(subject)
      assertReadable()
      const index = indexOf()
      const handles = await records.handlesOf(subject)
      const lists = await Promise.all(
        handles.map((handle) => guardStore(store, () => index.list(handle))),
      )
      const infos = await Promise.all(lists.flat().map(infoOf))
      return infos.flat().filter((info) => info.subject === subject)
    },

    async *all() {
      assertReadable()
      const { page } = store
      if (!page) throw required(`the store "${store.name}" cannot go through all of them`)
      for (let cursor: string | null = null; ; ) {
        const next = await guardStore(store, () => page(cursor))
        for (const entry of next.records) yield* await infoOf(entry)
        if (next.cursor === null) return
        cursor = next.cursor
      }
    },

    async revoke(id) {
      expectArgument(typeof id === 'string' && id, 'id', 'the id of a session', id)
      return (await instance.stored!()).revoke(id)
    },

    async revokeAll(subject, { except } = {}) {
      assertSubject(subject)
      const index = indexOf()
      const handles = await records.handlesOf(subject)
      let count = 0
      // The oldest secret's first: a write under way takes a session from there to the newest's.
      for (const handle of [...handles].reverse()) {
        count += await guardStore(store, () =>
          index.bury(handle, tombstone(options.now(), ''), { except }),
        )
      }
      return count
    },
  }
}
