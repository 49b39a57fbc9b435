import { describe, expect, it } from 'vitest'
import { createSessions } from '../../src/index.ts'
import type { CookieImporter } from '../../src/migrate/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createCookieJar } from '../../src/testing/index.ts'
import { SECRET } from '../support/sessions.ts'
import { adapters } from './every-adapter.ts'

/** Cookies of an old library: the user, and when they signed in. */
const importer: CookieImporter = {
  name: 'old',
  async read(cookies) {
    const [subject, time] = cookies.get('old')?.[0]?.split('.') ?? []
    if (!subject) return null
    return { data: {}, subject, writtenAt: Number(time), persistent: true, remove: ['old'] }
  },
}

describe.each(adapters)('imports in $name', ({ serve }) => {
  it.each([
    ['in cookies', false],
    ['in a store', true],
  ])('sessions %s: whoever signed in last wins, also after a rollback', async (_, isStored) => {
    const now = createClock()
    const store = isStored ? { store: createMemoryStore({ now }) } : {}
    const sessions = createSessions({ secret: SECRET, now, importFrom: [importer], ...store })
    const jar = createCookieJar({ now })
    const fetch = serve(
      sessions,
      async ({ session }) => new Response((await session()).subject ?? 'nobody'),
    )
    const visit = async () => (await jar.fetch(fetch, '/')).text()
    const signInBefore = (user: string) =>
      jar.store(new Response('', { headers: { 'set-cookie': `old=${user}.${now()}; Path=/` } }))
    for (const user of ['ann', 'bob', 'bob']) {
      now.advance(5)
      signInBefore(user)
      now.advance(5)
      expect([await visit(), await visit()]).toEqual([user, user])
      const [cookie, ...more] = jar.cookies().filter(({ name }) => !name.includes('.n'))
      expect([cookie?.name, more]).toEqual(['__Host-session', []])
      expect(cookie?.expiresAt).toBeLessThan(Infinity)
    }
  })
})
