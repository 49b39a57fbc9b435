import { createHash } from 'node:crypto'
import secureSession from '@fastify/secure-session'
import fastify from 'fastify'
import { respond, serve } from '../serve.mjs'

async function start({ secrets, answer }) {
  const app = fastify()
  const key = secrets.map((secret) => createHash('sha256').update(secret).digest())
  app.register(secureSession, {
    key,
    cookie: { path: '/', httpOnly: true, secure: true, sameSite: 'lax' },
  })
  app.get('/*', async ({ url, session }, reply) => {
    const response = await answer(url, {
      get: async (name) => session.get(name),
      set: async (name, value) => session.set(name, value),
      logout: async () => session.delete(),
    })
    return respond(reply, response)
  })
  await app.ready()
  return serve(app.routing)
}

export const peers = [
  { name: '@fastify/secure-session', package: '@fastify/secure-session', kind: 'cookie', start },
]
