/**
 * Makes golden-stored.json: what stores and the cookies beside them hold, to be opened for ever.
 *
 * `node test/vectors/make-golden-stored.ts > test/vectors/golden-stored.json`, but see README.md first.
 */
import { createSessions, type Session, type SessionsOptions } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore } from '../../src/stores/store.ts'
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
  /** What is written while another one tries for the second time, so that it leaves a patch. */
  let between: Session | undefined
  const patching: SessionStore = {
    ...memory,
    async write(id, record, expected, more) {
      const first = more?.patch && between
      between = more?.patch ? undefined : between
      if (first) await sessions.save(first)
      return memory.write(id, record, expected, more)
    },
  }
  const store = description.includes('patch') ? patching : faulty
  const sessions = createSessions({ secret: SECRET, now, store, ...options })
  const first = await sessions.open(null)
  first.login('user-1', { label: 'ä browser' })
  first.set('text', 'x'.repeat(200))
  const header = headerOf(await sessions.save(first))
  // They overlap, so that the later ones are kept as patches.
  const open = await Promise.all(changes.map(() => sessions.open(header)))
  for (const [i, session] of open.entries()) changes[i]!(session)
  const more: string[] = []
  for (const [i, session] of open.entries()) {
    if (session.has('late')) continue
    if (description.includes('wait')) faulty.down()
    between = store === patching && i === 1 ? open[2] : undefined
    more.push(...(await sessions.save(session)))
    faulty.up()
  }
  const cookies = [header, headerOf(more.filter((line) => line.includes('.d')))].filter(Boolean)
  const { data, id, subject } = await sessions.open(cookies.join('; '))
  const record = await store.read(id)
  return { description, options, header: cookies.join('; '), record, expected: { data, id, subject } }
}

const set = (session: Session): void => session.set('set', 1)
const add = (session: Session): void => session.update('added', (n = 0) => n + 1)

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
    await stored('with patches beside it', {}, set, (session) => session.unset('text'), (session) =>
      session.set('late', [true]),
    ),
    await stored('with a snapshot in the cookie', { snapshot: { maxAge: 60 } }),
    await stored('with writes that wait in cookies', {}, set, add),
  ],
}

console.log(JSON.stringify(golden, null, 2))
