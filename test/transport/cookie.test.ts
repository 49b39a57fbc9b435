import { describe, expect, it } from 'vitest'
import { createWorld } from '../support/sessions.ts'

/** Cookies of a session in several chunks: the value of each by its name. */
async function createChunked() {
  const world = createWorld({ cookie: { maxChunks: 4 } })
  await world.visit((s) => {
    s.login('ann')
    s.set('a', 'é'.repeat(2500))
  })
  const pairs = world.jar.cookies().map(({ name, value }) => [name, value] as const)
  expect(pairs.length).toBeGreaterThan(1)
  return { ...world, pairs }
}

const headerOf = (pairs: readonly (readonly [string, string])[]): string =>
  pairs.map(([name, value]) => `${name}=${value}`).join('; ')

describe('the Cookie header', () => {
  it('opens a session whose cookies a client has quoted, as RFC 2109 and RFC 6265 have it', async () => {
    const { sessions, pairs } = await createChunked()
    const quoted = pairs.map(([name, value]) => [name, `"${value}"`] as const)
    for (const header of [
      headerOf(quoted),
      `$Version=1; ${headerOf(quoted)}; $Path="/"; $Domain=app.example`,
      headerOf([...quoted].reverse()),
    ]) {
      expect((await sessions.open(header)).subject).toBe('ann')
    }
  })

  it('is not misled by quotes in the values of other cookies', async () => {
    const { sessions, jar, visit } = createWorld()
    await visit((s) => s.set('a', 1))
    const odd = `x="a; ${jar.header()}"; y="=\\"; z="; ${jar.header()}`
    expect((await sessions.open(odd)).get('a')).toBe(1)
  })
})
