/** Experiments with both browsers, each of which says what it showed. */
import { type BrowserName, type Jar, steal, store } from './jars.ts'
import { type Lab, NAMES } from './lab.ts'
import type { Binding } from './settings.ts'

type Jars = Readonly<Record<BrowserName, Jar>>

const TIMES = 5

const hasSession = ({ cookies }: Jar): boolean =>
  [...cookies.keys()].some((name) => name.endsWith('session'))

/** Lets both browsers send requests at the same time. */
async function race(lab: Lab, jars: Jars): Promise<string> {
  const totalOf = async (): Promise<number> => {
    const shown = [await lab.look(jars.a), await lab.look(jars.b)]
    // After a theft both show one session.
    const counts = new Map(shown.map(({ id, data }) => [id, data.count ?? 0]))
    return [...counts.values()].reduce((sum, count) => sum + count, 0)
  }
  // Requests without a session would each begin one.
  for (const name of NAMES) {
    if (!hasSession(jars[name])) await lab.visit(jars[name], 'POST', '/count', new FormData())
  }
  const before = await totalOf()
  const runs = NAMES.flatMap((name) => Array.from({ length: TIMES }, () => jars[name]))
  const answers = await Promise.all(
    runs.map(async (jar) => {
      // Each sends the cookies of the moment when all began.
      const own = { ...jar, cookies: new Map(jar.cookies), changes: [] }
      const response = await lab.visit(own, 'POST', '/count', new FormData())
      return { name: jar.name, response }
    }),
  )
  for (const { name, response } of answers) store(jars[name], response)
  const lost = TIMES * NAMES.length - ((await totalOf()) - before)
  const events = lab.seen.slice(0, runs.length + 2).flatMap((one) => one.events)
  const conflicts = events.filter(({ type }) => type === 'commit.conflict').length
  const outcome = lost ? `${lost} of them lost: the last cookie wins` : 'every one of them counted'
  return `${runs.length} requests at once, ${outcome}${conflicts ? `, ${conflicts} made again on top of another` : ''}.`
}

/** Spoils one character of every cookie, as somebody would who tries to forge one. */
async function tamper(_: Lab, { a }: Jars): Promise<string> {
  if (!hasSession(a)) return 'Browser A has no cookie yet.'
  for (const [name, value] of [...a.cookies]) {
    const spoiled = value.slice(0, 40) + (value[40] === 'A' ? 'B' : 'A') + value.slice(41)
    const secure = name.startsWith('__Host-') ? '; Secure' : ''
    const cookie = `${name}=${spoiled}; Path=/; HttpOnly; SameSite=Lax${secure}`
    store(a, new Response(null, { headers: { 'set-cookie': cookie } }))
  }
  return 'One character of the cookie was changed: it opens to nothing.'
}

/** What a thief has of a copied cookie. */
const OUTCOMES: Record<Binding, string> = {
  nothing:
    'Browser B has the cookie of A, so it is in. Now get a new credential in A, or sign out, and look at B.',
  browser: 'Browser B has the cookie of A, of no use there: the session is bound to its browser.',
  device:
    'Browser B has all cookies of A, and not the key. Go on by an hour: A proves its key and stays, B cannot.',
}

/** Runs each, by the name of its button. */
export const experiments: Record<string, (lab: Lab, jars: Jars) => Promise<string | null>> = {
  race,
  tamper,
  look: async () => null,
  steal: async (lab, { a, b }) => {
    if (!hasSession(a)) return 'Browser A has no cookie yet.'
    steal(a, b)
    lab.devices.delete('b')
    return OUTCOMES[lab.settings.binding]
  },
}
