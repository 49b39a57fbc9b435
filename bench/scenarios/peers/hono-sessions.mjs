import { Hono } from 'hono'
import { CookieStore, sessionMiddleware } from 'hono-sessions'

const adapt = (store) => ({
  getSessionById: (id) => store.get(id),
  createSession: (id, data) => store.set(id, data, 'create'),
  persistSessionData: (id, data) => store.set(id, data),
  deleteSession: (id) => store.delete(id),
})

const start =
  (storeOf, options) =>
  ({ secrets: [encryptionKey], store, answer }) => {
    const app = new Hono()
    const cookieOptions = { sameSite: 'Lax', path: '/', httpOnly: true, secure: true }
    app.use(
      '*',
      sessionMiddleware({
        store: storeOf(store),
        encryptionKey,
        expireAfterSeconds: 86_400,
        cookieOptions,
        ...options,
      }),
    )
    app.all('*', async (c) => {
      const session = c.get('session')
      const response = await answer(c.req.path, {
        get: async (key) => session.get(key),
        set: async (key, value) => session.set(key, value),
        login: async (user) => {
          c.set('session_key_rotation', true)
          session.set('user', user)
        },
        logout: async () => session.deleteSession(),
      })
      return c.body(response.body, response)
    })
    return (request) => app.fetch(request)
  }

const common = { name: 'hono-sessions', package: 'hono-sessions' }
export const peers = [
  { ...common, kind: 'cookie', start: start(() => new CookieStore()) },
  { ...common, kind: 'store', start: start(adapt) },
  {
    ...common,
    kind: 'store',
    option: '`autoExtendExpiration: false`',
    scenarios: ['signedInRead'],
    start: start(adapt, { autoExtendExpiration: false }),
  },
]
