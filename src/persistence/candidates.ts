/** The sessions that a request names, by cookies and by notes. */
import { nameOf } from '../codec/generation.ts'
import { idOf, type OpenedRecord } from '../codec/session-record.ts'
import type { CookieFound } from '../transport/cookie.ts'
import { readNotes } from './notes.ts'
import type { Persistence } from './persistence.ts'
import { madeAt, withShare } from './stored-cookies.ts'

/**
 * Returns every session that a request names, by its highest generation. One with a note is first:
 * the other began in a request that had no cookie yet, beside the sign-in. Then comes the one that
 * began, or that somebody signed in to, last: a late renewal must not put an older session in its
 * place. Ids decide the rest, since the order must not depend on whose clock made a cookie.
 */
export async function candidatesOf(
  { instance }: Persistence,
  cookies: CookieFound,
  all: readonly OpenedRecord[],
): Promise<OpenedRecord[]> {
  const notes = await readNotes(instance, cookies)
  const named = [...all, ...notes.opened].map(withShare)
  const byName = new Map<string, OpenedRecord>()
  const noted = new Set(notes.opened.map(idOf))
  const rank = (one: OpenedRecord): number => Number(noted.has(idOf(one)))
  named.sort(
    (a, b) =>
      rank(b) - rank(a) ||
      b.createdAt - a.createdAt ||
      compareText(idOf(a), idOf(b)) ||
      madeAt(b) - madeAt(a),
  )
  for (const one of named) {
    const before = byName.get(credentialName(one))
    // If two have one credential, the one with a snapshot says more.
    if (!before || (before.text === null && one.text !== null)) byName.set(credentialName(one), one)
  }
  // Two generations may have one number: the answer 503 to a rotation carries a credential too.
  const isReplaced = (one: OpenedRecord): boolean =>
    named.some(
      (other) => idOf(other) === idOf(one) && other.generation.number > one.generation.number,
    )
  return [...byName.values()].filter((one) => !notes.ended.has(idOf(one)) && !isReplaced(one))
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

/** Names a session and one credential of it. */
export function credentialName(opened: OpenedRecord): string {
  return `${idOf(opened)}.${nameOf(opened.generation)}`
}
