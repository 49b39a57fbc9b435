import { describe, expect, it } from 'vitest'
import { deflate } from '../../src/codec/compress.ts'
import { idOf } from '../../src/codec/session-record.ts'
import { shareOf } from '../../src/crypto/key-share.ts'
import { createKeyRing } from '../../src/crypto/keyring.ts'
import { openToken, sealToken } from '../../src/crypto/token.ts'
import { createSessions, type SessionsOptions } from '../../src/index.ts'
import { getDraft } from '../../src/session/instances.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import type { SessionStore, StoredRecord } from '../../src/stores/store.ts'
import { createClock } from '../../src/testing/index.ts'
import { asRemote, createWorld, errorOf, SECRET } from '../support/sessions.ts'

function createStored(options: Partial<SessionsOptions> = {}) {
  const clock = createClock()
  const memory = createMemoryStore({ now: clock })
  return { memory, ...createWorld({ store: asRemote(memory), ...options }, clock) }
}

describe('a stored record', () => {
  it('does not open under another id', async () => {
    const { visit, sessions, memory, jar } = createStored()
    const victim = await visit((s) => s.login('ann'))
    const record = await memory.read(victim.session.id)
    const thief = await sessions.open(null)
    thief.set('a', 1)
    const [setCookie = ''] = await sessions.save(thief)
    const mine = await memory.read(thief.id)
    if (record && mine) await memory.write(thief.id, { ...record, version: '9' }, mine.version)
    const opened = await sessions.open(setCookie.split(';')[0] ?? '')
    expect([opened.status, opened.subject]).toEqual(['invalid', null])
    expect((await sessions.open(jar.header())).subject).toBe('ann')
  })

  it.each(['value', 'entries'] as const)(
    'whose %s a newer version of Sojourn sealed signs nobody out, and can be ended',
    async (field) => {
      const { visit, sessions, memory, jar, types } = createStored()
      const { session } = await visit((s) => s.login('ann'))
      const other = await sessions.open(null)
      other.login('ann')
      await sessions.save(other)
      const record = (await memory.read(session.id))!
      const newer = `Ag${record.value.slice(2)}`
      const changed = { ...record, [field]: field === 'value' ? newer : [newer] }
      const there = async (): Promise<StoredRecord> => changed
      const own = {
        ...memory,
        read: (id: string) => (id === session.id ? there() : memory.read(id)),
      }
      const list = async (key: string) =>
        (await memory.index.list(key)).map(({ id, ...one }) =>
          id === session.id ? { id, record: changed } : { id, ...one },
        )
      const old = createWorld({ store: { ...own, index: { ...memory.index, list } } })
      const request = new Request('https://a.test', { headers: { cookie: jar.header()! } })
      const error = await errorOf(() => old.sessions.require(request))
      expect(error).toMatchObject({ code: 'ERR_STORE_UNAVAILABLE', cause: { code: 'ERR_STORE' } })
      expect(String(error.cause)).toContain('a newer version of Sojourn stored it')
      const met = await old.sessions.open(jar.header())
      expect(met.status).toBe('degraded')
      expect(() => met.set('a', 1)).toThrow('a newer version of Sojourn')
      expect((await old.sessions.list('ann')).map(({ id }) => id)).toEqual([other.id])
      expect(types()).not.toContain('session.corrupt')
      expect(await old.sessions.revokeAll('ann')).toBe(2)
      expect(await memory.read(session.id)).toBe(null)
    },
  )

  it.each([
    ['heal', 'active', 10, 'store.rolled-back'],
    ['refuse', 'invalid', undefined, 'session.corrupt'],
  ] as const)(
    "is told of when somebody put an older value back, and onRollback '%s' decides",
    async (onRollback, status, credit, event) => {
      const { visit, memory, clock, types } = createStored({ renewAfter: 10, onRollback })
      const { session } = await visit((s) => s.set('credit', 10))
      const old = await memory.read(session.id)
      await visit((s) => s.set('credit', 0))
      clock.advance(10)
      await visit()
      const now = await memory.read(session.id)
      if (old && now) await memory.write(session.id, { ...old, version: '9' }, now.version)
      const { session: found } = await visit()
      expect([found.status, found.get('credit')]).toEqual([status, credit])
      expect(types()).toContain(event)
    },
  )
})

