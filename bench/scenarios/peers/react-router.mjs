import { createCookieSessionStorage, createSessionStorage } from 'react-router'

const start =
  (storageOf, freshLogin) =>
  ({ secrets, store, answer }) => {
    const cookie = {
      name: '__session',
      secrets,
      httpOnly: true,
      secure: true,
      sameSite: 'lax',
      path: '/',
      maxAge: 86_400,
    }
    const storage = storageOf(cookie, store)
    return async (request) => {
      let opened
      let commit
      const open = () => (opened ??= storage.getSession(request.headers.get('cookie')))
      async function set(key, value) {
        const session = await open()
        session.set(key, value)
        commit = storage.commitSession
      }
      const response = await answer(new URL(request.url).pathname, {
        get: async (key) => (await open()).get(key),
        set,
        login: (user) => {
          if (freshLogin) opened = storage.getSession()
          return set('user', user)
        },
        logout: async () => {
          await open()
          commit = storage.destroySession
        },
      })
      if (commit) response.headers.append('set-cookie', await commit(await opened))
      return response
    }
  }

/** The strategy of its own createMemorySessionStorage, over the shared store. */
const byId = (update) => (cookie, store) =>
  createSessionStorage({
    cookie,
    createData: async (data) => {
      const id = crypto.randomUUID()
      await store.set(id, data, 'create')
      return id
    },
    readData: (id) => store.get(id),
    updateData: (id, data) => store[update](id, data),
    deleteData: (id) => store.delete(id),
  })

const common = { name: 'react-router', package: 'react-router' }
export const peers = [
  { ...common, kind: 'cookie', start: start((cookie) => createCookieSessionStorage({ cookie })) },
  { ...common, kind: 'store', start: start(byId('set')) },
  {
    ...common,
    kind: 'store',
    option: 'an `updateData` that only updates, like SQL `UPDATE`',
    scenarios: ['logoutDuringWrite', 'endedId'],
    start: start(byId('update')),
  },
  {
    ...common,
    kind: 'store',
    option: 'signing in with a session from `getSession()`, without the cookie',
    scenarios: ['earlierId'],
    start: start(byId('set'), true),
  },
]
