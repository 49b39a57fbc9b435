import { readFileSync } from 'node:fs'
import { createMemoryStore } from 'sojourn/memory'
import { createClock, createCookieJar } from 'sojourn/testing'
import { describe, expect, it } from 'vitest'
import { createAccounts } from '../../examples/several-accounts/accounts.ts'

const secret = 'a secret of this test, long enough for anybody'

const read = (path: string): string =>
  readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

describe.each(['in cookies', 'in a store'])('several accounts in one browser, %s', (place) => {
  const create = () => {
    const now = createClock()
    const own = place === 'in a store' ? { store: createMemoryStore({ now }) } : {}
    const accounts = createAccounts({ secret, now, ...own }, 3)
    const jar = createCookieJar({ now })
    const ask = async (path: string, use: (request: Request) => unknown): Promise<unknown> => {
      const handler = accounts.handler(async (request) =>
        Response.json((await use(request)) ?? null),
      )
      return (await jar.fetch(handler, path)).json()
    }
    const signIn = (user: string) => ask('/login', (request) => accounts.signIn(request, user))
    const users = () => ask('/accounts', (request) => accounts.users(request))
    /** Who is signed in to the account of a path. */
    const at = (path: string) =>
      ask(path, async (request) => (await accounts.of(request)?.get(request))?.subject)
    const signOut = (path: string) =>
      ask(path, async (request) => (await accounts.of(request)!.get(request)).destroy())
    return { accounts, at, jar, signIn, signOut, users }
  }

  it('each have a session of their own, and the address says which', async () => {
    const { at, signIn, users } = create()
    expect([await signIn('ann'), await signIn('bob')]).toEqual([0, 1])
    expect([await at('/u/0/inbox'), await at('/u/1/inbox')]).toEqual(['ann', 'bob'])
    expect(await users()).toEqual(['ann', 'bob', null])
    // Again: their own account, and no second one.
    expect([await signIn('ann'), await users()]).toEqual([0, ['ann', 'bob', null]])
    expect([await signIn('eve'), await signIn('joe')]).toEqual([2, -1])
  })

  it('are signed out of one by one', async () => {
    const { at, signIn, signOut, users } = create()
    await signIn('ann')
    await signIn('bob')
    await signOut('/u/0/sign-out')
    expect([await users(), await at('/u/1/')]).toEqual([[null, 'bob', null], 'bob'])
    expect(await signIn('eve')).toBe(0)
  })

  it('do not open under the cookie of another one', async () => {
    const { accounts, jar, signIn } = create()
    await signIn('ann')
    const swapped = jar.header('/')!.replaceAll('__Host-account-0', '__Host-account-1')
    const request = new Request('https://example.com/', { headers: { cookie: swapped } })
    expect(await accounts.users(request)).toEqual([null, null, null])
  })
})

describe('several accounts in one browser', () => {
  it('are printed in the documentation as they are', () => {
    const code = read('examples/several-accounts/accounts.ts').split('\n').slice(1).join('\n')
    const page = read('docs/guides/several-accounts.md')
    expect(page).toContain(`\`\`\`ts\n// src/accounts.ts\n${code}\`\`\``)
  })
})