describe('an appended entry', () => {
  it.each([1, 7, 200])(
    'changes nothing when somebody puts it back, %d writes later',
    async (writes) => {
      const clock = createClock()
      const memory = createMemoryStore({ now: clock })
      let entry: string | undefined
      let isBack = false
      const store: SessionStore = {
        ...memory,
        write(id, record, expected, more) {
          entry ??= expected === null ? undefined : more?.entry
          return memory.write(id, record, expected, more)
        },
        async read(id, more) {
          const record = await memory.read(id, more)
          return isBack && record
            ? { ...record, entries: [entry!], version: `${record.version}+1` }
            : record
        },
      }
      const { visit } = createWorld({ store, idleTimeout: 100_000 }, clock)
      await visit((s) => s.set('role', 'user'))
      await visit((s) => s.set('role', 'admin'))
      expect(entry).toMatch(/^[\w-]+$/)
      for (let i = 0; i < writes; i++) {
        clock.advance(61)
        await visit((s) => s.set('role', `user ${i}`))
      }
      isBack = true
      const { session } = await visit()
      expect([session.status, session.data]).toEqual(['active', { role: `user ${writes - 1}` }])
    },
  )

  it('is good for one session, one credential and one version of the data only', async () => {
    const clock = createClock()
    const memory = createMemoryStore({ now: clock })
    const entries: string[] = []
    let planted: string | undefined
    const store: SessionStore = {
      ...memory,
      write(id, record, expected, more) {
        if (more?.entry) entries.push(more.entry)
        return memory.write(id, record, expected, more)
      },
      async read(id, more) {
        const record = await memory.read(id, more)
        return planted && record ? { ...record, entries: [planted], version: 'x+1' } : record
      },
    }
    const [ann, bob] = [createWorld({ store }, clock), createWorld({ store }, clock)]
    for (const { visit } of [ann, bob]) {
      await visit((s) => s.set('a', 1))
      await visit((s) => s.set('a', 2))
    }
    const [ofAnn, ofBob] = entries
    await ann.visit((s) => s.regenerate())
    for (const other of [ofAnn, ofBob]) {
      planted = other
      const { session } = await ann.visit()
      expect([session.status, session.data]).toEqual(['invalid', {}])
    }
  })
})

describe("seal: 'cookie'", () => {
  const sealed = { seal: 'cookie' } as const

  it('needs the cookie of the visitor, and works as ever with it', async () => {
    const { visit, jar, memory, clock, sessions } = createStored(sealed)
    const { session } = await visit((s) => s.set('a', 1))
    expect((await visit((s) => s.set('b', 2))).session.data).toEqual({ a: 1, b: 2 })
    await visit((s) => s.login('ann'))
    expect((await visit()).session.data).toEqual({ a: 1, b: 2 })
    expect((jar.header() as string).length > 150).toBe(true)
    // The secret and a dump of the store, but not the cookie.
    const other = createSessions({ secret: SECRET, store: memory, now: clock })
    expect(await other.list('ann')).toEqual([])
    expect(await sessions.revokeAll('ann')).toBe(1)
    expect(await sessions.revoke(session.id)).toBe(false)
  })

  it('draws a new key share with each rotation: what a copy of the cookie knows opens nothing of after', async () => {
    const { visit, sessions, jar } = createStored({ seal: 'cookie' })
    await visit((s) => s.set('a', 1))
    const session = await sessions.open(jar.header())
    const before = getDraft(session).current
    session.regenerate()
    const after = getDraft(session).current
    expect(idOf(after)).toBe(idOf(before))
    expect(shareOf(after)).toHaveLength(32)
    expect(shareOf(after)).not.toEqual(shareOf(before))
  })

  it('works with snapshots, deferred writes, conflicts and once', async () => {
    const { visit, sessions, jar, clock } = createStored({ ...sealed, snapshot: { maxAge: 10 } })
    await visit((s) => s.set('n', 0))
    const open = [await sessions.open(jar.header()), await sessions.open(jar.header())]
    for (const session of open) session.update('n', (n) => n + 1)
    for (const session of open) await sessions.save(session)
    clock.advance(11)
    expect((await visit()).session.get('n')).toBe(2)
    expect(await (await visit()).session.once('a', async () => 1)).toBe(1)
  })

  it('stores no entry and no result of once that the secret alone opens', async () => {
    const { visit, sessions, jar, memory, clock } = createStored(sealed)
    const { session } = await visit((s) => s.set('a', 1))
    const header = jar.header()
    const open = await Promise.all(Array.from({ length: 9 }, () => sessions.open(header)))
    for (const [i, one] of open.entries()) one.set(`key ${i}`, 'canary')
    await Promise.all(open.map((one) => sessions.save(one)))
    expect(Object.keys((await visit()).session.data).length).toBe(10)
    await (await visit()).session.once('token', async () => 'canary')
    const ring = createKeyRing([SECRET], 'store')
    const { records } = await memory.page(null)
    expect(records.length).toBe(2)
    let opened = 0
    for (const { id, record } of records) {
      for (const [label, value] of [
        [`store:${id}:${record.epoch}`, record.value],
        [`once:${id}`, record.value],
        ...(record.entries ?? []).map((entry) => [`entry:${id}:${record.epoch}`, entry]),
      ]) {
        const bytes = await openToken(ring, label!, value!, clock())
        opened += bytes ? 1 : 0
        expect(new TextDecoder().decode(bytes ?? undefined)).not.toContain('canary')
      }
    }
    expect([session.id.length, opened]).toEqual([22, 10])
  })

  it('opens records that were sealed before it was switched on', async () => {
    const { visit, memory, jar, clock } = createStored()
    await visit((s) => s.set('a', 1))
    const now = createWorld({ store: memory, ...sealed }, clock)
    expect((await now.sessions.open(jar.header())).get('a')).toBe(1)
  })
})

