import { describe, expect, it } from 'vitest'
import { importSession } from '../../src/migrate/import.ts'
import {
  type CookieImporter,
  fromCookieSession,
  fromExpressSession,
  fromH3,
  fromHonoSession,
  fromIronSession,
} from '../../src/migrate/index.ts'
import frozen from '../vectors/migrate.json' with { type: 'json' }

const { secret, sid, data, createdAt } = frozen
const NOW = Date.UTC(2040, 0)

const h3 = fromH3({ password: secret })
const load = async (id: string): Promise<unknown> => (id === sid ? data : null)

const importers: Record<keyof typeof frozen.cookies, CookieImporter> = {
  iron: fromIronSession({ password: secret, cookieName: 'app' }),
  h3Version1: h3,
  h3Version2: h3,
  hono: fromHonoSession({ secret }),
  express: fromExpressSession({ secret, load }),
  cookie: fromCookieSession({ keys: [secret] }),
}

describe('cookies that other libraries made', () => {
  it.each(Object.keys(importers) as (keyof typeof importers)[])('%s opens here', async (name) => {
    const session = await importSession([importers[name]], frozen.cookies[name], NOW)
    expect(session?.data).toEqual(data)
    expect(session?.removals.length).toBe(name === 'cookie' ? 2 : 1)
    if (name.startsWith('h3')) expect(session?.createdAt).toBe(createdAt)
  })

  it('are removed under the path and the domain that they were set with', async () => {
    const place = { path: '/app', domain: 'example.com' }
    const importer = fromExpressSession({ secret, load, ...place })
    const found = await importSession([importer], frozen.cookies.express, NOW)
    expect(found?.removals[0]?.split('; ')).toEqual(
      expect.arrayContaining(['Domain=example.com', 'Path=/app']),
    )
  })

  it('open among all the others', async () => {
    const header = Object.values(frozen.cookies).join('; ')
    for (const importer of Object.values(importers)) {
      expect((await importSession([importer], header, NOW))?.data).toEqual(data)
    }
  })

  it.each(Object.keys(importers) as (keyof typeof importers)[])(
    '%s does not open when it was changed',
    async (name) => {
      const header = frozen.cookies[name]
      for (const at of [header.length - 4, header.length - 30, header.indexOf('=') + 8]) {
        const forged = header.slice(0, at) + (header[at] === 'a' ? 'b' : 'a') + header.slice(at + 1)
        expect(await importSession([importers[name]], forged, NOW)).toBe(null)
      }
    },
  )
})
