import { useSession, useSessionStorage } from '@hono/session'
import { Hono } from 'hono'

const start =
  (storage, getFirst = true) =>
  ({ secrets: [secret], store, answer }) => {
    const app = new Hono()
    if (storage)
      app.use(useSessionStorage({ get: store.get, set: store.set, delete: store.delete }))
    app.use(useSession({ secret, duration: { absolute: 86_400 } }))
    app.all('*', async (c) => {
      const { session } = c.var
      const response = await answer(c.req.path, {
        get: async (key) => (await session.get())?.[key],
        set: (key, value) => session.update((data) => ({ ...data, [key]: value })),
        add: (key) => session.update((data) => ({ ...data, [key]: (data?.[key] ?? 0) + 1 })),
        logout: async () => {
          if (getFirst) await session.get()
          session.delete()
        },
      })
      return c.body(response.body, response)
    })
    return (request) => app.fetch(request)
  }

const common = { name: '@hono/session', package: '@hono/session' }
export const peers = [
  { ...common, kind: 'cookie', start: start(false) },
  { ...common, kind: 'store', start: start(true) },
  {
    ...common,
    kind: 'store',
    option: '`session.delete()` without `session.get()` before it',
    scenarios: ['replayAfterLogout'],
    start: start(true, false),
  },
]