describe('compress', () => {
  it('makes stored values smaller, above a size', async () => {
    const text = 'the same again and '.repeat(500)
    const sizes: number[] = []
    for (const compress of [false, { above: 1000 }] as const) {
      const { visit, memory } = createStored({ compress })
      const { session } = await visit((s) => s.set('text', text))
      sizes.push((await memory.read(session.id))?.value.length ?? 0)
      expect((await visit()).session.get('text')).toBe(text)
    }
    expect((sizes[1] as number) * 10 < (sizes[0] as number)).toBe(true)
  })

  it('leaves as it is what would get no smaller', async () => {
    const text = String.fromCharCode(...Array.from({ length: 30 }, (_, i) => 0x4e00 + i * 641))
    const sizes: number[] = []
    for (const compress of [false, { above: 1 }] as const) {
      const { visit, memory } = createStored({ compress })
      const { session } = await visit((s) => s.set('text', text))
      expect((await visit()).session.get('text')).toBe(text)
      sizes.push((await memory.read(session.id))?.value.length ?? 0)
    }
    expect(sizes[0]).toBe(sizes[1])
  })

  it('works with seal, and reads records that were stored before', async () => {
    const { visit, memory, jar, clock } = createStored({ seal: 'cookie', compress: { above: 1 } })
    const text = 'x'.repeat(10_000)
    await visit((s) => s.set('text', text))
    const without = createWorld({ store: memory, seal: 'cookie' }, clock)
    expect((await without.sessions.open(jar.header())).get('text')).toBe(text)
  })

  it('compresses no value that would be too large to inflate', async () => {
    const { visit } = createStored({ compress: { above: 1 } })
    const text = 'x'.repeat(9 * 1024 * 1024)
    await visit((s) => s.set('text', text))
    expect((await visit()).session.get('text') === text).toBe(true)
  })

  it('inflates up to a limit only', async () => {
    const { visit, memory, jar, clock } = createStored({ compress: { above: 1 } })
    const { session } = await visit((s) => s.set('a', 1))
    // As the secret's owner could have sealed it.
    const bomb = await deflate(new Uint8Array(9 * 1024 * 1024))
    const ring = createKeyRing([SECRET], 'store')
    const bytes = Uint8Array.of(8, ...bomb)
    const record = await memory.read(session.id)
    const value = await sealToken(ring, `store:${session.id}:${record?.epoch}`, bytes, clock())
    if (record) await memory.write(session.id, { ...record, version: '9', value }, record.version)
    expect(memory.stats().bytes < 200_000).toBe(true)
    const strict = createWorld({ store: memory, onCorruption: 'throw' }, clock)
    const error = await errorOf(() => strict.sessions.open(jar.header()))
    expect(error.code).toBe('ERR_SESSION_ENCRYPTION')
  })
})
