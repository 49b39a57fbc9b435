// One library on one or more instances, with a store of its own; each request brings its page along.
import { Browser } from './browser.mjs'
import { createStore } from './store.mjs'

export const SECRET = 'scenario-secret-0123456789-abcdefghijklmnop-ABCDEFGH'

/** Rejections that nobody handled, which end a Node process by default. */
export const unhandled = []
process.on('unhandledRejection', (error) => unhandled.push(error))

/** What a page can do with a session. A peer says how its users write it. */
const facade = (own) => ({
  headers: {},
  add: async (key) => own.set(key, ((await own.get(key)) ?? 0) + 1),
  login: (user) => own.set('user', user),
  ...own,
})

export async function createWorld(peer) {
  const pages = new Map()
  const store = createStore()
  const instances = []

  async function answer(pathname, session) {
    const given = facade(session)
    await pages.get(pathname)(given)
    return new Response('page', { headers: given.headers })
  }
  async function fetch(page, cookie) {
    const pathname = `/${pages.size}`
    pages.set(pathname, page)
    const request = new Request(`https://app.example${pathname}`, {
      headers: cookie ? { cookie } : {},
    })
    try {
      return await instances.at(-1)(request)
    } catch {
      return new Response('the application failed', { status: 500 })
    }
  }
  const world = {
    peer,
    store,
    fetch,
    browser: (cookies) => new Browser(world, cookies),
    /** Starts an instance of the library that answers from now on; the first secret is today's. */
    start: async (...secrets) => void instances.push(await peer.start({ secrets, store, answer })),
    stop: () => Promise.all(instances.map((instance) => instance.stop?.())),
  }
  await world.start(SECRET)
  return world
}
