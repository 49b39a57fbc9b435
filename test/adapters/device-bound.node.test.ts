import { describe, expect, it } from 'vitest'
import { createSessions, generateSecret } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createClock, createDeviceBrowser } from '../../src/testing/index.ts'
import { adapters, type Visit } from './every-adapter.ts'

describe.each(adapters)('$name', ({ serve }) => {
  it('a sign-in binds the session to the device, whose requests the application does not see', async () => {
    const clock = createClock(Date.now())
    const sessions = createSessions({
      secret: generateSecret(),
      store: createMemoryStore({ now: clock }),
      deviceBound: { enforce: 'always' },
      now: clock,
    })
    const seen: string[] = []
    const app = serve(sessions, async ({ request, session }: Visit) => {
      const { pathname } = new URL(request.url)
      seen.push(pathname)
      const current = await session()
      if (pathname === '/login') current.login('ada')
      if (pathname === '/logout') current.destroy()
      return new Response(`${current.subject} ${current.bound}`)
    })
    const browser = createDeviceBrowser({ now: clock })
    const read = async (path: string) => (await browser.fetch(app, path)).text()
    await read('/login')
    expect(await read('/')).toBe('ada true')
    const before = browser.jar.header()!
    clock.advance(3600)
    expect(await read('/')).toBe('ada true')
    const copy = await app(new Request('https://example.com/', { headers: { cookie: before } }))
    expect(await copy.text()).toBe('null false')
    await read('/logout')
    expect(await read('/')).toBe('null null')
    expect(browser.bound.size).toBe(0)
    expect(seen).toEqual(['/login', '/', '/', '/', '/logout', '/'])
    expect(browser.asked.map(({ path, status }) => `${status} ${path}`)).toEqual([
      '200 /device-bound/register',
      '403 /device-bound/refresh',
      '200 /device-bound/refresh',
      '200 /device-bound/refresh',
    ])
  })
})
