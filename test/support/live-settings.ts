import { liveSettings } from '../../examples/live-settings/settings.ts'
import { createSessions, type SessionEvent } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { resilient } from '../../src/stores/resilient.ts'
import { createClock, createCookieJar, createFaultyStore } from '../../src/testing/index.ts'
import { SECRET } from './sessions.ts'

/** The parts of an `expect` that the check needs. */
type Expect = (actual: unknown) => {
  toBe(expected: unknown): void
  toEqual(expected: unknown): void
}

/**
 * Changes policy and controls where an operator would, in a place that is read and written by text, and
 * checks that the next sessions follow.
 */
export async function followSettings(
  place: { read(): Promise<string | null>; write(text: string): Promise<unknown> },
  expect: Expect,
): Promise<void> {
  const clock = createClock()
  const events: SessionEvent[] = []
  const settings = liveSettings(() => place.read())
  const faulty = createFaultyStore(createMemoryStore({ now: clock }))
  const quick = { sleep: async () => {}, breaker: false as const }
  const store = resilient(faulty, () => ({ ...quick, ...settings.policy() }))
  const sessions = createSessions({
    secret: SECRET,
    store,
    controls: settings.controls,
    now: clock,
    onEvent: (event) => events.push(event),
  })
  const jar = createCookieJar({ now: clock })
  const visit = async (user?: string): Promise<string> => {
    const handler = sessions.handler(async (request) => {
      const session = await sessions.get(request)
      if (user) session.login(user)
      return new Response(`${session.status} ${session.subject}`)
    })
    const response = await jar.fetch(handler, '/')
    return response.ok ? await response.text() : String(response.status)
  }
  const change = async (text: string): Promise<void> => {
    await place.write(text)
    clock.advance(5)
    await visit()
    // The answer is in force as soon as it has come.
    for (let tries = 0; tries < 6000; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 10))
      const { controls } = await sessions.health()
      if (JSON.stringify(controls) !== before) break
    }
    before = JSON.stringify((await sessions.health()).controls)
  }
  let before: string | undefined
  await visit('ada')
  before = JSON.stringify((await sessions.health()).controls)
  expect(await visit()).toBe('active ada')

  clock.advance(60)
  await change(JSON.stringify({ policy: { attempts: 2 }, controls: { notBefore: clock() } }))
  expect(await visit()).toBe('expired null')
  faulty.down()
  const calls = faulty.calls.length
  await store.read('id').catch(() => {})
  expect(faulty.calls.length - calls).toBe(2)
  faulty.up()
  expect(await visit('ada')).toBe('expired ada')

  await change(JSON.stringify({ controls: { readOnly: true } }))
  expect(await visit()).toBe('active ada')
  expect(await visit('bob')).toBe('503')

  for (const wrong of ['no JSON', '{"controls":{"readonly":true}}']) {
    await change(wrong)
    expect(await visit()).toBe('active ada')
    expect(await visit('bob')).toBe('503')
  }
  await change('{"policy":{"attempts":0}}')
  expect(await visit('ada')).toBe('active ada')
  const told = events.filter(({ type }) => type === 'policy.invalid')
  expect(told.length).toBe(3)
}
