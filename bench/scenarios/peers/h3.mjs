import { getSession, H3, useSession } from 'h3'

const start =
  (read) =>
  ({ secrets: [password], answer }) => {
    const app = new H3({ silent: true })
    app.all('/**', async (event) => {
      const config = { password, name: 'sid', maxAge: 86_400 }
      const open = () => useSession(event, config)
      return answer(event.url.pathname, {
        get: async (key) => (await read(event, config)).data[key],
        set: async (key, value) => (await open()).update({ [key]: value }),
        add: async (key) => (await open()).update((data) => ({ [key]: (data[key] ?? 0) + 1 })),
        logout: async () => (await open()).clear(),
      })
    })
    return (request) => app.fetch(request)
  }

const common = { name: 'h3', package: 'h3', kind: 'cookie' }
export const peers = [
  { ...common, start: start(useSession) },
  {
    ...common,
    option: '`getSession` where nothing is written',
    scenarios: ['anonymousRead'],
    start: start(getSession),
  },
]
