/** A history of sign-ins and of their ends, in a table of the application: who, where, when, and why it ended. */
import type { DatabaseSync } from 'node:sqlite'
import { identityOf, type SessionEvent } from 'sojourn'

const TABLE = `CREATE TABLE IF NOT EXISTS sign_in (
  session_id TEXT NOT NULL, user_id TEXT NOT NULL, actor_id TEXT, label TEXT, tags TEXT, at INTEGER NOT NULL,
  ended_at INTEGER, ended_by TEXT, reason TEXT);
CREATE INDEX IF NOT EXISTS sign_in_open ON sign_in (session_id) WHERE ended_at IS NULL;
CREATE INDEX IF NOT EXISTS sign_in_user ON sign_in (user_id, at)`

/** Makes an `onEvent` that writes the history. */
export function keepHistory(db: DatabaseSync): (event: SessionEvent) => void {
  db.exec(TABLE)
  const begin = db.prepare(
    'INSERT INTO sign_in (session_id, user_id, actor_id, label, tags, at) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const set = 'UPDATE sign_in SET ended_at = ?, ended_by = ?, reason = ? WHERE ended_at IS NULL AND'
  const endOne = db.prepare(`${set} session_id = ?`)
  const others = 'session_id IS NOT ? AND at <= ?'
  const endAll = db.prepare(`${set} user_id = ? AND ${others}`)
  const hasTag = 'EXISTS (SELECT 1 FROM json_each(sign_in.tags) WHERE value = ?)'
  const endTagged = db.prepare(`${set} ${hasTag} AND ${others}`)
  return (event) => {
    const who = identityOf(event)
    if (!who) return
    const { id, subject, actor, label, tags, tag, except } = who
    if (event.type === 'session.login' && id && subject) {
      begin.run(id, subject, actor, label, JSON.stringify(tags), event.at)
    } else if (event.type === 'session.ended' && (id || event.count > 0)) {
      const end = [event.at, event.by, event.reason ?? null] as const
      if (id) endOne.run(...end, id)
      else if (subject) endAll.run(...end, subject, except, event.at)
      else if (tag) endTagged.run(...end, tag, except, event.at)
    } else if (event.type === 'session.expired' && id) {
      endOne.run(event.at, 'timeout', event.reason, id)
    }
  }
}
