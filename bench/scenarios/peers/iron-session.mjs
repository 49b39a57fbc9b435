import { getIronSession, webCookies } from 'iron-session'

const start =
  (options) =>
  ({ secrets, answer }) => {
    // Numbered from the oldest: the highest number seals.
    const password = Object.fromEntries(secrets.toReversed().map((secret, i) => [i + 1, secret]))
    return async (request) => {
      const headers = new Headers()
      let opened
      const open = () =>
        (opened ??= getIronSession(webCookies(request, headers), {
          password,
          cookieName: 'sid',
          ...options,
        }))
      const response = await answer(new URL(request.url).pathname, {
        get: async (key) => (await open())[key],
        set: async (key, value) => {
          const session = await open()
          session[key] = value
          await session.save()
        },
        logout: async () => (await open()).destroy(),
      })
      for (const cookie of headers.getSetCookie()) response.headers.append('set-cookie', cookie)
      return response
    }
  }

const common = { name: 'iron-session', package: 'iron-session', kind: 'cookie' }
export const peers = [
  { ...common, start: start({}) },
  { ...common, option: '`chunk: true`', scenarios: ['tooLarge'], start: start({ chunk: true }) },
]
