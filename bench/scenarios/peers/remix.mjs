import { createCookie } from '@remix-run/cookie'
import { createRouter } from '@remix-run/fetch-router'
import { Session } from '@remix-run/session'
import { createCookieSessionStorage } from '@remix-run/session/cookie-storage'
import { createMemorySessionStorage } from '@remix-run/session/memory-storage'
import { session as withSession } from '@remix-run/session-middleware'

const start =
  (storageOf, deleteOld = true) =>
  ({ secrets, store, answer }) => {
    const cookie = createCookie('sid', {
      secrets,
      httpOnly: true,
      secure: true,
      sameSite: 'Lax',
      maxAge: 86_400,
    })
    const router = createRouter({ middleware: [withSession(cookie, storageOf(store))] })
    router.get('/*path', (context) => {
      const session = context.get(Session)
      return answer(context.url.pathname, {
        get: async (key) => session.get(key),
        set: async (key, value) => session.set(key, value),
        login: async (user) => {
          session.regenerateId(deleteOld)
          session.set('user', user)
        },
        logout: async () => session.destroy(),
      })
    })
    return (request) => router.fetch(request)
  }

/** Its own memory storage; counted is what would travel to a remote one. It outlives a restart. */
function logged(store) {
  store.memory ??= createMemorySessionStorage()
  const { memory } = store
  return {
    read: (id) => (id ? store.op('read', () => memory.read(id)) : memory.read(id)),
    save: (session) => {
      const changed = session.dirty || session.destroyed || session.deleteId
      return changed ? store.op('save', () => memory.save(session)) : memory.save(session)
    },
  }
}

const common = { name: '@remix-run/session', package: '@remix-run/session' }
export const peers = [
  { ...common, kind: 'cookie', start: start(() => createCookieSessionStorage()) },
  { ...common, kind: 'store', start: start(logged) },
  {
    ...common,
    kind: 'store',
    option: '`regenerateId()` in place of `regenerateId(true)`',
    scenarios: ['earlierId'],
    start: start(logged, false),
  },
]
