import { betterAuth } from 'better-auth'
import { anonymous } from 'better-auth/plugins'

const field = (type) => ({ type, required: false })

/** Without a database: the cookie cache is the session. Its anonymous plugin makes the users. */
function start({ secrets, answer }) {
  const auth = betterAuth({
    baseURL: 'https://app.example',
    secrets: secrets.map((value, i) => ({ version: secrets.length - i, value })),
    session: {
      additionalFields: {
        x: field('number'),
        y: field('number'),
        n: field('number'),
        big: field('string'),
        value: field('json'),
      },
    },
    plugins: [anonymous()],
    logger: { disabled: true },
    telemetry: { enabled: false },
  })
  return async (request) => {
    const cookies = []
    async function call(endpoint, body) {
      const { headers, response } = await auth.api[endpoint]({
        headers: request.headers,
        body,
        returnHeaders: true,
      })
      cookies.push(...headers.getSetCookie())
      return response
    }
    const response = await answer(new URL(request.url).pathname, {
      get: async (key) => {
        const found = await call('getSession')
        return key === 'user' ? found && 'ada' : found?.session[key]
      },
      set: (key, value) => call('updateSession', { [key]: value }),
      login: () => call('signInAnonymous'),
      logout: () => call('signOut'),
    })
    for (const cookie of cookies) response.headers.append('set-cookie', cookie)
    return response
  }
}

export const peers = [
  { name: 'better-auth', variant: ', no database', package: 'better-auth', kind: 'cookie', start },
]
