/**
 * Makes golden-stored.json: what stores and the cookies beside them hold, to be opened for ever.
 *
 * `node test/vectors/make-golden-stored.ts > test/vectors/golden-stored.json`, but see README.md first.
 */
import { createSessions, type Session, type SessionsOptions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createFaultyStore } from '../../src/testing/index.ts'

const SECRET = 'a fixed secret for golden records, number 1'
const NOW = Date.UTC(2026, 10, 26, 9, 30, 0)
const now = (): number => NOW

const headerOf = (lines: readonly string[]): string =>
  lines.map((line) => line.slice(0, line.indexOf(';'))).join('; ')

async function stored(
  description: string,
  options: Partial<SessionsOptions>,
  ...changes: readonly ((session: Session) => void)[]
): Promise<object> {
  const memory = createMemoryStore({ now })
  const faulty = createFaultyStore(memory)
  const store = faulty
  const sessions = createSessions({ secret: SECRET, now, store, ...options })
  const first = await sessions.open(null)
  first.login('user-1', { label: 'ä browser' })
  first.set('text', 'x'.repeat(200))
  const header = headerOf(await sessions.save(first))
  const kept: string[] = []
  if (description.includes('rotated')) {
    const session = await sessions.open(header)
    session.regenerate()
    kept.push(...(await sessions.save(session)))
  }
  const credential = kept.length ? headerOf(kept) : header
  // They overlap, so that the later ones are appended.
  const open = await Promise.all(changes.map(() => sessions.open(credential)))
  for (const [i, session] of open.entries()) changes[i]!(session)
  const more: string[] = []
  for (const session of open) {
    if (description.includes('deferred')) faulty.down()
    more.push(...(await sessions.save(session)))
    faulty.up()
  }
  const deferred = headerOf(more.filter((line) => line.includes('.d')))
  const cookies = [credential, deferred].filter(Boolean).join('; ')
  const { data, id, rotationId, subject } = await sessions.open(cookies)
  const record = await memory.read(id)
  const expected = { data, id, rotationId, subject }
  return { description, options, header: cookies, record, expected }
}

const set = (session: Session): void => session.set('set', 1)
const add = (session: Session): void => session.increment('added')
const append = (session: Session): void => session.append('list', 'ä', { b: [1] })
const unset = (session: Session): void => session.unset('text')
const SNAPSHOT = { snapshot: { maxAge: 60, staleIfError: 600 } }

const golden = {
  about: 'Sealed by Sojourn 0.1.0, format version 1. Never made again; see README.md',
  secret: SECRET,
  now: NOW,
  stored: [
    await stored('a record', {}),
    await stored('deflated', { compress: { above: 50 } }),
    await stored('sealed by the cookie', { seal: 'cookie' }),
    await stored('deflated, and sealed by the cookie', {
      compress: { above: 50 },
      seal: 'cookie',
    }),
    await stored('rotated', {}),
    await stored('with appended entries', {}, set, add, append, unset),
    await stored('rotated, sealed by the cookie, with appended entries', { seal: 'cookie' }, set, add),
    await stored('with a snapshot in the cookie', { snapshot: { maxAge: 60 } }),
    await stored('with deferred writes', SNAPSHOT, set, add, append),
    await stored('with deferred writes, sealed by the cookie', { ...SNAPSHOT, seal: 'cookie' }, add),
  ],
}

console.log(JSON.stringify(golden, null, 2))
