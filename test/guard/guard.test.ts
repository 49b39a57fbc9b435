import { describe, expect, it } from 'vitest'
import { type Requirements, requireSession, returnPath } from '../../src/guard/guard.ts'
import type { Session } from '../../src/index.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createFaultyStore } from '../../src/testing/index.ts'
import { createWorld, errorOf } from '../support/sessions.ts'

const PAGE = { accept: 'text/html,application/xhtml+xml' }

function createGuarded(requirements: Requirements, more = {}) {
  const world = createWorld(more)
  const guard = requireSession(world.sessions, requirements, world.clock)
  const ask = async (path = '/account?tab=1', init: RequestInit = { headers: PAGE }) =>
    guard(world.jar.request(path, init))
  const signIn = () => world.visit((session: Session) => session.login('ann'))
  return { ...world, ask, signIn }
}

describe('requireSession()', () => {
  it('lets through who is signed in', async () => {
    const { ask, signIn } = createGuarded({})
    expect((await ask())?.status).toBe(401)
    await signIn()
    expect(await ask()).toBe(null)
  })

  it('sends browsers to the page to sign in on, and back', async () => {
    const { ask } = createGuarded({ onMissing: '/login' })
    const response = await ask()
    expect([response?.status, response?.headers.get('location')]).toEqual([
      303,
      '/login?returnTo=%2Faccount%3Ftab%3D1',
    ])
    const back = new Request(`https://example.org${response?.headers.get('location')}`)
    expect(returnPath(back)).toBe('/account?tab=1')
  })

  it('answers 401 to scripts', async () => {
    const { ask } = createGuarded({ onMissing: '/login' })
    for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
      for (const accept of ['application/json', '*/*']) {
        expect((await ask('/api', { method, headers: { accept } }))?.status).toBe(401)
      }
    }
    const unguided = createGuarded({})
    expect((await unguided.ask('/api', { method: 'POST', headers: PAGE }))?.status).toBe(401)
  })

  it.each([
    ['https://example.com/cart?tab=1#top', '/login?returnTo=%2Fcart%3Ftab%3D1'],
    ['https://example.com.evil.example/cart', '/login'],
    ['https://evil.example/cart', '/login'],
    ['https://example.com//evil.example', '/login'],
    ['https://example.com/.//evil.example', '/login'],
    ['https://example.com//', '/login'],
    ['https://example.com/\\', '/login'],
    ['https://example.com/\t/', '/login'],
    ['', '/login'],
  ])('sends who sent a form on %j to sign in, and back to that page', async (referer, location) => {
    const { ask, jar } = createGuarded({ onMissing: '/login' })
    expect(jar.request('/').url).toBe('https://example.com/')
    const response = await ask('/cart/add', { method: 'POST', headers: { ...PAGE, referer } })
    expect([response?.status, response?.headers.get('location')]).toEqual([303, location])
  })

  it.each(['//', '///', '////login', '//evil.example/cart', '//[', '//a:b', '/%'])(
    'sends who asks for the path %s to sign in, like any other',
    async (path) => {
      const { ask } = createGuarded({ onMissing: '/login' })
      const response = await ask(`https://example.com${path}`)
      const back = path === '/%' ? '?returnTo=%2F%25' : ''
      expect([response?.status, response?.headers.get('location')]).toEqual([303, `/login${back}`])
    },
  )

  it.each([
    ['/account.data?tab=1&_routes=root', '/account?tab=1'],
    ['/_root.data', '/'],
    ['/a/_.data', '/a/'],
    ['/account/__data.json?tab=1&x-sveltekit-invalidated=01', '/account?tab=1'],
    ['/__data.json', '/'],
  ])('sends the routers of frameworks there too, who fetch %s', async (path, page) => {
    const { ask } = createGuarded({ onMissing: '/login' })
    const response = await ask(path, { headers: { accept: '*/*' } })
    expect([response?.status, response?.headers.get('location')]).toEqual([
      303,
      `/login?returnTo=${encodeURIComponent(page)}`,
    ])
    expect((await ask(path, { method: 'POST' }))?.headers.get('location')).toBe('/login')
  })

  it('sends the router of Next.js there, with or without what it adds to the address', async () => {
    const { ask } = createGuarded({ onMissing: '/login' })
    for (const path of ['/account?tab=1', '/account?tab=1&_rsc=x1']) {
      const response = await ask(path, { headers: { accept: '*/*', 'next-url': '/' } })
      expect(response?.headers.get('location')).toBe('/login?returnTo=%2Faccount%3Ftab%3D1')
    }
  })

  it('asks for a fresh sign-in where that matters', async () => {
    const { ask, signIn, clock } = createGuarded({ freshWithin: 300, onMissing: '/login?step=up' })
    await signIn()
    clock.advance(299)
    expect(await ask()).toBe(null)
    clock.advance(1)
    expect((await ask())?.headers.get('location')).toBe(
      '/login?step=up&returnTo=%2Faccount%3Ftab%3D1',
    )
    await signIn()
    expect(await ask()).toBe(null)
  })

  it('asks the application who may go on', async () => {
    const allow = (session: Session) => session.subject === 'bob'
    const { ask, signIn, visit } = createGuarded({ allow })
    expect((await ask())?.status).toBe(401)
    await signIn()
    expect((await ask())?.status).toBe(403)
    await visit((session) => session.login('bob'))
    expect(await ask()).toBe(null)
  })

  it('takes any live session if told to', async () => {
    const { ask, visit } = createGuarded({ subject: false })
    expect((await ask())?.status).toBe(401)
    await visit((session) => session.set('cart', [1]))
    expect(await ask()).toBe(null)
  })

  it('sends nobody to sign in because of an outage', async () => {
    const store = createFaultyStore(createMemoryStore())
    const { ask, signIn } = createGuarded({ onMissing: '/login' }, { store, now: () => Date.now() })
    await signIn()
    store.down()
    const response = await ask()
    expect([response?.status, response?.headers.get('retry-after')]).toEqual([503, '1'])
  })

  it('takes a session of which an outage leaves nothing known for none', async () => {
    const store = createFaultyStore(createMemoryStore())
    const { ask, visit } = createGuarded({ subject: false }, { store, now: () => Date.now() })
    await visit((session) => session.set('cart', [1]))
    expect(await ask()).toBe(null)
    store.down()
    expect((await ask())?.status).toBe(503)
  })

  it('lets everybody see the page to sign in on, so that nobody goes in circles', async () => {
    const { ask } = createGuarded({ onMissing: '/login?from=guard' })
    expect(await ask('/login?returnTo=%2Faccount')).toBe(null)
    expect(await ask('/login', { method: 'POST', headers: PAGE })).toBe(null)
    for (const data of ['/login.data', '/login/__data.json']) expect(await ask(data, {})).toBe(null)
    expect((await ask('/login/more'))?.status).toBe(303)
  })

  it.each(['/login', '/login/', '/login?from=guard'])(
    'has its sign-in page %s open with and without a slash, its data requests too',
    async (onMissing) => {
      const { ask } = createGuarded({ onMissing })
      for (const path of ['/login', '/login/', '/login/?returnTo=%2F']) {
        expect(await ask(path)).toBe(null)
      }
      for (const path of ['/login.data', '/login/_.data', '/login/__data.json']) {
        expect(await ask(path, { headers: { accept: '*/*' } })).toBe(null)
      }
      for (const path of ['/loginx', '/login/more', '/login//', '/', '/account/']) {
        expect((await ask(path))?.status).toBe(303)
      }
    },
  )

  it('has its sign-in page open with and without the data suffix of SvelteKit for .html', async () => {
    const { ask } = createGuarded({ onMissing: '/login.html' })
    expect(await ask('/login.html__data.json', {})).toBe(null)
  })

  it('has its sign-in page open to who is not allowed elsewhere', async () => {
    const { ask, signIn } = createGuarded({ onMissing: '/login', allow: () => false })
    await signIn()
    expect((await ask())?.status).toBe(403)
    expect(await ask('/login')).toBe(null)
  })

  it('leads back from a form behind a proxy that took the TLS off', async () => {
    const guard = requireSession(createWorld().sessions, { onMissing: '/login' })
    const send = async (referer: string) => {
      const headers = { ...PAGE, referer }
      const request = new Request('http://app.example/cart', { method: 'POST', headers })
      return (await guard(request))?.headers.get('location')
    }
    expect(await send('https://app.example/cart?x=1')).toBe('/login?returnTo=%2Fcart%3Fx%3D1')
    for (const other of [
      'https://evil.example/cart',
      'https://app.example:8443/cart',
      'nonsense',
    ]) {
      expect(await send(other)).toBe('/login')
    }
  })

  it('keeps the way back of a form on the sign-in page, which does not grow', async () => {
    const { ask } = createGuarded({ onMissing: '/login' })
    const send = async (page: string) => {
      const headers = { ...PAGE, referer: `https://example.com${page}` }
      return (await ask('/authenticate', { method: 'POST', headers }))?.headers.get('location')
    }
    expect(await send('/login?returnTo=%2Fcart')).toBe('/login?returnTo=%2Fcart')
    expect(await send('/login/?returnTo=%2Fcart')).toBe('/login?returnTo=%2Fcart')
    expect(await send('/login?returnTo=%2F%2Fevil.example')).toBe('/login')
    expect(await send('/login')).toBe('/login')
  })

  it('may answer in its own way', async () => {
    const { ask } = createGuarded({ onMissing: (request) => new Response(request.method) })
    expect(await (await ask())?.text()).toBe('GET')
  })

  it('says what is wrong with its options', async () => {
    for (const wrong of [
      { onMissing: 'login' },
      { onMissing: '//evil' },
      { onUnavailable: '/later' },
      { freshWithin: -1 },
      { x: 1 },
    ]) {
      const error = await errorOf(() => createGuarded(wrong as never))
      expect(error.message).toContain(`requireSession.${Object.keys(wrong)[0]}`)
    }
  })
})

describe('returnPath()', () => {
  it.each([
    'https://evil.example',
    '//evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    'javascript:alert(1)',
    'evil',
    '',
    '/a\nb',
    '/\t/evil.example',
    ' /a',
    '/ä',
    '/.//evil.example',
    '/a/..//evil.example',
    '/%2e//evil.example',
    '/%2E%2e//evil.example',
  ])('is never %j', (to) => {
    const request = new Request(`https://example.org/login?returnTo=${encodeURIComponent(to)}`)
    expect(returnPath(request, '/home')).toBe('/home')
  })

  it('is a path of this site', () => {
    for (const to of ['/', '/a/b?c=d&e#f', '/a//b', '/@evil.example', '/%2F%2Fevil']) {
      const request = new Request(`https://example.org/login?returnTo=${encodeURIComponent(to)}`)
      const path = returnPath(request)
      expect(path).toBe(to)
      expect(new URL(path, 'https://example.org').host).toBe('example.org')
    }
    expect(returnPath(new Request('https://example.org/login'))).toBe('/')
  })
})
