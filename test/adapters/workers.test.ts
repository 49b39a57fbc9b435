import { describe, expect, it } from 'vitest'
import { type WorkerContext, withSessions } from '../../src/adapters/workers.ts'
import { createCookieJar } from '../../src/testing/index.ts'
import { errorOf, OTHER_SECRET, SECRET } from '../support/sessions.ts'

interface Env {
  SESSION_SECRET: string
}

const ctx: WorkerContext = { waitUntil: () => {}, passThroughOnException: () => {} }

const createWorker = () => {
  let made = 0
  const worker = withSessions(
    (env: Env) => {
      made++
      return { secret: env.SESSION_SECRET }
    },
    async (request, env, context, sessions) => {
      const session = await sessions.get(request)
      session.update('visits', (n = 0) => n + 1)
      return new Response(
        `${session.get('visits')} ${env.SESSION_SECRET === SECRET} ${context === ctx}`,
      )
    },
  )
  return { worker, made: () => made }
}

describe('withSessions()', () => {
  it('makes sessions once and commits every response', async () => {
    const { worker, made } = createWorker()
    const jar = createCookieJar()
    const visit = () =>
      jar.fetch((request) => worker.fetch(request, { SESSION_SECRET: SECRET }, ctx))
    expect(await (await visit()).text()).toBe('1 true true')
    expect(await (await visit()).text()).toBe('2 true true')
    expect(made()).toBe(1)
  })

  it('makes them again where what they were made from differs', async () => {
    const { worker, made } = createWorker()
    const ask = (secret: string) =>
      worker.fetch(new Request('https://example.com'), { SESSION_SECRET: secret }, ctx)
    for (const secret of [SECRET, OTHER_SECRET, SECRET, OTHER_SECRET]) await ask(secret)
    expect(made()).toBe(2)
  })

  it('names the option when the environment lacks the secret', async () => {
    const { worker } = createWorker()
    const request = new Request('https://example.com')
    const error = await errorOf(() => worker.fetch(request, {} as Env, ctx))
    expect([error.name, error.message.includes('"secret"')]).toEqual(['TypeError', true])
  })
})
