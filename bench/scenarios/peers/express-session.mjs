import express from 'express'
import session from 'express-session'
import { respond, serve } from '../serve.mjs'

class Store extends session.Store {
  constructor(store) {
    super()
    const call = (promise, done = () => {}) => promise.then((value) => done(null, value), done)
    this.get = (id, done) => call(store.get(id), done)
    this.set = (id, data, done) => call(store.set(id, data), done)
    this.touch = (_id, _data, done) =>
      call(
        store.op('touch', () => {}),
        done,
      )
    this.destroy = (id, done) => call(store.delete(id), done)
  }
}

const done = (run) =>
  new Promise((resolve, reject) => run((error) => (error ? reject(error) : resolve())))

const start =
  (save) =>
  ({ secrets, store, answer }) => {
    const app = express().set('trust proxy', 1).set('env', 'test')
    const cookie = { secure: true, sameSite: 'lax', maxAge: 86_400_000 }
    app.use(
      session({
        secret: secrets,
        store: new Store(store),
        resave: false,
        saveUninitialized: false,
        cookie,
      }),
    )
    app.use(async (req, res) => {
      const response = await answer(req.path, {
        get: async (key) => req.session[key],
        set: async (key, value) => {
          req.session[key] = value
          if (save) await done((next) => req.session.save(next))
        },
        // Both as in "User login" of its README.
        login: async (user) => {
          await done((next) => req.session.regenerate(next))
          req.session.user = user
          await done((next) => req.session.save(next))
        },
        logout: async () => {
          req.session.user = null
          await done((next) => req.session.save(next))
          await done((next) => req.session.regenerate(next))
        },
      })
      await respond(res, response)
    })
    return serve(app)
  }

const common = { name: 'express-session', package: 'express-session', kind: 'store' }
export const peers = [
  { ...common, start: start(false) },
  {
    ...common,
    option: '`req.session.save(callback)` before answering',
    scenarios: ['failedWrite'],
    start: start(true),
  },
]
