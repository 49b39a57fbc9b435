import { describe, expect, it } from 'vitest'
import { importSession } from '../../src/migrate/import.ts'
import type { CookieImporter, RawCookies } from '../../src/migrate/importer.ts'

const NOW = 1_800_000_000_000
const EXPIRED = 'Max-Age=0; Path=/'

/** An importer that finds whatever its cookie says. */
function importerOf(
  name: string,
  more: Partial<CookieImporter<{ from: string }>> & { remove?: string[] } = {},
): CookieImporter<{ from: string }> {
  const { remove = [name], ...rest } = more
  return {
    name,
    async read(cookies) {
      const from = cookies.get(name)?.[0]
      return from === undefined ? null : { data: { from }, subject: 'ada', createdAt: 1, remove }
    },
    ...rest,
  }
}

describe('importSession()', () => {
  it('returns the session of the first importer that finds one', async () => {
    const importers = [importerOf('a'), importerOf('b'), importerOf('c')]
    expect(await importSession(importers, 'c=3; b=2', NOW)).toEqual({
      data: { from: '2' },
      subject: 'ada',
      createdAt: 1,
      removals: [`b=; ${EXPIRED}`],
      origin: undefined,
    })
  })

  it('knows a session by its importer and its id, however its cookie is spelled', async () => {
    const named = (name: string) =>
      importerOf(name, {
        read: async (cookies) =>
          cookies.has(name) ? { data: { from: '' }, id: 'x', remove: [name] } : null,
      })
    const originOf = async (name: string, header: string) =>
      (await importSession([named(name)], header, NOW))?.origin
    expect(await originOf('a', 'a=1')).toBe('["a","x"]')
    expect(await originOf('a', 'a=1; a=2')).toBe('["a","x"]')
    expect(await originOf('b', 'b=1')).toBe('["b","x"]')
  })

  it('returns null without a header, an importer or a session', async () => {
    expect(await importSession([importerOf('a')], '', NOW)).toBe(null)
    expect(await importSession([importerOf('a')], 'b=2', NOW)).toBe(null)
    expect(await importSession([], 'a=1', NOW)).toBe(null)
  })

  it('takes no other blanks away than browsers do, so that no name stands in for another', async () => {
    for (const blank of ['\u00a0', '\ufeff', '\u2003', '\v']) {
      expect(await importSession([importerOf('__Host-a')], `${blank}__Host-a=evil`, NOW)).toBe(null)
    }
    const found = await importSession([importerOf('__Host-a')], '\t __Host-a =\tgood\t;', NOW)
    expect(found?.data).toEqual({ from: 'good' })
  })

  // In quadratic time it would take longer than a test may, on any machine.
  it('reads a large header in linear time', async () => {
    for (const pair of ['b=;', 'b;', '=;', '=', ' ', `b=${' '.repeat(1000)}x;`]) {
      const header = `${pair.repeat(500_000 / pair.length)};a=1`
      await importSession([importerOf('a')], header, NOW)
    }
  })

  it('gives the importers every value as it was sent, and the time', async () => {
    let seen: [RawCookies, number] | undefined
    const spy = importerOf('a', {
      read: async (...given) => {
        seen = given
        return null
      },
    })
    await importSession([spy], 'a=1;b = x=y= ;a="2%20"; c; =d; __proto__=e; a=', NOW)
    expect([...seen![0]]).toEqual([
      ['a', ['1', '"2%20"', '']],
      ['b', ['x=y=']],
      ['', ['d']],
      ['__proto__', ['e']],
    ])
    expect(seen![1]).toBe(NOW)
  })

  it('removes cookies as they were set', async () => {
    const importer = importerOf('__Secure-a', { path: '/app', domain: 'example.com' })
    const found = await importSession([importer], '__Secure-a=1', NOW)
    expect(found?.removals.length).toBe(1)
    expect(found?.removals[0]?.split('; ').sort()).toEqual([
      'Domain=example.com',
      'Max-Age=0',
      'Path=/app',
      'Secure',
      '__Secure-a=',
    ])
  })

  it('never removes the new cookie or its chunks', async () => {
    const remove = ['session', 'session.0', 'session.1', 'session.3', 'session.sig']
    const importers = [importerOf('session', { remove })]
    const found = await importSession(importers, 'session=1', NOW, 'session')
    expect(found?.removals).toEqual([`session.0=; ${EXPIRED}`, `session.sig=; ${EXPIRED}`])
    expect((await importSession(importers, 'session=1', NOW, 'other'))?.removals.length).toBe(5)
  })

  it('lets a failure out, which is not "no session"', async () => {
    const importer = importerOf('a', { read: () => Promise.reject(new Error('store is down')) })
    const outcome = await importSession([importer, importerOf('b')], 'b=1', NOW).catch(String)
    expect(outcome).toBe('Error: store is down')
  })
})
