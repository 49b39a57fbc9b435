import cookieSession from 'cookie-session'
import express from 'express'
import { respond, serve } from '../serve.mjs'

function start({ secrets, answer }) {
  const app = express().set('trust proxy', 1).set('env', 'test')
  app.use(
    cookieSession({
      name: 'session',
      keys: secrets,
      maxAge: 86_400_000,
      secure: true,
      sameSite: 'lax',
    }),
  )
  app.use(async (req, res) => {
    const response = await answer(req.path, {
      get: async (key) => req.session[key],
      set: async (key, value) => {
        req.session[key] = value
      },
      logout: async () => {
        req.session = null
      },
    })
    await respond(res, response)
  })
  return serve(app)
}

export const peers = [{ name: 'cookie-session', package: 'cookie-session', kind: 'cookie', start }]
